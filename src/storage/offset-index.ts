// The sparse offset index of one segment, laid out as Kafka's: entries of 8 bytes, both integers big-endian.
//
//   u32 offset of a batch, relative to the base offset of the segment | u32 position of the batch in the log file
//
// It is a hint. Whoever follows an entry checks the base offset of the batch found there, so a wrong index makes reads
// slower and never wrong, and one that is missing is made again from the log.
import { assert } from '../base/assert.ts'
import { viewOf } from '../base/bytes.ts'
import type { Offset } from '../model/ids.ts'

export const OFFSET_INDEX_ENTRY_BYTES = 8

/** Where a batch starts, by offset and by position. */
export interface OffsetPosition {
  readonly offset: Offset
  readonly position: number
}

/** Both fields are below 2^32, but an offset relative to its segment must stay below 2^31 (Kafka's int32). */
export const RELATIVE_OFFSET_MAX = 2 ** 31 - 1

export class OffsetIndex {
  readonly #baseOffset: Offset
  /** Pairs: relative offset, position. Doubled when full. */
  #entries: Uint32Array
  #count = 0

  constructor(baseOffset: Offset) {
    this.#baseOffset = baseOffset
    this.#entries = new Uint32Array(32)
  }

  /**
   * Reads what the file holds up to the first entry that cannot be right: entries ascend in both fields and lie inside
   * of the log file.
   */
  static fromBytes(bytes: Uint8Array, segment: { baseOffset: Offset; sizeBytes: number }): OffsetIndex {
    const index = new OffsetIndex(segment.baseOffset)
    const view = viewOf(bytes)
    let relativeBefore = -1
    let positionBefore = -1
    for (let at = 0; at + OFFSET_INDEX_ENTRY_BYTES <= bytes.length; at += OFFSET_INDEX_ENTRY_BYTES) {
      const relative = view.getUint32(at)
      const position = view.getUint32(at + 4)
      if (relative <= relativeBefore || relative > RELATIVE_OFFSET_MAX) break
      if (position <= positionBefore || position >= segment.sizeBytes) break
      // Only the first batch starts at position 0, and it has the base offset.
      if ((relative === 0) !== (position === 0)) break
      index.append(segment.baseOffset + relative, position)
      relativeBefore = relative
      positionBefore = position
    }
    return index
  }

  get count(): number {
    return this.#count
  }

  /** The last entry; the start of the segment where there is none. */
  get last(): OffsetPosition {
    return this.#at(this.#count - 1)
  }

  append(offset: Offset, position: number): void {
    const relative = offset - this.#baseOffset
    assert(relative >= 0 && relative <= RELATIVE_OFFSET_MAX, `offset ${offset} is too far from its segment`)
    if (2 * this.#count === this.#entries.length) {
      const larger = new Uint32Array(2 * this.#entries.length)
      larger.set(this.#entries)
      this.#entries = larger
    }
    this.#entries[2 * this.#count] = relative
    this.#entries[2 * this.#count + 1] = position
    this.#count++
  }

  /** The last entry at or below the offset; the start of the segment where there is none. */
  floor(offset: Offset): OffsetPosition {
    return this.#at(this.#countBelow(offset + 1) - 1)
  }

  /** Drops the entries at or beyond the offset. */
  truncate(offset: Offset): void {
    this.#count = this.#countBelow(offset)
  }

  /** The entries from one on as the file holds them. */
  toBytes(fromEntry: number): Uint8Array {
    const bytes = new Uint8Array((this.#count - fromEntry) * OFFSET_INDEX_ENTRY_BYTES)
    const view = viewOf(bytes)
    for (let i = 2 * fromEntry; i < 2 * this.#count; i++)
      view.setUint32(4 * (i - 2 * fromEntry), this.#entries[i]!)
    return bytes
  }

  #at(entry: number): OffsetPosition {
    if (entry < 0) return { offset: this.#baseOffset, position: 0 }
    return {
      offset: this.#baseOffset + this.#entries[2 * entry]!,
      position: this.#entries[2 * entry + 1]!,
    }
  }

  /** How many entries lie below the offset (binary search). */
  #countBelow(offset: Offset): number {
    const relative = offset - this.#baseOffset
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#entries[2 * middle]! < relative) low = middle + 1
      else high = middle
    }
    return low
  }
}
