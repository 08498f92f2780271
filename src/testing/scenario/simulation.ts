// What a scenario is given.
import type { Random } from '../../base/random.ts'
import type { Client } from '../../client/client.ts'
import { VltavaError } from '../../model/errors.ts'
import { ClusterAtRest } from '../simulation/cluster-at-rest.ts'
import { SimulatedClock } from '../simulation/simulated-clock.ts'
import type { TestClientOptions } from '../test-cluster.ts'
import { SCENARIO, ScenarioCluster } from './scenario-cluster.ts'
import { type ProcessMain, type ProcessOptions, ScenarioProcess } from './scenario-process.ts'
import { type SimulationClock, withSleep } from './simulation-clock.ts'
import type { World } from './world.ts'

const UNTIL_POLL_MS = 20
const UNTIL_TIMEOUT_MS = 60_000
const QUIESCE_POLL_MS = 100
/** Within which a cluster without faults must be whole again, its longest timeouts included. */
const QUIESCE_TIMEOUT_MS = 180_000
const PROCESS_NAME = /^[a-z][a-z0-9-]{0,40}$/

export interface SimulationParts {
  readonly seed: number
  readonly world: World
  /** Those of the scenario, which adds to them. */
  readonly processes: ScenarioProcess[]
  /** Ends all drawn faults for good. */
  readonly endFaults: () => void
  readonly onProblem: (what: string, cause: unknown) => void
}

export interface UntilOptions {
  /** What is waited for, for the error. Default: the text of the condition. */
  readonly what?: string
  /** Virtual milliseconds, default 60,000. */
  readonly timeoutMs?: number
}

/** The simulation, as the scenario uses it. Made by `simulate()`. */
export class Simulation {
  readonly seed: number
  readonly clock: SimulationClock
  /** Random numbers of the scenario, from the seed. */
  readonly random: Random
  /** The brokers, for faults by hand. */
  readonly cluster: ScenarioCluster
  readonly #parts: SimulationParts
  readonly #world: World
  readonly #clock: SimulatedClock

  /** For `simulate()`. */
  constructor(parts: SimulationParts) {
    const { seed, world, processes } = parts
    this.seed = seed
    this.#parts = parts
    this.#world = world
    this.#clock = new SimulatedClock({ kernel: world.kernel })
    this.clock = withSleep(this.#clock)
    this.random = world.streams.stream('scenario')
    this.cluster = new ScenarioCluster({ world, processes: () => processes.map(({ name }) => name) })
  }

  /** A client of the cluster that lives as long as the simulation. @throws VltavaError INVALID_ARGUMENT for an option */
  client(options: TestClientOptions = {}): Client {
    return this.#world.cluster.client({ name: SCENARIO, clock: this.#clock, options }).client
  }

  /** Resolves so many virtual milliseconds from now. */
  sleep(ms: number): Promise<void> {
    return this.clock.sleep(ms)
  }

  /**
   * Starts a process: code that can be killed at any moment, by the fault `crash-process` or by hand, and starts anew. What
   * it must not lose stands outside of `main`, as in a database.
   * @param name small letters, digits and hyphens; of its own.
   * @throws VltavaError INVALID_ARGUMENT for the name or an option
   */
  process(name: string, main: ProcessMain, options: ProcessOptions = {}): ScenarioProcess {
    const { onError = 'fail' } = options
    if (!PROCESS_NAME.test(name) || name === SCENARIO || /^(node|client)-\d+$/.test(name)) {
      const allowed =
        'small letters, digits and hyphens, up to 41, and not "scenario", "node-1" or "client-1"'
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `process: the name must be ${allowed}; got ${JSON.stringify(name)}.`,
      )
    }
    const { world, processes, onProblem } = this.#parts
    if (processes.some((other) => other.name === name)) {
      throw new VltavaError('INVALID_ARGUMENT', `process: there is a process "${name}" already.`)
    }
    if (typeof main !== 'function') {
      throw new VltavaError('INVALID_ARGUMENT', `process: main of "${name}" must be a function.`)
    }
    if (onError !== 'fail' && onError !== 'restart') {
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `process: onError must be "fail" or "restart", got ${String(onError)}.`,
      )
    }
    const process = new ScenarioProcess({ world, name, main, onError, onProblem })
    processes.push(process)
    process.restart()
    return process
  }

  /** Writes a line to the trace, which an error shows the end of. */
  log(text: string): void {
    this.#world.story.add(text)
  }

  /**
   * Resolves when the condition holds, which is looked at every 20 virtual milliseconds.
   * @throws Error when it does not hold in time
   */
  async until(condition: () => boolean, options: UntilOptions = {}): Promise<void> {
    const { what = condition.toString(), timeoutMs = UNTIL_TIMEOUT_MS } = options
    const deadlineMs = this.clock.monotonicMs() + timeoutMs
    while (!condition()) {
      if (this.clock.monotonicMs() >= deadlineMs) {
        throw new Error(`not within ${timeoutMs} ms of virtual time: ${what}`)
      }
      await this.sleep(UNTIL_POLL_MS)
    }
  }

  /**
   * Ends all faults for good, starts whatever is down, and resolves when every broker serves and every replica is in
   * sync. What must hold in the end is checked after this.
   * @throws Error when the cluster does not become whole within 180 s of virtual time
   */
  async quiesce(): Promise<void> {
    const { story, cluster } = this.#world
    story.add('all faults are over')
    this.#parts.endFaults()
    for (const process of this.#parts.processes)
      if (!process.isRunning && !process.isFinished) process.restart()
    const rest = new ClusterAtRest(cluster, { dead: null, plan: { topics: [] } })
    const deadlineMs = this.clock.monotonicMs() + QUIESCE_TIMEOUT_MS
    for (;;) {
      for (const node of cluster.nodes) node.start()
      const reason = rest.whyNotWhole()
      if (reason === null) return
      if (this.clock.monotonicMs() >= deadlineMs)
        throw new Error(`the cluster does not become whole: ${reason}`)
      await this.sleep(QUIESCE_POLL_MS)
    }
  }
}
