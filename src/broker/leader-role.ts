// One partition while this broker leads it: routes between the replication core, the log and the waiting requests.
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, NodeId, Offset, TopicPartition } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import { highWatermarkNote } from '../protocol/replica-fetch.ts'
import { requireKeys, validateBatches } from '../record/batch-validation.ts'
import type { Diverging, FetchPosition, ReadError } from '../replication/fetch-check.ts'
import type { IsrAnswer, IsrProposal } from '../replication/isr.ts'
import type {
  FollowerFetch,
  FollowerFetchResult,
  FollowerFlush,
  LeaderUpdate,
} from '../replication/leader-messages.ts'
import type { PartitionLeader } from '../replication/partition-leader.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import { type CommittedReads, requireLeaderEpoch } from './committed-reads.ts'
import { type ParkedFetches, PendingAcks } from './delayed-requests.ts'
import { LowWatermark } from './low-watermark.ts'

/** The settings of the topic that a leader obeys. */
export interface TopicLimits {
  readonly minInsyncReplicas: number
  readonly maxMessageBytes: number
  readonly flushMessages: number
  /** Whether the topic is compacted: then every record needs a key. */
  readonly cleanupCompacts: boolean
}

export interface LeaderRoleOptions extends TopicPartition {
  readonly nodeId: NodeId
  readonly environment: BrokerEnvironment
  readonly core: PartitionLeader
  readonly log: PartitionLog
  readonly limits: TopicLimits
  /** Consumers that wait for the high watermark. */
  readonly committedFetches: ParkedFetches
  readonly proposeIsr: (role: LeaderRole, proposal: IsrProposal) => void
  /** Something happened: `tick` is to be called until `isAtRest`. */
  readonly unsettled: () => void
}

export interface Appended {
  readonly baseOffset: Offset
  readonly endOffset: Offset
  /** Resolves when the write returned. */
  readonly written: Promise<void>
}

export class LeaderRole implements CommittedReads {
  readonly kind = 'leader'
  readonly options: LeaderRoleOptions
  /** A leader cuts nothing off. */
  readonly cuts = 0
  readonly pendingAcks = new PendingAcks()
  readonly lowWatermark: LowWatermark
  /** Followers whose fetch is parked here, with the connection to tell them of a new high watermark. */
  readonly #parkedFollowers = new Map<NodeId, Connection>()
  /** The high watermark each follower was told last, in an answer or a note. */
  readonly #toldHighWatermark = new Map<NodeId, Offset>()
  #limits: TopicLimits
  #isr: readonly NodeId[]
  #ended = false

  constructor(options: LeaderRoleOptions) {
    this.options = options
    this.lowWatermark = new LowWatermark(options.core)
    this.#isr = options.core.isr.isr
    this.#limits = options.limits
  }

  get leaderEpoch(): LeaderEpoch {
    return this.options.core.leaderEpoch
  }

  get highWatermark(): Offset {
    return this.options.core.highWatermark
  }

  get log(): PartitionLog {
    return this.options.log
  }

  readCheck({ fetchOffset, lastFetchedEpoch }: FetchPosition): ReadError | Diverging | null {
    return this.options.core.readCheck(fetchOffset, lastFetchedEpoch)
  }

  /** Whether the leadership is over; whoever waited meanwhile must not act on it any more. */
  get hasEnded(): boolean {
    return this.#ended
  }

  configure(settings: TopicLimits): void {
    this.#limits = settings
    this.apply(this.options.core.minInsyncReplicasChanged(settings.minInsyncReplicas))
    this.apply(this.options.core.flushMessagesChanged(settings.flushMessages))
  }

  checkEpoch(currentLeaderEpoch: LeaderEpoch): void {
    requireLeaderEpoch(currentLeaderEpoch, this)
  }

