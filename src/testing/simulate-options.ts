// What `simulate` takes, checked.
import type { CreateTopicOptions } from '../client/admin-options.ts'
import {
  customOption,
  type Given,
  integerOption,
  type Option,
  type Resolved,
  resolveOptions,
  showValue,
} from '../client/options.ts'
import { VltavaError } from '../model/errors.ts'
import { FAULT_NAMES } from './simulation/simulation-plan.ts'
import { checkTestSettings, settingsOption } from './test-settings.ts'

/** What shows in the files of brokers, and to clients no more than a kill does. */
const INNER_FAULTS = ['wipe', 'bit-flip', 'dead-flip', 'stop-power-loss', 'foreign-files'] as const
type BrokerFault = Exclude<(typeof FAULT_NAMES)[number], (typeof INNER_FAULTS)[number]>
/** A fault of brokers, their disks and the network, or `'crash-process'`: the end of a process of the scenario. */
export type SimulationFault = BrokerFault | 'crash-process'

const BROKER_FAULTS = FAULT_NAMES.filter(
  (name): name is BrokerFault => !(INNER_FAULTS as readonly string[]).includes(name),
)
/**
 * All that there are. A disk that is replaced by an empty one is none of them: clients see no more of it than of a kill,
 * and a few of them lose a cluster.
 */
export const SIMULATION_FAULTS: readonly SimulationFault[] = [...BROKER_FAULTS, 'crash-process']

/** What happens in any data centre, and costs a cluster nothing but time. */
export const DEFAULT_FAULTS: readonly SimulationFault[] = [
  'kill',
  'power-loss',
  'restart',
  'pause',
  'partition',
  'break',
  'slow-link',
  'slow-disk',
  'crash-process',
]

const SEED_MAX = 2 ** 32 - 1
const MINUTE_MS = 60_000

const seedOption: Option<number> = {
  allowed: `an integer from 0 to ${SEED_MAX}`,
  check: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= SEED_MAX,
}

const isFunctionOrNull = (value: unknown): boolean => value === null || typeof value === 'function'
const isMeanOrNull = (value: unknown): boolean =>
  value === null ||
  (Number.isInteger(value) && (value as number) >= 10 && (value as number) <= 10 * MINUTE_MS)
const meanOption = customOption<number | null>({
  fallback: null,
  allowed: `an integer from 10 to ${10 * MINUTE_MS}, or null`,
  check: isMeanOrNull,
})

const SCENARIO_OPTIONS = {
  /** Faults that may strike, by name; `[]` for none. Default: DEFAULT_FAULTS. */
  faults: customOption<readonly SimulationFault[]>({
    fallback: DEFAULT_FAULTS,
    allowed: `a list with names of ${SIMULATION_FAULTS.join(', ')}`,
    check: (value) =>
      Array.isArray(value) && value.every((name) => (SIMULATION_FAULTS as readonly unknown[]).includes(name)),
  }),
  /** Brokers of the cluster; the first three are controllers as well. 1 to 9, default 3. */
  brokers: integerOption({ min: 1, max: 9, fallback: 3 }),
  /** Topics that are made before the scenario and the faults begin. Default: none. */
  topics: customOption<readonly CreateTopicOptions[]>({
    fallback: [],
    allowed: 'a list of what admin.createTopic takes',
    check: (value) =>
      Array.isArray(value) && value.every((topic) => typeof topic === 'object' && topic !== null),
  }),
  /** Mean virtual milliseconds between two faults, 10 to 600,000; null for 1,000, 2,000 or 5,000, as the seed has it. */
  faultEveryMs: meanOption,
  /**
   * Mean virtual milliseconds until a fault is over or what has died is started again, 10 to 600,000; null for 300, 1,000
   * or 3,000, as the seed has it.
   */
  faultLastsMs: meanOption,
  /** Virtual milliseconds within which the scenario must end. 1,000 to 86,400,000, default 300,000. */
  limitMs: integerOption({ min: 1_000, max: 1_440 * MINUTE_MS, fallback: 5 * MINUTE_MS }),
  /** Called with each line of the trace. Default: nothing. */
  onLine: customOption<((line: string) => void) | null>({
    fallback: null,
    allowed: 'a function or null',
    check: isFunctionOrNull,
  }),
  /** Settings of every broker. Default: those of a broker in production. */
  settings: settingsOption,
} as const

const SIMULATE_OPTIONS = { seed: seedOption, ...SCENARIO_OPTIONS } as const
const SIMULATE_MANY_OPTIONS = {
  /** How many seeds to run, one after the other. 1 to 1,000,000. */
  seeds: { allowed: 'an integer from 1 to 1000000', check: isCount } as Option<number>,
  /** The first of them. 0 to 2^32-1, default 1. */
  from: { ...seedOption, fallback: { value: 1 } } as Option<number>,
  ...SCENARIO_OPTIONS,
} as const

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 1_000_000
}

/** What every simulation takes; all of it may be left out. */
export type ScenarioOptions = Given<typeof SCENARIO_OPTIONS>
/** Only `seed` is required: an integer from 0 to 2^32-1. The same seed is the same run, to the last event. */
export type SimulateOptions = ScenarioOptions & { readonly seed: number }
/** Only `seeds` is required. */
export type SimulateManyOptions = ScenarioOptions & {
  readonly seeds: number
  readonly from?: number | undefined
}

export type ResolvedScenario = Resolved<typeof SCENARIO_OPTIONS> & { readonly seed: number }

/** @throws VltavaError INVALID_ARGUMENT, INVALID_CONFIG that say what was wrong and what is allowed. */
export function resolveSimulate(given: SimulateOptions): ResolvedScenario {
  const resolved = resolveOptions(SIMULATE_OPTIONS, checkObject(given, 'simulate'), 'simulate')
  return { ...resolved, settings: checkTestSettings('simulate', { given: resolved.settings, defaults: {} }) }
}

/** @throws VltavaError as `resolveSimulate` does; INVALID_ARGUMENT for seeds beyond the last. */
export function resolveSimulateMany(given: SimulateManyOptions): {
  readonly seeds: number
  readonly from: number
  readonly scenario: SimulateOptions
} {
  checkObject(given, 'simulateMany')
  const { seeds, from } = resolveOptions(SIMULATE_MANY_OPTIONS, given, 'simulateMany')
  if (from + seeds - 1 > SEED_MAX) {
    const detail = `simulateMany: ${seeds} seeds from ${from} go beyond ${SEED_MAX}, the last one.`
    throw new VltavaError('INVALID_ARGUMENT', detail)
  }
  const { seeds: _seeds, from: _from, ...scenario } = given
  return { seeds, from, scenario: { ...scenario, seed: from } }
}

function checkObject<T>(given: T, what: string): T {
  if (typeof given === 'object' && given !== null) return given
  const detail = `${what}: the options must be an object such as { seed: 1 }, got ${showValue(given)}.`
  throw new VltavaError('INVALID_ARGUMENT', detail)
}
