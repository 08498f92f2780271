// One partition with its replicas and controller, for scenarios: every message is delivered by hand, and the helpers
// do the dull rest. Replicas are numbered from 1 on.
import type { NodeId, Offset } from '../../src/model/ids.ts'
import type { IsrAnswer, IsrProposal } from '../../src/replication/isr.ts'
import type { FollowerStep } from '../../src/replication/partition-follower.ts'
import type { ModelRecord } from './memory-log.ts'
import { ModelController } from './model-controller.ts'
import { type ModelFetch, ModelReplica } from './model-replica.ts'

export interface ModelOptions {
  readonly replicas: number
  /** The first one leads. Default: all replicas. */
  readonly isr?: readonly NodeId[]
  /** Default 1. */
  readonly minInsyncReplicas?: number
  /** Default 1. */
  readonly flushMessages?: number
}

export class ModelPartition {
  readonly controller: ModelController
  readonly replicas: readonly ModelReplica[]
  nowMs = 0
  #produced = 0

  constructor(options: ModelOptions) {
    const ids = Array.from({ length: options.replicas }, (_, i) => i + 1)
    this.controller = new ModelController({ replicas: ids, isr: options.isr ?? ids })
    this.replicas = ids.map(
      (id) =>
        new ModelReplica(id, {
          brokerEpoch: this.controller.broker(id).brokerEpoch,
          minInsyncReplicas: options.minInsyncReplicas ?? 1,
          flushMessages: options.flushMessages ?? 1,
        }),
    )
    this.applyAll()
  }

  replica(id: NodeId): ModelReplica {
    return this.replicas[id - 1]!
  }

  /** The broker learns the metadata up to a version, the latest by default; what lies between is not seen (REP-42). */
  apply(id: NodeId, version: number = this.controller.latestVersion): void {
    const replica = this.replica(id)
    replica.version = version
    replica.applyMetadata(this.controller.versions[version]!, this.nowMs)
  }

  applyAll(): void {
    for (const replica of this.replicas) if (replica.isRunning) this.apply(replica.id)
  }

  /** Appends records, with values never used before, on a leader. @returns whether they were let in. */
  produce(id: NodeId, records: number, acks: -1 | 1 = -1): boolean {
    const values = Array.from({ length: records }, (_, i) => `v${this.#produced + i}@${id}`)
    this.#produced += records
    return this.replica(id).produce(values, { nowMs: this.nowMs, acks })
  }

  /** One fetch, there and back. */
  fetch(id: NodeId, leaderId: NodeId, recordsMax?: number): FollowerStep<ModelRecord> {
    const request = this.replica(id).nextFetch()
    if (request === null) return { kind: 'ignore' }
    return this.answer(leaderId, request, recordsMax)
  }

  /** Delivers a fetch to a leader and its answer to the follower. */
  answer(leaderId: NodeId, request: ModelFetch, recordsMax?: number): FollowerStep<ModelRecord> {
    const options = recordsMax === undefined ? { nowMs: this.nowMs } : { nowMs: this.nowMs, recordsMax }
    const response = this.replica(leaderId).answerFetch(request, options)
    return this.replica(request.replicaId).receive(request, response)
  }

  /** Fetches, flushing after each step, until there is nothing more to do. @returns the kinds of the steps taken. */
  catchUp(id: NodeId, leaderId: NodeId): FollowerStep<ModelRecord>['kind'][] {
    const kinds: FollowerStep<ModelRecord>['kind'][] = []
    for (let step = this.fetch(id, leaderId); ; step = this.fetch(id, leaderId)) {
      kinds.push(step.kind)
      if (step.kind === 'idle' || step.kind === 'ignore' || step.kind === 'retry-later') return kinds
      if (kinds.length > 100) throw new Error(`replica ${id} does not converge: ${kinds.join(' ')}`)
      this.replica(id).flush()
    }
  }

  /** A follower fetches up to an offset, flushes, and says so. */
  catchUpTo(id: NodeId, leaderId: NodeId, offset: Offset): void {
    while (this.replica(id).log.logEndOffset < offset) {
      this.fetch(id, leaderId, offset - this.replica(id).log.logEndOffset)
    }
    this.replica(id).flush()
    this.fetch(id, leaderId, 0)
  }

  /** Takes the oldest proposal of a leader off its hands. */
  takeProposal(leaderId: NodeId): IsrProposal | undefined {
    return this.replica(leaderId).proposals.shift()
  }

  /** The controller decides on a proposal. The leader does not hear of it yet. */
  decide(leaderId: NodeId, proposal: IsrProposal): IsrAnswer {
    return this.controller.alterPartition({ brokerId: leaderId, proposal })
  }

  tell(leaderId: NodeId, proposal: IsrProposal, result: IsrAnswer): void {
    this.replica(leaderId).answerProposal(proposal, { result, nowMs: this.nowMs })
  }

  /** All proposals of a leader are decided and answered. */
  settleProposals(leaderId: NodeId): void {
    let decided = 0
    for (let proposal = this.takeProposal(leaderId); proposal; proposal = this.takeProposal(leaderId)) {
      if (++decided > 20) throw new Error(`leader ${leaderId} asks again and again`)
      this.tell(leaderId, proposal, this.decide(leaderId, proposal))
    }
  }

  passTime(ms: number): void {
    this.nowMs += ms
    for (const replica of this.replicas) replica.tick(this.nowMs)
  }

  /** A broker that is down starts again, registers, and is unfenced. Other brokers do not know yet. */
  restart(id: NodeId, options: { readonly unclean?: boolean } = {}): void {
    const brokerEpoch = this.controller.register(id, options)
    this.replica(id).start({ brokerEpoch, version: this.controller.latestVersion })
    this.controller.unfence(id)
  }
}
