// Where logs are compacted, a record may be missing: if a later one of its key is there, or was until it was deleted.
import type { HistoryKey, HistoryValue } from './history.ts'
import type { HistoryIndex, KeyIndex } from './history-index.ts'

/** The key of the record that carries a value, or with null that it has none: then it is never compacted away. */
export type RecordKeyOf = (value: HistoryValue) => string | null

/** Where the log of a key starts in the end. */
export type LogStarts = ReadonlyMap<HistoryKey, number>

/** Knows which records may have been compacted away. */
export class Superseded {
  readonly #recordKeyOf: RecordKeyOf | null
  /** By key of the history: of each record key, the last place at which one is known to have stood, or may have. */
  readonly #last = new Map<KeyIndex, ReadonlyMap<string, number>>()

  /** @param recordKeyOf null where no log is compacted. */
  constructor({ keys }: HistoryIndex, recordKeyOf: RecordKeyOf | null, logStarts: LogStarts) {
    this.#recordKeyOf = recordKeyOf
    if (recordKeyOf === null) return
    for (const of of keys.values()) {
      const last = new Map<string, number>()
      const note = (value: HistoryValue, place: number): void => {
        const recordKey = recordKeyOf(value)
        if (recordKey !== null) last.set(recordKey, Math.max(place, last.get(recordKey) ?? -1))
      }
      for (const value of of.okReads) note(value, of.order.lastPlaceOf(value)!)
      noteDeleted(of, logStarts.get(of.key) ?? 0, note)
      this.#last.set(of, last)
    }
  }

  /** Whether a later record of the key that this value has is known, than at any place where it was seen itself. */
  has(of: KeyIndex, value: HistoryValue): boolean {
    const place = of.order.lastPlaceOf(value)
    return place !== undefined && this.#hasAt(of, value, place)
  }

  /** Whether of a value that is there several times only the last one stays. */
  mayLoseCopies(value: HistoryValue): boolean {
    return (this.#recordKeyOf?.(value) ?? null) !== null
  }

  /** Whether all values at the places between two may be gone, both exclusive. */
  hasAllBetween(of: KeyIndex, from: number, to: number): boolean {
    if (this.#recordKeyOf === null) return false
    for (let place = from + 1; place < to; place++)
      if (!of.order.valuesAt(place).every(({ value }) => this.#hasAt(of, value, place))) return false
    return true
  }

  /** Of a value that is there several times, because it was sent again, the last one takes the place of those before. */
  #hasAt(of: KeyIndex, value: HistoryValue, place: number): boolean {
    const recordKey = this.#recordKeyOf?.(value) ?? null
    return recordKey !== null && (this.#last.get(of)!.get(recordKey) ?? -1) > place
  }
}

/**
 * What stood below the log start need not have been read by anybody before it was deleted: it did its work as long as it was there.
 * Of what nobody acknowledged or read, nobody knows where it stood, if anywhere: behind all else that was deleted, at the latest.
 */
function noteDeleted(
  { order, writers }: KeyIndex,
  logStart: number,
  note: (value: HistoryValue, place: number) => void,
): void {
  let deleted = 0
  while (deleted < order.length && order.offsetAt(deleted) < logStart) deleted++
  if (deleted === 0) return
  for (const [value, { type }] of writers) {
    if (type === 'fail') continue
    const place = order.lastPlaceOf(value) ?? deleted - 0.5
    if (place < deleted) note(value, place)
  }
}
