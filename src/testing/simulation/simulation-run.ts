// One seed from its start to its end: a cluster under load and faults, then the same cluster without faults, and the
// judgement of what its clients saw.

import { UNREGISTERED } from '../../broker/broker-lifecycle.ts'
import { checkHistory } from '../../history/check-history.ts'
import type { HistoryKey } from '../../history/history.ts'
import { historyKey, parseHistoryKey } from '../../history/history-key.ts'
import { votersOf } from '../../metadata/cluster-image.ts'
import { minIsrOf } from '../../metadata/eligible-replicas.ts'
import type { BrokerEpoch, NodeId, Offset } from '../../model/ids.ts'
import { createNodeCpu } from '../../platform/node/node-cpu.ts'
import { createNodeDigest } from '../../platform/node/node-digest.ts'
import { createNodeFence } from '../../platform/node/node-fence.ts'
import { SimulatedNetwork } from '../network/simulated-network.ts'
import { BitFlips } from './bit-flips.ts'
import { ClusterAtRest } from './cluster-at-rest.ts'
import { chance } from './draw.ts'
import { ForeignFiles } from './foreign-files.ts'
import { ClusterInvariants } from './invariants/cluster-invariants.ts'
import type { ObservedNode } from './invariants/observed-node.ts'
import { KeptCopies } from './kept-copies.ts'
import { Nemesis } from './nemesis.ts'
import { RandomStreams } from './random-streams.ts'
import { SimulatedCluster } from './simulated-cluster.ts'
import { type RunEnd, SimulationKernel, type SimulationKernelOptions } from './simulation-kernel.ts'
import { type FaultName, planOf, type SimulationPlan } from './simulation-plan.ts'
import { Trace } from './trace.ts'
import { recordKeyOf, Workload } from './workload.ts'

/** Virtual milliseconds in which a cluster without faults must be whole again (SIM-12). */
const HEAL_BUDGET_MS = 180_000
const END_BUDGET_MS = 300_000
/** Virtual milliseconds for which a fault of a disk excuses the end of its process. */
const EXCUSE_MS = 60_000
/** What nobody reads must be found within a run as well. */
const QUICK_SCRUB = {
  'log.scrub.interval.ms': 3_000,
  'log.scrub.bytes.per.second': 16 * 1024 * 1024,
} as const
/** Events between two looks at whether the cluster is whole. */
const LOOK_EVERY_EVENTS = 50

export interface SimulationOptions {
  /** An integer from 0 to 2^32-1. */
  readonly seed: number
  /** Faults to leave in; all that the seed draws by default. */
  readonly faults?: readonly FaultName[]
  /** Whether INV-1 to INV-25 are checked after each event. Default true; false measures what they cost. */
  readonly invariants?: boolean
  /** Stops after so many events, to look at the state there. */
  readonly eventsMax?: number
  readonly onLine?: (line: string) => void
  /** Set around all simulated code. */
  readonly onTurn?: SimulationKernelOptions['onTurn']
}

export interface SimulationResult {
  readonly seed: number
  readonly plan: SimulationPlan
  /** null when nothing was found. */
  readonly failure: { readonly what: string; readonly atEvent: number; readonly atMs: number } | null
  /** SHA-256 of the trace; equal for every run of the same seed of the same build. */
  readonly digest: string
  readonly prefixes: readonly string[]
  readonly events: number
  readonly virtualMs: number
  /** How often what happened: faults, log events, outcomes of operations. */
  readonly marks: ReadonlyMap<string, number>
  readonly operations: number
  readonly acknowledged: number
  /** The end of the trace. */
  readonly recent: readonly string[]
}

/** Runs one seed. Never rejects: what goes wrong is the result. */
export function runSimulation(options: SimulationOptions): Promise<SimulationResult> {
  return new SimulationRun(options).run()
}

