// A process of the scenario: code of the user that can be killed at any moment and starts anew.
import type { Random } from '../../base/random.ts'
import type { Client } from '../../client/client.ts'
import { VltavaError } from '../../model/errors.ts'
import { SimulatedClock } from '../simulation/simulated-clock.ts'
import type { TestClientOptions } from '../test-cluster.ts'
import { type SimulationClock, withSleep } from './simulation-clock.ts'
import type { World } from './world.ts'

/** After an error a process starts again so much later, in virtual milliseconds, as under a supervisor. */
const RESTART_MS = 500

/** One run of a process, as its code sees it. All that the code awaits must come from here: it ends with the process. */
export interface SimulationProcess {
  readonly name: string
  /** Counts the runs, from 1. */
  readonly run: number
  readonly clock: SimulationClock
  /** Random numbers of this run. */
  readonly random: Random
  /** A client that dies with the process. */
  client(options?: TestClientOptions): Client
  /** Resolves so many virtual milliseconds from now; never, when the process is gone by then. */
  sleep(ms: number): Promise<void>
  /** Writes a line to the trace. */
  log(text: string): void
}

/** What a process does, from its start on. It is over when this resolves. */
export type ProcessMain = (process: SimulationProcess) => Promise<void> | void

export interface ProcessOptions {
  /**
   * What an error that `main` throws means: `'fail'` fails the simulation, `'restart'` starts the process again half a
   * second later. Default `'fail'`.
   */
  readonly onError?: 'fail' | 'restart'
}

export interface ScenarioProcessParts {
  readonly world: World
  readonly name: string
  readonly main: ProcessMain
  readonly onError: 'fail' | 'restart'
  readonly onProblem: (what: string, cause: unknown) => void
}

interface Run {
  readonly number: number
  readonly clock: SimulatedClock
}

/** A process, as the scenario handles it. Made by `sim.process()`. */
export class ScenarioProcess {
  readonly name: string
  readonly #parts: ScenarioProcessParts
  #runs = 0
  #run: Run | null = null
  #isFinished = false

  constructor(parts: ScenarioProcessParts) {
    this.#parts = parts
    this.name = parts.name
  }

  get isRunning(): boolean {
    return this.#run !== null
  }

  /** Whether `main` has resolved. Nothing starts it any more. */
  get isFinished(): boolean {
    return this.#isFinished
  }

  /** How often it was started. */
  get runs(): number {
    return this.#runs
  }

  /**
   * Ends the process as SIGKILL does: what it awaits never comes. What it stored outside of `main` stays. It is down until
   * `restart` or `sim.quiesce()`. Does nothing for one that does not run.
   */
  crash(): void {
    if (this.#run !== null) this.#end('is killed')
  }

  /** Starts the process anew. @throws VltavaError INVALID_ARGUMENT when it runs or has finished. */
  restart(): void {
    if (this.#run !== null) throw new VltavaError('INVALID_ARGUMENT', `process ${this.name} runs already`)
    if (this.#isFinished) throw new VltavaError('INVALID_ARGUMENT', `process ${this.name} has finished`)
    this.#start()
  }

  #start(): void {
    const { world, name, main } = this.#parts
    const run: Run = { number: ++this.#runs, clock: new SimulatedClock({ kernel: world.kernel }) }
    this.#run = run
    world.story.add(`${name} starts run ${run.number}`)
    const process = this.#processOf(run)
    // In a turn of its own, as everything a process does.
    run.clock.setTimer(0, () => {
      const ended = (async () => main(process))()
      ended.then(
        () => this.#finished(run),
        (error: unknown) => this.#failed(run, error),
      )
    })
  }

  #processOf(run: Run): SimulationProcess {
    const { world, name } = this.#parts
    const clock = withSleep(run.clock)
    return {
      name,
      run: run.number,
      clock,
      random: world.streams.stream(`process/${name}/${run.number}`),
      client: (options = {}) => world.cluster.client({ name, clock: run.clock, options }).client,
      sleep: (ms) => clock.sleep(ms),
      log: (text) => {
        if (this.#run === run) world.story.add(`${name}: ${text}`)
      },
    }
  }

  #finished(run: Run): void {
    if (this.#run !== run) return
    this.#isFinished = true
    this.#end('has finished')
  }

  #failed(run: Run, error: unknown): void {
    if (this.#run !== run) return
    const { world, onError, onProblem } = this.#parts
    this.#end(`fails: ${String(error)}`)
    if (onError === 'fail') {
      onProblem(`process ${this.name} threw ${String(error)}`, error)
      return
    }
    const { kernel } = world
    kernel.schedule(kernel.nowMs + RESTART_MS, () => {
      if (this.#run === null) this.#start()
    })
  }

  #end(how: string): void {
    const { world, name } = this.#parts
    world.story.add(`${name} ${how}`)
    this.#run!.clock.halt()
    this.#run = null
    world.network.killed(name)
  }
}
