// A cluster of real nodes inside one process: the very broker, controller and storage code, on a network and on disks
// that exist in memory only.
import type { Clock } from '../base/clock.ts'
import { type Log, silentLog } from '../base/log.ts'
import { type Random, seededRandom } from '../base/random.ts'
import { Client } from '../client/client.ts'
import { resolveEntryOptions } from '../client/client-options.ts'
import type { ClientEnvironment } from '../client/environment.ts'
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { MemoryNetwork } from '../net/memory-transport.ts'
import type { Listener } from '../net/transport.ts'
import { createNodeClock } from '../platform/node/node-clock.ts'
import { createNodeCpu } from '../platform/node/node-cpu.ts'
import { createNodeMac } from '../platform/node/node-mac.ts'
import { type ConfigSource, readConfig } from '../server/config.ts'
import { NodeServer } from '../server/node-server.ts'
import {
  MemoryFileSystem,
  type MemoryFileSystemOptions,
  type PowerLoss,
} from '../storage/memory-file-system.ts'
import { HaltableClock } from './haltable-clock.ts'
import { MemoryMachine, MemoryProcess } from './memory-process.ts'

const READY_POLL_MS = 5
const SECRET_BYTES = 32

export interface MemoryClusterOptions {
  /** 1 to 9, default 3. */
  readonly brokers?: number
  /** Where every random number comes from; default 1. */
  readonly seed?: number
  /** Default: the clock of this machine. */
  readonly clock?: Clock
  /** Default: nothing is logged. */
  readonly log?: Log
  /** Settings of every node, by their names in the configuration table. */
  readonly settings?: ConfigSource
  /** What happens to the file operations of a node's first run; by default nothing does. */
  readonly disk?: (id: NodeId) => MemoryFileSystemOptions
}

interface MemoryNode {
  readonly id: NodeId
  fileSystem: MemoryFileSystem
  server: NodeServer | null
  process: MemoryProcess | null
  clock: HaltableClock | null
  listeners: Listener[]
}

/** Nodes on one in-memory network, each with a disk of its own that outlives its runs. */
export class MemoryCluster {
  readonly network: MemoryNetwork
  readonly clock: Clock
  readonly #options: MemoryClusterOptions
  readonly #random: Random
  readonly #nodes: readonly MemoryNode[]
  readonly #machine = new MemoryMachine()
  readonly #clients: Client[] = []

