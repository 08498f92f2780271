import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import {
  checkLeaderEpoch,
  type Diverging,
  type FetchPosition,
  type ReadError,
} from '../replication/fetch-check.ts'
import type { PartitionLog } from '../storage/partition-log.ts'

/** Who serves a partition to consumers in one leader epoch: its leader, or one of its followers. */
export interface CommittedReads {
  readonly log: PartitionLog
  /** Up to where it serves, exclusive. */
  readonly highWatermark: Offset
  /** Whether it serves no more: what was read meanwhile may be of another leader. */
  readonly hasEnded: boolean
  /** Counts what cut the end of the log off: what was read across such a cut is void. */
  readonly cuts: number
  /** @throws VltavaError FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH. -1 skips the check. */
  checkEpoch(currentLeaderEpoch: LeaderEpoch): void
  /**
   * @returns null where the consumer may read on from there.
   * @throws VltavaError why nothing is served at the moment, wherever it stands.
   */
  readCheck(position: FetchPosition): ReadError | Diverging | null
}

/**
 * Whether a request is of the leader epoch in which a replica serves.
 * @throws VltavaError FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH. -1 skips the check.
 */
export function requireLeaderEpoch(
  currentLeaderEpoch: LeaderEpoch,
  own: { readonly kind: 'leader' | 'follower'; readonly leaderEpoch: LeaderEpoch },
): void {
  if (currentLeaderEpoch < 0) return
  const code = checkLeaderEpoch(currentLeaderEpoch, own.leaderEpoch)
  if (code === null) return
  const detail = `The request is of leader epoch ${currentLeaderEpoch}, this ${own.kind} is in ${own.leaderEpoch}.`
  throw new VltavaError(code, detail)
}
