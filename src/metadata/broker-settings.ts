// The settings of nodes that count as soon as they are changed in the metadata, without a restart. A value set for one node wins over
// one set for all, that one over what the node was started with. server/config-table.ts has all settings of a node; of these it takes
// the rows from here.
import { VltavaError } from '../model/errors.ts'

export interface DynamicSetting {
  readonly type: 'integer'
  readonly unit: 'ms' | 's' | 'bytes' | 'percent'
  /** Both inclusive. */
  readonly min: number
  readonly max: number
  /** Where nothing is set anywhere. */
  readonly fallback: number
  readonly doc: string
}

const setting = (
  unit: DynamicSetting['unit'],
  range: Pick<DynamicSetting, 'fallback' | 'min' | 'max'>,
  doc: string,
): DynamicSetting => ({ type: 'integer', unit, ...range, doc })

const DAY_MS = 86_400_000
const MIB = 1024 * 1024

export const DYNAMIC_SETTINGS = {
  'leader.imbalance.check.interval.seconds': setting(
    's',
    { fallback: 300, min: 0, max: DAY_MS / 1_000 },
    'How often the active controller moves leaderships back to preferred replicas that are in sync; 0: never.',
  ),
  'replica.lag.time.max.ms': setting(
    'ms',
    { fallback: 30_000, min: 100, max: DAY_MS },
    'A follower that was not at the log end for this long leaves the in-sync set.',
  ),
  'replica.fetch.wait.max.ms': setting(
    'ms',
    { fallback: 500, min: 1, max: 30_000 },
    'How long a fetch of a follower parks at the leader.',
  ),
  'replica.fetch.max.bytes': setting(
    'bytes',
    { fallback: 4 * MIB, min: 1_024, max: 16 * MIB },
    'Bytes of one partition in one fetch of a follower.',
  ),
  'replica.fetch.response.max.bytes': setting(
    'bytes',
    { fallback: 10 * MIB, min: 1_024, max: 16 * MIB },
    'Bytes of one whole fetch of a follower.',
  ),
  'leader.replication.throttled.rate': setting(
    'bytes',
    { fallback: Number.MAX_SAFE_INTEGER, min: 1_024, max: Number.MAX_SAFE_INTEGER },
    'Bytes per second that this broker, as the leader, gives to replicas that a reassignment adds, until they are in sync; no limit by default. Other replicas are never held up.',
  ),
  'follower.replication.throttled.rate': setting(
    'bytes',
    { fallback: Number.MAX_SAFE_INTEGER, min: 1_024, max: Number.MAX_SAFE_INTEGER },
    'Bytes per second that this broker copies for replicas that a reassignment adds to it, until they are in sync; no limit by default. Its other replicas are never held up.',
  ),
  'log.retention.check.interval.ms': setting(
    'ms',
    { fallback: 300_000, min: 100, max: DAY_MS },
    'How often logs are looked at for records to delete by age or size, and for segments older than segment.ms.',
  ),
  'log.cleaner.backoff.ms': setting(
    'ms',
    { fallback: 15_000, min: 1, max: DAY_MS },
    'How long the log cleaner sleeps when no compacted log is due.',
  ),
  'log.cleaner.dedupe.buffer.size': setting(
    'bytes',
    { fallback: 128 * MIB, min: MIB, max: 2 ** 31 - 1 },
    'Memory for the keys of a log while it is compacted, about 40 bytes for each of 20 bytes. What does not fit waits for the next run.',
  ),
  'log.cleaner.io.max.bytes.per.second': setting(
    'bytes',
    { fallback: Number.MAX_SAFE_INTEGER, min: MIB, max: Number.MAX_SAFE_INTEGER },
    'Bytes that the log cleaner reads and writes in a second; no limit by default.',
  ),
  'log.disk.usage.warn.percent': setting(
    'percent',
    { fallback: 85, min: 1, max: 100 },
    'Used space of the disk from which on a warning is logged.',
  ),
  'log.disk.usage.max.percent': setting(
    'percent',
    { fallback: 95, min: 1, max: 100 },
    'Used space of the disk from which on no records are taken (DISK_FULL). Reads, deletion and the metadata log go on. 100: no limit.',
  ),
  'log.disk.reserve.bytes': setting(
    'bytes',
    { fallback: 10 * 1024 * MIB, min: 0, max: 1024 * 1024 * MIB },
    'Not more than this must stay free, however large the disk is; the warning comes at three times as much.',
  ),
  'log.scrub.bytes.per.second': setting(
    'bytes',
    { fallback: 8 * MIB, min: 1_024, max: 1024 * MIB },
    'How fast the scrub reads at most.',
  ),
  'controlled.shutdown.timeout.ms': setting(
    'ms',
    { fallback: 10_000, min: 0, max: 600_000 },
    'How long a stopping broker waits for its leaderships to move.',
  ),
} as const satisfies Readonly<Record<string, DynamicSetting>>

export type DynamicSettingName = keyof typeof DYNAMIC_SETTINGS

export const DYNAMIC_SETTING_NAMES = Object.keys(DYNAMIC_SETTINGS) as readonly DynamicSettingName[]

export function isDynamicSetting(name: string): name is DynamicSettingName {
  return Object.hasOwn(DYNAMIC_SETTINGS, name)
}

/** What a setting allows, in words. */
export function allowedNumbers(of: {
  readonly unit: string
  readonly min: number
  readonly max: number
}): string {
  const { unit, min, max } = of
  return `a whole number of ${unit} from ${min} to ${max}`
}

/** The number that a text stands for; null where the setting does not allow it. */
export function dynamicValueOf(name: DynamicSettingName, text: string): number | null {
  const { min, max } = DYNAMIC_SETTINGS[name]
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return value >= min && value <= max ? value : null
}

/**
 * Checks one value that is to be set.
 * @returns the value in its one normal form
 * @throws VltavaError INVALID_CONFIG that names the setting, the value and what is allowed
 */
export function checkedDynamicValue(name: DynamicSettingName, text: string): string {
  const value = dynamicValueOf(name, text)
  if (value !== null) return String(value)
  throw new VltavaError(
    'INVALID_CONFIG',
    `${name} must be ${allowedNumbers(DYNAMIC_SETTINGS[name])}, got ${JSON.stringify(text.slice(0, 60))}.`,
  )
}

/**
 * @param isStatic whether a name is a setting that nodes read at their start only.
 * @throws VltavaError INVALID_CONFIG for a name that is no setting of a node, or that a running node does not look at
 */
export function knownDynamicSetting(name: string, isStatic: (name: string) => boolean): DynamicSettingName {
  if (isDynamicSetting(name)) return name
  const known = `While nodes run, ${DYNAMIC_SETTING_NAMES.join(', ')} can be changed.`
  throw new VltavaError(
    'INVALID_CONFIG',
    isStatic(name)
      ? `${name} needs a restart: set it in the configuration file of each node, and start the node again. ${known}`
      : `Unknown setting of a node ${JSON.stringify(name.slice(0, 200))}. ${known}`,
  )
}
