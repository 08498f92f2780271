// Where logs are compacted, a record may be missing: if a later one of its key is there.
import type { HistoryValue } from './history.ts'
import type { HistoryIndex, KeyIndex } from './history-index.ts'

/** The key of the record that carries a value, or with null that it has none: then it is never compacted away. */
export type RecordKeyOf = (value: HistoryValue) => string | null

/** Knows which records may have been compacted away. */
export class Superseded {
  readonly #recordKeyOf: RecordKeyOf | null
  /** By key of the history: of each record key, the last place at which a reader found one. */
  readonly #lastRead = new Map<KeyIndex, Map<string, number>>()

  /** @param recordKeyOf null where no log is compacted. */
  constructor({ keys }: HistoryIndex, recordKeyOf: RecordKeyOf | null) {
    this.#recordKeyOf = recordKeyOf
    if (recordKeyOf === null) return
    for (const of of keys.values()) {
      const last = new Map<string, number>()
      for (const value of of.okReads) {
        const recordKey = recordKeyOf(value)
        if (recordKey === null) continue
        last.set(recordKey, Math.max(of.order.lastPlaceOf(value)!, last.get(recordKey) ?? -1))
      }
      this.#lastRead.set(of, last)
    }
  }

  /** Whether a reader found a later record of the key that this value has, than at any place where it was seen itself. */
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
    return recordKey !== null && (this.#lastRead.get(of)!.get(recordKey) ?? -1) > place
  }
}
