// One run of a scenario under one seed: the cluster comes up, the faults and the scenario begin, and the end is judged.
import { VltavaError } from '../../model/errors.ts'
import { NodePoison, PoisonError } from '../../platform/node/node-poison.ts'
import type { ResolvedScenario, SimulateOptions } from '../simulate-options.ts'
import { ClusterAtRest } from '../simulation/cluster-at-rest.ts'
import { placeOf, SimulationError } from '../simulation-error.ts'
import { ProcessCrasher } from './process-crasher.ts'
import type { ScenarioProcess } from './scenario-process.ts'
import { Simulation } from './simulation.ts'
import { World } from './world.ts'

/** Virtual milliseconds for what happens before the scenario, without faults. */
const SETUP_LIMIT_MS = 120_000
/** Nodes start within this of each other. */
const START_SPREAD_MS = 100
const LOOK_EVERY_EVENTS = 20

const OUTSIDE =
  'code of the scenario ran outside of the simulation: it waited for something real, such as I/O, a timer or a worker of ' +
  'this machine, which a simulation knows nothing of'

/** A test under simulation. It may be asynchronous; the simulation is over when it is settled. */
export type Scenario<T> = (sim: Simulation) => Promise<T> | T

/** How a simulation went in which nothing failed. */
export interface SimulationReport<T> {
  /** What the scenario resolved with. */
  readonly value: T
  readonly seed: number
  /** SHA-256 of the trace: equal for every run of the same seed, options and code. */
  readonly digest: string
  readonly events: number
  /** Virtual milliseconds from the start of the cluster to the end of the scenario. */
  readonly virtualMs: number
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>
}

export interface ScenarioRunOptions<T> {
  /** As they were given, for the error. */
  readonly options: SimulateOptions
  readonly resolved: ResolvedScenario
  readonly scenario: Scenario<T>
}

interface Problem {
  readonly what: string
  readonly cause: unknown
}

export class ScenarioRun<T> {
  readonly #options: ScenarioRunOptions<T>
  readonly #poison: NodePoison
  readonly #world: World
  readonly #processes: ScenarioProcess[] = []
  readonly #crasher: ProcessCrasher
  #isInTurn = false
  /** The first thing that must not happen. */
  #problem: Problem | null = null

