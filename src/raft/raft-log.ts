// The log of one node: its entries in memory and how far they are handed to the writer, durable, committed and handed
// out to be applied. A snapshot stands for its first entries, of which the last few may still be there. Everybody else
// reads positions and terms from here.
import { assert } from '../base/assert.ts'
import { APPEND_ENTRIES_MAX, ENTRY_OVERHEAD_BYTES } from './messages.ts'
import type { Entry, Snapshot } from './types.ts'
import { VoterHistory, type VoterSet } from './voter-history.ts'

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

function idOf(snapshot: Snapshot | null): EntryId {
  return snapshot === null ? ORIGIN : { index: snapshot.index, term: snapshot.term }
}

export class RaftLog {
  /** The entry before the first that is kept. */
  #base: EntryId
  /** Entry i stands at i - 1 - base. */
  readonly #entries: Entry[] = []
  readonly #voterHistory = new VoterHistory()
  /** The newest snapshot; it covers the base. null while the log has all entries. */
  #snapshot: Snapshot | null
  /** What the writer and the state machine have not got yet of a snapshot that came from a leader. */
  #unwrittenSnapshot: Snapshot | null = null
  #unappliedSnapshot: Snapshot | null = null
  // Invariants: 0 <= applied <= commit <= last, applied <= durable <= written <= last, base <= applied; but while a
  // snapshot of a leader is being stored: applied <= durable < base = its index <= written, commit.
  #writtenIndex: number
  #durableIndex: number
  #commitIndex: number
  #appliedIndex: number

  /**
   * @param durable the recovered entries, all of them durable, from the one behind the snapshot on, or from index 1
   * @param snapshot the recovered one, which the state machine holds already
   */
  constructor(durable: readonly Entry[], snapshot: Snapshot | null = null) {
    this.#snapshot = snapshot
    this.#base = idOf(snapshot)
    this.#commitIndex = this.#base.index
    this.#appliedIndex = this.#base.index
    if (snapshot?.voters !== undefined) this.#voterHistory.add(snapshot.index, snapshot.voters)
    for (const entry of durable) this.#push(entry)
    this.#writtenIndex = this.last.index
    this.#durableIndex = this.last.index
  }

  /** The index and term of the last entry, kept or covered by the snapshot; 0 and 0 when there is none. */
  get last(): EntryId {
    return this.#entries.at(-1) ?? this.#base
  }

  /** The entry before the first one that is kept: nothing is known of those before it. */
  get base(): EntryId {
    return this.#base
  }

  /** Stands for all entries up to its own and is durable here, but for one that is being installed. */
  get snapshot(): Snapshot | null {
    return this.#snapshot
  }

