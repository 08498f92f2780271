// The log of one node: its entries in memory and how far they are handed to the writer, durable, committed and handed
// out to be applied. Everybody else reads positions and terms from here, so that a snapshot can later replace the
// first entries in this one place.
import { assert } from '../base/assert.ts'
import { APPEND_ENTRIES_MAX, ENTRY_OVERHEAD_BYTES } from './messages.ts'
import type { Entry } from './types.ts'

/** Names an entry: two logs that hold the same index and term agree in everything up to there. */
export interface EntryId {
  readonly index: number
  readonly term: number
}

/** Before the first entry. */
const ORIGIN: EntryId = { index: 0, term: 0 }

/** The bytes an entry counts toward every limit. */
export function entryBytes(entry: Entry): number {
  return ENTRY_OVERHEAD_BYTES + (entry.data?.length ?? 0)
}

export class RaftLog {
  /** Entry i stands at i - 1. */
  readonly #entries: Entry[] = []
  // Invariants: 0 <= applied <= commit <= last, applied <= durable <= written <= last.
  #writtenIndex: number
  #durableIndex: number
  #commitIndex = 0
  #appliedIndex = 0

  /** @param durable the recovered entries, all of them durable, from index 1 */
  constructor(durable: readonly Entry[]) {
    for (const entry of durable) this.#push(entry)
    this.#writtenIndex = durable.length
    this.#durableIndex = durable.length
  }

  /** The index and term of the last entry; 0 and 0 when there is none. */
  get last(): EntryId {
    return this.#entries.at(-1) ?? ORIGIN
  }

  /** Everything up to here survives a crash. */
  get durableIndex(): number {
    return this.#durableIndex
  }

  get commitIndex(): number {
    return this.#commitIndex
  }

  /** Everything up to here was handed out to be applied. */
  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /** The term of the entry at the index, 0 for index 0, null beyond the end. */
  termAt(index: number): number | null {
    return index === 0 ? 0 : (this.#entries[index - 1]?.term ?? null)
  }

  holds(id: EntryId): boolean {
    return this.termAt(id.index) === id.term
  }

  /** Whether a log that ends in `last` may lack nothing that this one has committed: term first, then length. */
  isUpToDate(last: EntryId): boolean {
    const own = this.last
    return last.term > own.term || (last.term === own.term && last.index >= own.index)
  }

  /**
   * The last entry at or below the index whose term is at most the given one. Both sides of a refused append skip by
   * it everything that cannot agree, since terms never decrease along a log: each round trip then passes over at
   * least one whole term.
   */
  lastAtMost(bound: EntryId): EntryId {
    let low = 0
    let high = Math.min(bound.index, this.#entries.length)
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#entries[middle - 1]!.term <= bound.term) low = middle
      else high = middle - 1
    }
    return low === 0 ? ORIGIN : this.#entries[low - 1]!
  }

  /** The entries from the index on, at most so many bytes but always one if there is any. */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] {
    let end = index - 1
    let bytes = 0
    const endMax = Math.min(this.#entries.length, end + APPEND_ENTRIES_MAX)
    while (end < endMax) {
      bytes += entryBytes(this.#entries[end]!)
      if (bytes > bytesMax && end >= index) break
      end++
    }
    return this.#entries.slice(index - 1, end)
  }

  /** The bytes of the entries after `afterIndex` up to and with `lastIndex`. */
  bytesBetween(afterIndex: number, lastIndex: number): number {
    let bytes = 0
    for (let i = afterIndex; i < lastIndex; i++) bytes += entryBytes(this.#entries[i]!)
    return bytes
  }

  /** Appends a leader's own entry. */
  append(entry: Entry): void {
    this.#push(entry)
  }

  /**
   * Takes over a leader's entries, of which the first follows an entry both logs hold. Only a conflict truncates:
   * after an earlier append that arrives late, the log keeps what a later one brought and what may be acknowledged.
   */
  merge(entries: readonly Entry[]): void {
    const firstNew = entries.findIndex((entry) => !this.holds(entry))
    if (firstNew === -1) return
    this.#truncateFrom(entries[firstNew]!.index)
    for (let i = firstNew; i < entries.length; i++) this.#push(entries[i]!)
  }

  /** Moves the commit index forward; a lower one is an old message and changes nothing. */
  commitTo(index: number): void {
    if (index <= this.#commitIndex) return
    const lastIndex = this.last.index
    assert(
      index <= lastIndex,
      `raft: index ${index} is committed but the log ends at ${lastIndex}: was the log truncated, damaged or lost?`,
    )
    this.#commitIndex = index
  }

  /** Hands over what the writer has not seen yet. */
  takeUnwritten(): readonly Entry[] {
    const entries = this.#entries.slice(this.#writtenIndex)
    this.#writtenIndex = this.#entries.length
    return entries
  }

  /**
   * Everything written up to this entry is durable. Means nothing if the entry was overwritten in the meantime; the
   * write of what replaced it reports by itself.
   */
  persistedTo(id: EntryId): void {
    if (id.index <= this.#durableIndex || !this.holds(id)) return
    assert(id.index <= this.#writtenIndex, `raft: index ${id.index} cannot be durable before it is written`)
    this.#durableIndex = id.index
  }

  /**
   * Hands out what may be applied now. What is committed by others but not durable here waits, so that no state made
   * from it can outlive the log it came from.
   */
  takeCommitted(): readonly Entry[] {
    const end = Math.min(this.#commitIndex, this.#durableIndex)
    const entries = this.#entries.slice(this.#appliedIndex, end)
    this.#appliedIndex += entries.length
    return entries
  }

  #push(entry: Entry): void {
    const last = this.last
    assert(entry.index === last.index + 1, `raft: entry ${entry.index} cannot follow entry ${last.index}`)
    assert(
      entry.term >= last.term && entry.term > 0,
      `raft: entry ${entry.index} of term ${entry.term} cannot follow term ${last.term}`,
    )
    this.#entries.push(entry)
  }

  #truncateFrom(index: number): void {
    assert(
      index > this.#commitIndex,
      `raft: the leader contradicts entry ${index}, but everything up to ${this.#commitIndex} is committed`,
    )
    this.#entries.length = Math.min(this.#entries.length, index - 1)
    this.#writtenIndex = Math.min(this.#writtenIndex, index - 1)
    this.#durableIndex = Math.min(this.#durableIndex, index - 1)
  }
}
