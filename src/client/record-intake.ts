// Takes records over from the user: finds their partition and puts them into its queue. Records of a topic that is not
// known yet wait here. Synchronous; the sender calls `advance` when the metadata or the time moved on.
import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Random } from '../base/random.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import { checkTopicName } from '../model/topic-name.ts'
import { type RecordHeader, type RecordInput, recordSizeBytes } from '../record/batch-builder.ts'
import type { Accumulator } from './accumulator.ts'
import type { TopicView } from './cluster-view.ts'
import type { MetadataCache } from './metadata-cache.ts'
import { showValue } from './options.ts'
import { partitionForKey } from './partitioner.ts'
import type { ResolvedProducerOptions } from './producer-options.ts'
import type { OnSettled, ProducerHeader, ProducerRecord, TakenRecord } from './records.ts'
import { callSettled } from './settle.ts'
import { noSuchPartition } from './start-position.ts'
import { TopicQueue } from './topic-queue.ts'
import { UNKNOWN_TOPIC_WAIT_MS, unknownTopicError } from './unknown-topic.ts'

export interface RecordIntakeOptions {
  readonly clock: Clock
  readonly random: Random
  readonly cpu: Cpu
  readonly metadata: MetadataCache
  readonly accumulator: Accumulator
  readonly options: ResolvedProducerOptions
}

export class RecordIntake {
  readonly #options: RecordIntakeOptions
  readonly #topics = new Map<string, TopicQueue>()
  /** Topics with records that wait for metadata. */
  readonly #unresolved = new Set<TopicQueue>()
  /** The longest a record waits for metadata. */
  readonly #waitMs: number

  constructor(options: RecordIntakeOptions) {
    this.#options = options
    this.#waitMs = Math.min(options.options.maxBlockMs, options.options.deliveryTimeoutMs)
  }

  topic(name: string): TopicQueue | null {
    return this.#topics.get(name) ?? null
  }

  /**
   * Takes the record over, unless the buffer is full.
   * @returns false when the buffer is full; nothing has happened then.
   * @throws VltavaError INVALID_TOPIC, INVALID_ARGUMENT, RECORD_TOO_LARGE, UNKNOWN_TOPIC_OR_PARTITION for a partition
   *   the topic does not have; the record was not taken then.
   */
  take(given: ProducerRecord, onSettled: OnSettled): boolean {
    const { accumulator, clock, metadata, options } = this.#options
    const record = this.#encode(given)
    const recordBytes = recordSizeBytes(record)
    if (!accumulator.hasRoom(recordBytes)) {
      if (recordBytes <= options.bufferBytes) return false
      throw largerThanBuffer(given.topic, { recordBytes, bufferBytes: options.bufferBytes })
    }
    const topic = this.#topics.get(given.topic) ?? this.#newTopic(given.topic)
    const taken = {
      record,
      recordBytes,
      partition: given.partition ?? null,
      takenAtMs: clock.monotonicMs(),
      onSettled,
    }
    if (topic.view !== null && topic.waiting.length === 0) {
      this.#place(topic, topic.view, taken)
      return true
    }
    topic.wait({ ...taken, record: ownBytes(record, given) })
    this.#unresolved.add(topic)
    accumulator.reserve(recordBytes)
    metadata.requestRefresh()
    return true
  }

