// One broker of the model: the real cores over a naive log. It stands for the shell, with each await made a separate
// call, so that a test decides what happens in between.
import { assert } from '../../src/base/assert.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, Offset } from '../../src/model/ids.ts'
import type { IsrAnswer, IsrProposal } from '../../src/replication/isr.ts'
import type { LeaderUpdate } from '../../src/replication/leader-messages.ts'
import {
  type FetchRequest,
  type FetchResponse,
  type FollowerStep,
  type FollowerUpdate,
  PartitionFollower,
} from '../../src/replication/partition-follower.ts'
import { PartitionLeader } from '../../src/replication/partition-leader.ts'
import { MemoryLog, type ModelRecord } from './memory-log.ts'
import type { MetadataVersion } from './model-controller.ts'

export const LAG_TIME_MAX_MS = 30_000

export type Role =
  | { readonly kind: 'leader'; readonly core: PartitionLeader }
  | { readonly kind: 'follower'; readonly core: PartitionFollower }
  | { readonly kind: 'none' }

export interface ModelFetch extends FetchRequest {
  readonly replicaId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly logStartOffset: Offset
}

export interface ModelFlush {
  readonly replicaId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly leaderEpoch: LeaderEpoch
  readonly flushedOffset: Offset
}

export class ModelReplica {
  readonly id: NodeId
  readonly log = new MemoryLog()
  brokerEpoch: BrokerEpoch
  minInsyncReplicas: number
  readonly flushMessages: number
  role: Role = { kind: 'none' }
  isRunning = true
  /** The metadata version it has applied. */
  version = -1
  /** Proposals that its leader core gave out and nobody took yet. */
  readonly proposals: IsrProposal[] = []
  /** Truncations and restarts that went below the high watermark. */
  losses = 0
  #idleHighWatermark: Offset = 0
  #leaderEpoch: LeaderEpoch = -1

  constructor(
    id: NodeId,
    options: {
      readonly brokerEpoch: BrokerEpoch
      readonly minInsyncReplicas: number
      readonly flushMessages?: number
    },
  ) {
    this.id = id
    this.brokerEpoch = options.brokerEpoch
    this.minInsyncReplicas = options.minInsyncReplicas
    this.flushMessages = options.flushMessages ?? 1
  }

  get leader(): PartitionLeader {
    assert(this.role.kind === 'leader', `${this.id} does not lead`)
    return this.role.core
  }

  get follower(): PartitionFollower {
    assert(this.role.kind === 'follower', `${this.id} does not follow`)
    return this.role.core
  }

  get highWatermark(): Offset {
    return this.role.kind === 'none' ? this.#idleHighWatermark : this.role.core.highWatermark
  }

  applyMetadata(metadata: MetadataVersion, nowMs: number): void {
    const { partition, brokers } = metadata
    if (this.role.kind === 'leader' && partition.leaderEpoch === this.role.core.leaderEpoch) {
      this.#take(this.role.core.brokersChanged(brokers))
      this.#take(this.role.core.isrCommitted(partition))
    } else if (partition.leaderEpoch !== this.#leaderEpoch) {
      this.#leaderEpoch = partition.leaderEpoch
      this.#changeRole(metadata, nowMs)
    }
  }

  /** Appends as leader with acks=all (-1) or 1. @returns whether it was let in. */
  produce(values: readonly string[], options: { readonly nowMs: number; readonly acks?: -1 | 1 }): boolean {
    const leader = this.leader
    if (leader.produceCheck(options.acks ?? -1) !== null) return false
    this.log.append(values.map((value) => ({ epoch: leader.leaderEpoch, value })))
    this.#take(leader.written(this.log.logEndOffset, options.nowMs))
    return true
  }

  /** @returns the note that goes to the leader, if this is a follower that may send one. */
  flush(upToOffset: Offset = this.log.logEndOffset): ModelFlush | null {
    this.log.flush(upToOffset)
    const { flushedOffset } = this.log
    if (this.role.kind === 'leader') this.#take(this.role.core.flushed(flushedOffset))
    if (this.role.kind !== 'follower' || this.role.core.flushed(flushedOffset) === null) return null
    const { leaderEpoch } = this.role.core
    return { replicaId: this.id, brokerEpoch: this.brokerEpoch, leaderEpoch, flushedOffset }
  }

  nextFetch(): ModelFetch | null {
    const request = this.role.kind === 'follower' ? this.role.core.nextFetch() : null
    const { logStartOffset } = this.log
    const said = { replicaId: this.id, brokerEpoch: this.brokerEpoch, logStartOffset }
    return request === null ? null : { ...request, ...said }
  }

