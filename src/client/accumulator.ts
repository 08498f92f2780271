// The records that wait for their acknowledgement, per partition and in order. Pure: the producer feeds it, the sender
// takes from it and tells what became of it.
//
// A partition has at most one batch under way. The next one may not overtake it, because the records of a batch that
// is sent again would then come behind those of a later one. While it is under way, records gather behind it: that is
// the linger, as long as the cluster is busy and no longer.
import { assert } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import type { LeaderEpoch, PartitionIndex } from '../model/ids.ts'
import { ProducerBatch } from './producer-batch.ts'
import type { TakenRecord } from './records.ts'

export interface AccumulatorOptions {
  readonly cpu: Cpu
  readonly batchBytes: number
  readonly bufferBytes: number
  readonly lingerMs: number
  readonly deliveryTimeoutMs: number
}

/**
 * A batch takes records for a twentieth of the delivery timeout at most. Its records share the deadline of the first,
 * so the last one is given up at most that much early.
 */
const GATHER_PART = 20

/** The batches of one partition; the first is the one that is sent next or under way. */
export class PartitionQueue {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly batches: ProducerBatch[] = []
  /** Names the attempt under way; an answer to any other is stale. 0: none is under way. */
  attempt = 0
  attemptsCount = 0
  /** The leader epoch of the last attempt, or the one in which none could be made; -1 before. */
  triedEpoch: LeaderEpoch = -1
  /** Failures in a row. */
  failures = 0
  /** The first batch is not sent (again) before. */
  notBeforeMs = 0
  /** Bytes of all its batches, as the buffer counts them. */
  bufferedBytes = 0
  /** Bytes of a batch, and of one with a single record, that the topic and the settings allow. */
  batchMaxBytes = 0
  /** Bytes of the batch that was sent last: the next one will likely be as large. */
  lastBatchBytes = 0

  constructor(topic: string, partition: PartitionIndex) {
    this.topic = topic
    this.partition = partition
  }
}

export class Accumulator {
  readonly #options: AccumulatorOptions
  readonly #gatherMs: number
  /** Queues that hold batches. */
  readonly #active = new Set<PartitionQueue>()
  /** Those of them that have nothing under way. */
  readonly #pending = new Set<PartitionQueue>()
  #bufferedBytes = 0
  #bufferedRecords = 0
  #inFlightRecords = 0
  /** No batch has an earlier deadline; an estimate that `expired` makes exact. */
  #nextDeadlineMs = Number.POSITIVE_INFINITY

  constructor(options: AccumulatorOptions) {
    this.#options = options
    this.#gatherMs = options.deliveryTimeoutMs / GATHER_PART
  }

  /** Bytes of the records taken and not settled, an upper bound of what they take in their batches. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Records taken and not settled, those under way included. */
  get bufferedRecords(): number {
    return this.#bufferedRecords
  }

  get inFlightRecords(): number {
    return this.#inFlightRecords
  }

  /** Queues with batches of which none is under way, in the order in which they became so. */
  get pending(): ReadonlySet<PartitionQueue> {
    return this.#pending
  }

  get active(): ReadonlySet<PartitionQueue> {
    return this.#active
  }

  hasRoom(recordBytes: number): boolean {
    return this.#bufferedBytes + recordBytes <= this.#options.bufferBytes
  }

  /** Counts a record that waits elsewhere, for the metadata of its topic. */
  reserve(recordBytes: number): void {
    this.#bufferedBytes += recordBytes
    this.#bufferedRecords++
  }

  /** Ends `reserve`: the record is appended now, or was given up. */
  unreserve(recordBytes: number): void {
    this.#bufferedBytes -= recordBytes
    this.#bufferedRecords--
  }

  /**
   * Appends a record to the queue's last batch or to a new one.
   * @returns whether an earlier batch became full, which ends the partition's turn.
   * @throws VltavaError RECORD_TOO_LARGE, INVALID_ARGUMENT for the timestamp; nothing is changed then.
   */
  append(queue: PartitionQueue, taken: TakenRecord): boolean {
    const { record, recordBytes, onSettled, takenAtMs } = taken
    const { batches } = queue
    const last = batches.length > 0 ? batches[batches.length - 1]! : null
    const isOpen = last !== null && !last.isSealed && takenAtMs - last.createdAtMs <= this.#gatherMs
    let batch: ProducerBatch
    if (isOpen && last.tryAppend(record, onSettled)) {
      batch = last
    } else {
      batch = this.#newBatch(queue, takenAtMs)
      const fits = batch.tryAppend(record, onSettled)
      assert(fits, 'an empty batch takes any record that is not too large')
      this.#push(queue, batch)
    }
    batch.bufferedBytes += recordBytes
    queue.bufferedBytes += recordBytes
    this.#bufferedBytes += recordBytes
    this.#bufferedRecords++
    return isOpen && batch !== last
  }

