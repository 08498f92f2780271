// A cluster of whole nodes on virtual time and a healthy network, for scenarios in which times matter.
import { createNodeFence } from '../../src/platform/node/node-fence.ts'
import { SimulatedNetwork } from '../../src/testing/network/simulated-network.ts'
import { RandomStreams } from '../../src/testing/simulation/random-streams.ts'
import { SimulatedCluster } from '../../src/testing/simulation/simulated-cluster.ts'
import { SimulationKernel } from '../../src/testing/simulation/simulation-kernel.ts'

export class VirtualCluster {
  readonly kernel: SimulationKernel
  readonly network: SimulatedNetwork
  readonly cluster: SimulatedCluster
  /** Why nodes ended by themselves. */
  readonly failures: string[] = []
  readonly logged: string[] = []

  constructor(options: {
    readonly seed: number
    readonly nodes: number
    /** How many of them, from the first on, are controllers as well. Default: all. */
    readonly voters?: number
    /** In how many racks they stand, in turns. Default: none has one. */
    readonly racks?: number
    readonly settings?: Readonly<Record<string, number>>
    readonly onTrace?: (line: string) => void
  }) {
    const streams = new RandomStreams(options.seed)
    this.kernel = new SimulationKernel({ random: streams.stream('order'), fence: createNodeFence() })
    this.network = new SimulatedNetwork({ random: streams.stream('network') })
    this.cluster = new SimulatedCluster({
      kernel: this.kernel,
      streams,
      network: this.network,
      nodes: options.nodes,
      voters: options.voters ?? options.nodes,
      racks: options.racks ?? null,
      settings: options.settings ?? {},
      diskSpeed: { syncMs: 1, otherMs: 0.1 },
      onTrace: options.onTrace ?? (() => {}),
      onDiskFault: () => {},
      onFailure: ({ node, reason, error }) => this.failures.push(`node ${node}: ${reason}: ${String(error)}`),
      onLoggedError: (node, text) => this.logged.push(`node ${node}: ${text}`),
      onLogEvent: () => {},
    })
  }

  /** Lets virtual time go on until the condition holds. @returns how many milliseconds that took. */
  async until(condition: () => boolean, limitMs = 30_000): Promise<number> {
    const startMs = this.kernel.nowMs
    const end = await this.kernel.run({ untilMs: startMs + limitMs, afterEvent: condition })
    if (end !== 'condition') throw new Error(`not within ${limitMs} ms of virtual time`)
    return this.kernel.nowMs - startMs
  }

  /** Lets time go on until the work is done. @throws what the work throws */
  async done<T>(work: Promise<T>, limitMs?: number): Promise<T> {
    let isDone = false
    const settle = (): void => {
      isDone = true
    }
    work.then(settle, settle)
    await this.until(() => isDone, limitMs)
    return await work
  }

  async pass(ms: number): Promise<void> {
    await this.kernel.run({ untilMs: this.kernel.nowMs + ms })
  }

  async untilAllReady(): Promise<number> {
    return this.until(() => this.cluster.nodes.every((node) => node.isReady))
  }
}
