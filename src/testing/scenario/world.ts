// Everything that is simulated around a scenario: time, network, nodes with their disks, and whoever does harm to them.
import type { NodeId } from '../../model/ids.ts'
import { createNodeCpu } from '../../platform/node/node-cpu.ts'
import { createNodeFence } from '../../platform/node/node-fence.ts'
import { SimulatedNetwork } from '../network/simulated-network.ts'
import type { ResolvedScenario } from '../simulate-options.ts'
import { oneOf } from '../simulation/draw.ts'
import { Nemesis } from '../simulation/nemesis.ts'
import { RandomStreams } from '../simulation/random-streams.ts'
import { SimulatedCluster } from '../simulation/simulated-cluster.ts'
import { SimulationKernel, type SimulationKernelOptions } from '../simulation/simulation-kernel.ts'
import type { SimulationPlan } from '../simulation/simulation-plan.ts'
import { Story } from './story.ts'

/** Virtual milliseconds for which a fault of a disk excuses the end of the process that uses it. */
const EXCUSE_MS = 60_000
const VOTERS_MAX = 3

type WorldPlan = Pick<
  SimulationPlan,
  'nodes' | 'voters' | 'latency' | 'bytesPerMs' | 'disk' | 'faults' | 'faultEveryMs' | 'faultLastsMs'
>

export interface WorldOptions {
  readonly scenario: ResolvedScenario
  readonly onTurn: NonNullable<SimulationKernelOptions['onTurn']>
  readonly onStray: () => void
  /** What must not happen happened. */
  readonly onProblem: (what: string, cause: unknown) => void
}

export class World {
  readonly plan: WorldPlan
  readonly streams: RandomStreams
  readonly kernel: SimulationKernel
  readonly story: Story
  readonly network: SimulatedNetwork
  readonly cluster: SimulatedCluster
  readonly nemesis: Nemesis
  /** How often each fault struck. */
  readonly faults = new Map<string, number>()
  readonly #onProblem: WorldOptions['onProblem']
  readonly #lastDiskFaultMs = new Map<NodeId, number>()

  constructor({ scenario, onTurn, onStray, onProblem }: WorldOptions) {
    this.#onProblem = onProblem
    this.streams = new RandomStreams(scenario.seed)
    this.plan = drawPlan(this.streams, scenario)
    this.kernel = new SimulationKernel({
      random: this.streams.stream('order'),
      fence: createNodeFence(),
      onTurn,
      onStray,
    })
    this.story = new Story({ nowMs: () => this.kernel.nowMs, onLine: scenario.onLine })
    const { latency, bytesPerMs } = this.plan
    const cpu = createNodeCpu()
    this.network = new SimulatedNetwork({
      random: this.streams.stream('network'),
      onEvent: (event) => this.story.addDetail(event),
      crc32c: (bytes) => cpu.crc32c(bytes),
      link: { latency, bytesPerMs },
    })
    this.cluster = this.#newCluster(scenario)
    this.nemesis = new Nemesis({
      kernel: this.kernel,
      random: this.streams.stream('nemesis'),
      cluster: this.cluster,
      network: this.network,
      plan: this.plan,
      onTrace: (line) => this.story.add(line),
      onFault: (name) => this.countFault(name),
      mayWipe: () => false,
      onWiped: () => {},
      mayStrikeAfterWipe: () => true,
      flipBit: () => false,
      addForeignFiles: () => false,
    })
    this.story.add(`seed ${scenario.seed} ${JSON.stringify(this.plan)}`)
  }

  countFault(name: string): void {
    this.faults.set(name, (this.faults.get(name) ?? 0) + 1)
  }

  #newCluster({ settings }: ResolvedScenario): SimulatedCluster {
    return new SimulatedCluster({
      kernel: this.kernel,
      streams: this.streams,
      network: this.network,
      nodes: this.plan.nodes,
      voters: this.plan.voters,
      settings: settings as Readonly<Record<string, string | number>>,
      diskSpeed: this.plan.disk,
      onTrace: (line) => this.story.add(line),
      onLogEvent: () => {},
      onLoggedError: () => {},
      onDiskFault: (node, name) => {
        if (name !== 'short-write') this.#lastDiskFaultMs.set(node, this.kernel.nowMs)
      },
      onFailure: ({ node, reason, error }) => {
        const lastFaultMs = this.#lastDiskFaultMs.get(node) ?? Number.NEGATIVE_INFINITY
        if (this.kernel.nowMs - lastFaultMs < EXCUSE_MS) this.nemesis.nodeEnded(this.cluster.node(node))
        else this.#onProblem(`broker ${node} ended itself, which is a bug of Vltava: ${reason}`, error)
      },
    })
  }
}

function drawPlan(streams: RandomStreams, scenario: ResolvedScenario): WorldPlan {
  const random = streams.stream('plan')
  const { brokers, faults, faultEveryMs, faultLastsMs } = scenario
  const everyMs = oneOf(random, [1_000, 2_000, 5_000])
  const lastsMs = oneOf(random, [300, 1_000, 3_000])
  return {
    nodes: brokers,
    voters: brokers < VOTERS_MAX ? 1 : VOTERS_MAX,
    latency: oneOf(random, [
      { minMs: 0.1, meanMs: 0.5 },
      { minMs: 0.5, meanMs: 3 },
      { minMs: 2, meanMs: 20 },
    ]),
    bytesPerMs: 100_000,
    disk: oneOf(random, [
      { syncMs: 0.5, otherMs: 0.05 },
      { syncMs: 3, otherMs: 0.3 },
      { syncMs: 25, otherMs: 1 },
    ]),
    faults: faults.filter((name) => name !== 'crash-process'),
    faultEveryMs: faultEveryMs ?? everyMs,
    faultLastsMs: faultLastsMs ?? lastsMs,
  }
}
