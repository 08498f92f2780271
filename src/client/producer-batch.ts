// The records that travel together: a record batch in the making, then its bytes, and those who wait for it.
import { assert } from '../base/assert.ts'
import type { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset, PartitionIndex } from '../model/ids.ts'
import { BatchBuilder, type BatchBuilderOptions, type RecordInput } from '../record/batch-builder.ts'
import { DeliveryHistory } from './delivery-history.ts'
import type { OnSettled } from './records.ts'
import { callSettled } from './settle.ts'

export interface ProducerBatchOptions extends BatchBuilderOptions {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly createdAtMs: number
  /** When the records are given up. */
  readonly deadlineMs: number
}

export class ProducerBatch {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly createdAtMs: number
  readonly deadlineMs: number
  readonly history = new DeliveryHistory()
  /** What the records count in the buffer; an upper bound of their bytes. */
  bufferedBytes = 0
  /** No record is added any more. */
  isSealed = false
  readonly #builder: BatchBuilder
  readonly #onSettled: OnSettled[] = []
  readonly #timestampsMs: number[] = []
  readonly #afterSettled: (() => void)[] = []
  #bytes: Uint8Array | null = null
  #isSettled = false

  constructor(options: ProducerBatchOptions) {
    this.topic = options.topic
    this.partition = options.partition
    this.createdAtMs = options.createdAtMs
    this.deadlineMs = options.deadlineMs
    this.#builder = new BatchBuilder(options)
  }

  get recordsCount(): number {
    return this.#onSettled.length
  }

  /** Bytes of the record batch as it stands. */
  get sizeBytes(): number {
    return this.#builder.sizeBytes
  }

  /**
   * @returns false when the record belongs into another batch.
   * @throws VltavaError as BatchBuilder.tryAppend does.
   */
  tryAppend(record: RecordInput, onSettled: OnSettled): boolean {
    if (this.isSealed || !this.#builder.tryAppend(record)) return false
    this.#onSettled.push(onSettled)
    this.#timestampsMs.push(record.timestampMs)
    return true
  }

  /** The bytes to send; the same ones for every attempt. */
  bytes(): Uint8Array {
    this.isSealed = true
    this.#bytes ??= this.#builder.build()
    return this.#bytes
  }

  /** Calls back once the records have been settled and their callbacks have run. */
  whenSettled(callback: () => void): void {
    this.#afterSettled.push(callback)
  }

  succeed(base: { readonly offset: Offset; readonly leaderEpoch: LeaderEpoch }): void {
    const { topic, partition } = this
    const { leaderEpoch } = base
    this.#settle((onSettled, i) => {
      // With acks 0 no offset is known, so it does not count up either.
      const offset = base.offset < 0 ? -1 : base.offset + i
      callSettled(onSettled, null, {
        topic,
        partition,
        offset,
        leaderEpoch,
        timestampMs: this.#timestampsMs[i]!,
      })
    })
  }

  fail(error: VltavaError): void {
    this.#settle((onSettled) => callSettled(onSettled, error, null))
  }

  #settle(call: (onSettled: OnSettled, index: number) => void): void {
    assert(!this.#isSettled, 'a batch is settled once')
    this.#isSettled = true
    this.isSealed = true
    for (let i = 0; i < this.#onSettled.length; i++) call(this.#onSettled[i]!, i)
    for (const callback of this.#afterSettled) callback()
  }
}