class SimulationRun {
  readonly #options: SimulationOptions
  readonly #streams: RandomStreams
  readonly #plan: SimulationPlan
  readonly #kernel: SimulationKernel
  readonly #trace: Trace
  readonly #network: SimulatedNetwork
  readonly #cluster: SimulatedCluster
  readonly #copies: KeptCopies
  readonly #bitFlips: BitFlips
  readonly #foreignFiles: ForeignFiles
  readonly #nemesis: Nemesis
  readonly #workload: Workload
  readonly #invariants = new ClusterInvariants()
  readonly #marks = new Map<string, number>()
  readonly #lastDiskFaultMs = new Map<NodeId, number>()
  /** The largest log start that any replica of a key has had. */
  readonly #logStarts = new Map<HistoryKey, number>()
  #acknowledged = 0
  /** Each with its broker epoch before its disk was last replaced. */
  readonly #wiped = new Map<NodeId, BrokerEpoch>()
  /** The first thing that must not happen; looked at after each event. */
  #problem: Error | null = null

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#streams = new RandomStreams(options.seed)
    this.#plan = planOf(this.#streams, options.faults)
    this.#kernel = new SimulationKernel({
      random: this.#streams.stream('order'),
      fence: createNodeFence(),
      onStray: () => this.#fail(new Error('SIM-5: something real has woken simulated code')),
      ...(options.onTurn === undefined ? {} : { onTurn: options.onTurn }),
    })
    this.#trace = new Trace({
      digest: createNodeDigest(),
      nowMs: () => this.#kernel.nowMs,
      ...(options.onLine === undefined ? {} : { onLine: options.onLine }),
    })
    const { latency, bytesPerMs } = this.#plan
    const cpu = createNodeCpu()
    this.#network = new SimulatedNetwork({
      random: this.#streams.stream('network'),
      onEvent: (event) => this.#trace.add(event),
      crc32c: (bytes) => cpu.crc32c(bytes),
      link: { latency, bytesPerMs },
    })
    this.#cluster = this.#newCluster()
    this.#copies = new KeptCopies({
      newestMetadata: () => this.#invariants.newestMetadata,
      spoilt: ({ topic, partition }) => [...this.#bitFlips.nodesLeft(topic, partition), ...this.#diskless()],
    })
    this.#bitFlips = new BitFlips({
      ...this.#common(),
      cpu,
      random: this.#streams.stream('bit-flips'),
      newestMetadata: () => this.#invariants.newestMetadata,
      committedEnd: (key) => this.#invariants.committedEnd(key),
      isKeptByAnother: (...of) => this.#copies.isKeptByAnother(...of),
      logStartOf: (topic, partition) => this.#logStarts.get(historyKey(topic, partition)) ?? 0,
    })
    this.#foreignFiles = new ForeignFiles({
      ...this.#common(),
      random: this.#streams.stream('foreign-files'),
    })
    this.#nemesis = this.#newNemesis()
    this.#workload = new Workload({
      ...this.#common(),
      copies: this.#copies,
      onMark: (name) => this.#mark(name),
      onAcknowledged: (key, offset) => this.#noteAcknowledged(key, offset),
      onDeleted: (key, offset) =>
        this.#demand(key, (partition) => this.#invariants.deleted(partition, offset)),
      logStartOf: (key) => this.#logStarts.get(key) ?? 0,
      onRead: (key, offset) => this.#demand(key, (partition) => this.#invariants.read(partition, offset)),
    })
  }

  async run(): Promise<SimulationResult> {
    let failure: SimulationResult['failure'] = null
    try {
      this.#trace.add(`seed ${this.#options.seed} ${JSON.stringify(this.#plan)}`)
      await this.#safetyPhase()
      await this.#livenessPhase()
      await this.#finalPhase()
      await this.#shutDown()
    } catch (thrown) {
      const what = thrown instanceof StoppedEarly ? null : describeError(thrown)
      if (what !== null) failure = { what, atEvent: this.#kernel.events, atMs: this.#kernel.nowMs }
    }
    for (const [name, count] of Object.entries(this.#network.counts))
      this.#mark(`network ${name}`, count as number)
    this.#mark('partitions spread over racks', this.#invariants.spreadOverRacks)
    this.#mark('placed past a cordoned broker', this.#invariants.passedOver)
    return {
      seed: this.#options.seed,
      plan: this.#plan,
      failure,
      digest: this.#trace.digest(),
      prefixes: this.#trace.prefixes,
      events: this.#kernel.events,
      virtualMs: this.#kernel.nowMs,
      marks: this.#marks,
      operations: this.#workload.recorder.events.length / 2,
      acknowledged: this.#acknowledged,
      recent: this.#trace.recent,
    }
  }

  async #safetyPhase(): Promise<void> {
    const random = this.#streams.stream('start')
    for (const node of this.#cluster.nodes) this.#kernel.schedule(random.below(200), () => node.start())
    this.#inTurn(() => this.#workload.start())
    // Most clusters are born in peace; the others must survive a birth with faults.
    if (chance(random, 70)) await this.#advance(3_000)
    this.#inTurn(() => this.#nemesis.start())
    await this.#advance(this.#plan.safetyMs)
  }

  async #livenessPhase(): Promise<void> {
    this.#trace.add('all faults are over')
    const rest = new ClusterAtRest(this.#cluster, { dead: this.#chooseDead(), plan: this.#plan })
    this.#inTurn(() => {
      this.#nemesis.stop()
      this.#workload.calm()
      if (rest.dead !== null) this.#cluster.node(rest.dead).kill()
    })
    await this.#until(() => this.#isWhole(rest), {
      budgetMs: HEAL_BUDGET_MS,
      what: () => `the cluster is not whole: ${rest.whyNotWhole()}`,
    })
    await this.#whenDone('the clients stop', () => this.#workload.stop())
    await this.#until(() => rest.whyNotLevel() === null, {
      budgetMs: HEAL_BUDGET_MS,
      what: () => `the replicas do not become equal: ${rest.whyNotLevel()}`,
    })
    await this.#until(() => this.#bitFlips.left.length === 0, {
      budgetMs: HEAL_BUDGET_MS,
      what: () => `STO-05: flipped bits stay: ${this.#bitFlips.left.join('; ')}`,
    })
    await this.#until(() => rest.whyNotLevel() === null, {
      budgetMs: HEAL_BUDGET_MS,
      what: () => `the replicas do not become equal again: ${rest.whyNotLevel()}`,
    })
    this.#invariants.checkDeep(this.#cluster.observed())
    rest.checkEqual()
    rest.checkLatest()
    rest.checkTopics(this.#workload.extraTopics)
    rest.checkPartitions(this.#workload.partitionCounts)
    this.#foreignFiles.check()
  }

  async #finalPhase(): Promise<void> {
    const ends = this.#committedEnds()
    const behind = await this.#whenDone('everything is read once more', () => this.#workload.readAll(ends))
    if (behind.length > 0) throw new Error(`LIVENESS: not everything could be read: ${behind.join('; ')}`)
    // No election is unclean: whatever was handed out stays, and is within every log that counts, unless it was deleted.
    const lost = this.#workload.recorder.events.find(
      ({ error }) =>
        (error === 'OFFSET_OUT_OF_RANGE' && !this.#plan.deletesRecords) || error === 'LOG_TRUNCATED',
    )
    if (lost !== undefined)
      throw new Error(
        lost.error === 'LOG_TRUNCATED'
          ? `REP-13: at ${lost.timeMs} ms a consumer was told that records which it had read are lost`
          : `REP-33: at ${lost.timeMs} ms a consumer was told that its offset is out of range`,
      )
    // Without deduplication a retried send may be there twice.
    const { recordKeys } = this.#plan
    const { findings } = checkHistory(this.#workload.recorder.events, {
      allowed: ['duplicate'],
      logStartOffsets: this.#logStarts,
      ...(recordKeys === null ? {} : { recordKeyOf: (value) => recordKeyOf(String(value), recordKeys) }),
    })
    const errors = findings.filter(({ isAllowed }) => !isAllowed)
    if (errors.length > 0)
      throw new Error(errors.map(({ check, message }) => `${check}: ${message}`).join('; '))
  }

  /** What the leaders call committed: also records whose producers never heard of them, and which nobody has read yet. */
  #committedEnds(): ReadonlyMap<HistoryKey, Offset> {
    const ends = new Map<HistoryKey, Offset>()
    for (const { server } of this.#cluster.observed()) {
      for (const { leader, options } of server.broker?.registry.hosted ?? []) {
        const topic = server.broker!.image.topics.get(options.topicId)
        if (leader !== null && topic !== undefined)
          ends.set(historyKey(topic.name, options.partition), leader.highWatermark)
      }
    }
    return ends
  }

  /** @param changed the nodes in which something may be different; null where it may be in any. */
  #look(changed: ReadonlySet<NodeId> | null, checks: boolean): void {
    const nodes = this.#cluster.observed()
    if (changed?.size !== 0) this.#noteLogStarts(nodes)
    if (checks) this.#invariants.check(nodes, changed)
  }

  #noteLogStarts(nodes: readonly ObservedNode[]): void {
    if (!this.#plan.deletesRecords) return
    for (const { server } of nodes) {
      for (const { log, options } of server.broker?.registry.hosted ?? []) {
        if (log.logStartOffset === 0) continue
        const topic = server.broker!.image.topics.get(options.topicId)
        if (topic === undefined) continue
        const key = historyKey(topic.name, options.partition)
        if (log.logStartOffset > (this.#logStarts.get(key) ?? 0)) this.#logStarts.set(key, log.logStartOffset)
      }
    }
  }

  #isWhole(rest: ClusterAtRest): boolean {
    // Who runs a cluster starts what has ended; nobody does so for the node that is dead.
    for (const node of this.#cluster.nodes) if (node.id !== rest.dead) node.start()
    const why = rest.whyNotWhole()
    if (why !== null && rest.needsTheDead()) {
      // Proven, not assumed (SIM-13): nobody else may lead. Then the others must do it with its help.
      this.#mark('needs-the-dead')
      rest.reviveTheDead()
    }
    return why === null
  }

  /** Everybody leaves in order, and nothing is left behind. */
  async #shutDown(): Promise<void> {
    const { clients, nodes } = this.#cluster
    await this.#whenDone('the clients close', () => Promise.all(clients.map(({ client }) => client.close())))
    this.#inTurn(() => {
      for (const node of nodes) node.stop()
    })
    await this.#until(() => nodes.every(({ run }) => run === null) && this.#network.isQuiescent, {
      budgetMs: END_BUDGET_MS,
      lookEveryEvents: 1,
      what: () =>
        `nodes do not stop: ${nodes
          .filter(({ run }) => run !== null)
          .map(({ name }) => name)
          .join(', ')}`,
    })
    if (!this.#network.isQuiescent)
      throw new Error(
        `SIM-14: everybody has left, but ${this.#network.openChannels} channels, ${this.#network.pendingDials} dials and ${this.#network.openListeners} listeners are open`,
      )
    for (const { counted, name } of clients) {
      if (counted.waiting > 0)
        throw new Error(`SIM-14: ${name} is closed, but ${counted.waiting} of its timers wait`)
    }
  }

  /** A node that need not come back: the others have everything, and enough of them. */
  #chooseDead(): NodeId | null {
    const { plan } = this
    if (!plan.leavesOneDead || this.#bitFlips.left.length > 0) return null
    const random = this.#streams.stream('dead')
    const id = 1 + random.below(plan.nodes)
    const votersLeft =
      plan.voters - new Set([id, ...this.#wiped.keys()].filter((node) => node <= plan.voters)).size
    if (2 * votersLeft <= plan.voters) return null
    const fits =
      plan.topics.every(({ replicationFactor }) => replicationFactor > 1) && this.#hasAllWithout(id)
    return fits && !plan.makesTopics ? id : null
  }

  get plan(): SimulationPlan {
    return this.#plan
  }

  /** Whether every partition keeps a member of its ISR besides this node, and enough replicas to be written to. */
  #hasAllWithout(id: NodeId): boolean {
    const image = this.#invariants.newestMetadata
    if (image === null || image.topics.size < this.#plan.topics.length) return false
    for (const { name, partitions, configs } of image.topics.values()) {
      const minIsr = Number(configs.get('min.insync.replicas') ?? 2)
      for (const partition of partitions) {
        const voters = votersOf(partition)
        const left = voters.filter((replica) => replica !== id).length
        if (!this.#copies.isKeptByAnother(name, partition, id)) return false
        if (left < Math.min(minIsr, voters.length)) return false
      }
    }
    return true
  }

  #mayWipe(id: NodeId): boolean {
    const { voters, nodes } = this.#plan
    const lostVoters = new Set([id, ...this.#voteless()].filter((node) => node <= voters))
    const isNeededVoter = 2 * (voters - lostVoters.size) <= voters
    const haveAllRegistered = this.#diskless().length === 0
    const areAllThere = this.#cluster.nodes.every((node) => node.isReady)
    const isWhole = this.#bitFlips.left.length === 0
    const mayGo = nodes > 1 && !isNeededVoter && haveAllRegistered && areAllThere && isWhole
    return mayGo && this.#hasAllWithout(id)
  }

  /** Controllers that lost their disk and have no vote with the new one. */
  #voteless(): readonly NodeId[] {
    const voters = this.#invariants.newestMetadata?.voters ?? []
    const hasVote = (id: NodeId): boolean =>
      voters.some(({ directoryId }) => directoryId === this.#cluster.node(id).server?.directory.directoryId)
    return [...this.#wiped.keys()].filter((id) => !hasVote(id))
  }

  /** Nodes that lost their disks, and of which the cluster does not know it yet. */
  #diskless(): readonly NodeId[] {
    return [...this.#wiped.keys()].filter((node) => !this.#hasRegisteredSinceWipe(node))
  }

  #hasRegisteredSinceWipe(id: NodeId): boolean {
    const brokerEpoch = this.#invariants.newestMetadata?.brokers.get(id)?.brokerEpoch ?? 0
    return brokerEpoch > (this.#wiped.get(id) ?? 0)
  }

  /** Whether below min.insync.replicas somebody else than this node is always remembered, in every partition it has. */
  #isOthersEligible(id: NodeId): boolean {
    const topics = [...(this.#invariants.newestMetadata?.topics.values() ?? [])]
    return topics.every((topic) =>
      topic.partitions.every(
        (partition) => !partition.replicas.includes(id) || minIsrOf(topic, partition) > 1,
      ),
    )
  }

  /** Does something as an event, so that all it sets off is part of the run. */
  #inTurn(act: () => void): void {
    this.#kernel.schedule(this.#kernel.nowMs, act)
  }

  async #advance(ms: number): Promise<void> {
    await this.#run(this.#kernel.nowMs + ms, () => false)
  }

  async #until(
    condition: () => boolean,
    budget: { readonly budgetMs: number; readonly what: () => string; readonly lookEveryEvents?: number },
  ): Promise<void> {
    const { budgetMs, what, lookEveryEvents = LOOK_EVERY_EVENTS } = budget
    let events = 0
    const end = await this.#run(
      this.#kernel.nowMs + budgetMs,
      () => ++events % lookEveryEvents === 0 && condition(),
    )
    if (end !== 'condition' && !condition()) throw new Error(`LIVENESS: ${what()}`)
  }

  async #whenDone<T>(what: string, start: () => Promise<T>): Promise<T> {
    let result: { readonly value: T } | null = null
    this.#inTurn(() => {
      start().then(
        (value) => {
          result = { value }
        },
        (thrown: unknown) => this.#fail(thrown),
      )
    })
    const end = await this.#run(this.#kernel.nowMs + END_BUDGET_MS, () => result !== null)
    if (result === null) throw new Error(`LIVENESS: not within ${END_BUDGET_MS} ms: ${what} (${end})`)
    return (result as { readonly value: T }).value
  }

  async #run(untilMs: number, isDone: () => boolean): Promise<RunEnd> {
    const { eventsMax } = this.#options
    const checks = this.#options.invariants ?? true
    const end = await this.#kernel.run({
      untilMs,
      ...(eventsMax === undefined ? {} : { eventsMax }),
      afterEvent: () => {
        if (this.#problem !== null) throw this.#problem
        const changed = this.#cluster.takeChanged()
        this.#look(changed, checks)
        return isDone()
      },
    })
    if (end === 'events') throw new StoppedEarly()
    return end
  }

  #common(): {
    readonly kernel: SimulationKernel
    readonly streams: RandomStreams
    readonly cluster: SimulatedCluster
    readonly plan: SimulationPlan
    readonly onTrace: (line: string) => void
  } {
    return {
      kernel: this.#kernel,
      streams: this.#streams,
      cluster: this.#cluster,
      plan: this.#plan,
      onTrace: (line) => this.#trace.add(line),
    }
  }

  #newCluster(): SimulatedCluster {
    return new SimulatedCluster({
      kernel: this.#kernel,
      streams: this.#streams,
      network: this.#network,
      nodes: this.#plan.nodes,
      voters: this.#plan.voters,
      racks: this.#plan.racks ?? null,
      settings: { ...this.#plan.settings, ...QUICK_SCRUB },
      diskSpeed: this.#plan.disk,
      onTrace: (line) => this.#trace.add(line),
      onLogEvent: (event) => this.#noteLogged(event),
      onDiskFault: (node, name) => {
        if (name !== 'short-write') this.#lastDiskFaultMs.set(node, this.#kernel.nowMs)
        this.#mark(`disk ${name}`)
      },
      onFailure: ({ node, reason, error }) => {
        this.#mark(`node-ended-itself`)
        const isUnregistered =
          reason === UNREGISTERED && this.#invariants.newestMetadata?.brokers.has(node) === false
        if (isUnregistered) this.#mark('unregistered broker ended')
        else if (!this.#isExcused(node))
          this.#fail(new Error(`JEP-4: node ${node}: ${reason}: ${describeError(error)}`))
        this.#nemesis.nodeEnded(this.#cluster.node(node))
      },
      onLoggedError: (node, text) => {
        const hasFlips = this.#marks.has('fault bit-flip') || this.#marks.has('fault dead-flip')
        const isFound = hasFlips && /^log-damaged|^compaction-failed .*CorruptLogError/.test(text)
        if (!isFound && !this.#isExcused(node))
          this.#fail(new Error(`JEP-4: node ${node} logged an error: ${text}`))
      },
    })
  }

  #newNemesis(): Nemesis {
    return new Nemesis({
      ...this.#common(),
      network: this.#network,
      random: this.#streams.stream('nemesis'),
      onFault: (name) => this.#mark(`fault ${name}`),
      mayWipe: (id) => this.#mayWipe(id),
      onWiped: (id) => {
        this.#invariants.diskReplaced(id)
        this.#foreignFiles.forget(id)
        this.#wiped.set(id, this.#invariants.newestMetadata?.brokers.get(id)?.brokerEpoch ?? 0)
      },
      flipBit: (node, where) => this.#bitFlips.strike(node, where),
      addForeignFiles: (node) => this.#foreignFiles.add(node),
      mayStrikeAfterWipe: (id) => this.#hasRegisteredSinceWipe(id) || this.#isOthersEligible(id),
    })
  }

  #isExcused(node: NodeId): boolean {
    const { nowMs } = this.#kernel
    return nowMs - (this.#lastDiskFaultMs.get(node) ?? Number.NEGATIVE_INFINITY) < EXCUSE_MS
  }

  #noteLogged(event: string): void {
    this.#mark(`log ${event}`)
    // The voters are the first nodes, on the disks they began with; only one that lost its disk may refuse to vote.
    if (event === 'not-a-voter' && !this.#marks.has('fault wipe'))
      this.#fail(new Error('RAFT-23: a voter does not vote any more although no disk was lost'))
  }

  #noteAcknowledged(key: HistoryKey, offset: number): void {
    this.#acknowledged++
    this.#demand(key, (partition) => this.#invariants.acknowledged(partition, offset))
  }

  /** Checks what a client was told of a partition. */
  #demand(
    key: HistoryKey,
    check: (of: { readonly topicId: string; readonly partition: number }) => void,
  ): void {
    if (this.#options.invariants === false) return
    const { topic, partition } = parseHistoryKey(key)
    const topicId = this.#invariants.topicId(topic)
    try {
      if (topicId === null) throw new Error(`CHK-19: ${key} was used, but no node knows it`)
      check({ topicId, partition })
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  #mark(name: string, count = 1): void {
    if (count > 0) this.#marks.set(name, (this.#marks.get(name) ?? 0) + count)
  }

  #fail(thrown: unknown): void {
    this.#problem ??= thrown instanceof Error ? thrown : new Error(String(thrown))
  }
}

/** `eventsMax` was reached. */
class StoppedEarly extends Error {}

function describeError(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const cause = thrown.cause === undefined ? '' : ` (because of ${describeError(thrown.cause)})`
  return `${thrown.name === 'Error' ? '' : `${thrown.name}: `}${thrown.message}${cause}`
}
