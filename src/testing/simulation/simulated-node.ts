// One node of a simulated cluster over all of its runs: the very server, on a simulated network, disk and clock.
import { VltavaError } from '../../model/errors.ts'
import type { NodeId } from '../../model/ids.ts'
import type { ListenerFactory, Transport } from '../../net/transport.ts'
import { createNodeCpu } from '../../platform/node/node-cpu.ts'
import { createNodeMac } from '../../platform/node/node-mac.ts'
import { type ConfigSource, readConfig } from '../../server/config.ts'
import { NodeServer } from '../../server/node-server.ts'
import { MemoryMachine, MemoryProcess } from '../memory-process.ts'
import { CountedClock } from './counted-clock.ts'
import type { RandomStreams } from './random-streams.ts'
import { SimulatedClock, type SimulatedClockOptions } from './simulated-clock.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import type { SimulationKernel } from './simulation-kernel.ts'
import { TraceLog } from './trace-log.ts'

const SECRET_BYTES = 32

/** How the clock of a node goes. */
type ClockSettings = Pick<SimulatedClockOptions, 'rate' | 'wallAheadMs'>

/** The network as a node uses and leaves it. */
export interface NodeNetwork {
  endpoint(of: { readonly name: string; readonly clock: SimulatedClock }): Transport & ListenerFactory
  killed(name: string): void
  powerLost(name: string): void
  poweredOn(name: string): void
}

export interface SimulatedNodeOptions {
  readonly id: NodeId
  readonly kernel: SimulationKernel
  readonly streams: RandomStreams
  readonly network: NodeNetwork
  readonly disk: SimulatedDisk
  readonly config: ConfigSource
  readonly onTrace: (line: string) => void
  /** The process ended itself, or could not be started. */
  readonly onFailure: (failure: {
    readonly node: NodeId
    readonly reason: string
    readonly error: unknown
  }) => void
  readonly onLoggedError: (node: NodeId, text: string) => void
  readonly onLogEvent: (event: string) => void
  /** Something is about to call into the node. */
  readonly onCall?: () => void
}

/** One run of the process of a node. */
export interface NodeRun {
  readonly number: number
  readonly clock: SimulatedClock
  /** The clock as the node itself has it. */
  readonly counted: CountedClock
  readonly process: MemoryProcess
  /** null until the start is done. */
  server: NodeServer | null
  isStopping: boolean
}

export class SimulatedNode {
  readonly id: NodeId
  readonly name: string
  readonly disk: SimulatedDisk
  readonly #options: SimulatedNodeOptions
  readonly #machine = new MemoryMachine()
  #runs = 0
  #run: NodeRun | null = null
  #clockSettings: ClockSettings = {}

  constructor(options: SimulatedNodeOptions) {
    this.#options = options
    this.id = options.id
    this.name = nodeName(options.id)
    this.disk = options.disk
  }

  /** The run of now; null while the node is down. */
  get run(): NodeRun | null {
    return this.#run
  }

  get server(): NodeServer | null {
    return this.#run?.server ?? null
  }

  get isReady(): boolean {
    const run = this.#run
    return run !== null && !run.clock.isPaused && run.server?.isReady === true
  }

  /** How the clock goes, from the next start on. */
  set clockSettings(settings: ClockSettings) {
    this.#clockSettings = settings
  }

  /** Starts the process; what comes of it shows in `run`. Does nothing for a node that runs. */
  start(): void {
    if (this.#run !== null) return
    const { kernel, streams, network, onTrace, onLoggedError, onLogEvent, onCall, id } = this.#options
    const number = ++this.#runs
    const clock = new SimulatedClock({
      kernel,
      ...this.#clockSettings,
      ...(onCall === undefined ? {} : { onCall }),
    })
    const counted = new CountedClock(clock)
    const process = new MemoryProcess({
      machine: this.#machine,
      onFail: ({ reason, error }) => this.#failed(run, reason, error),
    })
    const run: NodeRun = { number, clock, counted, process, server: null, isStopping: false }
    this.#run = run
    this.disk.attach(clock)
    network.poweredOn(this.name)
    const endpoint = network.endpoint({ name: this.name, clock })
    onTrace(`${this.name} starts run ${number}`)
    NodeServer.start({
      environment: {
        clock: counted,
        random: streams.stream(`${this.name}/run-${number}`),
        fileSystem: this.disk.fileSystem,
        transport: endpoint,
        listeners: endpoint,
        process,
        cpu: createNodeCpu(),
        mac: createNodeMac(),
        log: new TraceLog({
          name: this.name,
          onLine: onTrace,
          onEvent: onLogEvent,
          onError: (text) => onLoggedError(id, text),
        }),
      },
      config: readConfig({ flags: this.#options.config, environment: {}, file: null }),
      secret: new Uint8Array(SECRET_BYTES).fill(7),
      software: 'vltava-simulation',
    }).then(
      (server) => {
        run.server = server
      },
      (error: unknown) => this.#failed(run, 'the node could not be started', error),
    )
  }

  /** SIGKILL: what was written stays, all else is gone at once. */
  kill(): void {
    if (!this.#end('is killed')) return
    this.disk.afterKill()
    this.#options.network.killed(this.name)
  }

  /** The power goes: what was not synced is lost or kept by chance. A node that is down loses its page cache. */
  losePower(): void {
    this.#end('loses power')
    this.disk.afterPowerLoss()
    this.#machine.reboot()
    this.#options.network.powerLost(this.name)
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.#run === null) return
    this.#options.onTrace(`${this.name} is paused`)
    this.#run.clock.pause()
  }

  /** SIGCONT. */
  resume(): void {
    if (this.#run?.clock.isPaused !== true) return
    this.#options.onTrace(`${this.name} is resumed`)
    this.#run.clock.resume()
  }

  /** SIGTERM: the node stops in order, which takes its time; `run` is null when it is over. */
  stop(): void {
    const run = this.#run
    if (run === null || run.server === null || run.isStopping) return
    this.#options.onTrace(`${this.name} is told to stop`)
    run.isStopping = true
    run.server.stop().then(
      () => this.#stopped(run),
      (error: unknown) => this.#failed(run, 'the node could not be stopped in order', error),
    )
  }

  /** An empty disk instead of the present one, for a node that is down. */
  wipe(): void {
    if (this.#run !== null) throw new VltavaError('INVALID_ARGUMENT', `${this.name} runs`)
    this.#options.onTrace(`${this.name} gets an empty disk`)
    this.disk.replace()
  }

  #stopped(run: NodeRun): void {
    if (this.#run !== run) return
    if (run.counted.waiting > 0) {
      const left = new Error(`${run.counted.waiting} of its timers wait (SIM-14)`)
      this.#failed(run, 'the node has stopped in order, but', left)
      return
    }
    this.#end('has stopped')
    this.disk.afterKill()
    this.#options.network.killed(this.name)
  }

  #failed(run: NodeRun, reason: string, error: unknown): void {
    if (this.#run !== run) return
    this.#options.onTrace(`${this.name} fails: ${reason}: ${String(error)}`)
    this.#end('has ended itself')
    this.disk.afterKill()
    this.#options.network.killed(this.name)
    this.#options.onFailure({ node: this.id, reason, error })
  }

  #end(how: string): boolean {
    const run = this.#run
    if (run === null) return false
    this.#options.onTrace(`${this.name} ${how}`)
    this.#run = null
    run.clock.halt()
    this.#machine.stop(run.process.identity)
    return true
  }
}

export function nodeName(id: NodeId): string {
  return `node-${id}`
}
