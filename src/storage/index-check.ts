// Compares the two index files of a segment with the batches of its log. Both are hints that are made again, so what is
// wrong with them costs time and no records. One finding for each file is enough.
import { viewOf } from '../base/bytes.ts'
import type { Offset } from '../model/ids.ts'
import type { ScannedBatch } from './batch-scan.ts'
import { OFFSET_INDEX_ENTRY_BYTES } from './offset-index.ts'
import { checkedEntries, isTrailer, TIME_INDEX_ENTRY_BYTES } from './time-index.ts'

export interface OffsetEntry {
  readonly offset: Offset
  readonly position: number
}

export interface TimeEntry {
  readonly timestampMs: number
  readonly offset: Offset
}

/** Where in an index file an entry is wrong. */
export interface IndexProblem {
  readonly position: number
  readonly what: string
}

/** The entries of an offset index as they stand in the file, right or wrong; a part of an entry at its end is left out. */
export function offsetEntriesOf(bytes: Uint8Array, baseOffset: Offset): OffsetEntry[] {
  const view = viewOf(bytes)
  const entries: OffsetEntry[] = []
  for (let at = 0; at + OFFSET_INDEX_ENTRY_BYTES <= bytes.length; at += OFFSET_INDEX_ENTRY_BYTES) {
    entries.push({ offset: baseOffset + view.getUint32(at), position: view.getUint32(at + 4) })
  }
  return entries
}

/** As `offsetEntriesOf`; the checksum at the end is none of the entries. */
export function timeEntriesOf(bytes: Uint8Array, baseOffset: Offset): TimeEntry[] {
  const view = viewOf(bytes)
  const entries: TimeEntry[] = []
  for (let at = 0; at + TIME_INDEX_ENTRY_BYTES <= bytes.length; at += TIME_INDEX_ENTRY_BYTES) {
    const timestampMs = view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4)
    if (isTrailer(timestampMs)) break
    entries.push({ timestampMs, offset: baseOffset + view.getUint32(at + 8) })
  }
  return entries
}

/** Takes the batches of a segment in their order. */
export class OffsetIndexCheck {
  readonly #entries: readonly OffsetEntry[]
  readonly #partBytes: number
  #next = 0
  #problem: IndexProblem | null = null

  constructor(bytes: Uint8Array, baseOffset: Offset) {
    this.#entries = offsetEntriesOf(bytes, baseOffset)
    this.#partBytes = bytes.length % OFFSET_INDEX_ENTRY_BYTES
  }

  take(batch: ScannedBatch): void {
    const entry = this.#entries[this.#next]
    if (entry === undefined || entry.position > batch.position) return
    if (entry.position < batch.position) this.#refuse(`no batch begins at its position ${entry.position}`)
    else if (entry.offset !== batch.baseOffset) {
      this.#refuse(`it says offset ${entry.offset}, but the batch there has ${batch.baseOffset}`)
    }
    this.#next++
  }

  /** @returns the first problem; null when there is none. */
  finish(): IndexProblem | null {
    const entry = this.#entries[this.#next]
    if (entry !== undefined) this.#refuse(`no batch begins at its position ${entry.position}`)
    if (this.#partBytes > 0) {
      this.#next = this.#entries.length
      this.#refuse('the file ends within an entry')
    }
    return this.#problem
  }

  #refuse(what: string): void {
    this.#problem ??= { position: this.#next * OFFSET_INDEX_ENTRY_BYTES, what }
  }
}

/** Takes the batches of a segment in their order. */
export class TimeIndexCheck {
  readonly #entries: readonly TimeEntry[]
  readonly #partBytes: number
  readonly #isChecked: boolean
  #next = 0
  #maxTimestampMs = -1
  #problem: IndexProblem | null = null

  constructor(bytes: Uint8Array, baseOffset: Offset) {
    this.#entries = timeEntriesOf(bytes, baseOffset)
    this.#partBytes = bytes.length % TIME_INDEX_ENTRY_BYTES
    this.#isChecked = bytes.length === 0 || checkedEntries(bytes) !== null
  }

  take(batch: ScannedBatch): void {
    this.#passTo(batch.baseOffset)
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, batch.maxTimestampMs)
  }

  /** @returns the first problem; null when there is none. */
  finish(endOffset: Offset): IndexProblem | null {
    this.#passTo(endOffset)
    const entry = this.#entries[this.#next]
    if (entry !== undefined) this.#refuse(`its offset ${entry.offset} lies beyond the end ${endOffset}`)
    if (this.#partBytes > 0) {
      this.#next = this.#entries.length
      this.#refuse('the file ends within an entry')
    }
    if (!this.#isChecked) {
      this.#next = this.#entries.length
      this.#refuse('its checksum is missing or wrong')
    }
    return this.#problem
  }

  /** Judges the entries that speak of batches up to an offset, which have all been taken. */
  #passTo(offset: Offset): void {
    for (;;) {
      const entry = this.#entries[this.#next]
      if (entry === undefined || entry.offset > offset) return
      const before = this.#entries[this.#next - 1]
      if (
        before !== undefined &&
        (entry.offset <= before.offset || entry.timestampMs <= before.timestampMs)
      ) {
        this.#refuse('it does not ascend')
      } else if (entry.timestampMs < this.#maxTimestampMs) {
        this.#refuse(`a record below offset ${entry.offset} is later than its time ${entry.timestampMs}`)
      }
      this.#next++
    }
  }

  #refuse(what: string): void {
    this.#problem ??= { position: this.#next * TIME_INDEX_ENTRY_BYTES, what }
  }
}
