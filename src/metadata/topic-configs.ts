// The settings of a topic that are implemented: Kafka's names, and Kafka's defaults where they are safe. Types, checks
// and documentation come from this table.
import { unreachable } from '../base/assert.ts'
import { VltavaError } from '../model/errors.ts'
import { BATCH_ABSOLUTE_MAX_BYTES, MAX_MESSAGE_BYTES_DEFAULT, REPLICAS_MAX } from '../model/limits.ts'
import { allowedNumbers } from './broker-settings.ts'

interface SettingBase {
  readonly doc: string
}

export interface IntegerSetting extends SettingBase {
  readonly type: 'integer'
  readonly unit: 'replicas' | 'bytes' | 'ms' | 'records'
  /** Both inclusive. */
  readonly min: number
  readonly max: number
  readonly default: number
}

export interface RatioSetting extends SettingBase {
  readonly type: 'ratio'
  /** From 0 to 1, both inclusive. */
  readonly default: number
}

export interface ChoiceSetting extends SettingBase {
  readonly type: 'choice'
  readonly values: readonly string[]
  readonly default: string
}

export type TopicSetting = IntegerSetting | RatioSetting | ChoiceSetting

const DAY_MS = 86_400_000

export const TOPIC_SETTINGS = {
  'min.insync.replicas': {
    type: 'integer',
    unit: 'replicas',
    min: 1,
    max: REPLICAS_MAX,
    default: 2,
    doc:
      'How many in-sync replicas, the leader included, an acks=all record needs before it is acknowledged. ' +
      'A topic with fewer replicas than this needs all of them.',
  },
  'max.message.bytes': {
    type: 'integer',
    unit: 'bytes',
    min: 1024,
    max: BATCH_ABSOLUTE_MAX_BYTES,
    default: MAX_MESSAGE_BYTES_DEFAULT,
    doc: 'The largest record batch that is accepted, compressed as it arrives.',
  },
  'cleanup.policy': {
    type: 'choice',
    values: ['delete', 'compact', 'compact,delete'],
    default: 'delete',
    doc:
      '`delete` removes old segments by `retention.ms` and `retention.bytes`; `compact` keeps the latest record of ' +
      'each key; `compact,delete` does both.',
  },
  'retention.ms': {
    type: 'integer',
    unit: 'ms',
    min: -1,
    max: Number.MAX_SAFE_INTEGER,
    default: 7 * DAY_MS,
    doc: 'With `delete`: a segment whose latest record is older than this is removed. -1: no limit.',
  },
  'retention.bytes': {
    type: 'integer',
    unit: 'bytes',
    min: -1,
    max: Number.MAX_SAFE_INTEGER,
    default: -1,
    doc:
      'With `delete`: the oldest segments of a partition are removed while the others still have at least so many ' +
      'bytes. -1: no limit.',
  },
  'segment.bytes': {
    type: 'integer',
    unit: 'bytes',
    min: 16 * 1024,
    max: 2 ** 31 - 1,
    default: 1024 ** 3,
    doc:
      'A segment file is closed and the next one begun before it would grow beyond this. Kafka starts at 1 MiB; ' +
      'the lower bound here is meant for trying out how segments roll, as each segment costs three open files.',
  },
  'segment.ms': {
    type: 'integer',
    unit: 'ms',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    default: 7 * DAY_MS,
    doc:
      'The next segment is begun at the latest when the first record of the active one is so old, so that retention ' +
      'and compaction can take it.',
  },
  'index.interval.bytes': {
    type: 'integer',
    unit: 'bytes',
    min: 0,
    max: 2 ** 31 - 1,
    default: 4096,
    doc: 'How many bytes of batches lie between two entries of the offset index; 0 indexes every batch. A change counts from the next start of a broker.',
  },
  'file.delete.delay.ms': {
    type: 'integer',
    unit: 'ms',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    default: 60_000,
    doc: 'How long the files of a removed segment or partition stay on disk under another name.',
  },
  'flush.messages': {
    type: 'integer',
    unit: 'records',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    default: 1,
    doc:
      'With 1 a record counts as replicated only once it is fsynced on the replica that counts it. Larger values ' +
      'fsync after so many records and count what is written, as Kafka does: replication alone protects the records.',
  },
  'unclean.leader.election.enable': {
    type: 'choice',
    values: ['true', 'false'],
    default: 'false',
    doc:
      'Whether a replica that may lack acknowledged records is elected when no member of the ISR or the ELR is alive. With ' +
      '`false` the partition waits, offline. With `true` records can be lost.',
  },
  'flush.ms': {
    type: 'integer',
    unit: 'ms',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    default: Number.MAX_SAFE_INTEGER,
    doc: 'With `flush.messages` above 1: the longest time a record waits for an fsync.',
  },
  'min.cleanable.dirty.ratio': {
    type: 'ratio',
    default: 0.5,
    doc: 'With `compact`: the share of a log that must be new since the last compaction before the next one begins.',
  },
  'min.compaction.lag.ms': {
    type: 'integer',
    unit: 'ms',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    default: 0,
    doc: 'With `compact`: a record stays uncompacted for at least so long.',
  },
  'max.compaction.lag.ms': {
    type: 'integer',
    unit: 'ms',
    min: 1,
    max: Number.MAX_SAFE_INTEGER,
    default: Number.MAX_SAFE_INTEGER,
    doc: 'With `compact`: a record waits for compaction no longer than this, whatever the dirty ratio is.',
  },
  'delete.retention.ms': {
    type: 'integer',
    unit: 'ms',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    default: DAY_MS,
    doc: 'With `compact`: how long a tombstone (a key with a null value) stays after it was compacted.',
  },
} as const satisfies Readonly<Record<string, TopicSetting>>

