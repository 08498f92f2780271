// Does harm to a simulated cluster at drawn moments, and takes it back some time later.
import type { Random } from '../../base/random.ts'
import type { NodeId } from '../../model/ids.ts'
import type { SimulatedNetwork } from '../network/simulated-network.ts'
import { between, exponential, oneOf, shuffled } from './draw.ts'
import type { SimulatedCluster } from './simulated-cluster.ts'
import { type DiskFaults, HEALTHY_DISK } from './simulated-disk.ts'
import type { SimulatedNode } from './simulated-node.ts'
import type { SimulationKernel } from './simulation-kernel.ts'
import type { FaultName, SimulationPlan } from './simulation-plan.ts'

export interface NemesisOptions {
  readonly kernel: SimulationKernel
  readonly random: Random
  readonly cluster: SimulatedCluster
  readonly network: SimulatedNetwork
  readonly plan: Pick<SimulationPlan, 'faults' | 'faultEveryMs' | 'faultLastsMs' | 'latency' | 'bytesPerMs'>
  readonly onTrace: (line: string) => void
  readonly onFault: (name: FaultName) => void
  /** Whether everything that was committed would still be there without the disk of this node. */
  readonly mayWipe: (id: NodeId) => boolean
  readonly onWiped: (id: NodeId) => void
  /**
   * Whether other faults may strike after the disk of this node was replaced. With min.insync.replicas of 1 not before it has
   * registered again: where all others are fenced meanwhile, the last member of the ISR is the one without data. With 2 the ELR
   * remembers who has them.
   */
  readonly mayStrikeAfterWipe: (id: NodeId) => boolean
  /**
   * Flips a bit on the disk of the node, of anything that was committed or of what came last.
   * @returns whether there was one that others can mend.
   */
  readonly flipBit: (node: SimulatedNode, where: 'anywhere' | 'end') => boolean
  /** Puts files into the data directory of the node that are none of Vltava's. */
  readonly addForeignFiles: (node: SimulatedNode) => boolean
}

/** Mean virtual milliseconds from SIGTERM to the loss of power. */
const STOP_MS = 100

export class Nemesis {
  readonly #options: NemesisOptions
  #isOver = false
  /** The last one. */
  #wiped: NodeId | null = null

  constructor(options: NemesisOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#options.plan.faults.length > 0) this.#scheduleNext()
  }

  /** A node has ended itself; it is started again, as whoever runs it would. */
  nodeEnded(node: SimulatedNode): void {
    this.#startLater(node)
  }

  /** Takes everything back at once and does no more harm. */
  stop(): void {
    this.#isOver = true
    const { cluster, network } = this.#options
    network.heal()
    for (const node of cluster.nodes) {
      this.#resetLinks(node)
      node.disk.faults = HEALTHY_DISK
      node.resume()
    }
  }

  #scheduleNext(): void {
    const { kernel, random, plan } = this.#options
    kernel.schedule(kernel.nowMs + plan.faultEveryMs * exponential(random), () => {
      if (this.#isOver) return
      if (this.#wiped === null || this.#options.mayStrikeAfterWipe(this.#wiped))
        this.#strike(oneOf(random, plan.faults))
      this.#scheduleNext()
    })
  }

  #strike(name: FaultName): void {
    const { random, cluster, onTrace, onFault } = this.#options
    const node = oneOf(random, cluster.nodes)
    onTrace(`fault ${name} ${node.name}`)
    if (this.#act(name, node)) onFault(name)
  }

  /** @returns whether it had something to act on. */
  #act(name: FaultName, node: SimulatedNode): boolean {
    const { cluster } = this.#options
    switch (name) {
      case 'kill':
        return this.#kill(node)
      case 'kill-all':
        return this.#all((each) => this.#kill(each))
      case 'power-loss':
        return this.#losePower(node)
      case 'power-loss-all':
        return this.#all((each) => this.#losePower(each))
      case 'restart':
        return this.#restart(node)
      case 'restart-all':
        return this.#rolling(cluster.nodes)
      case 'pause':
        return this.#pause(node)
      case 'pause-kill':
        return this.#pauseAroundKill(node)
      case 'partition':
      case 'cut':
      case 'break':
      case 'slow-link':
        return this.#disturbNetwork(name, node)
      case 'slow-disk':
        return this.#spoilDisk(node, { slowness: oneOf(this.#options.random, [10, 100]) })
      case 'short-writes':
        return this.#spoilDisk(node, { shortWrites: 200 })
      case 'failed-sync':
        return this.#spoilDisk(node, { failedSyncs: 50 })
      case 'full-disk':
        return this.#spoilDisk(node, { full: true })
      case 'clock':
        return this.#disturbClock(node)
      case 'wipe':
        return this.#wipe(node)
      case 'bit-flip':
        return this.#options.flipBit(node, 'anywhere')
      case 'dead-flip':
        return this.#flipDead(node)
      case 'stop-power-loss':
        return this.#losePowerInStop(node)
      case 'foreign-files':
        return this.#options.addForeignFiles(node)
    }
  }

  /** What was fsynced last is damaged while the node is dead, so that its recovery comes upon it before any scrub. */
  #flipDead(node: SimulatedNode): boolean {
    if (!this.#options.flipBit(node, 'end')) return false
    this.#kill(node)
    return true
  }

