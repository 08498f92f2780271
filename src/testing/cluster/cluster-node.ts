// One node of a test cluster over all of its runs: the very server, and what a machine does to it.
import { type Deferred, deferred } from '../../base/async/deferred.ts'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Random } from '../../base/random.ts'
import { VltavaError } from '../../model/errors.ts'
import type { NodeId } from '../../model/ids.ts'
import { createNodeCpu } from '../../platform/node/node-cpu.ts'
import { createNodeMac } from '../../platform/node/node-mac.ts'
import { type ConfigSource, readConfig } from '../../server/config.ts'
import { NodeServer } from '../../server/node-server.ts'
import type { PowerLoss } from '../../storage/memory-file-system.ts'
import { HaltableClock } from '../haltable-clock.ts'
import { MemoryMachine, MemoryProcess } from '../memory-process.ts'
import type { ControlledEndpoint, ControlledNetwork } from './controlled-network.ts'
import type { NodeStorage } from './node-storage.ts'

export interface ClusterNodeOptions {
  readonly id: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly network: ControlledNetwork
  readonly storage: NodeStorage
  readonly secret: Uint8Array
  /** Everything but the id and the data directory. */
  readonly config: ConfigSource
}

interface Run {
  readonly clock: HaltableClock
  readonly process: MemoryProcess
  readonly endpoint: ControlledEndpoint
  /** Rejects when the process ends, whatever it was about. */
  readonly end: Deferred<never>
  server: NodeServer | null
  stopping: Promise<void> | null
}

export class ClusterNode {
  readonly id: NodeId
  /** Among the parties of the network. */
  readonly name: string
  readonly storage: NodeStorage
  readonly #options: ClusterNodeOptions
  readonly #machine = new MemoryMachine()
  #run: Run | null = null
  #lastProcess: MemoryProcess | null = null
  /** What is left of runs that have ended. */
  #ending: Promise<void> = Promise.resolve()

  constructor(options: ClusterNodeOptions) {
    this.#options = options
    this.id = options.id
    this.name = nodeName(options.id)
    this.storage = options.storage
  }

  get isRunning(): boolean {
    return this.#run !== null
  }

  /** @throws VltavaError INVALID_ARGUMENT when it does not run, or does not answer yet. */
  get server(): NodeServer {
    const { server } = this.#running()
    if (server === null) throw new VltavaError('INVALID_ARGUMENT', `node ${this.id} is starting`)
    return server
  }

  get isReady(): boolean {
    return this.#run?.server?.isReady === true
  }

  /** Why the process of the newest run ended by itself, in words; empty as long as all is well. */
  get failures(): readonly string[] {
    return (this.#lastProcess?.failures ?? []).map(({ reason, error }) => `${reason}: ${String(error)}`)
  }

  /** @throws VltavaError as NodeServer.start does; INVALID_ARGUMENT when it runs already or ends meanwhile. */
  async start(): Promise<void> {
    if (this.#run !== null) throw new VltavaError('INVALID_ARGUMENT', `node ${this.id} runs already`)
    const run = this.#newRun()
    this.#run = run
    this.#lastProcess = run.process
    await this.#ending
    try {
      run.server = await Promise.race([this.#startServer(run), run.end.promise])
    } catch (error) {
      if (this.#run === run) await this.#end(() => this.storage.afterKill())
      throw error
    }
  }

  /** As SIGKILL. @throws VltavaError INVALID_ARGUMENT when it does not run. */
  async kill(): Promise<void> {
    this.#running()
    await this.#end(() => this.storage.afterKill())
  }

  /** @throws VltavaError INVALID_ARGUMENT when it does not run, or its storage cannot lose power. */
  async losePower(loss: PowerLoss): Promise<void> {
    this.#running()
    this.storage.afterPowerLoss(loss)
    await this.#end(() => Promise.resolve())
    this.#machine.reboot()
  }

  /** As SIGTERM. @throws VltavaError INVALID_ARGUMENT when it does not run or is killed meanwhile; what a stop throws. */
  async stop(): Promise<void> {
    const run = this.#running()
    const { server } = this
    run.stopping ??= (async () => {
      try {
        await Promise.race([server.stop(), run.end.promise])
      } finally {
        if (this.#run === run) await this.#end(() => this.storage.afterKill())
      }
    })()
    await run.stopping
  }

  #running(): Run {
    if (this.#run === null) throw new VltavaError('INVALID_ARGUMENT', `node ${this.id} does not run`)
    return this.#run
  }

  #newRun(): Run {
    const { network, clock } = this.#options
    const end = deferred<never>()
    // Mostly nobody waits for it.
    end.promise.catch(() => {})
    const process = new MemoryProcess({
      machine: this.#machine,
      onFail: ({ reason, error }) => {
        const { log } = this.#options
        log.error('node-ended-itself', { nodeId: this.id, reason, error })
        if (this.#run !== run) return
        this.#end(() => this.storage.afterKill()).catch((failure: unknown) => {
          log.error('node-not-tidied-away', { nodeId: this.id, error: failure })
        })
      },
    })
    const run: Run = {
      clock: new HaltableClock(clock),
      process,
      endpoint: network.endpoint(this.name),
      end,
      server: null,
      stopping: null,
    }
    return run
  }

  #startServer({ clock, process, endpoint }: Run): Promise<NodeServer> {
    const { id, random, secret, config, log } = this.#options
    const flags = { ...config, 'node.id': id, 'log.dir': this.storage.path }
    return NodeServer.start({
      environment: {
        clock,
        random,
        fileSystem: this.storage.fileSystem,
        transport: endpoint,
        listeners: endpoint,
        process,
        cpu: createNodeCpu(),
        mac: createNodeMac(),
        log: log.child({ nodeId: id }),
      },
      config: readConfig({ flags, environment: {}, file: null }),
      secret,
      software: 'vltava-testing',
    })
  }

  /** All that the process could do ends in this turn; the promise is for what the system still has to tidy away. */
  #end(endStorage: () => Promise<void>): Promise<void> {
    const run = this.#run!
    this.#run = null
    run.clock.halt()
    this.#machine.stop(run.process.identity)
    const detail = `node ${this.id} ended meanwhile${this.failures.map((failure) => `: ${failure}`).join('')}`
    run.end.reject(new VltavaError('INVALID_ARGUMENT', detail))
    const ended = Promise.all([this.#ending, endStorage(), run.endpoint.die()])
    this.#ending = ended.then(() => {})
    return this.#ending
  }
}

export function nodeName(id: NodeId): string {
  return `node-${id}`
}