  answerFetch(
    fetch: ModelFetch,
    options: { readonly nowMs: number; readonly recordsMax?: number },
  ): FetchResponse<ModelRecord> {
    if (this.role.kind !== 'leader')
      return { kind: 'error', code: 'NOT_LEADER_OR_FOLLOWER', logStartOffset: null }
    const leader = this.role.core
    const result = leader.followerFetched({ ...fetch, nowMs: options.nowMs })
    const { logStartOffset } = leader
    if (result.kind !== 'accepted') return { ...result, logStartOffset }
    this.#take(result)
    const batches = this.log.read(fetch.fetchOffset, options.recordsMax ?? Number.POSITIVE_INFINITY)
    return { kind: 'records', batches, highWatermark: leader.highWatermark, logStartOffset }
  }

  noteFlush(note: ModelFlush, nowMs: number): void {
    if (this.role.kind === 'leader') this.#take(this.role.core.followerFlushed({ ...note, nowMs }))
  }

  noteHighWatermark(note: { readonly leaderEpoch: LeaderEpoch; readonly highWatermark: Offset }): void {
    if (this.role.kind === 'follower') this.#follow(this.role.core.highWatermarkNoted(note))
  }

  /** Takes an answer and carries out the step that follows from it. */
  receive(request: FetchRequest, response: FetchResponse<ModelRecord>): FollowerStep<ModelRecord> {
    if (this.role.kind !== 'follower') return { kind: 'ignore' }
    const follower = this.role.core
    const step = follower.onFetchResponse(request, response)
    switch (step.kind) {
      case 'append':
        this.log.append(step.batches)
        this.#follow(follower.appended(this.log.logEndOffset))
        break
      case 'truncate':
        if (step.belowHighWatermark) this.losses++
        this.log.truncate(step.offset)
        follower.truncated(this.log.logEndOffset)
        break
      case 'restart-at':
        if (step.belowHighWatermark) this.losses++
        this.log.restartAt(step.offset)
        follower.restarted()
        break
      case 'idle':
        this.#follow(step)
        break
      case 'ignore':
      case 'retry-later':
        break
    }
    return step
  }

  answerProposal(
    proposal: IsrProposal,
    answer: { readonly result: IsrAnswer; readonly nowMs: number },
  ): void {
    if (this.role.kind === 'leader') this.#take(this.role.core.isrAnswered({ proposal, ...answer }))
  }

  tick(nowMs: number): void {
    if (this.role.kind === 'leader') this.#take(this.role.core.tick(nowMs))
  }

  /** @param survives what the disk holds afterwards and the high watermark that was checkpointed. */
  crash(survives: { readonly endOffset?: Offset; readonly highWatermark?: Offset } = {}): void {
    this.#idleHighWatermark = survives.highWatermark ?? 0
    this.log.crash(survives.endOffset)
    this.role = { kind: 'none' }
    this.isRunning = false
    this.proposals.length = 0
  }

  /** A new run of the process; it has replayed metadata up to its own registration. */
  start(run: { readonly brokerEpoch: BrokerEpoch; readonly version: number }): void {
    this.brokerEpoch = run.brokerEpoch
    this.version = run.version
    this.isRunning = true
    this.#leaderEpoch = -1
  }

  #follow({ logStartOffset }: FollowerUpdate): void {
    if (logStartOffset > this.log.logStartOffset) this.log.deleteBefore(logStartOffset)
  }

  #take(update: LeaderUpdate): void {
    if (update.isrProposal !== null) this.proposals.push(update.isrProposal)
  }

  #changeRole({ partition, brokers }: MetadataVersion, nowMs: number): void {
    const { leader, leaderEpoch } = partition
    const highWatermark = this.highWatermark
    this.proposals.length = 0
    this.#idleHighWatermark = highWatermark
    this.role = { kind: 'none' }
    if (leader === null) return
    const { log } = this
    const isLeader = leader === this.id
    if (isLeader) log.epochs.assign(leaderEpoch, log.logEndOffset)
    const own = {
      logStartOffset: log.logStartOffset,
      logEndOffset: log.logEndOffset,
      flushedOffset: log.flushedOffset,
      highWatermark,
      epochs: log.epochs,
    }
    if (!isLeader) {
      const core = new PartitionFollower({ leaderId: leader, leaderEpoch, ...own })
      this.role = { kind: 'follower', core }
      return
    }
    const core = new PartitionLeader({
      ...own,
      ...partition,
      brokerId: this.id,
      brokerEpoch: this.brokerEpoch,
      brokers,
      minInsyncReplicas: this.minInsyncReplicas,
      flushMessages: this.flushMessages,
      lagTimeMaxMs: LAG_TIME_MAX_MS,
      nowMs,
    })
    this.role = { kind: 'leader', core }
  }
}
