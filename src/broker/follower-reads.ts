// What consumers may read from a follower (KIP-392): committed records of the leader epoch it follows in, up to its own high
// watermark. It serves only what the leader of this epoch has found to be the beginning of its own log, and nothing while
// records are being cut off. Whoever does not get what it asks for here asks the leader.
import type { Clock } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, NodeId, Offset } from '../model/ids.ts'
import {
  checkReplicaReadPosition,
  type Diverging,
  type FetchPosition,
  type ReadError,
} from '../replication/fetch-check.ts'
import type { PartitionFollower } from '../replication/partition-follower.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import { type CommittedReads, requireLeaderEpoch } from './committed-reads.ts'
import type { ParkedFetches } from './delayed-requests.ts'

/** Where a follower hears of its leader. */
export interface LeaderContact {
  /** When the leader last answered any fetch. */
  readonly heardAtMs: number
}

export interface FollowerReadsOptions {
  readonly clock: Clock
  readonly core: PartitionFollower
  readonly log: PartitionLog
  readonly leaderId: NodeId
  /** Consumers that wait for the high watermark. */
  readonly committedFetches: ParkedFetches
  /** A follower that has not heard of its leader for so long sends consumers to it, milliseconds. */
  readonly silenceMaxMs: () => number
  /** Whether this replica is in sync or an observer. */
  readonly isChosen: boolean
}

export class FollowerReads implements CommittedReads {
  readonly #options: FollowerReadsOptions
  #isChosen: boolean
  #hasEnded = false
  #cuts = 0
  /** Whether records are still here that the leader has deleted: they may be others than those that were committed. */
  #isHeld = false
  #contact: LeaderContact
  /** Since when the partition makes no progress though the leader answers; null while it does. */
  #stuckSinceMs: number | null = null
  /** What those who wait were woken for last. */
  #shown: { readonly highWatermark: Offset; readonly isServed: boolean }

  constructor(options: FollowerReadsOptions) {
    this.#options = options
    this.#isChosen = options.isChosen
    this.#contact = { heardAtMs: options.clock.monotonicMs() }
    this.#shown = { highWatermark: this.highWatermark, isServed: options.isChosen }
  }

  get log(): PartitionLog {
    return this.#options.log
  }

  get highWatermark(): Offset {
    const { core, log } = this.#options
    return Math.min(core.highWatermark, core.logEndOffset, log.logEndOffset)
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  get cuts(): number {
    return this.#cuts
  }

  checkEpoch(currentLeaderEpoch: LeaderEpoch): void {
    const { leaderEpoch } = this.#options.core
    requireLeaderEpoch(currentLeaderEpoch, { kind: 'follower', leaderEpoch })
  }

  /** @throws VltavaError NOT_LEADER_OR_FOLLOWER, OFFSET_NOT_AVAILABLE */
  readCheck(position: FetchPosition): ReadError | Diverging | null {
    const { core, log, leaderId } = this.#options
    if (this.#hasEnded || !this.#isChosen) {
      const detail = 'This replica is neither in sync nor an observer; read from the leader.'
      throw new VltavaError('NOT_LEADER_OR_FOLLOWER', detail, { definite: true })
    }
    // Where there is something to hand out, that is as good as ever.
    if (position.fetchOffset >= this.highWatermark && this.#isSilent()) {
      const detail = `This replica has got nothing from its leader, broker ${leaderId}, for a while; read from there.`
      throw new VltavaError('OFFSET_NOT_AVAILABLE', detail)
    }
    if (!core.agrees || this.#isChanging) {
      const detail = `This replica has yet to bring its log in line with the one of its leader, broker ${leaderId}.`
      throw new VltavaError('OFFSET_NOT_AVAILABLE', detail)
    }
    const { logStartOffset, logEndOffset, epochs } = log
    const { highWatermark } = this
    const { leaderEpoch } = core
    const bounds = { logStartOffset, logEndOffset, epochs, highWatermark, leaderEpoch }
    return checkReplicaReadPosition(position, bounds)
  }

  /** The fetcher that asks the leader for the partition. */
  fetchedBy(contact: LeaderContact): void {
    this.#contact = contact
  }

  /** @param isChosen whether this replica is in sync or an observer, as metadata says now. */
  chosen(isChosen: boolean): void {
    this.#isChosen = isChosen
    this.noticed()
  }

  /** Records are about to be cut off the log: what is being read now is void. */
  cutting(): void {
    this.#cuts++
  }

  held(isHeld: boolean): void {
    this.#isHeld = isHeld
  }

  /** The leader or the disk refused; until the partition moves again, it may be behind without anybody telling. */
  refused(): void {
    this.#stuckSinceMs ??= this.#options.clock.monotonicMs()
  }

  progressed(): void {
    this.#stuckSinceMs = null
  }

  /** Something may have changed for the consumers that wait: they look again if it did. */
  noticed(): void {
    if (this.#hasEnded) return
    const { highWatermark: shown, isServed: wasServed } = this.#shown
    // They wait for what comes once the log is cut or trimmed, instead of being sent away for a moment.
    const highWatermark = this.#isChanging ? shown : this.highWatermark
    const isServed = this.#isChosen && !this.#isSilent()
    if (highWatermark === shown && isServed === wasServed) return
    this.#shown = { highWatermark, isServed }
    this.#options.committedFetches.wakeAll()
  }

  end(): void {
    this.#hasEnded = true
  }

  get #isChanging(): boolean {
    return this.#isHeld || this.#options.core.isCutting
  }

  #isSilent(): boolean {
    const { clock, silenceMaxMs } = this.#options
    const sinceMs = Math.min(this.#contact.heardAtMs, this.#stuckSinceMs ?? Number.POSITIVE_INFINITY)
    return clock.monotonicMs() - sinceMs > silenceMaxMs()
  }
}
