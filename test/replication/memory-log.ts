// A naive replica log: records in an array, an fsync mark, and the real epoch history.
import { assert } from '../../src/base/assert.ts'
import { EpochHistory } from '../../src/log/epoch-history.ts'
import type { LeaderEpoch, Offset } from '../../src/model/ids.ts'

export interface ModelRecord {
  readonly epoch: LeaderEpoch
  readonly value: string
}

export class MemoryLog {
  readonly epochs = new EpochHistory([])
  #records: ModelRecord[] = []
  /** The offset of the first array element. */
  #baseOffset: Offset = 0
  #flushedOffset: Offset = 0

  get logStartOffset(): Offset {
    return this.#baseOffset
  }

  get logEndOffset(): Offset {
    return this.#baseOffset + this.#records.length
  }

  get flushedOffset(): Offset {
    return this.#flushedOffset
  }

  at(offset: Offset): ModelRecord | undefined {
    return offset < this.#baseOffset ? undefined : this.#records[offset - this.#baseOffset]
  }

  values(): string[] {
    return this.#records.map((record) => record.value)
  }

  read(fromOffset: Offset, recordsMax: number): readonly ModelRecord[] {
    const from = fromOffset - this.#baseOffset
    return this.#records.slice(from, from + recordsMax)
  }

  append(records: readonly ModelRecord[]): void {
    for (const record of records) {
      this.epochs.assign(record.epoch, this.logEndOffset)
      this.#records.push(record)
    }
  }

  flush(upToOffset: Offset = this.logEndOffset): void {
    assert(upToOffset <= this.logEndOffset, 'only what is written can be flushed')
    this.#flushedOffset = Math.max(this.#flushedOffset, upToOffset)
  }

  truncate(endOffset: Offset): void {
    assert(endOffset >= this.#baseOffset && endOffset <= this.logEndOffset, 'a truncation must be inside')
    this.#records.length = endOffset - this.#baseOffset
    this.#flushedOffset = Math.min(this.#flushedOffset, endOffset)
    this.epochs.truncateFromEnd(endOffset)
  }

  deleteBefore(startOffset: Offset): void {
    this.#records = this.#records.slice(startOffset - this.#baseOffset)
    this.#baseOffset = startOffset
    this.#flushedOffset = Math.max(this.#flushedOffset, startOffset)
    this.epochs.truncateFromStart(startOffset)
  }

  restartAt(offset: Offset): void {
    this.#records = []
    this.#baseOffset = offset
    this.#flushedOffset = offset
    this.epochs.truncateFromEnd(0)
  }

  /** The process dies with the machine: at least what was flushed survives, at most what was written. */
  crash(survivingOffset: Offset = this.#flushedOffset): void {
    assert(survivingOffset >= this.#flushedOffset, 'what is flushed survives a crash')
    this.truncate(survivingOffset)
    // Recovery writes and flushes again what it found.
    this.#flushedOffset = survivingOffset
  }
}
