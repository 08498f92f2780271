// How far the followers of a partition are behind, by what their leader knows.
import type { NodeId, Offset } from '../model/ids.ts'
import type { ReplicaDescription } from '../replication/leader-messages.ts'
import { SegmentReplacedError } from '../storage/segment.ts'
import type { LeaderRole } from './leader-role.ts'

/** Fields are null before the first fetch of the replica in this leader epoch. */
export interface ReplicaLag {
  readonly brokerId: NodeId
  readonly isInSync: boolean
  readonly logEndOffset: Offset | null
  readonly flushedOffset: Offset | null
  readonly lagRecords: number | null
  /** At most an index interval and a batch too many. */
  readonly lagBytes: number | null
  /** Since it had all that counts; 0 while it does; null when it never had in this leader epoch. */
  readonly lagMs: number | null
}

/** Segments may be replaced by compaction while their sizes are looked at; then it is done again, so often. */
const ATTEMPTS = 3

/**
 * All replicas, the leader first.
 * @throws VltavaError STORAGE_ERROR
 */
export async function replicaLags(role: LeaderRole): Promise<readonly ReplicaLag[]> {
  return Promise.all(role.options.core.describe().map((replica) => lagOf(role, replica)))
}

async function lagOf(role: LeaderRole, replica: ReplicaDescription): Promise<ReplicaLag> {
  const { core } = role.options
  const { replicaId: brokerId, inIsr: isInSync, logEndOffset, caughtUpAtMs, countedOffset } = replica
  if (logEndOffset < 0) {
    const unknown = { logEndOffset: null, flushedOffset: null, lagRecords: null, lagBytes: null, lagMs: null }
    return { brokerId, isInSync, ...unknown }
  }
  const isCaughtUp = countedOffset >= core.logEndOffset
  const sinceMs = caughtUpAtMs === null ? null : Math.max(0, Math.floor(core.nowMs - caughtUpAtMs))
  const lagRecords = Math.max(0, core.logEndOffset - logEndOffset)
  return {
    brokerId,
    isInSync,
    logEndOffset,
    flushedOffset: replica.flushedOffset < 0 ? null : replica.flushedOffset,
    lagRecords,
    lagMs: isCaughtUp ? 0 : sinceMs,
    lagBytes: lagRecords === 0 ? 0 : await bytesFrom(role, logEndOffset),
  }
}

async function bytesFrom(role: LeaderRole, offset: Offset): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await role.options.log.retained.bytesFrom(offset)
    } catch (error) {
      if (!(error instanceof SegmentReplacedError) || attempt === ATTEMPTS) throw error
    }
  }
}