  /** When the first batch of the queue may be sent; in the past when it may now. */
  dueMs(queue: PartitionQueue): number {
    const head = queue.batches[0]!
    // With company behind it, or on a second attempt, it has waited long enough.
    const lingers = queue.batches.length === 1 && !head.isSealed && queue.notBeforeMs === 0
    return lingers ? head.createdAtMs + this.#options.lingerMs : queue.notBeforeMs
  }

  /** Marks the first batch of the queue as under way. */
  take(queue: PartitionQueue, leaderEpoch: LeaderEpoch): ProducerBatch {
    assert(queue.attempt === 0, 'one batch of a partition is under way at a time')
    const batch = queue.batches[0]!
    queue.attemptsCount++
    queue.attempt = queue.attemptsCount
    queue.triedEpoch = leaderEpoch
    queue.lastBatchBytes = batch.bytes().length
    batch.history.attemptStarted()
    this.#pending.delete(queue)
    this.#inFlightRecords += batch.recordsCount
    return batch
  }

  /** The attempt has failed and the batch is to be sent again, not before the given time. */
  putBack(queue: PartitionQueue, notBeforeMs: number): void {
    this.#endAttempt(queue)
    queue.notBeforeMs = notBeforeMs
    this.#pending.add(queue)
  }

  /** Removes the first batch of the queue, which is about to be settled. */
  remove(queue: PartitionQueue): ProducerBatch {
    const batch = queue.batches[0]
    assert(batch !== undefined, 'the queue holds the batch that is removed')
    this.#endAttempt(queue)
    queue.batches.shift()
    queue.failures = 0
    queue.notBeforeMs = 0
    queue.bufferedBytes -= batch.bufferedBytes
    this.#bufferedBytes -= batch.bufferedBytes
    this.#bufferedRecords -= batch.recordsCount
    assert(this.#bufferedBytes >= 0 && this.#bufferedRecords >= 0, 'the buffer never holds less than nothing')
    if (queue.batches.length > 0) {
      this.#pending.add(queue)
    } else {
      this.#pending.delete(queue)
      this.#active.delete(queue)
    }
    return batch
  }

  /** The earliest time at which a batch may have to be given up; infinite when there is none. */
  get nextDeadlineMs(): number {
    return this.#nextDeadlineMs
  }

  /** The queues whose first batch has passed its deadline. */
  expired(nowMs: number): readonly PartitionQueue[] {
    if (nowMs < this.#nextDeadlineMs) return []
    const expired: PartitionQueue[] = []
    this.#nextDeadlineMs = Number.POSITIVE_INFINITY
    for (const queue of this.#active) {
      const { deadlineMs } = queue.batches[0]!
      if (deadlineMs <= nowMs) expired.push(queue)
      // The batches behind have later deadlines; whoever removes the first one asks again.
      this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, deadlineMs)
    }
    return expired
  }

  #newBatch(queue: PartitionQueue, createdAtMs: number): ProducerBatch {
    const { cpu, batchBytes, deliveryTimeoutMs } = this.#options
    const { topic, partition, batchMaxBytes } = queue
    return new ProducerBatch({
      cpu,
      maxBytes: Math.min(batchBytes, batchMaxBytes),
      singleRecordMaxBytes: batchMaxBytes,
      expectedBytes: queue.lastBatchBytes,
      topic,
      partition,
      createdAtMs,
      deadlineMs: createdAtMs + deliveryTimeoutMs,
    })
  }

  #push(queue: PartitionQueue, batch: ProducerBatch): void {
    queue.batches.push(batch)
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, batch.deadlineMs)
    if (queue.batches.length > 1) return
    this.#active.add(queue)
    this.#pending.add(queue)
  }

  #endAttempt(queue: PartitionQueue): void {
    if (queue.attempt === 0) return
    queue.attempt = 0
    this.#inFlightRecords -= queue.batches[0]!.recordsCount
  }
}
