// A whole cluster in a simulation: its nodes, their network and disks, and the clients.
import { Client } from '../../client/client.ts'
import { type CreateClientOptions, resolveEntryOptions } from '../../client/client-options.ts'
import type { NodeId } from '../../model/ids.ts'
import { createNodeCpu } from '../../platform/node/node-cpu.ts'
import type { SimulatedNetwork } from '../network/simulated-network.ts'
import { CountedClock } from './counted-clock.ts'
import type { ObservedNode } from './invariants/observed-node.ts'
import type { RandomStreams } from './random-streams.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.ts'
import { nodeName, SimulatedNode, type SimulatedNodeOptions } from './simulated-node.ts'
import type { SimulationKernel } from './simulation-kernel.ts'

export const DATA_DIR = '/data'
const PORT = 1

export interface SimulatedClusterOptions {
  readonly kernel: SimulationKernel
  readonly streams: RandomStreams
  readonly network: SimulatedNetwork
  readonly nodes: number
  readonly voters: number
  /** In how many racks the nodes stand, in turns; null or without it: none has one. */
  readonly racks?: number | null
  /** Settings of every node, by their names in the configuration table. */
  readonly settings: Readonly<Record<string, string | number>>
  readonly diskSpeed: SimulatedDiskOptions['speed']
  readonly onTrace: (line: string) => void
  readonly onDiskFault: (node: NodeId, name: Parameters<SimulatedDiskOptions['onFault']>[0]) => void
  readonly onFailure: SimulatedNodeOptions['onFailure']
  readonly onLoggedError: SimulatedNodeOptions['onLoggedError']
  /** Every event that a node logs, by its name. */
  readonly onLogEvent: (event: string) => void
}

/** A client and the clock it lives on. */
export interface SimulatedClient {
  readonly name: string
  readonly client: Client
  readonly clock: SimulatedClock
  /** The clock as the client itself has it. */
  readonly counted: CountedClock
}

/** Who a client belongs to, and how it is set. */
export interface SimulatedClientOptions {
  /** By which faults of the network find it. Default: a name of its own. */
  readonly name?: string
  /** Of the process it belongs to. Default: a clock of its own. */
  readonly clock?: SimulatedClock
  readonly options?: Omit<CreateClientOptions, 'bootstrap'>
}

export class SimulatedCluster {
  readonly nodes: readonly SimulatedNode[]
  readonly clients: SimulatedClient[] = []
  readonly #options: SimulatedClusterOptions
  readonly #called = new Set<NodeId>()
  /** Whether the present event came to somebody, node or client, and did nothing else. */
  #isCall = false

  constructor(options: SimulatedClusterOptions) {
    this.#options = options
    this.nodes = Array.from({ length: options.nodes }, (_, i) => this.#newNode(i + 1))
  }

  get bootstrap(): string {
    return this.nodes.map(({ name }) => `ws://${name}:${PORT}`).join(',')
  }

  node(id: NodeId): SimulatedNode {
    return this.nodes[id - 1]!
  }

  /** The nodes whose server is there, as the invariants look at them. */
  observed(): readonly ObservedNode[] {
    const observed: ObservedNode[] = []
    for (const { id, run, disk } of this.nodes) {
      if (run === null || run.server === null) continue
      observed.push({
        id,
        run: run.number,
        server: run.server,
        isStopping: run.isStopping,
        fileSystem: disk.fileSystem,
        dataDir: DATA_DIR,
      })
    }
    return observed
  }

  /**
   * The nodes in which anything may have changed since this was last asked, when it is asked after every event: those that
   * were called into. null where it cannot be told, as what the nemesis does concerns any of them.
   */
  takeChanged(): ReadonlySet<NodeId> | null {
    const changed = this.#isCall ? new Set(this.#called) : null
    this.#isCall = false
    this.#called.clear()
    return changed
  }

  /** @throws VltavaError INVALID_ARGUMENT that names the option */
  client(of: SimulatedClientOptions = {}): SimulatedClient {
    const { kernel, network, streams } = this.#options
    const number = this.clients.length + 1
    const {
      name = `client-${number}`,
      clock = new SimulatedClock({ kernel, onCall: () => this.#onCall(null) }),
    } = of
    const counted = new CountedClock(clock)
    const { bootstrap, settings, log } = resolveEntryOptions({ ...of.options, bootstrap: this.bootstrap })
    const client = new Client({
      bootstrap,
      settings,
      environment: {
        clock: counted,
        random: streams.stream(`client-${number}`),
        log,
        cpu: createNodeCpu(),
        transport: network.endpoint({ name, clock }),
      },
    })
    const made = { name, client, clock, counted }
    this.clients.push(made)
    return made
  }

  #newNode(id: NodeId): SimulatedNode {
    const {
      kernel,
      streams,
      network,
      diskSpeed,
      onTrace,
      onDiskFault,
      onFailure,
      onLoggedError,
      onLogEvent,
    } = this.#options
    const name = nodeName(id)
    const disk = new SimulatedDisk({
      random: streams.stream(`${name}/disk`),
      speed: diskSpeed,
      onEvent: (text) => onTrace(`${name} ${text}`),
      onFault: (fault) => onDiskFault(id, fault),
    })
    const config = this.#configOf(id)
    return new SimulatedNode({
      id,
      kernel,
      streams,
      network,
      disk,
      config,
      onTrace,
      onFailure,
      onLoggedError,
      onLogEvent,
      onCall: () => this.#onCall(id),
    })
  }

  #onCall(id: NodeId | null): void {
    this.#isCall = true
    if (id !== null) this.#called.add(id)
  }

  #configOf(id: NodeId): SimulatedNodeOptions['config'] {
    const { voters, settings, racks = null } = this.#options
    const listed = Array.from({ length: voters }, (_, i) => `${i + 1}@${nodeName(i + 1)}:${PORT}`)
    return {
      ...settings,
      'node.id': id,
      'process.roles': id <= voters ? 'broker,controller' : 'broker',
      'log.dir': DATA_DIR,
      'listener.host': nodeName(id),
      'listener.port': PORT,
      'controller.quorum.voters': listed.join(','),
      ...(racks === null ? {} : { 'broker.rack': `rack-${1 + ((id - 1) % racks)}` }),
    }
  }
}
