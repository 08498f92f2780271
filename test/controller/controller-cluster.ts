// Controllers of one cluster in one process: a manual clock, an in-memory network with the real handshake, and a disk
// for each that survives kills. Nothing moves unless a test lets time pass.
import { setImmediate } from 'node:timers/promises'
import { assert } from '../../src/base/assert.ts'
import type { Clock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import {
  CONTROLLER_DEFAULTS,
  type ConnectPeer,
  type ControllerSettings,
} from '../../src/controller/controller-environment.ts'
import { ControllerNode } from '../../src/controller/controller-node.ts'
import { VltavaError } from '../../src/model/errors.ts'
import type { IncarnationId, NodeId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import { registerHandshake } from '../../src/net/handshake.ts'
import { MemoryNetwork } from '../../src/net/memory-transport.ts'
import { openConnection } from '../../src/net/open-connection.ts'
import { Router } from '../../src/net/router.ts'
import type { Listener } from '../../src/net/transport.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { createNodeMac } from '../../src/platform/node/node-mac.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from '../../src/protocol/quorum-admin.ts'
import { createTopic, deleteTopic } from '../../src/protocol/topics.ts'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, LogDirectory } from '../../src/storage/log-directory.ts'
import { MemoryFileSystem, type MemoryFileSystemOptions } from '../../src/storage/memory-file-system.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { MemoryMachine, MemoryProcess } from '../../src/testing/memory-process.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'

const SECRET = new TextEncoder().encode('the secret of the test cluster, 32 bytes')
/** Turns of the event loop after each step of time: a message needs a few to get through a handler and back. */
const TURNS_PER_STEP = 8
const STEP_MS = 5

/** One run of one node. */
export interface RunningController {
  readonly node: ControllerNode
  readonly process: MemoryProcess
  readonly incarnationId: IncarnationId
  readonly directory: LogDirectory
  readonly listener: Listener
  readonly life: { isAlive: boolean }
}

/** What has to end with a process, as far as it exists yet. */
interface Mortal {
  readonly process: MemoryProcess
  readonly life: { isAlive: boolean }
  listener: Listener | null
}

export interface NodeOptions {
  /** What this node is told; by default all nodes of the cluster. */
  readonly voters?: readonly NodeId[]
  readonly fileSystem?: MemoryFileSystemOptions
}

export function urlOf(nodeId: NodeId): string {
  return `ws://node-${nodeId}:1`
}

/** 22 characters of base64url that tell whose they are. */
export function runId(label: string): string {
  return label.padEnd(22, '-')
}

export class ControllerCluster {
  readonly clock = new ManualClock()
  readonly network = new MemoryNetwork(this.clock)
  readonly log = new RecordingLog()
  readonly ids: readonly NodeId[]
  readonly #settings: ControllerSettings
  readonly #disks = new Map<NodeId, MemoryFileSystem>()
  readonly #running = new Map<NodeId, RunningController>()
  readonly #starting = new Map<NodeId, Mortal>()
  readonly #machine = new MemoryMachine()
  #runs = 0

  constructor(ids: readonly NodeId[], settings: Partial<ControllerSettings> = {}) {
    this.ids = ids
    this.#settings = { ...CONTROLLER_DEFAULTS, ...settings }
  }

  get running(): readonly RunningController[] {
    return [...this.#running.values()]
  }

  get(nodeId: NodeId): RunningController {
    const running = this.#running.get(nodeId)
    assert(running !== undefined, `node ${nodeId} does not run`)
    return running
  }

  disk(nodeId: NodeId): MemoryFileSystem {
    return this.#disks.get(nodeId)!
  }

  /** Puts another disk into a node that does not run. */
  useDisk(nodeId: NodeId, disk: MemoryFileSystem): void {
    this.#disks.set(nodeId, disk)
  }

  /** Whether `start` has begun to listen but has not returned. */
  isStarting(nodeId: NodeId): boolean {
    return (this.#starting.get(nodeId)?.listener ?? null) !== null
  }

  /** Ends a process whose `start` may not have returned. */
  killUnfinished(nodeId: NodeId): void {
    const starting = this.#starting.get(nodeId)
    this.#starting.delete(nodeId)
    if (this.#running.has(nodeId)) this.kill(nodeId)
    else if (starting !== undefined) this.#end(nodeId, starting)
  }

  /** Starts a node on the disk it had, or on an empty one. Rejects when the node refuses to start. */
  async start(nodeId: NodeId, options: NodeOptions = {}): Promise<RunningController> {
    assert(!this.#running.has(nodeId), `node ${nodeId} runs already`)
    const fileSystem =
      this.#disks.get(nodeId)?.afterKill(options.fileSystem) ?? new MemoryFileSystem(options.fileSystem)
    this.#disks.set(nodeId, fileSystem)
    const life = { isAlive: true }
    const clock = clockOf(this.clock, life)
    const log = this.log.child({ nodeId })
    const process = new MemoryProcess({ machine: this.#machine, onFail: () => this.killUnfinished(nodeId) })
    const mortal: Mortal = { process, life, listener: null }
    this.#starting.set(nodeId, mortal)
    const random = seededRandom(1_000 * ++this.#runs + nodeId)
    const cpu = createNodeCpu(null)
    const environment = { clock, random, fileSystem, cpu, log, process }
    const directory = await LogDirectory.open({
      ...environment,
      path: '/data',
      nodeId,
      settings: LOG_DIRECTORY_SETTINGS_DEFAULT,
      onFailure: (error) => process.fail('the data directory failed', error),
    })
    const incarnationId = runId(`run-${this.#runs}-of-${nodeId}`)
    const router = new Router(log)
    const listener = await this.#listen({ nodeId, incarnationId, router, clock, directory, log })
    const node = new ControllerNode({
      ...environment,
      nodeId,
      incarnationId,
      voters: (options.voters ?? this.ids).map((id) => ({ nodeId: id })),
      url: urlOf(nodeId),
      directory,
      settings: this.#settings,
      connectPeer: this.#connector({
        ...{ nodeId, incarnationId, router, clock, directory, log, life },
        listed: options.voters ?? this.ids,
      }),
    })
    node.addHandlers(router)
    router.handle(describeQuorum, (call) => node.quorum.describe(call))
    router.handle(addVoter, (call) => node.quorum.addVoter(call))
    router.handle(removeVoter, (call) => node.quorum.removeVoter(call))
    router.handle(transferController, (call) => node.quorum.transfer(call))
    router.handle(createTopic, (call) => node.createTopic(call))
    router.handle(deleteTopic, (call) => node.deleteTopic(call))
    const running = { node, process, incarnationId, directory, listener, life }
    mortal.listener = listener
    try {
      await node.start()
    } catch (error) {
      this.#end(nodeId, running)
      throw error
    } finally {
      this.#starting.delete(nodeId)
    }
    this.#running.set(nodeId, running)
    return running
  }

  async startAll(): Promise<void> {
    for (const nodeId of this.ids) await this.start(nodeId)
  }

  /** Ends the process without its doing. Its disk keeps what was written; `cutPower` also loses what was not synced. */
  kill(nodeId: NodeId): void {
    const running = this.get(nodeId)
    this.#running.delete(nodeId)
    this.#end(nodeId, running)
  }

  #end(nodeId: NodeId, running: Mortal): void {
    running.life.isAlive = false
    running.process.kill()
    this.disk(nodeId).halt()
    for (const other of this.ids) this.network.disconnect(`node-${nodeId}`, `node-${other}`)
    this.network.disconnect(`node-${nodeId}`, 'broker')
    // The dead process listens no more; its channels are gone already.
    running.listener?.close().catch(() => {})
  }

  cutPower(nodeId: NodeId): void {
    if (this.#running.has(nodeId)) this.kill(nodeId)
    this.#disks.set(nodeId, this.disk(nodeId).afterPowerLoss())
  }

  /** Replaces the disk by an empty one. */
  wipe(nodeId: NodeId): void {
    this.#disks.delete(nodeId)
  }

  /** Stops a node in order. */
  async stop(nodeId: NodeId): Promise<void> {
    const { node, listener, directory, process, life } = this.get(nodeId)
    this.#running.delete(nodeId)
    await this.answer(node.stop())
    await this.answer(listener.close())
    await this.answer(directory.close({ cleanBrokerEpoch: null }))
    life.isAlive = false
    process.kill()
    for (const other of this.ids) this.network.disconnect(`node-${nodeId}`, `node-${other}`)
  }

  /** Cuts the links between two nodes once; they are made again. */
  disconnect(a: NodeId, b: NodeId): void {
    this.network.disconnect(`node-${a}`, `node-${b}`)
  }

  /** Lets time pass in small steps, with everything that happens meanwhile. */
  async pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
      this.clock.advance(Math.min(STEP_MS, ms - passedMs))
      await this.settle()
    }
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < TURNS_PER_STEP; turn++) {
      await setImmediate()
      this.clock.runPending()
    }
  }

  /** Lets time pass until something holds. */
  async until(what: string, holds: () => boolean, withinMs = 20_000): Promise<void> {
    await this.settle()
    for (let passedMs = 0; !holds(); passedMs += STEP_MS) {
      assert(passedMs < withinMs, `not within ${withinMs} ms: ${what}`)
      await this.pass(STEP_MS)
    }
  }

  /** Lets time pass until the promise is settled. */
  async answer<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    await this.until('an answer', () => isSettled)
    return await promise
  }

  /** The active controller, once there is just one. */
  async active(): Promise<RunningController & { readonly nodeId: NodeId }> {
    await this.until('one active controller', () => this.#actives().length === 1)
    const nodeId = this.#actives()[0]!
    return { ...this.get(nodeId), nodeId }
  }

  /** Opens a connection of a node that is only a broker, or of a client. */
  async connect(
    to: NodeId,
    as: { readonly nodeId: NodeId; readonly incarnationId: string } | null,
  ): Promise<Connection> {
    const connecting = openConnection({
      transport: this.network.endpoint('broker'),
      url: urlOf(to),
      router: new Router(this.log),
      clock: this.clock,
      log: this.log,
      software: 'test',
      clusterId: null,
      asPeer: as === null ? null : { ...as, expectedNodeId: to, ...credentials(seededRandom(1)) },
      timeoutMs: 1_000,
    })
    return (await this.answer(connecting)).connection
  }

  #actives(): readonly NodeId[] {
    return [...this.#running].filter(([, { node }]) => node.isActive).map(([nodeId]) => nodeId)
  }

  async #listen(parts: Parts): Promise<Listener> {
    const { nodeId, incarnationId, router, clock, directory, log } = parts
    const accept = registerHandshake({
      router,
      clock,
      log,
      random: seededRandom(nodeId),
      mac: createNodeMac(),
      nodeId,
      incarnationId,
      isBroker: false,
      isController: true,
      software: 'test',
      clusterId: () => directory.clusterId,
      secret: SECRET,
    })
    const onChannel = (channel: Parameters<typeof accept>[0]): void => {
      accept(channel)
    }
    return await this.network
      .endpoint(`node-${nodeId}`)
      .listen({ host: `node-${nodeId}`, port: 1, onChannel })
  }

  /** One shared connection to each other node, as a server has. Addresses come from the list, else from who connects. */
  #connector(
    parts: Parts & { readonly life: { isAlive: boolean }; readonly listed: readonly NodeId[] },
  ): ConnectPeer {
    const { nodeId, incarnationId, router, clock, directory, log, life, listed } = parts
    const open = new Map<NodeId, Connection>()
    return async (to, url) => {
      if (!life.isAlive) return await new Promise<never>(() => {})
      const known = open.get(to)
      if (known?.isOpen === true) return known
      const address = listed.includes(to) ? urlOf(to) : (url ?? null)
      if (address === null)
        throw new VltavaError('CONNECTION_FAILED', `The address of node ${to} is not known.`)
      const { connection } = await openConnection({
        transport: this.network.endpoint(`node-${nodeId}`),
        url: address,
        router,
        clock,
        log,
        software: 'test',
        clusterId: directory.clusterId,
        asPeer: { nodeId, incarnationId, expectedNodeId: to, ...credentials(seededRandom(nodeId)) },
        timeoutMs: 1_000,
      })
      if (!life.isAlive) connection.abort()
      open.set(to, connection)
      return connection
    }
  }
}

interface Parts {
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  readonly router: Router
  readonly clock: Clock
  readonly directory: LogDirectory
  readonly log: RecordingLog
}

function credentials(random: ReturnType<typeof seededRandom>) {
  return { secret: SECRET, mac: createNodeMac(), random }
}

/** The timers of a process end with it. */
function clockOf(clock: Clock, life: { readonly isAlive: boolean }): Clock {
  const whileAlive = (callback: () => void) => () => {
    if (life.isAlive) callback()
  }
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, whileAlive(callback)),
    afterPendingIo: (callback) => clock.afterPendingIo(whileAlive(callback)),
  }
}

/** The error code of a rejected promise. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'no error'
  } catch (thrown) {
    if (thrown instanceof VltavaError) return thrown.code
    throw thrown
  }
}
