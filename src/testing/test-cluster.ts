// A cluster of real nodes inside one process: the very broker, controller and storage code, on real or in-memory
// sockets, and on in-memory disks or a temporary directory.
import type { Clock } from '../base/clock.ts'
import { type Log, silentLog } from '../base/log.ts'
import { type Random, seededRandom } from '../base/random.ts'
import { Client } from '../client/client.ts'
import { type CreateClientOptions, resolveEntryOptions } from '../client/client-options.ts'
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { MemoryNetwork } from '../net/memory-transport.ts'
import { WsListenerFactory } from '../net/node/ws-listener.ts'
import { WsTransport } from '../net/node/ws-transport.ts'
import type { ListenerFactory, Transport } from '../net/transport.ts'
import { createNodeClock } from '../platform/node/node-clock.ts'
import { createNodeCpu } from '../platform/node/node-cpu.ts'
import { createNodeRandom } from '../platform/node/node-random.ts'
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../platform/node/temporary-directory.ts'
import type { ConfigSource } from '../server/config.ts'
import type { NodeServer } from '../server/node-server.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { MemoryFileSystemOptions, PowerLoss } from '../storage/memory-file-system.ts'
import { NodeFileSystem } from '../storage/node-file-system.ts'
import { ClusterNode, nodeName } from './cluster/cluster-node.ts'
import { ControlledNetwork } from './cluster/controlled-network.ts'
import { NodePort } from './cluster/node-port.ts'
import { DirectoryStorage, MemoryStorage, type NodeStorage } from './cluster/node-storage.ts'

const READY_POLL_MS = 2
const READY_TIMEOUT_MS = 30_000
const SECRET_BYTES = 32
const HOST = '127.0.0.1'
/** Where a node listens on a network in memory. */
const MEMORY_PORT = 1
/** Milliseconds for which records that were sent are waited for when the cluster stops: nobody will read them. */
const CLIENT_CLOSE_MS = 100

/** The clients of the cluster, as one of its parties. */
const CLIENTS = 'clients'
/** A node by its id, or all clients that the cluster made. */
export type Party = NodeId | typeof CLIENTS

/** What a cluster is made of, checked. */
export interface TestClusterParts {
  readonly brokers: number
  readonly sockets: boolean
  readonly storage: 'memory' | 'directory'
  /** Of every node, by their names in the configuration table. */
  readonly settings?: ConfigSource
  /** null: random numbers of this machine. */
  readonly seed?: number | null
  readonly log?: Log
  /** What happens to the file operations of a node's first run, with storage in memory; by default nothing does. */
  readonly disk?: (id: NodeId) => MemoryFileSystemOptions
}

/** Options of a client, without the addresses. */
export type TestClientOptions = Omit<CreateClientOptions, 'bootstrap'>

/** A cluster for tests. Made by `startCluster()`. */
export class TestCluster {
  /** The clock on which nodes and clients live: that of this machine. */
  readonly clock: Clock
  /** Addresses for clients, those of the command line as well where the cluster has sockets. */
  readonly bootstrap: string
  /** Where the data directories are; null with storage in memory. */
  readonly directory: string | null
  readonly #parts: TestClusterParts
  readonly #random: Random
  readonly #network: ControlledNetwork
  readonly #nodes: readonly ClusterNode[]
  readonly #ports: readonly NodePort[]
  readonly #clients: Client[] = []
  #stopping: Promise<void> | null = null