  /** SIGTERM, and the power goes while the node is about it. */
  #losePowerInStop(node: SimulatedNode): boolean {
    const { run } = node
    if (run === null || !this.#restart(node)) return false
    const { kernel, random } = this.#options
    kernel.schedule(kernel.nowMs + STOP_MS * exponential(random), () => {
      if (!this.#isOver && node.run === run) this.#losePower(node)
    })
    return true
  }

  #kill(node: SimulatedNode): boolean {
    if (node.run === null) return false
    node.kill()
    this.#startLater(node)
    return true
  }

  #losePower(node: SimulatedNode): boolean {
    const ran = node.run !== null
    node.losePower()
    if (ran) this.#startLater(node)
    return ran
  }

  #restart(node: SimulatedNode): boolean {
    if (node.run?.server === undefined || node.run.server === null) return false
    node.stop()
    this.#startLater(node)
    return true
  }

  /** Every node, one after the other. */
  #rolling(nodes: readonly SimulatedNode[]): boolean {
    for (const node of shuffled(this.#options.random, nodes)) this.#later(() => this.#restart(node))
    return true
  }

  #pause(node: SimulatedNode): boolean {
    if (node.run === null) return false
    node.pause()
    this.#later(() => node.resume())
    return true
  }

  /** Others stand still while one dies, and go on with what they knew (JEP-17). */
  #pauseAroundKill(node: SimulatedNode): boolean {
    for (const other of this.#options.cluster.nodes) if (other !== node) this.#pause(other)
    return this.#kill(node)
  }

  #all(act: (node: SimulatedNode) => boolean): boolean {
    return this.#options.cluster.nodes.map(act).includes(true)
  }

  #disturbNetwork(name: 'partition' | 'cut' | 'break' | 'slow-link', node: SimulatedNode): boolean {
    const { network, random, cluster } = this.#options
    const parties = this.#parties()
    const other = oneOf(
      random,
      parties.filter((party) => party !== node.name),
    )
    switch (name) {
      case 'partition':
        network.partition(this.#drawGroups(node.name, parties))
        this.#later(() => network.heal())
        return true
      case 'cut':
        network.cut(
          ...((random.below(2) === 0 ? [node.name, other] : [other, node.name]) as [string, string]),
        )
        this.#later(() => network.heal())
        return true
      case 'break':
        if (random.below(2) === 0) return network.breakOne() !== null
        return network.breakChannels(node.name, other) > 0
      case 'slow-link':
        for (const [from, to] of [
          [node.name, other],
          [other, node.name],
        ] as const) {
          network.setLink(from, to, {
            latency: { minMs: 5, meanMs: between(random, 20, 400) },
            bytesPerMs: 500,
          })
        }
        this.#later(() => {
          for (const each of cluster.nodes) this.#resetLinks(each)
        })
        return true
    }
  }

  #drawGroups(name: string, parties: readonly string[]): readonly (readonly string[])[] {
    const { random } = this.#options
    if (random.below(2) === 0) return [[name], parties.filter((party) => party !== name)]
    const order = shuffled(random, parties)
    const at = between(random, 1, order.length - 1)
    return [order.slice(0, at), order.slice(at)]
  }

  #spoilDisk({ disk, id }: SimulatedNode, faults: Partial<DiskFaults>): boolean {
    disk.faults = { ...disk.faults, ...faults }
    this.#later(() => {
      const healthy = Object.keys(faults).map((name) => [name, HEALTHY_DISK[name as keyof DiskFaults]])
      const { disk: now } = this.#options.cluster.node(id)
      now.faults = { ...now.faults, ...(Object.fromEntries(healthy) as Partial<DiskFaults>) }
    })
    return true
  }

  #disturbClock(node: SimulatedNode): boolean {
    const { random } = this.#options
    node.run?.clock.jumpWall(between(random, -3_600_000, 3_600_000))
    node.clockSettings = {
      rate: 1 + between(random, -100, 100) / 1_000,
      wallAheadMs: between(random, -3_600_000, 3_600_000),
    }
    return true
  }

  #wipe(node: SimulatedNode): boolean {
    if (!this.#options.mayWipe(node.id)) return false
    this.#wiped = node.id
    if (node.run !== null) node.kill()
    node.wipe()
    this.#options.onWiped(node.id)
    this.#startLater(node)
    return true
  }

  #startLater(node: SimulatedNode): void {
    this.#later(() => {
      // One that is still about to stop is looked at again.
      if (node.run === null) node.start()
      else if (node.run.isStopping) this.#startLater(node)
    })
  }

  #later(act: () => void): void {
    const { kernel, random, plan } = this.#options
    const delayMs = random.below(5) === 0 ? 0 : plan.faultLastsMs * exponential(random)
    kernel.schedule(kernel.nowMs + delayMs, () => {
      if (!this.#isOver) act()
    })
  }

  #resetLinks(node: SimulatedNode): void {
    const { network, plan } = this.#options
    const { latency, bytesPerMs } = plan
    for (const party of this.#parties()) {
      if (party === node.name) continue
      network.setLink(node.name, party, { latency, bytesPerMs })
      network.setLink(party, node.name, { latency, bytesPerMs })
    }
  }

  #parties(): readonly string[] {
    const { cluster } = this.#options
    // Several clients can share a name, that of the process they belong to.
    return [...new Set([...cluster.nodes, ...cluster.clients].map(({ name }) => name))]
  }
}
