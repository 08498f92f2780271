import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { choiceOption, type Given, integerOption, type Resolved, resolveOptions } from './options.ts'

const KIB = 1024
const MIB = 1024 * KIB

const PRODUCER_OPTIONS = {
  /**
   * When a record counts as sent: `'all'` once every in-sync replica holds it (and, with `flush.messages` 1, has
   * fsynced it), `1` once the leader has written it, `0` once it was handed to the socket, which loses records without
   * notice. Kafka's `acks`. Default `'all'`.
   */
  acks: choiceOption(['all', 1, 0], 'all'),
  /**
   * Milliseconds a record waits for company while its partition is idle. It rarely pays off: while a batch of the
   * partition is under way, records gather behind it anyway, and a lone `await send()` should not wait. Kafka's
   * `linger.ms` (5 there). 0 to 60,000, default 0.
   */
  lingerMs: integerOption({ min: 0, max: 60_000, fallback: 0 }),
  /**
   * Bytes of a record batch. Kafka's `batch.size`, which is 16 KiB there; measured with three replicas, batches of
   * 256 KiB carried 1.37 million records of 100 bytes per second where 64 KiB carried 0.77 million, and a batch grows
   * that large only under load. A single record may be larger; smaller bounds of the topic (max.message.bytes), a
   * request or the buffer win. 512 to
   * 8,388,608, default 262,144.
   */
  batchBytes: integerOption({ min: 512, max: BATCH_ABSOLUTE_MAX_BYTES, fallback: 256 * KIB }),
  /**
   * Bytes of record batches in one produce request, and so of one record. Kafka's `max.request.size`. 1,024 to
   * 8,388,608, default 8,388,608: max.message.bytes of the topic is the limit.
   */
  maxRequestBytes: integerOption({
    min: KIB,
    max: BATCH_ABSOLUTE_MAX_BYTES,
    fallback: BATCH_ABSOLUTE_MAX_BYTES,
  }),
  /**
   * Bytes of records that may wait for their acknowledgement; beyond, `send` waits and `enqueue` refuses. Kafka's
   * `buffer.memory`. 65,536 to 4,294,967,296, default 33,554,432.
   */
  bufferBytes: integerOption({ min: 64 * KIB, max: 4096 * MIB, fallback: 32 * MIB }),
  /**
   * Milliseconds `send` and `writable` wait for room in the buffer, and a record for the metadata of its topic.
   * Kafka's `max.block.ms`. 0 to 3,600,000, default 60,000.
   */
  maxBlockMs: integerOption({ min: 0, max: 3_600_000, fallback: 60_000 }),
  /**
   * The deadline of every record, in milliseconds from when it was taken until its result is known, all attempts
   * included. A record may be given up by a twentieth early, because a batch has one deadline, that of its first
   * record. Kafka's `delivery.timeout.ms`. 100 to 86,400,000, default 120,000.
   */
  deliveryTimeoutMs: integerOption({ min: 100, max: 86_400_000, fallback: 120_000 }),
  /**
   * Milliseconds one attempt may take; also how long the leader waits for the in-sync replicas. Kafka's
   * `request.timeout.ms`. 100 to 3,600,000, default 30,000.
   */
  requestTimeoutMs: integerOption({ min: 100, max: 3_600_000, fallback: 30_000 }),
  /**
   * Milliseconds before the first repeated attempt; the pause doubles from there and is drawn at random from its upper
   * half. Kafka's `retry.backoff.ms` (100 there). 1 to 60,000, default 50.
   */
  retryBackoffMs: integerOption({ min: 1, max: 60_000, fallback: 50 }),
  /** The longest pause between two attempts, in milliseconds. Kafka's `retry.backoff.max.ms`. 1 to 60,000, default 1,000. */
  retryBackoffMaxMs: integerOption({ min: 1, max: 60_000, fallback: 1_000 }),
} as const

/** How a producer sends. Every option may be left out. */
export type ProducerOptions = Given<typeof PRODUCER_OPTIONS>
export type ResolvedProducerOptions = Resolved<typeof PRODUCER_OPTIONS>

/** @throws VltavaError INVALID_ARGUMENT that names the option, the value and what is allowed. */
export function resolveProducerOptions(given: ProducerOptions): ResolvedProducerOptions {
  return resolveOptions(PRODUCER_OPTIONS, given, 'producer')
}