  private constructor(base: Base) {
    const { parts, clock, random, ports, directory } = base
    this.clock = clock
    this.directory = directory
    this.#parts = parts
    this.#random = random
    this.#ports = ports
    const ids = Array.from({ length: parts.brokers }, (_, i) => i + 1)
    const addresses = ids.map((id) => addressOf(base, id))
    this.bootstrap = addresses.map(({ host, port }) => `ws://${host}:${port}`).join(',')
    this.#network = new ControlledNetwork({ clock, endpoint: endpointsOf(base) })
    for (const id of ids) this.#network.setOwner(this.bootstrap.split(',')[id - 1]!, nodeName(id))
    const voters = ids.map((id) => `${id}@${addresses[id - 1]!.host}:${addresses[id - 1]!.port}`).join(',')
    const secret = new Uint8Array(SECRET_BYTES)
    createNodeRandom().fill(secret)
    this.#nodes = ids.map(
      (id) =>
        new ClusterNode({
          id,
          clock,
          random,
          secret,
          log: parts.log ?? silentLog,
          network: this.#network,
          storage: storageOf(base, id),
          config: {
            ...parts.settings,
            'listener.host': addresses[id - 1]!.host,
            'listener.port': addresses[id - 1]!.port,
            'controller.quorum.voters': voters,
          },
        }),
    )
  }

  /**
   * Starts all nodes; resolves when they serve. Users call `startCluster()`.
   * @throws VltavaError as NodeServer.start and `whenReady` do; nothing of the cluster is left then.
   */
  static async start(parts: TestClusterParts): Promise<TestCluster> {
    const cluster = new TestCluster(await makeBase(parts))
    try {
      await Promise.all(cluster.#nodes.map((node) => node.start()))
      await cluster.whenReady()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /**
   * A client of this cluster; it is closed with it.
   * @throws VltavaError INVALID_ARGUMENT that names the option, CLOSED
   */
  client(options: TestClientOptions = {}): Client {
    this.#checkOpen()
    const { bootstrap, settings, log } = resolveEntryOptions({ ...options, bootstrap: this.bootstrap })
    const environment = {
      clock: this.clock,
      random: this.#random,
      log,
      cpu: createNodeCpu(),
      transport: this.#network.endpoint(CLIENTS),
    }
    const client = new Client({ bootstrap, environment, settings })
    this.#clients.push(client)
    return client
  }

  /**
   * Ends a node as SIGKILL ends a process: at once and without a word. Its sockets break, its port is free, and its storage
   * keeps what was written.
   * @throws VltavaError INVALID_ARGUMENT for an id that there is not, or a node that does not run; CLOSED
   */
  async kill(id: NodeId): Promise<void> {
    await this.#node(id).kill()
  }

  /**
   * Ends a node as the loss of its power ends a machine. Only with storage in memory.
   * @param loss what becomes of the bytes and names that were not synced. By default all of them are lost;
   *   `randomPowerLoss()` keeps some.
   * @throws VltavaError as `kill` does
   */
  async losePower(id: NodeId, loss: PowerLoss = {}): Promise<void> {
    await this.#node(id).losePower(loss)
  }

  /**
   * Stops a node in order, as SIGTERM does: it gives its leaderships away first.
   * @throws VltavaError as `kill` does, and STORAGE_ERROR
   */
  async stopNode(id: NodeId): Promise<void> {
    await this.#node(id).stop()
  }

  /**
   * Starts a node that does not run, at its old address and on what its storage kept. It resolves when the node answers;
   * `whenReady` waits until it serves.
   * @throws VltavaError INVALID_ARGUMENT for an id that there is not, or a node that runs; STORAGE_ERROR, CLOSED
   */
  async restart(id: NodeId): Promise<void> {
    await this.#node(id).start()
  }

  /**
   * Gives a node that does not run an empty disk.
   * @throws VltavaError INVALID_ARGUMENT for an id that there is not, or a node that runs; CLOSED
   */
  replaceDisk(id: NodeId): void {
    const node = this.#node(id)
    if (node.isRunning) throw new VltavaError('INVALID_ARGUMENT', `node ${id} runs`)
    node.storage.replace()
  }

  /**
   * Cuts every link between a party of one group and one of the other, both ways: what is sent waits, and dials hang until
   * they time out. Adds to the cuts that there are. Clients that the cluster did not make are not affected.
   * @param groupA, groupB ids of nodes, and `'clients'` for the clients that this cluster made.
   * @throws VltavaError INVALID_ARGUMENT for a party that there is not, or one that is in both groups; CLOSED
   */
  partition(groupA: readonly Party[], groupB: readonly Party[]): void {
    const both = groupA.find((party) => groupB.includes(party))
    if (both !== undefined) {
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `partition: ${both} is in both groups; the groups must differ.`,
      )
    }
    this.#network.partition(this.#namesOf(groupA), this.#namesOf(groupB))
  }

  /** Ends all partitions: what waited is delivered. */
  heal(): void {
    this.#checkOpen()
    this.#network.heal()
  }

  /**
   * Resolves when every node that runs serves.
   * @param timeoutMs milliseconds, default 30,000.
   * @throws VltavaError REQUEST_TIMED_OUT; UNKNOWN_SERVER_ERROR when a node has ended by itself
   */
  async whenReady(timeoutMs: number = READY_TIMEOUT_MS): Promise<void> {
    const deadlineMs = this.clock.monotonicMs() + timeoutMs
    for (;;) {
      this.#checkOpen()
      const failed = this.#nodes.find(({ isRunning, failures }) => !isRunning && failures.length > 0)
      if (failed !== undefined) {
        const detail = `Node ${failed.id} has ended by itself: ${failed.failures.join('; ')}`
        throw new VltavaError('UNKNOWN_SERVER_ERROR', detail)
      }
      const late = this.#nodes.filter(({ isRunning, isReady }) => isRunning && !isReady)
      if (late.length === 0) return
      if (this.clock.monotonicMs() > deadlineMs) {
        const ids = late.map(({ id }) => id).join(', ')
        throw new VltavaError('REQUEST_TIMED_OUT', `Not ready within ${timeoutMs} ms: node ${ids}.`)
      }
      await new Promise<void>((resolve) => this.clock.setTimer(READY_POLL_MS, resolve))
    }
  }

  /** Closes the clients, ends all nodes and takes the temporary directory away. Calling it again waits for the first call. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** `await using cluster = await startCluster()` stops it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** The server of a node, for tests that look inside. @throws VltavaError INVALID_ARGUMENT for one that does not run. */
  server(id: NodeId): NodeServer {
    return this.#node(id).server
  }

  /** What a node has stored, for tests that look at it or damage it between two runs. */
  fileSystem(id: NodeId): FileSystem {
    return this.#node(id).storage.fileSystem
  }

  /** What made the newest process of a node end by itself, in words; empty as long as all is well. */
  failures(id: NodeId): readonly string[] {
    return this.#node(id).failures
  }

  async #stop(): Promise<void> {
    this.#network.heal()
    await Promise.allSettled(this.#clients.map((client) => client.close({ timeoutMs: CLIENT_CLOSE_MS })))
    await Promise.all(this.#nodes.filter(({ isRunning }) => isRunning).map((node) => node.kill()))
    this.#network.destroy()
    await Promise.all(this.#ports.map((port) => port.close()))
    if (this.directory !== null) await removeTemporaryDirectory(this.directory)
  }

  #checkOpen(): void {
    if (this.#stopping !== null) throw new VltavaError('CLOSED', 'The cluster has been stopped.')
  }

  #node(id: NodeId): ClusterNode {
    this.#checkOpen()
    const node = this.#nodes.find((candidate) => candidate.id === id)
    if (node !== undefined) return node
    const range = this.#parts.brokers === 1 ? '1 is the only one' : `they are 1 to ${this.#parts.brokers}`
    throw new VltavaError('INVALID_ARGUMENT', `There is no node ${String(id)}; ${range}.`)
  }

  #namesOf(group: readonly Party[]): readonly string[] {
    return group.map((party) => (party === CLIENTS ? CLIENTS : this.#node(party).name))
  }
}

/** What must be there before the nodes are made. */
interface Base {
  readonly parts: TestClusterParts
  readonly clock: Clock
  readonly random: Random
  /** By node; none without sockets. */
  readonly ports: readonly NodePort[]
  readonly directory: string | null
}

async function makeBase(parts: TestClusterParts): Promise<Base> {
  const clock = createNodeClock()
  const seed = parts.seed ?? null
  const random = seed === null ? createNodeRandom() : seededRandom(seed)
  const listeners = new WsListenerFactory({ clock, log: parts.log ?? silentLog })
  const origins = String(parts.settings?.['allowed.origins'] ?? '')
  const allowedOrigins = origins.split(',').filter((origin) => origin !== '')
  const ports = await Promise.all(
    Array.from({ length: parts.sockets ? parts.brokers : 0 }, () =>
      NodePort.reserve({ clock, listeners, host: HOST, allowedOrigins }),
    ),
  )
  const directory =
    parts.storage === 'directory' ? await makeTemporaryDirectory('vltava-test-cluster-') : null
  return { parts, clock, random, ports, directory }
}

function addressOf({ ports }: Base, id: NodeId): { readonly host: string; readonly port: number } {
  const port = ports[id - 1]
  return port === undefined ? { host: nodeName(id), port: MEMORY_PORT } : { host: HOST, port: port.port }
}

/** The network under the controlled one. */
function endpointsOf({ parts, clock, ports }: Base): (party: string) => Transport & ListenerFactory {
  if (!parts.sockets) {
    const network = new MemoryNetwork(clock)
    return (party) => network.endpoint(party)
  }
  const transport = new WsTransport(clock)
  return () => ({
    connect: (url, options) => transport.connect(url, options),
    listen: (options) => ports.find(({ port }) => port === options.port)!.listen(options),
  })
}

function storageOf({ parts, directory }: Base, id: NodeId): NodeStorage {
  if (directory === null) return new MemoryStorage(parts.disk?.(id))
  return new DirectoryStorage({ fileSystem: new NodeFileSystem(), directory, name: nodeName(id) })
}
