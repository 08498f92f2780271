import { assert } from '../base/assert.ts'
import type { HistoryValue } from './history.ts'

/** A value that something showed at an offset, and the event that showed it first. */
export interface Shown {
  readonly value: HistoryValue
  readonly event: number
}

interface Slot extends Shown {
  /** Others at the same offset, and their events; null as long as there is none, as it should stay. */
  others: Map<HistoryValue, number> | null
}

/**
 * CHK-1: the log of one key as the history shows it: offset -> values. Places count the offsets that are in use, from 0,
 * because offsets may have gaps (control batches, compaction).
 */
export class VersionOrder {
  readonly #slots = new Map<number, Slot>()
  #offsets: readonly number[] = []
  readonly #places = new Map<number, number>()
  readonly #firstPlaces = new Map<HistoryValue, number>()
  /** Of the values that have several places. */
  readonly #allPlaces = new Map<HistoryValue, number[]>()

  see(offset: number, shown: Shown): void {
    const slot = this.#slots.get(offset)
    if (slot === undefined) {
      this.#slots.set(offset, { ...shown, others: null })
      return
    }
    const { value, event } = shown
    if (slot.value === value || slot.others?.has(value) === true) return
    slot.others ??= new Map()
    slot.others.set(value, event)
  }

  /** Call it once, after everything was seen and before anything is asked. */
  seal(): void {
    assert(this.#offsets.length === 0, 'an order is sealed once')
    this.#offsets = [...this.#slots.keys()].sort((a, b) => a - b)
    for (const [place, offset] of this.#offsets.entries()) {
      const { value, others } = this.#slots.get(offset)!
      this.#places.set(offset, place)
      this.#place(value, place)
      for (const other of others?.keys() ?? []) this.#place(other, place)
    }
  }

  #place(value: HistoryValue, place: number): void {
    const first = this.#firstPlaces.get(value)
    const all = this.#allPlaces.get(value)
    if (first === undefined) this.#firstPlaces.set(value, place)
    else if (all === undefined) this.#allPlaces.set(value, [first, place])
    else all.push(place)
  }

  /** How many offsets are in use. */
  get length(): number {
    return this.#offsets.length
  }

  offsetAt(place: number): number {
    return this.#offsets[place]!
  }

  placeOf(offset: number): number | undefined {
    return this.#places.get(offset)
  }

  /** All values at a place, in the order in which they were seen; more than one is an error. */
  valuesAt(place: number): readonly Shown[] {
    const { value, event, others } = this.#slots.get(this.#offsets[place]!)!
    return [
      { value, event },
      ...[...(others ?? [])].map(([other, seenBy]) => ({ value: other, event: seenBy })),
    ]
  }

  /** The event that showed first that this value stands at the place, where it does. */
  eventOf(value: HistoryValue, place: number): number {
    const slot = this.#slots.get(this.#offsets[place]!)!
    return slot.value === value ? slot.event : slot.others!.get(value)!
  }

  /** The first value that was seen at a place. */
  valueAt(place: number): HistoryValue {
    return this.#slots.get(this.#offsets[place]!)!.value
  }

  /** Places with several values. */
  *conflicts(): Generator<number> {
    for (const [place, offset] of this.#offsets.entries()) {
      if (this.#slots.get(offset)!.others !== null) yield place
    }
  }

  /** The values in the order of their first places. */
  values(): Iterable<HistoryValue> {
    return this.#firstPlaces.keys()
  }

  /** Values with several places, and those. */
  get duplicates(): ReadonlyMap<HistoryValue, readonly number[]> {
    return this.#allPlaces
  }

  firstPlaceOf(value: HistoryValue): number | undefined {
    return this.#firstPlaces.get(value)
  }

  lastPlaceOf(value: HistoryValue): number | undefined {
    return this.#allPlaces.get(value)?.at(-1) ?? this.#firstPlaces.get(value)
  }
}
