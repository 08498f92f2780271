import { VltavaError } from '../model/errors.ts'
import type { PartitionIndex } from '../model/ids.ts'
import { FETCH_RESPONSE_MAX_BYTES } from '../model/limits.ts'
import { checkTopicName } from '../model/topic-name.ts'
import {
  choiceOption,
  customOption,
  type Given,
  integerOption,
  type Resolved,
  resolveOptions,
  showValue,
} from './options.ts'
import type { ReadFrom } from './read-source.ts'
import { ALLOWED_START, isStartPositions, type StartPositions } from './start-position.ts'

const MIB = 1024 * 1024

/** A partition that has not been readable for longer than `problemAfterMs`. The consumer keeps trying. */
export interface ConsumerProblem {
  readonly topic: string
  readonly partition: PartitionIndex
  /** The newest error. */
  readonly error: VltavaError
  /** Milliseconds since the first error in a row. */
  readonly forMs: number
}

const isPartitions = (value: unknown): boolean =>
  value === null ||
  (Array.isArray(value) &&
    value.length > 0 &&
    new Set(value).size === value.length &&
    value.every((partition) => Number.isSafeInteger(partition) && partition >= 0))

const CONSUMER_OPTIONS = {
  /** Which partitions to read. Default: those that `from` names, else all, and those that are added to the topic as well. */
  partitions: customOption<readonly PartitionIndex[] | null>({
    fallback: null,
    allowed: 'a list of different partition numbers from 0, or null for all',
    check: isPartitions,
  }),
  /**
   * Where to start, found out when the consumer is first used. Partitions that are added to the topic later are read from their
   * beginning. Default `'end'`, as in Kafka.
   */
  from: customOption<StartPositions>({ fallback: 'end', allowed: ALLOWED_START, check: isStartPositions }),
  /**
   * From which replica to read: `'leader'`, `'any'` (one of the others that are in sync, or an observer; each partition keeps
   * to the one that chance gave it until that fails) or the id of a broker, which serves the partitions of which it is such a
   * replica. All others, and those whose replica fails or is behind, are read from the leader. A replica hands out what it
   * knows to be committed, which may be a little later than at the leader. Default `'leader'`.
   */
  readFrom: customOption<ReadFrom>({
    fallback: 'leader',
    allowed: '"leader", "any" or a broker id from 0',
    check: (value) =>
      value === 'leader' || value === 'any' || (Number.isSafeInteger(value) && Number(value) >= 0),
  }),
  /**
   * What to do when the position is outside of the log (retention removed the records, or the log lost its end):
   * `'none'` fails the partition with OFFSET_OUT_OF_RANGE, `'earliest'` goes on at the log start offset, `'latest'` at
   * the high watermark. Where the log lost records that were read, `'none'` fails the partition with LOG_TRUNCATED, the
   * others go back to where it lost them. Kafka's `auto.offset.reset`, which is latest there and so skips records
   * silently. Default `'none'`.
   */
  autoOffsetReset: choiceOption(['none', 'earliest', 'latest'], 'none'),
  /**
   * Milliseconds for which a leader is not believed that an offset is beyond its log, when the position has no leader
   * epoch: a leader that was replaced and does not know it would say so too. Meanwhile others are asked who leads. It
   * should be longer than a failover takes: than the session timeout of the brokers. 0 to 300,000, default 5,000.
   */
  verifyOutOfRangeMs: integerOption({ min: 0, max: 300_000, fallback: 5_000 }),
  /**
   * Bytes of fetched messages that wait to be taken; fetching stops while they are reached, so this bounds the memory
   * of the consumer, save for a single record batch that is larger. 65,536 to 1,073,741,824, default 16,777,216.
   */
  maxBufferedBytes: integerOption({ min: 65_536, max: 1024 * MIB, fallback: 16 * MIB }),
  /** Bytes of one fetched message. Kafka's `fetch.max.bytes`. 1,024 to 16,777,216, default 16,777,216. */
  maxBytes: integerOption({ min: 1024, max: FETCH_RESPONSE_MAX_BYTES, fallback: FETCH_RESPONSE_MAX_BYTES }),
  /**
   * Bytes of one partition in a fetched message; a batch that is larger comes alone. Kafka's
   * `max.partition.fetch.bytes`. 1,024 to 16,777,216, default 1,048,576.
   */
  maxPartitionBytes: integerOption({ min: 1024, max: FETCH_RESPONSE_MAX_BYTES, fallback: MIB }),
  /** Bytes a broker waits for before it answers a fetch. Kafka's `fetch.min.bytes`. 0 to 16,777,216, default 1. */
  minBytes: integerOption({ min: 0, max: FETCH_RESPONSE_MAX_BYTES, fallback: 1 }),
  /**
   * Milliseconds a broker waits for `minBytes` at most. New records are answered at once whatever it is. Kafka's
   * `fetch.max.wait.ms`. 0 to 300,000, default 500.
   */
  maxWaitMs: integerOption({ min: 0, max: 300_000, fallback: 500 }),
  /**
   * Milliseconds a broker has to answer beyond `maxWaitMs`; one that leads nothing of what is asked 5,000 at most. Kafka's
   * `request.timeout.ms`. 100 to 300,000, default 30,000.
   */
  requestTimeoutMs: integerOption({ min: 100, max: 300_000, fallback: 30_000 }),
  /** Milliseconds before the first repeated attempt; the pause doubles from there. 1 to 60,000, default 50. */
  retryBackoffMs: integerOption({ min: 1, max: 60_000, fallback: 50 }),
  /** The longest pause between two attempts, in milliseconds. 1 to 60,000, default 1,000. */
  retryBackoffMaxMs: integerOption({ min: 1, max: 60_000, fallback: 1_000 }),
  /**
   * Milliseconds for which a partition may fail before that counts as a problem. 100 to 3,600,000, default 10,000.
   */
  problemAfterMs: integerOption({ min: 100, max: 3_600_000, fallback: 10_000 }),
  /**
   * Called when a partition has not been readable for `problemAfterMs`, and again each time as long passes. It must not
   * throw. Default: nothing; `health()` tells as well.
   */
  onProblem: customOption<((problem: ConsumerProblem) => void) | null>({
    fallback: null,
    allowed: 'a function or null',
    check: (value) => value === null || typeof value === 'function',
  }),
  /** Closes the consumer when it aborts; a loop over its records then ends without an error. Default: none. */
  signal: customOption<AbortSignal | null>({
    fallback: null,
    allowed: 'an AbortSignal or null',
    check: (value) => value === null || value instanceof AbortSignal,
  }),
} as const

/** What a consumer reads, and how. Only `topic` is required. */
export type ConsumerOptions = Given<typeof CONSUMER_OPTIONS> & { readonly topic: string }
export type ResolvedConsumerOptions = Resolved<typeof CONSUMER_OPTIONS> & { readonly topic: string }

/**
 * @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed; INVALID_TOPIC for a name
 *   no topic can have.
 */
export function resolveConsumerOptions(given: ConsumerOptions): ResolvedConsumerOptions {
  const { topic, ...rest } = given
  if (typeof topic !== 'string') {
    throw new VltavaError('INVALID_ARGUMENT', `consumer: the topic must be text, got ${showValue(topic)}.`)
  }
  // Unlike producers, consumers may look into internal topics.
  if (!topic.startsWith('__')) checkTopicName(topic)
  return { topic, ...resolveOptions(CONSUMER_OPTIONS, rest, 'consumer') }
}
