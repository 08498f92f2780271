// How far a history reaches: what a reader has to get to before it has seen everything.
import type { HistoryEvent, HistoryKey } from './history.ts'

/** The largest offset of each key that anything ever showed: an acknowledgement, or a record that was read. */
export class LargestOffsets {
  readonly #largest = new Map<HistoryKey, number>()
  #eventsTaken = 0

  /** -1 where no offset is known: the key was sent to, or read in vain. */
  get byKey(): ReadonlyMap<HistoryKey, number> {
    return this.#largest
  }

  /** Takes the events that were added to this history since the last call. */
  update(events: readonly HistoryEvent[]): void {
    for (; this.#eventsTaken < events.length; this.#eventsTaken++) this.#take(events[this.#eventsTaken]!)
  }

  #take({ operation }: HistoryEvent): void {
    if (!('steps' in operation)) return
    for (const step of operation.steps) {
      if (step[0] === 'send') {
        this.#see(step[1], step[3] ?? -1)
        continue
      }
      for (const [key, records] of Object.entries(step[1] ?? {})) {
        for (const [offset] of records) this.#see(key, offset)
      }
    }
  }

  #see(key: HistoryKey, offset: number): void {
    const before = this.#largest.get(key)
    if (before === undefined || offset > before) this.#largest.set(key, offset)
  }
}
