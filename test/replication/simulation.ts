// Three replicas under seeded faults: crashes that lose what was not flushed, packets delayed, dropped and doubled,
// metadata that arrives late, wrong guesses of the controller. After each step the invariants of the catalogue hold.
import { type Random, seededRandom } from '../../src/base/random.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, Offset } from '../../src/model/ids.ts'
import type { IsrAnswer, IsrProposal } from '../../src/replication/isr.ts'
import type { FetchRequest, FetchResponse } from '../../src/replication/partition-follower.ts'
import type { PartitionLeader } from '../../src/replication/partition-leader.ts'
import { Invariants } from './invariants.ts'
import type { ModelRecord } from './memory-log.ts'
import { ModelPartition } from './model-partition.ts'
import type { ModelFetch, ModelFlush, ModelReplica } from './model-replica.ts'

type Packet =
  | { readonly kind: 'fetch'; readonly to: NodeId; readonly fetch: ModelFetch }
  | {
      readonly kind: 'answer'
      readonly to: NodeId
      readonly toBrokerEpoch: BrokerEpoch
      readonly request: FetchRequest
      readonly response: FetchResponse<ModelRecord>
    }
  | { readonly kind: 'flush-note'; readonly to: NodeId; readonly note: ModelFlush }
  | {
      readonly kind: 'high-watermark-note'
      readonly to: NodeId
      readonly toBrokerEpoch: BrokerEpoch
      readonly note: { readonly leaderEpoch: LeaderEpoch; readonly highWatermark: Offset }
    }

/** One AlterPartition on its way. The next copy is sent only when this one is answered or surely gone. */
interface Alteration {
  readonly brokerId: NodeId
  readonly core: PartitionLeader
  readonly proposal: IsrProposal
  result: IsrAnswer | null
}

interface WaitingProduce {
  readonly replica: ModelReplica
  readonly core: PartitionLeader
  readonly endOffset: Offset
}

/** What happened in a run, so that a test can see that the faults were not idle. */
export interface SimulationCounts {
  acknowledged: number
  truncations: number
  restartsAt: number
  leaderChanges: number
  expansions: number
  shrinks: number
  refusals: number
  staleAnswers: number
}

export const IDLE_COUNTS: Readonly<SimulationCounts> = {
  acknowledged: 0,
  truncations: 0,
  restartsAt: 0,
  leaderChanges: 0,
  expansions: 0,
  shrinks: 0,
  refusals: 0,
  staleAnswers: 0,
}

const MIN_INSYNC_REPLICAS = 2

/** Packets the network holds; the oldest ones beyond are lost. */
const PACKETS_MAX = 24

export class Simulation {
  readonly counts: SimulationCounts = { ...IDLE_COUNTS }
  readonly #model = new ModelPartition({ replicas: 3, minInsyncReplicas: MIN_INSYNC_REPLICAS })
  readonly #random: Random
  readonly #seed: number
  readonly #invariants: Invariants
  readonly #packets: Packet[] = []
  readonly #alterations: Alteration[] = []
  #waiting: WaitingProduce[] = []
  readonly #trace: string[] = []

  readonly #actions: readonly (readonly [weight: number, action: () => void])[]

