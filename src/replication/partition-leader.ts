// The leader of one partition in one leader epoch, without files and sockets: it counts what its followers hold, moves
// the high watermark, and proposes changes of the in-sync set. The shell tells it what happened, in the order in which
// it happened, and carries out what it returns. A new leader epoch is a new object: nothing learned in an older one
// counts (REP-11, REP-17). The rules are those of Kafka's Partition with KIP-841, 903 and 966, except that with
// flush.messages=1 a replica counts for what it has fsynced instead of what it has written.
import { assert, unreachable } from '../base/assert.ts'
import type { EpochView } from '../log/epoch-history.ts'
import type { LeaderEpoch, NodeId, Offset } from '../model/ids.ts'
import {
  checkFetchPosition,
  checkLeaderEpoch,
  checkReadPosition,
  type Diverging,
  type ReadError,
} from './fetch-check.ts'
import { FollowerProgress, UNKNOWN } from './follower-progress.ts'
import { HighWatermark } from './high-watermark.ts'
import { InSyncSet } from './in-sync-set.ts'
import type { IsrAnswer, IsrCommit, IsrProposal, IsrState } from './isr.ts'
import type { BrokerStates } from './join-eligibility.ts'
import type {
  FollowerFetch,
  FollowerFetchResult,
  FollowerFlush,
  LeaderUpdate,
  PartitionLeaderOptions,
  ReplicaDescription,
} from './leader-messages.ts'

export class PartitionLeader {
  readonly leaderEpoch: LeaderEpoch
  /** The log end when the leadership began, exclusive. */
  readonly leaderEpochStartOffset: Offset
  readonly epochs: EpochView
  readonly #brokerId: NodeId
  readonly #highWatermark: HighWatermark
  /** All replicas but this one, in the order of the assignment. */
  readonly #followers: readonly FollowerProgress[]
  readonly #inSync: InSyncSet
  /** As configured; it counts only as far as there are replicas. */
  #minInsyncReplicas: number
  #flushMessages: number
  #logStartOffset: Offset
  #logEndOffset: Offset
  #flushedOffset: Offset
  #nowMs: number