  private constructor(options: MemoryClusterOptions) {
    const brokers = options.brokers ?? 3
    if (!Number.isInteger(brokers) || brokers < 1 || brokers > 9) {
      throw new VltavaError('INVALID_ARGUMENT', `brokers: must be an integer from 1 to 9, got ${brokers}`)
    }
    this.#options = options
    this.clock = options.clock ?? createNodeClock()
    this.network = new MemoryNetwork(this.clock)
    this.#random = seededRandom(options.seed ?? 1)
    this.#nodes = Array.from({ length: brokers }, (_, i) => ({
      id: i + 1,
      fileSystem: new MemoryFileSystem(options.disk?.(i + 1)),
      server: null,
      process: null,
      clock: null,
      listeners: [],
    }))
  }

  /** Starts all nodes; resolves when they serve. */
  static async start(options: MemoryClusterOptions = {}): Promise<MemoryCluster> {
    const cluster = new MemoryCluster(options)
    await Promise.all(cluster.#nodes.map(({ id }) => cluster.restart(id)))
    await cluster.whenReady()
    return cluster
  }

  get bootstrap(): string {
    return this.#nodes.map(({ id }) => urlOf(id)).join(',')
  }

  /** The running node. @throws VltavaError INVALID_ARGUMENT for one that does not run. */
  server(id: NodeId): NodeServer {
    const { server } = this.#node(id)
    if (server === null) throw new VltavaError('INVALID_ARGUMENT', `node ${id} does not run`)
    return server
  }

  fileSystem(id: NodeId): MemoryFileSystem {
    return this.#node(id).fileSystem
  }

  /** What made the process of a node end by itself, in words; empty as long as all is well. */
  failures(id: NodeId): readonly string[] {
    return (this.#node(id).process?.failures ?? []).map(({ reason, error }) => `${reason}: ${String(error)}`)
  }

  /** A client of this cluster; it is closed with it. */
  client(): Client {
    const environment: ClientEnvironment = {
      clock: this.clock,
      random: this.#random,
      log: this.#options.log ?? silentLog,
      cpu: createNodeCpu(),
      transport: this.network.endpoint('client'),
    }
    const { bootstrap, settings } = resolveEntryOptions({ bootstrap: this.bootstrap })
    const client = new Client({ bootstrap, environment, settings })
    this.#clients.push(client)
    return client
  }

  /** Starts a node that does not run, on the disk of its last run. It may take a while to serve: see `whenReady`. */
  async restart(id: NodeId): Promise<void> {
    const node = this.#node(id)
    if (node.server !== null) throw new VltavaError('INVALID_ARGUMENT', `node ${id} runs already`)
    const voters = this.#nodes.map((peer) => `${peer.id}@node-${peer.id}:1`).join(',')
    const flags = {
      ...this.#options.settings,
      'node.id': id,
      'log.dir': '/data',
      'listener.host': nameOf(id),
      'listener.port': 1,
      'controller.quorum.voters': voters,
    }
    const process = new MemoryProcess({ machine: this.#machine })
    const clock = new HaltableClock(this.clock)
    const endpoint = this.network.endpoint(nameOf(id))
    node.process = process
    node.clock = clock
    node.listeners = []
    node.server = await NodeServer.start({
      environment: {
        clock,
        random: this.#random,
        fileSystem: node.fileSystem,
        transport: endpoint,
        listeners: {
          listen: async (options) => {
            const listener = await endpoint.listen(options)
            node.listeners.push(listener)
            return listener
          },
        },
        process,
        cpu: createNodeCpu(),
        mac: createNodeMac(),
        log: (this.#options.log ?? silentLog).child({ nodeId: id }),
      },
      config: readConfig({ flags, environment: {}, file: null }),
      secret: new Uint8Array(SECRET_BYTES).fill(7),
      software: 'vltava-testing',
    })
  }

  /** Ends a node as SIGKILL does: what it had written stays on its disk, everything else is gone at once. */
  async kill(id: NodeId): Promise<void> {
    await this.#end(id, (disk) => disk.afterKill())
  }

  /** Ends a node as the loss of its power does: what it had not fsynced is lost, or kept in part as `loss` says. */
  async losePower(id: NodeId, loss: PowerLoss = {}): Promise<void> {
    await this.#end(id, (disk) => disk.afterPowerLoss(loss))
  }

  /** Gives a node that does not run an empty disk. */
  replaceDisk(id: NodeId): void {
    const node = this.#node(id)
    if (node.server !== null) throw new VltavaError('INVALID_ARGUMENT', `node ${id} runs`)
    node.fileSystem = new MemoryFileSystem()
  }

  async #end(id: NodeId, diskAfter: (disk: MemoryFileSystem) => MemoryFileSystem): Promise<void> {
    const node = this.#node(id)
    if (node.server === null) throw new VltavaError('INVALID_ARGUMENT', `node ${id} does not run`)
    node.server = null
    node.clock?.halt()
    node.fileSystem = diskAfter(node.fileSystem)
    if (node.process !== null) this.#machine.stop(node.process.identity)
    for (const other of ['client', ...this.#nodes.map((peer) => nameOf(peer.id))])
      this.network.disconnect(nameOf(id), other)
    await Promise.all(node.listeners.map((listener) => listener.close()))
  }

  /** Stops a node as SIGTERM does. */
  async stopNode(id: NodeId): Promise<void> {
    const node = this.#node(id)
    await node.server?.stop()
    node.server = null
    if (node.process !== null) this.#machine.stop(node.process.identity)
  }

  /** Resolves when every running node serves. @throws VltavaError REQUEST_TIMED_OUT. */
  async whenReady(timeoutMs = 30_000): Promise<void> {
    const deadlineMs = this.clock.monotonicMs() + timeoutMs
    const isReady = (): boolean => this.#nodes.every(({ server }) => server === null || server.isReady)
    while (!isReady()) {
      if (this.clock.monotonicMs() > deadlineMs) {
        throw new VltavaError('REQUEST_TIMED_OUT', `The cluster was not ready within ${timeoutMs} ms.`)
      }
      await new Promise<void>((resolve) => this.clock.setTimer(READY_POLL_MS, resolve))
    }
  }

  /** Closes the clients and stops all nodes at once. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all(this.#nodes.map(({ id }) => this.stopNode(id)))
  }

  #node(id: NodeId): MemoryNode {
    const node = this.#nodes.find((candidate) => candidate.id === id)
    if (node === undefined) throw new VltavaError('INVALID_ARGUMENT', `there is no node ${id}`)
    return node
  }
}

function nameOf(id: NodeId): string {
  return `node-${id}`
}

function urlOf(id: NodeId): string {
  return `ws://${nameOf(id)}:1`
}
