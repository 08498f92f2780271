// A naive controller of one partition: brokers with epochs and fencing, clean election from the ISR, and the validation
// of AlterPartition in the order of the rule. Each change is one metadata version that brokers apply when they get it.
import { assert } from '../../src/base/assert.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch } from '../../src/model/ids.ts'
import type { IsrAnswer, IsrProposal } from '../../src/replication/isr.ts'
import type { BrokerState } from '../../src/replication/join-eligibility.ts'

export interface PartitionState {
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
}

export interface MetadataVersion {
  readonly brokers: ReadonlyMap<NodeId, BrokerState>
  readonly partition: PartitionState
}

export interface AlterPartition {
  readonly brokerId: NodeId
  readonly proposal: IsrProposal
}

export class ModelController {
  readonly versions: MetadataVersion[] = []
  #brokers = new Map<NodeId, BrokerState>()
  #partition: PartitionState
  #nextBrokerEpoch = 1

  constructor(partition: { readonly replicas: readonly NodeId[]; readonly isr: readonly NodeId[] }) {
    this.#partition = { ...partition, leader: null, leaderEpoch: 0, partitionEpoch: 0 }
    for (const id of partition.replicas) this.#brokers.set(id, this.#newRun(false))
    this.elect(partition.isr[0]!)
  }

  get partition(): PartitionState {
    return this.#partition
  }

  get latestVersion(): number {
    return this.versions.length - 1
  }

  broker(id: NodeId): BrokerState {
    return this.#brokers.get(id)!
  }

  /** A broker starts anew: it is fenced, and leads nothing any more, in the same change. */
  register(id: NodeId, options: { readonly unclean?: boolean } = {}): BrokerEpoch {
    this.#brokers.set(id, this.#newRun(true))
    this.#leaveIsr(id, { alsoAsLast: options.unclean === true })
    this.#publish()
    return this.broker(id).brokerEpoch
  }

  fence(id: NodeId): void {
    this.#brokers.set(id, { ...this.broker(id), fenced: true })
    this.#leaveIsr(id, { alsoAsLast: false })
    this.#publish()
  }

  unfence(id: NodeId): void {
    this.#brokers.set(id, { ...this.broker(id), fenced: false })
    const { leader, isr } = this.#partition
    if (leader === null && isr.includes(id)) this.#change({ leader: id })
    this.#publish()
  }

  startShutdown(id: NodeId): void {
    this.#brokers.set(id, { ...this.broker(id), shuttingDown: true })
    this.#publish()
  }

  /** Makes a broker the leader; the ISR becomes what is given (an unclean election can name any). */
  elect(leader: NodeId, isr: readonly NodeId[] = this.#partition.isr): void {
    assert(isr.includes(leader), 'the leader must be in the ISR')
    this.#change({ leader, isr })
    this.#publish()
  }

  removeFromIsr(id: NodeId): void {
    const { isr, partitionEpoch } = this.#partition
    this.#partition = {
      ...this.#partition,
      isr: isr.filter((member) => member !== id),
      partitionEpoch: partitionEpoch + 1,
    }
    this.#publish()
  }

  alterPartition(request: AlterPartition): IsrAnswer {
    const { brokerId, proposal } = request
    const { isr, leader, leaderEpoch, partitionEpoch, replicas } = this.#partition
    const wanted = proposal.isr.map((member) => member.replicaId)
    const error = (code: Extract<IsrAnswer, { kind: 'error' }>['code']): IsrAnswer => ({
      kind: 'error',
      code,
    })
    if (proposal.leaderEpoch > leaderEpoch || proposal.partitionEpoch > partitionEpoch) {
      return error('NOT_CONTROLLER')
    }
    if (proposal.leaderEpoch < leaderEpoch) return error('FENCED_LEADER_EPOCH')
    if (brokerId !== leader) return error('INVALID_REQUEST')
    if (proposal.partitionEpoch < partitionEpoch) return error('INVALID_UPDATE_VERSION')
    if (wanted.some((id) => !replicas.includes(id)) || !wanted.includes(leader))
      return error('INVALID_REQUEST')
    const isEligible = proposal.isr.every(({ replicaId, brokerEpoch }) => {
      const broker = this.broker(replicaId)
      return !broker.fenced && !broker.shuttingDown && broker.brokerEpoch === brokerEpoch
    })
    if (!isEligible) return error('INELIGIBLE_REPLICA')
    assert(wanted.join() !== isr.join(), 'a proposal must change something')
    this.#partition = { ...this.#partition, isr: wanted, partitionEpoch: partitionEpoch + 1 }
    this.#publish()
    return { kind: 'committed', leaderEpoch, partitionEpoch: partitionEpoch + 1, isr: wanted }
  }

  #newRun(fenced: boolean): BrokerState {
    return { brokerEpoch: this.#nextBrokerEpoch++, fenced, shuttingDown: false }
  }

  /** The last member stays in the ISR (without a leader): it alone surely has all that is committed. */
  #leaveIsr(id: NodeId, options: { readonly alsoAsLast: boolean }): void {
    const { leader } = this.#partition
    const others = this.#partition.isr.filter((member) => member !== id)
    const isr = others.length > 0 || options.alsoAsLast ? others : this.#partition.isr
    if (leader === id) {
      this.#change({ leader: isr.find((member) => !this.broker(member).fenced) ?? null, isr })
    } else if (isr.length !== this.#partition.isr.length) {
      this.#partition = { ...this.#partition, isr, partitionEpoch: this.#partition.partitionEpoch + 1 }
    }
  }

  #change(change: { readonly leader: NodeId | null; readonly isr?: readonly NodeId[] }): void {
    this.#partition = {
      ...this.#partition,
      ...change,
      leaderEpoch: this.#partition.leaderEpoch + 1,
      partitionEpoch: this.#partition.partitionEpoch + 1,
    }
  }

  #publish(): void {
    this.versions.push({ brokers: new Map(this.#brokers), partition: this.#partition })
  }
}
