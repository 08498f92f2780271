// The options of `vltava chaos run`, checked.
import { CONFIG_TABLE } from '../server/config-table.ts'
import { FAULT_NAMES, type FaultName } from './chaos-schedule.ts'
import { UsageError } from './terminal.ts'
import { parseInteger, parsePair } from './text-options.ts'

export interface GivenChaosOptions {
  readonly duration: string
  readonly interval: string
  readonly faults: string
  readonly seed?: string
  readonly brokers: string
  readonly partitions: string
  readonly producers: string
  readonly consumers: string
  readonly set: readonly string[]
  readonly history?: string
  readonly dataDir?: string
  readonly keep?: boolean
  readonly json?: boolean
}

export interface ChaosOptions {
  readonly durationMs: number
  readonly intervalMs: number
  readonly faults: readonly FaultName[]
  /** null: to be drawn. */
  readonly seed: number | null
  readonly brokers: number
  readonly partitions: number
  readonly producers: number
  readonly consumers: number
  readonly settings: Readonly<Record<string, string>>
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const HOUR_MS = 3_600_000

/** What the run sets for each node by itself. */
const RESERVED: readonly string[] = [
  'node.id',
  'log.dir',
  'listener.host',
  'listener.port',
  'advertised.url',
  'controller.quorum.voters',
  'process.roles',
]

/** @throws UsageError naming the option, what was given and what is allowed. */
export function parseChaosOptions(given: GivenChaosOptions): ChaosOptions {
  const integer = (
    name: 'brokers' | 'partitions' | 'producers' | 'consumers',
    range: { readonly min: number; readonly max: number },
  ): number => parseInteger(given[name], { option: `--${name}`, ...range })
  return {
    durationMs: parseDuration(given.duration, { option: '--duration', minMs: 1_000, maxMs: 24 * HOUR_MS }),
    intervalMs: parseDuration(given.interval, { option: '--interval', minMs: 100, maxMs: HOUR_MS }),
    faults: parseFaults(given.faults),
    seed:
      given.seed === undefined
        ? null
        : parseInteger(given.seed, { option: '--seed', min: 0, max: 2 ** 32 - 1 }),
    brokers: integer('brokers', { min: 1, max: 9 }),
    partitions: integer('partitions', { min: 1, max: 64 }),
    producers: integer('producers', { min: 1, max: 64 }),
    consumers: integer('consumers', { min: 0, max: 64 }),
    settings: parseSettings(given.set),
  }
}

/**
 * Parses an amount of time such as 500ms, 60s, 2m or 1h.
 * @throws UsageError naming the option, the value and what is allowed.
 */
export function parseDuration(
  text: string,
  rule: { readonly option: string; readonly minMs: number; readonly maxMs: number },
): number {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  const ms = found === null ? Number.NaN : Math.round(Number(found[1]) * UNITS_MS[found[2]!]!)
  if (ms >= rule.minMs && ms <= rule.maxMs) return ms
  throw new UsageError(
    `${rule.option}: must be a time such as 500ms, 60s, 2m or 1h, from ${rule.minMs / 1_000} s to ${rule.maxMs / 1_000} s, got ${JSON.stringify(text)}`,
  )
}

/**
 * Parses names with commas; `all` stands for all of them.
 * @throws UsageError that lists the names there are.
 */
export function parseFaults(text: string): readonly FaultName[] {
  const names = new Set(text.split(',').map((name) => name.trim()))
  if (names.has('all')) return FAULT_NAMES
  for (const name of names) {
    if ((FAULT_NAMES as readonly string[]).includes(name)) continue
    throw new UsageError(
      `--faults: there is no fault ${JSON.stringify(name)}; there are ${FAULT_NAMES.join(', ')}, and all`,
    )
  }
  return FAULT_NAMES.filter((name) => names.has(name))
}

function parseSettings(pairs: readonly string[]): Readonly<Record<string, string>> {
  const settings = pairs.map((pair) => parsePair(pair, '--set'))
  for (const { name } of settings) {
    if (RESERVED.includes(name)) {
      throw new UsageError(`--set: ${name} is given to each node by the run itself`)
    }
    if (!Object.hasOwn(CONFIG_TABLE, name)) {
      throw new UsageError(`--set: unknown setting ${JSON.stringify(name)}; "vltava serve --help" lists them`)
    }
  }
  return Object.fromEntries(settings.map(({ name, value }) => [name, value]))
}
