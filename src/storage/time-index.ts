// The sparse time index of one segment, laid out as Kafka's: entries of 12 bytes, both integers big-endian.
//
//   i64 milliseconds since 1970 | u32 offset relative to the base offset of the segment
//
// An entry says: no batch below this offset has a record later than this time. Times ascend although those of records
// need not, because each entry holds the largest time so far. Like the offset index it is a hint and can be made again.
// But while the log itself shows where the offset index is wrong, a wrong time would hide records from a lookup, and delete
// them too early; so in the file a last entry follows, of a time that no record has, with a checksum in place of the offset:
//
//   i64 -2 | u32 CRC-32C of all entries before
import { viewOf } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import type { Offset } from '../model/ids.ts'

export const TIME_INDEX_ENTRY_BYTES = 12

/** Below every time a batch can have; -1 says that its records have none. */
const BEFORE_ALL_MS = -2

export interface TimeIndexEntry {
  readonly timestampMs: number
  readonly offset: Offset
}

export class TimeIndex {
  readonly #baseOffset: Offset
  #entries: TimeIndexEntry[] = []

  constructor(baseOffset: Offset) {
    this.#baseOffset = baseOffset
  }

  /**
   * Reads what the file holds up to the first entry that cannot be right: entries ascend and stay below the end.
   * @returns null where the checksum is missing or wrong: the index has to be made again.
   */
  static fromBytes(file: Uint8Array, segment: { baseOffset: Offset; endOffset: Offset }): TimeIndex | null {
    const bytes = checkedEntries(file)
    if (bytes === null) return null
    const index = new TimeIndex(segment.baseOffset)
    const view = viewOf(bytes)
    let before: TimeIndexEntry = { timestampMs: BEFORE_ALL_MS, offset: segment.baseOffset }
    for (let at = 0; at + TIME_INDEX_ENTRY_BYTES <= bytes.length; at += TIME_INDEX_ENTRY_BYTES) {
      const timestampMs = view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4)
      const offset = segment.baseOffset + view.getUint32(at + 8)
      if (!(timestampMs > before.timestampMs && Number.isSafeInteger(timestampMs))) break
      if (offset <= before.offset || offset > segment.endOffset) break
      before = { timestampMs, offset }
      index.#entries.push(before)
    }
    return index
  }

  get count(): number {
    return this.#entries.length
  }

  get last(): TimeIndexEntry | undefined {
    return this.#entries.at(-1)
  }

  /** Notes the largest time below an offset; nothing where an earlier entry says as much. */
  append(entry: TimeIndexEntry): void {
    const last = this.#entries.at(-1)
    if (entry.timestampMs <= (last?.timestampMs ?? BEFORE_ALL_MS)) return
    if (entry.offset <= (last?.offset ?? this.#baseOffset)) return
    this.#entries.push(entry)
  }

  /** Says of the whole segment, once nothing more is appended, what its largest time is. The file is to be rewritten. */
  seal(entry: TimeIndexEntry): void {
    const last = this.#entries.at(-1)
    if (last !== undefined && last.timestampMs >= entry.timestampMs) {
      this.#entries[this.#entries.length - 1] = { timestampMs: last.timestampMs, offset: entry.offset }
    } else this.append(entry)
  }

  /** An offset below which no record has the time or a later one; to search on from there. */
  searchStart(timestampMs: number): Offset {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#entries[middle]!.timestampMs < timestampMs) low = middle + 1
      else high = middle
    }
    return this.#entries[low - 1]?.offset ?? this.#baseOffset
  }

  /** Drops the entries that say something about offsets at or beyond this one. */
  truncate(offset: Offset): void {
    let kept = this.#entries.length
    while (kept > 0 && this.#entries[kept - 1]!.offset > offset) kept--
    this.#entries.length = kept
  }

  /** The entries from one on as the file holds them. */
  toBytes(fromEntry: number): Uint8Array {
    const bytes = new Uint8Array((this.#entries.length - fromEntry) * TIME_INDEX_ENTRY_BYTES)
    const view = viewOf(bytes)
    for (let i = fromEntry; i < this.#entries.length; i++) {
      const at = (i - fromEntry) * TIME_INDEX_ENTRY_BYTES
      const { timestampMs, offset } = this.#entries[i]!
      view.setInt32(at, Math.floor(timestampMs / 2 ** 32))
      view.setUint32(at + 4, timestampMs >>> 0)
      view.setUint32(at + 8, offset - this.#baseOffset)
    }
    return bytes
  }
}

/** The last entry of a file whose other entries have this checksum. */
export function timeIndexTrailer(crc: number): Uint8Array {
  const bytes = new Uint8Array(TIME_INDEX_ENTRY_BYTES)
  const view = viewOf(bytes)
  view.setInt32(0, -1)
  view.setInt32(4, BEFORE_ALL_MS)
  view.setUint32(8, crc)
  return bytes
}

/** Whether an entry with this time is the last one, which holds the checksum. */
export function isTrailer(timestampMs: number): boolean {
  return timestampMs === BEFORE_ALL_MS
}

/** The entries of a file as bytes, without the checksum behind them; null where that is missing or wrong. */
export function checkedEntries(file: Uint8Array): Uint8Array | null {
  const end = file.length - TIME_INDEX_ENTRY_BYTES
  if (end < 0 || file.length % TIME_INDEX_ENTRY_BYTES !== 0) return null
  const entries = file.subarray(0, end)
  const trailer = timeIndexTrailer(crc32c(entries))
  return trailer.every((byte, i) => byte === file[end + i]) ? entries : null
}