  constructor(options: PartitionLeaderOptions) {
    const { brokerId, isr, leaderEpoch, nowMs } = options
    assert(options.replicas.includes(brokerId), `broker ${brokerId} must be a replica of what it leads`)
    assert(
      options.epochs.latestEpoch === leaderEpoch,
      `leader epoch ${leaderEpoch} must be in the log's epochs`,
    )
    this.leaderEpoch = leaderEpoch
    this.leaderEpochStartOffset = options.logEndOffset
    this.epochs = options.epochs
    this.#brokerId = brokerId
    this.#highWatermark = new HighWatermark(options.highWatermark, options)
    this.#followers = options.replicas
      .filter((id) => id !== brokerId)
      .map((id) => new FollowerProgress(id, isr.includes(id) ? nowMs : Number.NEGATIVE_INFINITY))
    this.#markObservers(options.observers ?? [])
    this.#inSync = new InSyncSet(options, this.#followers)
    this.#minInsyncReplicas = options.minInsyncReplicas
    this.#flushMessages = options.flushMessages
    for (const follower of this.#followers) follower.countWritten(this.#countsWritten)
    this.#logStartOffset = options.logStartOffset
    this.#logEndOffset = options.logEndOffset
    this.#flushedOffset = 0
    this.#nowMs = nowMs
    // A partition of one replica has no fetch to wait for: what its disk holds is committed.
    this.flushed(options.flushedOffset)
  }

  /** Everything below it is committed. Exclusive. */
  get highWatermark(): Offset {
    return this.#highWatermark.offset
  }

  get logStartOffset(): Offset {
    return this.#logStartOffset
  }

  /** Exclusive. */
  get logEndOffset(): Offset {
    return this.#logEndOffset
  }

  /** The committed in-sync set and the change under way. */
  get isr(): IsrState {
    return this.#inSync.state
  }

  /** The latest time that it was told. */
  get nowMs(): number {
    return this.#nowMs
  }

  /**
   * Whether all that earlier leaders may have committed is known to be committed. Until then a state machine on top of
   * the partition (groups, deduplication, the latest offset) must not answer: it could miss records (REP-32, REP-46).
   */
  get isSettled(): boolean {
    return this.#highWatermark.offset >= this.leaderEpochStartOffset
  }

  /** Records were appended: their write returned. */
  written(logEndOffset: Offset, nowMs: number): LeaderUpdate {
    assert(logEndOffset >= this.#logEndOffset, 'the log of a leader must not shrink')
    this.#observe(nowMs)
    for (const follower of this.#followers) follower.leaderAppends(this)
    this.#logEndOffset = logEndOffset
    return this.#update(null)
  }

  /** An fsync that covers everything below the offset returned. To be told after `written`. */
  flushed(flushedOffset: Offset): LeaderUpdate {
    assert(flushedOffset >= this.#flushedOffset, 'what is fsynced must stay so')
    assert(flushedOffset <= this.#logEndOffset, 'what is fsynced must have been written')
    this.#flushedOffset = flushedOffset
    return this.#update(null)
  }

  /** Records below the offset were deleted, by retention or by request: never beyond the high watermark. */
  logStartMoved(logStartOffset: Offset): void {
    assert(logStartOffset >= this.#logStartOffset, 'the log start must not go back')
    assert(
      logStartOffset <= this.#highWatermark.offset,
      'only committed records may be deleted from the start',
    )
    this.#logStartOffset = logStartOffset
  }

  /**
   * A follower asks for records. Errors and divergence leave all state as it was, but for the broker epoch of a
   * newer run, whose predecessor counts no more.
   */
  followerFetched(fetch: FollowerFetch): FollowerFetchResult {
    const epochError = checkLeaderEpoch(fetch.currentLeaderEpoch, this.leaderEpoch)
    if (epochError !== null) return { kind: 'error', code: epochError }
    const follower = this.#followerOf(fetch.replicaId)
    // As in Kafka: a replica may know of its assignment before the leader does, and then has to ask again.
    if (follower === null) return { kind: 'error', code: 'UNKNOWN_LEADER_EPOCH' }
    if (fetch.brokerEpoch < follower.brokerEpoch) return { kind: 'error', code: 'STALE_BROKER_EPOCH' }
    follower.seenInBrokerEpoch(fetch.brokerEpoch)
    follower.isDamaged = fetch.isDamaged ?? false
    const check = checkFetchPosition(fetch, this)
    if (check.kind !== 'valid') return check
    this.#observe(fetch.nowMs)
    follower.fetched(fetch, this)
    return { kind: 'accepted', ...this.#update(this.#inSync.proposeJoin(follower, this)) }
  }

  /** A follower fsynced. Of another leader epoch or another run of its process, the note says nothing. */
  followerFlushed(note: FollowerFlush): LeaderUpdate {
    const follower = this.#followerOf(note.replicaId)
    const counts =
      follower !== null && note.leaderEpoch === this.leaderEpoch && note.brokerEpoch === follower.brokerEpoch
    if (!counts) return this.#update(null)
    this.#observe(note.nowMs)
    follower.flushed(note.flushedOffset, this)
    return this.#update(this.#inSync.proposeJoin(follower, this))
  }

  /**
   * Metadata brings a committed state of this leader epoch; one that is not newer, or of another epoch, is ignored.
   * Where the same metadata changes brokers, `brokersChanged` comes first: a member that was fenced and removed would
   * else be proposed again at once.
   * @param commit `observers`: which replicas are observers by the same metadata; default as before.
   */
  isrCommitted(commit: IsrCommit & { readonly observers?: readonly NodeId[] }): LeaderUpdate {
    const { leaderEpoch, observers } = commit
    // First: with more voters more members may be needed, and what is committed next must keep to that.
    if (observers !== undefined && leaderEpoch === this.leaderEpoch) this.#markObservers(observers)
    this.#inSync.committed(commit, this.#nowMs)
    return this.#updateThenJoin()
  }

  /** The controller's answer to a proposal, or the failure to get one. */
  isrAnswered(answer: {
    readonly proposal: IsrProposal
    readonly result: IsrAnswer
    readonly nowMs: number
  }): LeaderUpdate {
    this.#observe(answer.nowMs)
    const outcome = this.#inSync.answered(answer, this.#nowMs)
    switch (outcome) {
      case 'committed':
      case 'rolled-back':
        return this.#updateThenJoin()
      case 'send-again':
        return this.#update(answer.proposal)
      case 'ignored':
      case 'awaiting-metadata':
        return this.#update(null)
      default:
        return unreachable(outcome)
    }
  }

  /** Metadata changed what is known of brokers. Who is fenced or shuts down may not join; a new run starts unknown. */
  brokersChanged(brokers: BrokerStates): LeaderUpdate {
    this.#inSync.brokersChanged(brokers)
    return this.#update(this.#inSync.proposeAnyJoin(this))
  }

  /** @param minInsyncReplicas min.insync.replicas as configured now, 1 or more. */
  minInsyncReplicasChanged(minInsyncReplicas: number): LeaderUpdate {
    assert(minInsyncReplicas >= 1, 'min.insync.replicas must be 1 or more')
    this.#minInsyncReplicas = minInsyncReplicas
    return this.#update(null)
  }

  /** @param lagTimeMaxMs replica.lag.time.max.ms as configured now; the next tick looks by it. */
  lagTimeMaxChanged(lagTimeMaxMs: number): void {
    this.#inSync.lagTimeMaxChanged(lagTimeMaxMs)
  }

  /** @param flushMessages flush.messages as configured now, 1 or more. The high watermark stays where it has been. */
  flushMessagesChanged(flushMessages: number): LeaderUpdate {
    assert(flushMessages >= 1, 'flush.messages must be 1 or more')
    this.#flushMessages = flushMessages
    for (const follower of this.#followers) follower.countWritten(this.#countsWritten)
    return this.#update(null)
  }

  /**
   * Time passed. To be called some times within replica.lag.time.max.ms, after waiting input was read: a stall of this
   * process must not look like a lag of its followers.
   */
  tick(nowMs: number): LeaderUpdate {
    this.#observe(nowMs)
    return this.#update(
      this.#inSync.proposeShrink(this) ?? this.#inSync.proposeAnyJoin(this) ?? this.#proposeSynced(),
    )
  }

  /**
   * Whether time alone changes nothing: everybody who may be in sync is and has all, and nothing is under way. Fetches, flushes,
   * records and metadata may change that.
   */
  get isAtRest(): boolean {
    return this.#inSync.isAtRest(this, { mayBeUnsynced: this.#countsWritten })
  }

  /** Whether a produce may be appended. With too few in-sync replicas acks=all (-1) is refused before it is. */
  produceCheck(acks: -1 | 0 | 1): 'NOT_ENOUGH_REPLICAS' | null {
    return acks === -1 && this.isBelowMinIsr ? 'NOT_ENOUGH_REPLICAS' : null
  }

  /** Whether a consumer may read on from its position; `highWatermark` bounds what it gets. null: it may. */
  readCheck(fetchOffset: Offset, lastFetchedEpoch: LeaderEpoch = -1): ReadError | Diverging | null {
    return checkReadPosition({ fetchOffset, lastFetchedEpoch }, this)
  }

  /** Where the log of a follower starts, as it said last in this leadership and this run of it; below 0 while it has not. */
  logStartOf(replicaId: NodeId): Offset {
    return this.#followerOf(replicaId)?.logStartOffset ?? UNKNOWN
  }

  /** All replicas, this one first. */
  describe(): readonly ReplicaDescription[] {
    const own: ReplicaDescription = {
      replicaId: this.#brokerId,
      logEndOffset: this.#logEndOffset,
      flushedOffset: this.#flushedOffset,
      countedOffset: this.#countedOffset,
      caughtUpAtMs: this.#nowMs,
      isObserver: false,
      inIsr: true,
    }
    const followers = this.#followers.map((follower) => ({
      replicaId: follower.replicaId,
      logEndOffset: follower.logEndOffset,
      flushedOffset: follower.flushedOffset,
      countedOffset: follower.countedOffset,
      caughtUpAtMs: Number.isFinite(follower.caughtUpAtMs) ? follower.caughtUpAtMs : null,
      isObserver: follower.isObserver,
      inIsr: this.#inSync.state.isr.includes(follower.replicaId),
    }))
    return [own, ...followers]
  }

  /** With too few members others are eligible, of whom this leader knows nothing. */
  #proposeSynced(): IsrProposal | null {
    if (this.#countsWritten || this.isBelowMinIsr) return null
    return this.#inSync.proposeSynced(this, this.#flushedOffset)
  }

  #followerOf(replicaId: NodeId): FollowerProgress | null {
    for (const follower of this.#followers) if (follower.replicaId === replicaId) return follower
    return null
  }

  #markObservers(observers: readonly NodeId[]): void {
    for (const follower of this.#followers) follower.isObserver = observers.includes(follower.replicaId)
  }

  #observe(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs)
  }

  get #countsWritten(): boolean {
    return this.#flushMessages > 1
  }

  get #countedOffset(): Offset {
    return this.#countsWritten ? this.#logEndOffset : this.#flushedOffset
  }

  /** Ends a step: the high watermark moves last, when the maximal ISR is what the step made of it. */
  #update(isrProposal: IsrProposal | null): LeaderUpdate {
    const highWatermarkAdvanced = !this.isBelowMinIsr && this.#highWatermark.raiseTo(this.#countedByAll())
    return { highWatermark: this.#highWatermark.offset, highWatermarkAdvanced, isrProposal }
  }

  /**
   * The set may have shrunk: first the high watermark moves, then others may join. The other way round the replica that was
   * just removed for its lag would be back at once where it stands at the high watermark, and hold it there for ever.
   */
  #updateThenJoin(): LeaderUpdate {
    const { highWatermarkAdvanced } = this.#update(null)
    const update = this.#update(this.#inSync.proposeAnyJoin(this))
    return highWatermarkAdvanced ? { ...update, highWatermarkAdvanced } : update
  }

  /** Whether fewer replicas are in sync than records need; then others may be eligible that left the set (KIP-966). */
  get isBelowMinIsr(): boolean {
    let voters = 1
    for (const follower of this.#followers) if (!follower.isObserver) voters++
    return this.#inSync.state.isr.length < Math.min(this.#minInsyncReplicas, voters)
  }

  /** The lowest counted offset of all who must hold a record before it is committed. */
  #countedByAll(): Offset {
    let lowest = this.#countedOffset
    for (const follower of this.#followers) {
      if (follower.countedOffset < lowest && this.#inSync.mustHold(follower, this))
        lowest = follower.countedOffset
    }
    return lowest
  }
}
