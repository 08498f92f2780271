// What the admin calls take, and the checks of it.
import { VltavaError } from '../model/errors.ts'
import type { NodeId, Offset, PartitionIndex } from '../model/ids.ts'
import { customOption, type Given, integerOption, resolveOptions, showValue } from './options.ts'
import type { OffsetSpec } from './start-position.ts'

const INT32_MIN = -(2 ** 31)
const INT32_MAX = 2 ** 31 - 1

/** Milliseconds one admin call may take, all attempts included. */
const timeoutMs = integerOption({ min: 100, max: 300_000, fallback: 30_000 })

const isConfigs = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((text) => typeof text === 'string')

const CREATE_TOPIC_OPTIONS = {
  /** How many partitions. The cluster allows 1 to 10,000. Default 1. */
  partitions: integerOption({ min: INT32_MIN, max: INT32_MAX, fallback: 1 }),
  /** Replicas of each partition, at most one for each broker. Default (null): 3, or the number of brokers if less. */
  replicationFactor: customOption<number | null>({
    fallback: null,
    allowed: `an integer from ${INT32_MIN} to ${INT32_MAX}, or null`,
    check: (value) =>
      value === null ||
      (Number.isInteger(value) && (value as number) >= INT32_MIN && (value as number) <= INT32_MAX),
  }),
  /** Asynchronous replicas of each partition, beside those of the replication factor. Default 0. */
  observers: integerOption({ min: 0, max: INT32_MAX, fallback: 0 }),
  /** Settings of the topic by Kafka's names, such as `{ 'segment.bytes': '67108864' }`. Default: none. */
  configs: customOption<Readonly<Record<string, string>>>({
    fallback: {},
    allowed: 'an object of text values',
    check: isConfigs,
  }),
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  timeoutMs,
} as const

export type CreateTopicOptions = Given<typeof CREATE_TOPIC_OPTIONS> & {
  /** 1 to 249 of the characters a-z A-Z 0-9 . _ and -. */
  readonly name: string
}

export function resolveCreateTopic(given: CreateTopicOptions) {
  const { name, ...rest } = given
  if (typeof name !== 'string') {
    throw new VltavaError('INVALID_ARGUMENT', `createTopic: the name must be text, got ${showValue(name)}.`)
  }
  return { name, ...resolveOptions(CREATE_TOPIC_OPTIONS, rest, 'createTopic') }
}

const TIMEOUT_OPTIONS = { timeoutMs } as const

export type TimeoutOptions = Given<typeof TIMEOUT_OPTIONS>

/** @param call names the call in errors. */
export function resolveTimeoutMs(given: TimeoutOptions, call: string): number {
  return resolveOptions(TIMEOUT_OPTIONS, given, call).timeoutMs
}

/**
 * Whom to elect: the first replica of each partition, one that is in sync, or, for a partition without a leader, one that may lack
 * acknowledged records (`replica` null: the first that is alive).
 */
export type LeaderElection =
  | { readonly kind: 'preferred' }
  | { readonly kind: 'replica'; readonly replica: NodeId }
  | { readonly kind: 'unclean'; readonly replica: NodeId | null }

const isNodeId = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

const isElection = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false
  const { kind, replica } = value as { readonly kind?: unknown; readonly replica?: unknown }
  if (kind === 'preferred') return true
  return kind === 'replica'
    ? isNodeId(replica)
    : kind === 'unclean' && (replica === null || isNodeId(replica))
}

const isPartitionList = (value: unknown): boolean =>
  value === null ||
  (Array.isArray(value) && value.every((partition) => Number.isSafeInteger(partition) && partition >= 0))

const ELECT_LEADERS_OPTIONS = {
  election: customOption<LeaderElection>({
    fallback: { kind: 'preferred' },
    allowed:
      '{ kind: "preferred" }, { kind: "replica", replica } or { kind: "unclean", replica } with a broker id or null',
    check: isElection,
  }),
  /** Which partitions. Default (null): all. */
  partitions: customOption<readonly PartitionIndex[] | null>({
    fallback: null,
    allowed: 'a list of partition numbers from 0, or null for all',
    check: isPartitionList,
  }),
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  timeoutMs,
} as const

