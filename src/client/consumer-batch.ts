// Records and batches as the consumer hands them out.
import type { Cpu } from '../base/cpu.ts'
import type { LeaderEpoch, Offset, PartitionIndex } from '../model/ids.ts'
import { baseOffsetOf, lastOffsetDeltaOf, recordsCountOf } from '../record/batch-format.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import type { ConsumerRecord } from './records.ts'

/** The part of a fetched batch that was not handed out yet. */
export interface BatchRest {
  readonly topic: string
  readonly partition: PartitionIndex
  /** One record batch. */
  readonly bytes: Uint8Array
  /** The first offset to hand out. */
  readonly firstOffset: Offset
  readonly nextOffset: Offset
  readonly leaderEpoch: LeaderEpoch
  /** The high watermark when the batch was fetched. */
  readonly highWatermark: Offset
}

/** Reads the records of one batch one after the other. */
export class BatchRecords {
  readonly #rest: BatchRest
  readonly #cpu: Cpu
  readonly #cursor: RecordCursor

  /** @throws VltavaError UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD */
  constructor(rest: BatchRest, cpu: Cpu) {
    this.#rest = rest
    this.#cpu = cpu
    this.#cursor = new RecordCursor(rest.bytes)
  }

  /** @returns null behind the last record. @throws VltavaError INVALID_RECORD */
  next(): ConsumerRecord | null {
    const cursor = this.#cursor
    do if (!cursor.next()) return null
    while (cursor.offset < this.#rest.firstOffset)
    const { topic, partition, leaderEpoch } = this.#rest
    return {
      topic,
      partition,
      offset: cursor.offset,
      leaderEpoch,
      timestampMs: cursor.timestampMs,
      key: cursor.key(),
      value: cursor.value(),
      headers: cursor.headers(this.#cpu),
    }
  }
}

/** The records of one batch as it was written, or the rest of them. In the order of offsets. */
export class ConsumerBatch {
  readonly #rest: BatchRest
  readonly #cpu: Cpu
  #records: readonly ConsumerRecord[] | null = null

  /** For the consumer. */
  constructor(rest: BatchRest, cpu: Cpu) {
    this.#rest = rest
    this.#cpu = cpu
  }

  get topic(): string {
    return this.#rest.topic
  }

  get partition(): PartitionIndex {
    return this.#rest.partition
  }

  /** The offset of the first record; `nextOffset` where compaction has left none of them. */
  get firstOffset(): Offset {
    return this.#isWhole ? this.#firstDue : (this.records[0]?.offset ?? this.nextOffset)
  }

  /** The offset behind the last record: where the next batch goes on. */
  get nextOffset(): Offset {
    return this.#rest.nextOffset
  }

  /** The epoch of the leader that wrote the batch. */
  get leaderEpoch(): LeaderEpoch {
    return this.#rest.leaderEpoch
  }

  /** The high watermark of the partition when the batch was fetched; `highWatermark - nextOffset` records were behind. */
  get highWatermark(): Offset {
    return this.#rest.highWatermark
  }

  /** Bytes of the whole record batch. */
  get sizeBytes(): number {
    return this.#rest.bytes.length
  }

  get recordsCount(): number {
    return this.#isWhole ? this.nextOffset - this.#firstDue : this.records.length
  }

  /**
   * The records, read when this is first used. Their bytes are views; see ConsumerRecord.
   * @throws VltavaError INVALID_RECORD when a record breaks the format, UNSUPPORTED_COMPRESSION_TYPE
   */
  get records(): readonly ConsumerRecord[] {
    this.#records ??= readAll(new BatchRecords(this.#rest, this.#cpu))
    return this.#records
  }

  /** Whether the batch has all records that were written; compaction takes some out. */
  get #isWhole(): boolean {
    const { bytes } = this.#rest
    return recordsCountOf(bytes, 0) > lastOffsetDeltaOf(bytes, 0)
  }

  /** The first offset of the batch that was not handed out yet. */
  get #firstDue(): Offset {
    return Math.max(this.#rest.firstOffset, baseOffsetOf(this.#rest.bytes, 0))
  }

  [Symbol.iterator](): Iterator<ConsumerRecord> {
    return this.records[Symbol.iterator]()
  }
}

function readAll(batch: BatchRecords): readonly ConsumerRecord[] {
  const records: ConsumerRecord[] = []
  for (let record = batch.next(); record !== null; record = batch.next()) records.push(record)
  return records
}