export type TopicSettingName = keyof typeof TOPIC_SETTINGS

export interface TopicConfig {
  /** As set; `effectiveMinInsyncReplicas` is what counts for a partition. */
  readonly minInsyncReplicas: number
  readonly maxMessageBytes: number
  readonly cleanupDeletes: boolean
  readonly cleanupCompacts: boolean
  /** null: no limit. */
  readonly retentionMs: number | null
  /** null: no limit. */
  readonly retentionBytes: number | null
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly indexIntervalBytes: number
  readonly fileDeleteDelayMs: number
  readonly flushMessages: number
  readonly flushMs: number
  readonly uncleanLeaderElection: boolean
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
  readonly deleteRetentionMs: number
}

/** The typed settings of a topic, with defaults for what was not set. The values were checked when they were set. */
export function topicConfigOf(configs: ReadonlyMap<string, string>): TopicConfig {
  const text = (name: TopicSettingName): string => configs.get(name) ?? String(TOPIC_SETTINGS[name].default)
  const value = (name: TopicSettingName): number => Number(text(name))
  const limit = (name: TopicSettingName): number | null => (value(name) < 0 ? null : value(name))
  const policies = text('cleanup.policy').split(',')
  return {
    minInsyncReplicas: value('min.insync.replicas'),
    maxMessageBytes: value('max.message.bytes'),
    cleanupDeletes: policies.includes('delete'),
    cleanupCompacts: policies.includes('compact'),
    retentionMs: limit('retention.ms'),
    retentionBytes: limit('retention.bytes'),
    segmentBytes: value('segment.bytes'),
    segmentMs: value('segment.ms'),
    indexIntervalBytes: value('index.interval.bytes'),
    fileDeleteDelayMs: value('file.delete.delay.ms'),
    flushMessages: value('flush.messages'),
    flushMs: value('flush.ms'),
    uncleanLeaderElection: text('unclean.leader.election.enable') === 'true',
    minCleanableDirtyRatio: value('min.cleanable.dirty.ratio'),
    minCompactionLagMs: value('min.compaction.lag.ms'),
    maxCompactionLagMs: value('max.compaction.lag.ms'),
    deleteRetentionMs: value('delete.retention.ms'),
  }
}

/** `flush.messages` of a topic, without a look at its other settings. */
export function flushMessagesOf(configs: ReadonlyMap<string, string>): number {
  const text = configs.get('flush.messages')
  return text === undefined ? TOPIC_SETTINGS['flush.messages'].default : Number(text)
}

/** A partition with fewer replicas than min.insync.replicas needs all of them, or it could never be written to. */
export function effectiveMinInsyncReplicas(config: TopicConfig, replicationFactor: number): number {
  return Math.min(config.minInsyncReplicas, replicationFactor)
}

/**
 * Checks the settings a user gave for a topic.
 * @throws VltavaError INVALID_CONFIG that names the setting, the value and what is allowed
 */
export function checkTopicConfigs(
  configs: readonly { readonly name: string; readonly value: string }[],
): ReadonlyMap<TopicSettingName, string> {
  const checked = new Map<TopicSettingName, string>()
  for (const { name, value } of configs) {
    const known = knownTopicSetting(name)
    if (checked.has(known)) throw new VltavaError('INVALID_CONFIG', `${name} is set twice; set it once.`)
    checked.set(known, checkedValue(known, value))
  }
  return checked
}

/** @throws VltavaError INVALID_CONFIG for a name that is no setting of a topic */
export function knownTopicSetting(name: string): TopicSettingName {
  if (Object.hasOwn(TOPIC_SETTINGS, name)) return name as TopicSettingName
  throw new VltavaError(
    'INVALID_CONFIG',
    `Unknown topic setting ${JSON.stringify(name)}. Known are ${Object.keys(TOPIC_SETTINGS).join(', ')}.`,
  )
}

function checkedValue(name: TopicSettingName, value: string): string {
  const setting: TopicSetting = TOPIC_SETTINGS[name]
  const checked = parsedValue(setting, value)
  if (checked !== null) return checked
  throw new VltavaError(
    'INVALID_CONFIG',
    `${name} must be ${allowedValues(setting)}, got ${JSON.stringify(value.slice(0, 60))}.`,
  )
}

/** The value in its one normal form; null when it is not allowed. */
function parsedValue(setting: TopicSetting, value: string): string | null {
  switch (setting.type) {
    case 'integer': {
      const number = /^-?\d{1,16}$/.test(value) ? Number(value) : Number.NaN
      return number >= setting.min && number <= setting.max ? String(number) : null
    }
    case 'ratio': {
      const number = /^\d(\.\d{1,15})?$/.test(value) ? Number(value) : Number.NaN
      return number >= 0 && number <= 1 ? String(number) : null
    }
    case 'choice': {
      // A list means the same in any order.
      const normal = value
        .split(',')
        .map((part) => part.trim())
        .sort()
        .join(',')
      return setting.values.includes(normal) ? normal : null
    }
    default:
      return unreachable(setting)
  }
}

/** What a setting allows, in words. */
export function allowedValues(setting: TopicSetting): string {
  switch (setting.type) {
    case 'integer':
      return allowedNumbers(setting)
    case 'ratio':
      return 'a number from 0 to 1'
    case 'choice':
      return `one of ${setting.values.map((value) => JSON.stringify(value)).join(', ')}`
    default:
      return unreachable(setting)
  }
}