export type ElectLeadersOptions = Given<typeof ELECT_LEADERS_OPTIONS> & { readonly topic: string }

export function resolveElectLeaders(given: ElectLeadersOptions) {
  const { topic, ...rest } = given
  if (typeof topic !== 'string') {
    throw new VltavaError(
      'INVALID_ARGUMENT',
      `electLeaders: the topic must be text, got ${showValue(topic)}.`,
    )
  }
  return { topic, ...resolveOptions(ELECT_LEADERS_OPTIONS, rest, 'electLeaders') }
}

/** `'beginning'`: the log start offset. `'end'`: the high watermark. A time: the first record at or after it. */
export type OffsetAt = 'beginning' | 'end' | { readonly timestampMs: number }

const isOffsetAt = (value: unknown): boolean => {
  if (value === 'beginning' || value === 'end') return true
  if (typeof value !== 'object' || value === null) return false
  const { timestampMs: time } = value as { readonly timestampMs?: unknown }
  return Number.isSafeInteger(time) && (time as number) >= 0
}

const LIST_OFFSETS_OPTIONS = {
  at: customOption<OffsetAt>({
    fallback: 'end',
    allowed: '"beginning", "end" or { timestampMs: t }',
    check: isOffsetAt,
  }),
  /** Which partitions. Default (null): all. */
  partitions: customOption<readonly PartitionIndex[] | null>({
    fallback: null,
    allowed: 'a list of partition numbers from 0, or null for all',
    check: isPartitionList,
  }),
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  timeoutMs,
} as const

export type ListOffsetsOptions = Given<typeof LIST_OFFSETS_OPTIONS> & { readonly topic: string }

export function resolveListOffsets(given: ListOffsetsOptions) {
  const { topic, ...rest } = given
  if (typeof topic !== 'string') {
    throw new VltavaError('INVALID_ARGUMENT', `listOffsets: the topic must be text, got ${showValue(topic)}.`)
  }
  return { topic, ...resolveOptions(LIST_OFFSETS_OPTIONS, rest, 'listOffsets') }
}

const READ_METADATA_LOG_OPTIONS = {
  /** The first metadata offset wanted. Default 0: from the start of the log on. */
  fromOffset: integerOption({ min: 0, max: Number.MAX_SAFE_INTEGER, fallback: 0 }),
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  timeoutMs,
} as const

export type ReadMetadataLogOptions = Given<typeof READ_METADATA_LOG_OPTIONS>

export function resolveReadMetadataLog(given: ReadMetadataLogOptions) {
  return resolveOptions(READ_METADATA_LOG_OPTIONS, given, 'readMetadataLog')
}

const DELETE_RECORDS_OPTIONS = {
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  timeoutMs,
} as const

export type DeleteRecordsOptions = Given<typeof DELETE_RECORDS_OPTIONS> & {
  readonly topic: string
  readonly partition: PartitionIndex
  /** The first offset to keep, at most the high watermark; `'end'`: all that is committed goes. */
  readonly before: Offset | 'end'
}

export function resolveDeleteRecords(given: DeleteRecordsOptions) {
  const { topic, partition, before, ...rest } = given
  const isOffset = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
  const problem =
    typeof topic !== 'string'
      ? `the topic must be text, got ${showValue(topic)}`
      : !isOffset(partition)
        ? `the partition must be a number from 0, got ${showValue(partition)}`
        : before !== 'end' && !isOffset(before)
          ? `before must be an offset from 0, or "end", got ${showValue(before)}`
          : null
  if (problem !== null) throw new VltavaError('INVALID_ARGUMENT', `deleteRecords: ${problem}.`)
  return { topic, partition, before, ...resolveOptions(DELETE_RECORDS_OPTIONS, rest, 'deleteRecords') }
}

export function specOf(at: OffsetAt): OffsetSpec {
  if (at === 'beginning') return { type: 'earliest' }
  if (at === 'end') return { type: 'latest' }
  return { type: 'timestamp', timestampMs: at.timestampMs }
}