  /** Whether a snapshot of a leader is not durable yet: then the log begins behind what the disk holds. */
  get isInstalling(): boolean {
    return this.#durableIndex < this.#base.index
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

  /** Who votes by the last entry that changed it, committed or not; null when none did. */
  get voterSet(): VoterSet | null {
    return this.#voterHistory.latest
  }

  /** Who voted before that entry; null for the first voters. Only while the entry may not be committed. */
  get previousVoterSet(): VoterSet | null {
    return this.#voterHistory.previous
  }

  /** The term of the entry at the index, 0 for index 0; null beyond the end and for entries that are not kept. */
  termAt(index: number): number | null {
    if (index === this.#base.index) return this.#base.term
    return this.#entryAt(index)?.term ?? null
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
    const base = this.#base
    // Below what is kept nothing is known; a snapshot will have to say.
    if (bound.index < base.index) return bound
    if (base.term > bound.term) return { index: base.index - 1, term: bound.term }
    let low = 0
    let high = Math.min(bound.index - base.index, this.#entries.length)
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#entries[middle - 1]!.term <= bound.term) low = middle
      else high = middle - 1
    }
    return low === 0 ? base : this.#entries[low - 1]!
  }

  /**
   * The entries from the index on, at most so many bytes but always one if there is any.
   * @param index behind the base
   */
  entriesFrom(index: number, bytesMax: number): readonly Entry[] {
    const start = this.#placeOf(index)
    let end = start
    let bytes = 0
    const endMax = Math.min(this.#entries.length, end + APPEND_ENTRIES_MAX)
    while (end < endMax) {
      bytes += entryBytes(this.#entries[end]!)
      if (bytes > bytesMax && end > start) break
      end++
    }
    return this.#entries.slice(start, end)
  }

  /** The bytes of the entries after `afterIndex`, which is the base or behind it, up to and with `lastIndex`. */
  bytesBetween(afterIndex: number, lastIndex: number): number {
    let bytes = 0
    for (let i = afterIndex + 1; i <= lastIndex; i++) bytes += entryBytes(this.#entryAt(i)!)
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
    const entries = this.#entries.slice(this.#placeOf(this.#writtenIndex + 1))
    this.#writtenIndex = this.last.index
    return entries
  }

  /** Hands over a leader's snapshot that the writer has not seen yet; it goes before the unwritten entries. */
  takeUnwrittenSnapshot(): Snapshot | null {
    const snapshot = this.#unwrittenSnapshot
    this.#unwrittenSnapshot = null
    return snapshot
  }

  /** Hands out a leader's snapshot once it is durable. The state machine takes it in place of what it has. */
  takeRestored(): Snapshot | null {
    const snapshot = this.#unappliedSnapshot
    if (snapshot === null || this.isInstalling) return null
    this.#unappliedSnapshot = null
    this.#appliedIndex = snapshot.index
    return snapshot
  }

  /**
   * Puts a leader's snapshot in the place of the whole log: the own log does not hold its last entry, so whatever is
   * not committed of it is nobody's.
   */
  restore(snapshot: Snapshot): void {
    assert(
      snapshot.index > this.#commitIndex,
      `raft: a snapshot up to ${snapshot.index}, but everything up to ${this.#commitIndex} is committed`,
    )
    this.#durableIndex = Math.min(this.#durableIndex, this.#commitIndex)
    this.#entries.length = 0
    this.#base = idOf(snapshot)
    this.#voterHistory.clear()
    if (snapshot.voters !== undefined) this.#voterHistory.add(snapshot.index, snapshot.voters)
    this.#snapshot = snapshot
    this.#unwrittenSnapshot = snapshot
    this.#unappliedSnapshot = snapshot
    this.#writtenIndex = snapshot.index
    this.#commitIndex = snapshot.index
  }

  /**
   * Takes note of a snapshot of the own state, which is durable, and drops the entries before it but for the last few.
   * @returns false when a newer one is there already
   */
  compact(snapshot: Snapshot, trailingEntries: number): boolean {
    if (snapshot.index <= idOf(this.#snapshot).index) return false
    assert(
      snapshot.index <= this.#appliedIndex && this.holds(snapshot),
      `raft: a snapshot up to ${snapshot.index}/${snapshot.term}, but only ${this.#appliedIndex} is applied`,
    )
    const voters = this.#voterHistory.at(snapshot.index)?.voters
    this.#snapshot = voters === undefined ? snapshot : { ...snapshot, voters }
    const index = snapshot.index - trailingEntries
    if (index > this.#base.index) {
      const term = this.termAt(index)!
      this.#entries.splice(0, index - this.#base.index)
      this.#base = { index, term }
      this.#voterHistory.forgetBefore(index)
    }
    return true
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
    if (end <= this.#appliedIndex || this.#unappliedSnapshot !== null) return []
    const entries = this.#entries.slice(this.#placeOf(this.#appliedIndex + 1), this.#placeOf(end + 1))
    this.#appliedIndex = end
    return entries
  }

  #placeOf(index: number): number {
    assert(
      index > this.#base.index,
      `raft: entry ${index} is not kept, the log begins at ${this.#base.index + 1}`,
    )
    return index - 1 - this.#base.index
  }

  #entryAt(index: number): Entry | undefined {
    return index > this.#base.index ? this.#entries[this.#placeOf(index)] : undefined
  }

  #push(entry: Entry): void {
    const last = this.last
    assert(entry.index === last.index + 1, `raft: entry ${entry.index} cannot follow entry ${last.index}`)
    assert(
      entry.term >= last.term && entry.term > 0,
      `raft: entry ${entry.index} of term ${entry.term} cannot follow term ${last.term}`,
    )
    this.#entries.push(entry)
    if (entry.voters !== undefined) this.#voterHistory.add(entry.index, entry.voters)
  }

  #truncateFrom(index: number): void {
    assert(
      index > this.#commitIndex,
      `raft: the leader contradicts entry ${index}, but everything up to ${this.#commitIndex} is committed`,
    )
    this.#entries.length = Math.min(this.#entries.length, this.#placeOf(index))
    this.#voterHistory.truncateFrom(index)
    this.#writtenIndex = Math.min(this.#writtenIndex, index - 1)
    this.#durableIndex = Math.min(this.#durableIndex, index - 1)
  }
}