  /** Takes the newest metadata and places, or gives up, the records that waited for it. */
  advance(nowMs: number): void {
    const { metadata, options } = this.#options
    for (const topic of this.#topics.values()) {
      topic.setView(metadata.view.topic(topic.name), options.maxRequestBytes)
    }
    // A copy: owners of records may add new ones for the same topic when they hear of a failure.
    for (const topic of [...this.#unresolved]) {
      const { view } = topic
      if (view !== null) {
        this.#unresolved.delete(topic)
        topic.placeWaiting((record) => this.#placeOrGiveUp(topic, view, record))
        continue
      }
      const refusal = this.refusalOf(topic, nowMs)
      if (refusal !== null) this.refuse(topic, refusal)
      else this.#expire(topic, nowMs)
    }
    if (this.#unresolved.size > 0) metadata.requestRefresh()
  }

  /** When the first of the waiting records has to be given up; infinite when none waits. */
  get nextDeadlineMs(): number {
    let earliestMs = Number.POSITIVE_INFINITY
    for (const { waiting } of this.#unresolved) {
      earliestMs = Math.min(earliestMs, waiting[0]!.takenAtMs + this.#waitMs)
    }
    return earliestMs
  }

  /** Why the records of a topic without metadata have to be given up; null while that is not certain. */
  refusalOf(topic: TopicQueue, nowMs: number): VltavaError | null {
    const { metadata, options } = this.#options
    const unknown = metadata.view.unknownTopic(topic.name)
    if (unknown === null) return metadata.bootstrapFailure
    const waitMs = Math.min(UNKNOWN_TOPIC_WAIT_MS, options.maxBlockMs)
    return unknownTopicError(topic.name, { unknown, nowMs, waitMs })
  }

  /** Gives up every record of the topic that waits for metadata, and forgets the topic when nothing is left of it. */
  refuse(topic: TopicQueue, error: VltavaError): void {
    this.#unresolved.delete(topic)
    topic.placeWaiting(({ recordBytes, onSettled }) => {
      this.#options.accumulator.unreserve(recordBytes)
      callSettled(onSettled, error, null)
    })
    if (!topic.isEmpty) return
    this.#topics.delete(topic.name)
    this.#options.metadata.leave(topic.name)
  }

  /** Gives up everything that waits here. */
  close(error: VltavaError): void {
    for (const topic of [...this.#unresolved]) this.refuse(topic, error)
    for (const name of this.#topics.keys()) this.#options.metadata.leave(name)
    this.#topics.clear()
  }

  /** Topics with records that wait for metadata. */
  unresolved(): readonly TopicQueue[] {
    return [...this.#unresolved]
  }

  #newTopic(name: string): TopicQueue {
    if (typeof name !== 'string') {
      throw new VltavaError('INVALID_ARGUMENT', `The topic of a record must be text, got ${showValue(name)}.`)
    }
    const { metadata, options } = this.#options
    const topic = new TopicQueue(checkTopicName(name))
    this.#topics.set(name, topic)
    topic.setView(metadata.view.topic(name), options.maxRequestBytes)
    metadata.join(name)
    return topic
  }

  #place(topic: TopicQueue, view: TopicView, taken: TakenRecord): void {
    const { accumulator, random } = this.#options
    const partitionsCount = view.partitions.length
    const { record } = taken
    let { partition } = taken
    if (partition !== null) {
      if (partition >= partitionsCount) throw noSuchPartition(topic.name, { partition, partitionsCount })
    } else if (record.key !== null) {
      partition = partitionForKey(record.key, partitionsCount)
    } else {
      const { available } = view
      partition = topic.sticky.partition({ partitionsCount, available, loadBytes: topic.loadBytes, random })
    }
    const queue = topic.queue(partition)
    queue.batchMaxBytes = topic.batchMaxBytes
    try {
      const isFull = accumulator.append(queue, taken)
      if (isFull) topic.sticky.endTurn(partition)
    } catch (thrown) {
      throw namingTopic(topic.name, thrown)
    }
  }

  #placeOrGiveUp(topic: TopicQueue, view: TopicView, taken: TakenRecord): void {
    this.#options.accumulator.unreserve(taken.recordBytes)
    try {
      this.#place(topic, view, taken)
    } catch (thrown) {
      callSettled(taken.onSettled, toVltavaError(thrown), null)
    }
  }

  /** Gives up the records of the topic that have waited for too long. */
  #expire(topic: TopicQueue, nowMs: number): void {
    const { metadata, options } = this.#options
    if (topic.waiting[0]!.takenAtMs + this.#waitMs > nowMs) return
    const last = metadata.lastFailure
    const why = last === null ? 'no broker answered' : `the last error was ${last.code}: ${last.message}`
    const setting = options.maxBlockMs <= options.deliveryTimeoutMs ? 'maxBlockMs' : 'deliveryTimeoutMs'
    this.refuse(
      topic,
      new VltavaError(
        'DELIVERY_TIMEOUT',
        `Topic "${topic.name}": no metadata of the topic within ${this.#waitMs} ms (${setting}); ${why}; ` +
          'the outcome is definite: never sent.',
        { definite: true, ...(last === null ? {} : { cause: last }) },
      ),
    )
  }

  #encode(given: ProducerRecord): RecordInput {
    const { clock, cpu } = this.#options
    const { key = null, value, headers, partition, timestampMs = clock.wallMs() } = given
    if (partition !== undefined && !(Number.isSafeInteger(partition) && partition >= 0)) {
      throw invalid('partition', 'an integer from 0', partition)
    }
    return {
      key: typeof key === 'string' ? cpu.encodeUtf8(key) : bytesOrNull(key, 'key'),
      value: typeof value === 'string' ? cpu.encodeUtf8(value) : bytesOrNull(value, 'value'),
      headers: headers === undefined ? undefined : this.#encodeHeaders(headers),
      timestampMs,
    }
  }

  #encodeHeaders(headers: readonly ProducerHeader[]): readonly RecordHeader[] {
    if (!Array.isArray(headers)) throw invalid('headers', 'a list of { key, value }', headers)
    return headers.map((header: ProducerHeader) => {
      if (typeof header?.key !== 'string') throw invalid('headers', 'a list of { key: text, value }', header)
      const { key, value } = header
      const { cpu } = this.#options
      return { key, value: typeof value === 'string' ? cpu.encodeUtf8(value) : bytesOrNull(value, 'headers') }
    })
  }
}

function bytesOrNull(value: unknown, name: string): Uint8Array | null {
  if (value === null || value instanceof Uint8Array) return value
  throw invalid(name, 'text, a Uint8Array or null', value)
}

function invalid(name: string, allowed: string, value: unknown): VltavaError {
  return new VltavaError(
    'INVALID_ARGUMENT',
    `The ${name} of a record must be ${allowed}, got ${showValue(value)}.`,
  )
}

/** A record that waits must not change when its owner uses the bytes again; encoded text belongs to nobody else. */
function ownBytes(record: RecordInput, given: ProducerRecord): RecordInput {
  const { key, value, headers, timestampMs } = record
  return {
    key: key === given.key ? (key?.slice() ?? null) : key,
    value: value === given.value ? (value?.slice() ?? null) : value,
    headers: headers?.map((header) => ({ key: header.key, value: header.value?.slice() ?? null })),
    timestampMs,
  }
}

function largerThanBuffer(
  topic: string,
  sizes: { readonly recordBytes: number; readonly bufferBytes: number },
): VltavaError {
  const { recordBytes, bufferBytes } = sizes
  return new VltavaError(
    'RECORD_TOO_LARGE',
    `Topic "${topic}": the record takes ${recordBytes} bytes, and the buffer of the producer (bufferBytes) holds ${bufferBytes}.`,
  )
}

function namingTopic(topic: string, thrown: unknown): unknown {
  if (!(thrown instanceof VltavaError)) return thrown
  return new VltavaError(thrown.code, `Topic "${topic}": ${thrown.message}`, { cause: thrown })
}
