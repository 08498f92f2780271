// The settings of a topic that are implemented: Kafka's names, and Kafka's defaults where they are safe. Types, checks
// and documentation come from this table.
import { VltavaError } from '../model/errors.ts'
import { BATCH_ABSOLUTE_MAX_BYTES, MAX_MESSAGE_BYTES_DEFAULT, REPLICAS_MAX } from '../model/limits.ts'

export interface TopicSetting {
  readonly unit: 'replicas' | 'bytes'
  /** Both inclusive. */
  readonly min: number
  readonly max: number
  readonly default: number
  readonly doc: string
}

export const TOPIC_SETTINGS = {
  'min.insync.replicas': {
    unit: 'replicas',
    min: 1,
    max: REPLICAS_MAX,
    default: 2,
    doc:
      'How many in-sync replicas, the leader included, an acks=all record needs before it is acknowledged. ' +
      'A topic with fewer replicas than this needs all of them.',
  },
  'max.message.bytes': {
    unit: 'bytes',
    min: 1024,
    max: BATCH_ABSOLUTE_MAX_BYTES,
    default: MAX_MESSAGE_BYTES_DEFAULT,
    doc: 'The largest record batch that is accepted, compressed as it arrives.',
  },
  'segment.bytes': {
    unit: 'bytes',
    min: 16 * 1024,
    max: 2 ** 31 - 1,
    default: 1024 ** 3,
    doc:
      'A segment file is closed and the next one begun before it would grow beyond this. Kafka starts at 1 MiB; ' +
      'the lower bound here is meant for trying out how segments roll, as each segment costs three open files.',
  },
  'index.interval.bytes': {
    unit: 'bytes',
    min: 0,
    max: 2 ** 31 - 1,
    default: 4096,
    doc: 'How many bytes of batches lie between two entries of the offset index; 0 indexes every batch.',
  },
} as const satisfies Readonly<Record<string, TopicSetting>>

export type TopicSettingName = keyof typeof TOPIC_SETTINGS

export interface TopicConfig {
  /** As set; `effectiveMinInsyncReplicas` is what counts for a partition. */
  readonly minInsyncReplicas: number
  readonly maxMessageBytes: number
  readonly segmentBytes: number
  readonly indexIntervalBytes: number
}

/** The typed settings of a topic, with defaults for what was not set. The values were checked when they were set. */
export function topicConfigOf(configs: ReadonlyMap<string, string>): TopicConfig {
  const value = (name: TopicSettingName): number => {
    const text = configs.get(name)
    return text === undefined ? TOPIC_SETTINGS[name].default : Number(text)
  }
  return {
    minInsyncReplicas: value('min.insync.replicas'),
    maxMessageBytes: value('max.message.bytes'),
    segmentBytes: value('segment.bytes'),
    indexIntervalBytes: value('index.interval.bytes'),
  }
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
    const known = knownName(name)
    if (checked.has(known)) throw new VltavaError('INVALID_CONFIG', `${name} is set twice; set it once.`)
    checked.set(known, checkedValue(known, value))
  }
  return checked
}

function knownName(name: string): TopicSettingName {
  if (Object.hasOwn(TOPIC_SETTINGS, name)) return name as TopicSettingName
  if (name === 'flush.messages') {
    throw new VltavaError(
      'INVALID_CONFIG',
      'flush.messages cannot be set: every record is fsynced on each replica that counts it before it is ' +
        'acknowledged, as flush.messages=1 says. Larger values are not offered yet. Leave the setting out.',
    )
  }
  throw new VltavaError(
    'INVALID_CONFIG',
    `Unknown topic setting ${JSON.stringify(name)}. Known are ${Object.keys(TOPIC_SETTINGS).join(', ')}.`,
  )
}

function checkedValue(name: TopicSettingName, value: string): string {
  const { min, max, unit } = TOPIC_SETTINGS[name]
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (number >= min && number <= max) return String(number)
  throw new VltavaError(
    'INVALID_CONFIG',
    `${name} must be a whole number of ${unit} from ${min} to ${max}, got ${JSON.stringify(value.slice(0, 60))}.`,
  )
}
