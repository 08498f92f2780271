// What a leader knows of one follower. All of it was learned in this leader epoch and in one run of the follower's
// process: numbers from before say nothing about what the follower holds now (REP-17, REP-24, REP-25).
import type { BrokerEpoch, NodeId, Offset } from '../model/ids.ts'

/** Stands for an offset or broker epoch not learned yet. Below every real one, so that "unknown" never counts. */
export const UNKNOWN = -1

/** The leader's log end, exclusive, at a time that never goes back. */
export interface LeaderEnd {
  readonly logEndOffset: Offset
  readonly nowMs: number
}

export class FollowerProgress {
  readonly replicaId: NodeId
  #brokerEpoch: BrokerEpoch = UNKNOWN
  #fetchOffset: Offset = UNKNOWN
  #flushedOffset: Offset = UNKNOWN
  #logStartOffset: Offset = UNKNOWN
  #caughtUpAtMs: number
  #countsWritten = false
  // A log end offset of the leader and when it had it. Once the follower counts that far, it was caught up at that
  // time. The mark stays until it is reached: one that moved with each fetch would never be reached by a follower
  // whose fsync takes longer than its next fetch, and a healthy replica would leave the ISR.
  #markOffset: Offset = UNKNOWN
  #markAtMs = 0
  #isSilentOutside = false
  /** It gets records like the others, but never joins the ISR and holds nobody back. */
  isObserver = false
  /** By its last fetch, a part of its log is damaged. */
  isDamaged = false

  /** @param caughtUpAtMs when the follower last had all; -Infinity for never in this leadership. */
  constructor(replicaId: NodeId, caughtUpAtMs: number) {
    this.replicaId = replicaId
    this.#caughtUpAtMs = caughtUpAtMs
  }

  /** The newest broker epoch seen in metadata or in a fetch. */
  get brokerEpoch(): BrokerEpoch {
    return this.#brokerEpoch
  }

  /** The follower's log end offset at its last accepted fetch. */
  get logEndOffset(): Offset {
    return this.#fetchOffset
  }

  /** What an fsync of the follower covers, by its last word. */
  get flushedOffset(): Offset {
    return this.#flushedOffset
  }

  /** Where the follower's log started at its last accepted fetch. */
  get logStartOffset(): Offset {
    return this.#logStartOffset
  }

  get caughtUpAtMs(): number {
    return this.#caughtUpAtMs
  }

  /**
   * Up to where the follower holds the leader's records as far as that counts: not beyond a fetch that did not diverge and,
   * unless what is written counts, fsynced. UNKNOWN before the first such fetch.
   */
  get countedOffset(): Offset {
    return this.#countsWritten ? this.#fetchOffset : Math.min(this.#fetchOffset, this.#flushedOffset)
  }

  /**
   * Whether it left the ISR and has not been heard of since. What it held then does not make it a member again: with too small
   * an ISR the high watermark stands still, and a replica that is gone would have reached it for ever.
   */
  get isSilentOutside(): boolean {
    return this.#isSilentOutside
  }

  /** @param countsWritten whether written is enough (flush.messages above 1); false for a new follower. */
  countWritten(countsWritten: boolean): void {
    this.#countsWritten = countsWritten
  }

  /** Notes a broker epoch; a newer one is another run of the process, which may hold less on its disk. */
  seenInBrokerEpoch(brokerEpoch: BrokerEpoch): void {
    if (brokerEpoch <= this.#brokerEpoch) return
    this.#brokerEpoch = brokerEpoch
    this.#fetchOffset = UNKNOWN
    this.#flushedOffset = UNKNOWN
    this.#logStartOffset = UNKNOWN
    this.#markOffset = UNKNOWN
  }

  /** The follower is in the ISR from now on; it has the full lag time to reach a log end that it never had yet. */
  joinedIsr(nowMs: number): void {
    this.#caughtUpAtMs = nowMs
    this.#isSilentOutside = false
  }

  /** The follower is not in the ISR any more. */
  leftIsr(): void {
    this.#isSilentOutside = true
  }

  /** Notes a fetch that did not diverge, sent in the broker epoch last seen. */
  fetched(
    fetch: {
      readonly fetchOffset: Offset
      readonly flushedOffset: Offset
      readonly logStartOffset?: Offset | null
    },
    leader: LeaderEnd,
  ): void {
    this.#isSilentOutside = false
    this.#fetchOffset = fetch.fetchOffset
    this.#flushedOffset = fetch.flushedOffset
    this.#logStartOffset = fetch.logStartOffset ?? 0
    this.#compare(leader)
  }

  /** Notes an fsync between two fetches. It tells nothing before a first fetch showed that the logs agree. */
  flushed(flushedOffset: Offset, leader: LeaderEnd): void {
    if (this.#fetchOffset === UNKNOWN) return
    this.#isSilentOutside = false
    this.#flushedOffset = Math.max(this.#flushedOffset, flushedOffset)
    this.#compare(leader)
  }

  /** The leader is about to append: a follower that has all starts to lag only now, also after a long idle time. */
  leaderAppends(leader: LeaderEnd): void {
    if (this.countedOffset >= leader.logEndOffset) this.#caughtUpAtMs = leader.nowMs
  }

  /** Whether the follower has all of the leader's records, or had them within the window. */
  hasBeenCaughtUp(leader: LeaderEnd, windowMs: number): boolean {
    return this.countedOffset >= leader.logEndOffset || leader.nowMs - this.#caughtUpAtMs <= windowMs
  }

  #compare(leader: LeaderEnd): void {
    const counted = this.countedOffset
    if (counted >= leader.logEndOffset) this.#caughtUpAtMs = leader.nowMs
    else if (this.#markOffset !== UNKNOWN) {
      if (counted < this.#markOffset) return
      this.#caughtUpAtMs = Math.max(this.#caughtUpAtMs, this.#markAtMs)
    }
    this.#markOffset = leader.logEndOffset
    this.#markAtMs = leader.nowMs
  }
}