  /**
   * Checks and appends record batches; all of them or, when it throws, none.
   * @throws VltavaError CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE, NOT_ENOUGH_REPLICAS, SERVER_BUSY,
   * STORAGE_ERROR, all of them definite here: nothing was appended.
   */
  append(batches: Uint8Array, acks: -1 | 0 | 1): Appended {
    const { core, log, environment } = this.options
    const refused = core.produceCheck(acks)
    if (refused !== null) throw new VltavaError(refused, this.describeIsr())
    if (batches.length === 0)
      throw new VltavaError('INVALID_RECORD', 'There is no record batch for the partition.')
    validateBatches(batches, {
      cpu: environment.cpu,
      maxBytes: this.#limits.maxMessageBytes,
      origin: 'producer',
    })
    if (this.#limits.cleanupCompacts) requireKeys(batches)
    return log.appendAsLeader(batches, this.leaderEpoch)
  }

  written(endOffset: Offset): void {
    this.#carryOut(this.options.core.written(endOffset, this.#nowMs()))
  }

  flushed(endOffset: Offset): void {
    this.#carryOut(this.options.core.flushed(endOffset))
  }

  followerFetched(fetch: Omit<FollowerFetch, 'nowMs'>): FollowerFetchResult {
    const result = this.options.core.followerFetched({ ...fetch, nowMs: this.#nowMs() })
    if (result.kind === 'accepted') this.#carryOut(result)
    return result
  }

  followerFlushed(note: Omit<FollowerFlush, 'nowMs'>): void {
    this.#carryOut(this.options.core.followerFlushed({ ...note, nowMs: this.#nowMs() }))
  }

  /** The in-sync set with those about to join, without this broker. */
  get inSyncFollowers(): readonly NodeId[] {
    const { core, nodeId } = this.options
    return core.isr.maximalIsr.filter((id) => id !== nodeId)
  }

  /** Records left the log at its start, durably. */
  logStartMoved(logStartOffset: Offset): void {
    if (!this.#ended) this.options.core.logStartMoved(logStartOffset)
  }

  /** From now on the follower hears of a new high watermark at once, and now if it has not heard of this one. */
  followerParked(replicaId: NodeId, connection: Connection): void {
    this.#parkedFollowers.set(replicaId, connection)
    if (this.#toldHighWatermark.get(replicaId) !== this.highWatermark) this.#note(replicaId, connection)
  }

  followerUnparked(replicaId: NodeId, connection: Connection): void {
    if (this.#parkedFollowers.get(replicaId) === connection) this.#parkedFollowers.delete(replicaId)
  }

  /** The answer to a fetch tells the follower of the present high watermark. */
  followerAnswered(replicaId: NodeId): void {
    this.#toldHighWatermark.set(replicaId, this.highWatermark)
  }

  isrAnswered(proposal: IsrProposal, result: IsrAnswer): void {
    if (!this.#ended)
      this.#carryOut(this.options.core.isrAnswered({ proposal, result, nowMs: this.#nowMs() }))
  }

  /** Carries out what a call to the core returned; for calls that the partition makes itself. */
  apply(update: LeaderUpdate): void {
    this.#carryOut(update)
  }

  /** Whether time alone changes nothing. */
  get isAtRest(): boolean {
    return this.options.core.isAtRest
  }

  tick(): void {
    this.#carryOut(this.options.core.tick(this.#nowMs()))
  }

  /** Ends the leadership: whoever waits learns that the outcome is not known. */
  end(error: VltavaError): void {
    this.#ended = true
    this.#parkedFollowers.clear()
    this.pendingAcks.failAll(error)
    const ended = 'The leadership ended before all replicas had deleted the records; try again.'
    this.lowWatermark.failAll(new VltavaError('NOT_LEADER_OR_FOLLOWER', ended))
  }

  /** Which replicas hold back records up to the offset, in words, for the error of a produce that timed out. */
  describeMissing(endOffset: Offset): string {
    const { core } = this.options
    const nowMs = this.#nowMs()
    const missing = core
      .describe()
      .filter((replica) => replica.inIsr && replica.countedOffset < endOffset)
      .map(({ replicaId, caughtUpAtMs }) => {
        const since =
          caughtUpAtMs === null
            ? 'not heard of in this leadership'
            : `behind for ${Math.round(nowMs - caughtUpAtMs)} ms`
        return `broker ${replicaId} (${since})`
      })
    const waiting = missing.length === 0 ? 'the leader itself' : missing.join(', ')
    return `waiting for ${waiting}; ${this.describeIsr()}`
  }

  describeIsr(): string {
    return `the in-sync replicas are ${this.options.core.isr.isr.join(', ')}; min.insync.replicas is ${this.#limits.minInsyncReplicas}`
  }

  #nowMs(): number {
    return this.options.environment.clock.monotonicMs()
  }

  #carryOut(update: LeaderUpdate): void {
    if (this.#ended) return
    this.options.unsettled()
    this.lowWatermark.release(() => this.inSyncFollowers)
    if (update.highWatermarkAdvanced) {
      this.pendingAcks.release(update.highWatermark)
      this.options.committedFetches.wakeAll()
      this.#noteFollowers()
    }
    this.#noticeIsr()
    if (update.isrProposal !== null) this.options.proposeIsr(this, update.isrProposal)
  }

  /** Who left the in-sync set must be heard of again, also where its session has nothing to say of the partition. */
  #noticeIsr(): void {
    const { isr } = this.options.core.isr
    if (isr === this.#isr) return
    this.#isr = isr
    this.options.committedFetches.wakeAll()
  }

  #noteFollowers(): void {
    for (const [replicaId, connection] of this.#parkedFollowers) this.#note(replicaId, connection)
  }

  #note(replicaId: NodeId, connection: Connection): void {
    if (!connection.isOpen) return
    const { topicId, partition } = this.options
    const { leaderEpoch, highWatermark } = this
    connection.notify(highWatermarkNote, { partitions: [{ topicId, partition, leaderEpoch, highWatermark }] })
    this.#toldHighWatermark.set(replicaId, highWatermark)
  }
}