  constructor(options: ScenarioRunOptions<T>) {
    this.#options = options
    this.#world = new World({
      scenario: options.resolved,
      onTurn: { begin: () => this.#turn(true), end: () => this.#turn(false) },
      onStray: () => this.#strayed(),
      onProblem: (what, cause) => this.#fail(what, cause),
    })
    this.#crasher = new ProcessCrasher({ world: this.#world, processes: this.#processes })
    this.#poison = new NodePoison((error) => this.#fail(this.#describe(error), error))
  }

  /** @throws SimulationError when anything fails; nothing real is left behind in any case. */
  async run(): Promise<SimulationReport<T>> {
    const { kernel, story, nemesis, faults } = this.#world
    const { resolved, scenario } = this.#options
    try {
      await this.#setUp()
      story.add('the scenario begins')
      nemesis.start()
      if (resolved.faults.includes('crash-process')) this.#crasher.start()
      const sim = new Simulation({
        seed: resolved.seed,
        world: this.#world,
        processes: this.#processes,
        endFaults: () => this.#endFaults(),
        onProblem: (what, cause) => this.#fail(what, cause),
      })
      const value = await this.#whenDone(async () => scenario(sim), {
        limitMs: resolved.limitMs,
        what: 'the scenario',
      })
      return {
        value,
        seed: resolved.seed,
        digest: story.digest(),
        events: kernel.events,
        virtualMs: kernel.nowMs,
        faults: Object.fromEntries(faults),
      }
    } catch (thrown) {
      throw this.#asSimulationError(thrown)
    } finally {
      this.#poison.remove()
      this.#tearDown()
    }
  }

  async #setUp(): Promise<void> {
    const { kernel, streams, cluster } = this.#world
    const random = streams.stream('start')
    for (const node of cluster.nodes) kernel.schedule(random.below(START_SPREAD_MS), () => node.start())
    const rest = new ClusterAtRest(cluster, { dead: null, plan: { topics: [] } })
    let events = 0
    await this.#run({
      untilMs: SETUP_LIMIT_MS,
      isDone: () => ++events % LOOK_EVERY_EVENTS === 0 && rest.whyNotWhole() === null,
      onLate: () => `the cluster did not come up: ${rest.whyNotWhole()}`,
    })
    const { topics } = this.#options.resolved
    if (topics.length === 0) return
    await this.#whenDone(
      async () => {
        const { client } = cluster.client()
        for (const topic of topics) await client.admin.createTopic(topic)
        await client.close()
      },
      { limitMs: SETUP_LIMIT_MS, what: 'making the topics' },
    )
  }

  /** Starts the work in a turn of the simulation, and runs the simulation until the work is settled. */
  async #whenDone<R>(
    work: () => Promise<R>,
    { limitMs, what }: { readonly limitMs: number; readonly what: string },
  ): Promise<R> {
    const { kernel } = this.#world
    let outcome: { readonly value: R } | null = null
    kernel.schedule(kernel.nowMs, () => {
      work().then(
        (value) => {
          if (!this.#isInTurn) this.#strayed()
          outcome = { value }
        },
        (error: unknown) => this.#fail(`${what} threw ${showError(error)}`, error),
      )
    })
    await this.#run({
      untilMs: kernel.nowMs + limitMs,
      isDone: () => outcome !== null,
      onLate: () =>
        `${what} did not end within ${limitMs} ms of virtual time (limitMs). It waits for something that does not ` +
        'happen, or for something real, which a simulation does not wait for',
    })
    return outcome!.value
  }

  async #run(until: {
    readonly untilMs: number
    readonly isDone: () => boolean
    readonly onLate: () => string
  }): Promise<void> {
    const { untilMs, isDone, onLate } = until
    const end = await this.#world.kernel.run({
      untilMs,
      afterEvent: () => this.#problem !== null || isDone(),
    })
    if (this.#problem === null && end !== 'condition' && !isDone()) this.#fail(onLate(), undefined)
    if (this.#problem !== null) throw new Error(this.#problem.what, { cause: this.#problem.cause })
  }

  #turn(isBeginning: boolean): void {
    this.#isInTurn = isBeginning
    if (isBeginning) this.#poison.begin()
    else this.#poison.end()
  }

  #endFaults(): void {
    this.#world.nemesis.stop()
    this.#crasher.stop()
  }

  #tearDown(): void {
    const { nodes, clients } = this.#world.cluster
    for (const node of nodes) node.kill()
    for (const { clock } of clients) clock.halt()
  }

  #strayed(): void {
    const error = new Error(OUTSIDE)
    this.#fail(this.#describe(error), error)
  }

  #describe(error: Error): string {
    const place = placeOf(error)
    return place === null ? error.message : `${error.message} It was at ${place}.`
  }

  #fail(what: string, cause: unknown): void {
    this.#problem ??= { what, cause }
  }

  #asSimulationError(thrown: unknown): unknown {
    const { kernel, story } = this.#world
    const problem = this.#problem ?? { what: showError(thrown), cause: thrown }
    return new SimulationError({
      what: problem.what,
      options: this.#options.options,
      virtualMs: kernel.nowMs,
      events: kernel.events,
      story: story.lines,
      trace: story.recent,
      ...(problem.cause === undefined ? {} : { cause: problem.cause }),
    })
  }
}

function showError(thrown: unknown): string {
  if (thrown instanceof VltavaError) return `${thrown.name} ${thrown.code}: ${thrown.message}`
  if (thrown instanceof PoisonError) return thrown.message
  return String(thrown)
}
