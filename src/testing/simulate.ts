// Runs a test of a producer or a consumer, as it stands, under virtual time and seeded faults.
import { VltavaError } from '../model/errors.ts'
import { NodePoison } from '../platform/node/node-poison.ts'
import { type Scenario, ScenarioRun, type SimulationReport } from './scenario/scenario-run.ts'
import {
  resolveSimulate,
  resolveSimulateMany,
  type SimulateManyOptions,
  type SimulateOptions,
} from './simulate-options.ts'

/**
 * Runs a scenario on a simulated cluster: the real client, broker, controller and storage code, on a clock, a network and
 * disks of the simulation. Time is virtual, faults are drawn from the seed, and the same seed is the same run.
 *
 * All time, timers, randomness and I/O of the scenario must come from `sim`: what is real throws a PoisonError while the
 * simulation runs. One simulation runs at a time in a process.
 * @param options `seed` is required.
 * @param scenario gets the simulation; the faults begin with it. What it throws fails the simulation.
 * @throws SimulationError when the scenario throws, does not end, or uses what is real; it has the seed, the call that
 *   runs it again, and the original error as `cause`. VltavaError INVALID_ARGUMENT, INVALID_CONFIG for the options.
 */
export async function simulate<T>(
  options: SimulateOptions,
  scenario: Scenario<T>,
): Promise<SimulationReport<T>> {
  checkScenario(scenario, 'simulate')
  const resolved = resolveSimulate(options)
  if (NodePoison.isInstalled) {
    const detail = 'simulate: another simulation runs in this process; await it before the next one begins.'
    throw new VltavaError('INVALID_ARGUMENT', detail)
  }
  return await new ScenarioRun({ options, resolved, scenario }).run()
}

/** What many seeds came to. */
export interface SimulationSummary {
  readonly seeds: number
  /** Events and virtual milliseconds of all of them. */
  readonly events: number
  readonly virtualMs: number
  /** How often each fault struck. */
  readonly faults: Readonly<Record<string, number>>
}

/**
 * Runs a scenario under many seeds, one after the other, and stops at the first that fails.
 * @param options `seeds` is required; `from` is the first one.
 * @throws SimulationError of the first seed that fails; VltavaError as `simulate` does.
 */
export async function simulateMany<T>(
  options: SimulateManyOptions,
  scenario: Scenario<T>,
): Promise<SimulationSummary> {
  checkScenario(scenario, 'simulateMany')
  const { seeds, from, scenario: shared } = resolveSimulateMany(options)
  const faults: Record<string, number> = {}
  let events = 0
  let virtualMs = 0
  for (let seed = from; seed < from + seeds; seed++) {
    const report = await simulate({ ...shared, seed }, scenario)
    events += report.events
    virtualMs += report.virtualMs
    for (const [name, count] of Object.entries(report.faults)) faults[name] = (faults[name] ?? 0) + count
  }
  return { seeds, events, virtualMs, faults }
}

function checkScenario(scenario: unknown, what: string): void {
  if (typeof scenario === 'function') return
  throw new VltavaError('INVALID_ARGUMENT', `${what}: the second argument must be a function, the scenario.`)
}