  constructor(seed: number) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.#invariants = new Invariants(this.#model, MIN_INSYNC_REPLICAS)
    // Some runs are calm and get far, others are all faults: each finds what the other cannot.
    const faults = this.#pick([1, 3, 10, 30])!
    this.#actions = [
      [100, () => this.#produce()],
      [150, () => this.#flush()],
      [200, () => this.#sendFetch()],
      [400, () => this.#deliver()],
      [80, () => this.#applyMetadata()],
      [80, () => this.#alter()],
      [30, () => this.#noteHighWatermark()],
      [30, () => this.#passTime()],
      [60, () => this.#restart()],
      [60, () => this.#unfence()],
      [2 * faults, () => this.#crash()],
      [faults, () => this.#fence()],
      [faults, () => this.#moveLeader()],
      [10, () => this.#deleteRecords()],
    ]
  }

  run(steps: number): void {
    try {
      for (let i = 0; i < steps; i++) {
        this.#pickWeighted()()
        this.#acknowledge()
        this.#invariants.check()
      }
      this.#heal()
    } catch (thrown) {
      const replay = `SIMULATION_SEED=${this.#seed} npx vitest run test/replication/simulation.test.ts`
      throw new Error(`${String(thrown)}\nreplay: ${replay}\n${this.#trace.slice(-40).join('\n')}`, {
        cause: thrown,
      })
    }
  }

  #pickWeighted(): () => void {
    let drawn = this.#random.below(this.#actions.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, action] of this.#actions) {
      if (drawn < weight) return action
      drawn -= weight
    }
    throw new Error('unreachable')
  }

  #pick<T>(candidates: readonly T[]): T | undefined {
    return candidates.length === 0 ? undefined : candidates[this.#random.below(candidates.length)]
  }

  #between(low: number, high: number): number {
    return low + this.#random.below(high - low + 1)
  }

  #happens(percent: number): boolean {
    return this.#random.below(100) < percent
  }

  #running(kind?: 'leader' | 'follower'): ModelReplica[] {
    return this.#model.replicas.filter(
      (replica) => replica.isRunning && (kind === undefined || replica.role.kind === kind),
    )
  }

  #note(line: string): void {
    this.#trace.push(line)
  }

  #produce(): void {
    const replica = this.#pick(this.#running('leader'))
    if (replica === undefined) return
    const acks = this.#happens(80) ? -1 : 1
    if (!this.#model.produce(replica.id, this.#between(1, 3), acks)) return
    this.#note(`${replica.id} appends up to ${replica.log.logEndOffset}, acks ${acks}`)
    if (acks === -1) {
      this.#waiting.push({ replica, core: replica.leader, endOffset: replica.log.logEndOffset })
    }
  }

  #acknowledge(): void {
    this.#waiting = this.#waiting.filter(({ replica, core, endOffset }) => {
      if (replica.role.kind !== 'leader' || replica.role.core !== core) return false
      if (core.highWatermark < endOffset) return true
      this.counts.acknowledged++
      return false
    })
  }

  #flush(): void {
    const replica = this.#pick(this.#running().filter(({ log }) => log.flushedOffset < log.logEndOffset))
    if (replica === undefined) return
    const note = replica.flush(this.#between(replica.log.flushedOffset + 1, replica.log.logEndOffset))
    this.#note(`${replica.id} flushed ${replica.log.flushedOffset}`)
    if (note !== null) this.#packets.push({ kind: 'flush-note', to: replica.follower.leaderId, note })
  }

  #sendFetch(): void {
    // One at a time, but a follower may give one up and ask again.
    const idle = this.#running('follower').filter((replica) => !this.#isAsking(replica) || this.#happens(3))
    const replica = this.#pick(idle)
    const fetch = replica?.nextFetch()
    if (replica === undefined || fetch === null || fetch === undefined) return
    this.#packets.push({ kind: 'fetch', to: replica.follower.leaderId, fetch })
  }

  #isAsking({ id, brokerEpoch }: ModelReplica): boolean {
    return this.#packets.some((packet) =>
      packet.kind === 'fetch'
        ? packet.fetch.replicaId === id && packet.fetch.brokerEpoch === brokerEpoch
        : packet.kind === 'answer' && packet.to === id && packet.toBrokerEpoch === brokerEpoch,
    )
  }

  #deliver(): void {
    if (this.#packets.length === 0) return
    this.#packets.splice(0, this.#packets.length - PACKETS_MAX)
    // Mostly in order; some packets wait for very long.
    const reach = this.#happens(80) ? 3 : PACKETS_MAX
    const index = this.#random.below(Math.min(reach, this.#packets.length))
    const packet = this.#packets[index]!
    if (!this.#happens(8)) this.#packets.splice(index, 1)
    const to = this.#model.replica(packet.to)
    if (!to.isRunning || this.#happens(5)) return
    this.#note(`to ${packet.to}: ${JSON.stringify(packet)}`)
    switch (packet.kind) {
      case 'fetch': {
        const recordsMax = this.#between(1, 4)
        const response = to.answerFetch(packet.fetch, { nowMs: this.#model.nowMs, recordsMax })
        const { replicaId, brokerEpoch } = packet.fetch
        const answer = { to: replicaId, toBrokerEpoch: brokerEpoch, request: packet.fetch, response }
        this.#packets.push({ kind: 'answer', ...answer })
        return
      }
      case 'answer': {
        if (to.brokerEpoch !== packet.toBrokerEpoch) return
        const step = to.receive(packet.request, packet.response)
        if (step.kind === 'truncate') this.counts.truncations++
        if (step.kind === 'restart-at') this.counts.restartsAt++
        if (step.kind === 'ignore') this.counts.staleAnswers++
        return
      }
      case 'flush-note':
        to.noteFlush(packet.note, this.#model.nowMs)
        return
      case 'high-watermark-note':
        if (to.brokerEpoch === packet.toBrokerEpoch) to.noteHighWatermark(packet.note)
    }
  }

  #noteHighWatermark(): void {
    const leader = this.#pick(this.#running('leader'))
    const to = this.#pick(this.#running('follower'))
    if (leader === undefined || to === undefined) return
    const { leaderEpoch, highWatermark } = leader.leader
    const note = { leaderEpoch, highWatermark }
    this.#packets.push({ kind: 'high-watermark-note', to: to.id, toBrokerEpoch: to.brokerEpoch, note })
  }

  #applyMetadata(): void {
    const { latestVersion } = this.#model.controller
    const replica = this.#pick(this.#running().filter(({ version }) => version < latestVersion))
    if (replica === undefined) return
    const version = this.#between(replica.version + 1, latestVersion)
    const before = replica.role
    this.#model.apply(replica.id, version)
    if (replica.role.kind === 'leader' && replica.role !== before) this.counts.leaderChanges++
    this.#note(`${replica.id} has metadata ${version}, ${replica.role.kind}`)
  }

  /** Sends a proposal, or lets one under way be decided, answered or lost. */
  #alter(): void {
    const senders = this.#running('leader').filter(
      ({ id, proposals }) =>
        proposals.length > 0 && !this.#alterations.some((alteration) => alteration.brokerId === id),
    )
    const sender = this.#pick(senders)
    if (sender !== undefined) {
      const proposal = sender.proposals.shift()!
      this.#alterations.push({ brokerId: sender.id, core: sender.leader, proposal, result: null })
      return
    }
    const alteration = this.#pick(this.#alterations)
    if (alteration === undefined) return
    if (alteration.result === null && !this.#happens(15)) {
      alteration.result = this.#decide(alteration)
      return
    }
    this.#alterations.splice(this.#alterations.indexOf(alteration), 1)
    const isLost = alteration.result === null || this.#happens(20)
    const lost: IsrAnswer = { kind: 'error', code: 'REQUEST_TIMED_OUT' }
    const result = isLost ? lost : alteration.result!
    const replica = this.#model.replica(alteration.brokerId)
    this.#note(`${replica.id} has the answer ${JSON.stringify(result)}`)
    const isSameLeadership = replica.role.kind === 'leader' && replica.role.core === alteration.core
    if (isSameLeadership) this.#model.tell(replica.id, alteration.proposal, result)
  }

  #decide({ brokerId, proposal }: Alteration): IsrAnswer {
    const result = this.#model.decide(brokerId, proposal)
    this.#note(`${brokerId} proposed ${JSON.stringify(proposal.isr)}: ${JSON.stringify(result)}`)
    if (result.kind === 'error') this.counts.refusals++
    else if (proposal.change === 'expand') this.counts.expansions++
    else this.counts.shrinks++
    return result
  }

  #passTime(): void {
    this.#model.passTime(this.#between(1, 12_000))
  }

  #crash(): void {
    const replica = this.#pick(this.#running())
    if (replica === undefined) return
    replica.crash({
      endOffset: this.#between(replica.log.flushedOffset, replica.log.logEndOffset),
      highWatermark: this.#random.below(replica.highWatermark + 1),
    })
    this.#note(`${replica.id} crashed, keeps ${replica.log.logEndOffset}`)
  }

  /** A new run registers: fenced, with a new broker epoch. Sometimes the controller had not seen the old one die. */
  #restart(): void {
    const replica = this.#pick(this.#model.replicas.filter(({ isRunning }) => !isRunning))
    if (replica === undefined) return
    const brokerEpoch = this.#model.controller.register(replica.id)
    replica.start({ brokerEpoch, version: this.#model.controller.latestVersion })
    this.#note(`${replica.id} restarted in broker epoch ${brokerEpoch}`)
  }

  /** Of dead brokers, and sometimes of one that lives. */
  #fence(): void {
    const { controller } = this.#model
    const unfenced = this.#model.replicas.filter(({ id }) => !controller.broker(id).fenced)
    const dead = unfenced.filter(({ isRunning }) => !isRunning)
    const replica = this.#pick(dead.length > 0 ? dead : unfenced)
    if (replica === undefined) return
    controller.fence(replica.id)
    this.#note(`${replica.id} fenced: ${JSON.stringify(controller.partition)}`)
  }

  #unfence(): void {
    const { controller } = this.#model
    const replica = this.#pick(this.#running().filter(({ id }) => controller.broker(id).fenced))
    if (replica === undefined) return
    controller.unfence(replica.id)
    this.#note(`${replica.id} unfenced: ${JSON.stringify(controller.partition)}`)
  }

  #moveLeader(): void {
    const { controller } = this.#model
    const id = this.#pick(controller.partition.isr.filter((member) => !controller.broker(member).fenced))
    if (id === undefined) return
    controller.elect(id)
    this.#note(`${id} elected: ${JSON.stringify(controller.partition)}`)
  }

  #deleteRecords(): void {
    const replica = this.#pick(this.#running('leader'))
    if (replica === undefined) return
    const { logStartOffset, highWatermark } = replica.leader
    const startOffset = this.#between(logStartOffset, highWatermark)
    replica.log.deleteBefore(startOffset)
    replica.leader.logStartMoved(startOffset)
    this.#note(`${replica.id} deleted below ${startOffset}`)
  }

  /** Faults stop: within a few rounds all replicas are in sync and equal, and the last record is committed. */
  #heal(): void {
    const { controller, replicas } = this.#model
    this.#packets.length = 0
    for (const { brokerId, core, proposal } of this.#alterations.splice(0)) {
      const { role } = this.#model.replica(brokerId)
      if (role.kind !== 'leader' || role.core !== core) continue
      this.#model.tell(brokerId, proposal, { kind: 'error', code: 'REQUEST_TIMED_OUT' })
    }
    for (const { id, isRunning } of replicas) if (!isRunning) this.#model.restart(id)
    for (const { id } of replicas) if (controller.broker(id).fenced) controller.unfence(id)
    for (let round = 0; round < 12; round++) {
      this.#model.applyAll()
      for (const replica of this.#running()) replica.flush()
      for (const follower of this.#running('follower')) {
        this.#model.catchUp(follower.id, follower.follower.leaderId)
      }
      this.#model.passTime(500)
      for (const leader of this.#running('leader')) this.#model.settleProposals(leader.id)
      this.#invariants.check()
    }
    this.#invariants.checkHealed()
  }
}
