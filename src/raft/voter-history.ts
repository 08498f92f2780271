// Who votes after which entry of the log. A change counts from the moment it is in the log, committed or not, and stops
// to count when it is cut off (RAFT-22): so the changes that are still in question are all here, and the one before.
import { assert } from '../base/assert.ts'
import type { VoterKey } from './messages.ts'

export interface VoterSet {
  /** Of the entry that made it; 0 for the first voters of a cluster. */
  readonly index: number
  readonly voters: readonly VoterKey[]
  /** Their node ids, in the same order. */
  readonly ids: readonly number[]
}

/** @throws AssertionError when there is none, or one node twice. */
export function voterSetOf(index: number, voters: readonly VoterKey[]): VoterSet {
  const ids = voters.map(({ id }) => id)
  assert(ids.length > 0, 'raft: there must be at least one voter')
  assert(new Set(ids).size === ids.length, `raft: voters must differ, got ${ids.join(', ')}`)
  return { index, voters, ids }
}

export class VoterHistory {
  /** Ascending by index. */
  #sets: VoterSet[] = []

  /** The newest; null when no entry has changed the first voters. */
  get latest(): VoterSet | null {
    return this.#sets.at(-1) ?? null
  }

  /** The one before the newest, as far as it is not forgotten. */
  get previous(): VoterSet | null {
    return this.#sets.at(-2) ?? null
  }

  /** The one that holds after the entry at the index, which is not forgotten; null as above. */
  at(index: number): VoterSet | null {
    return this.#sets.findLast((set) => set.index <= index) ?? null
  }

  add(index: number, voters: readonly VoterKey[]): void {
    assert(index > (this.latest?.index ?? 0), `raft: a change of the voters at ${index} does not follow`)
    this.#sets.push(voterSetOf(index, voters))
  }

  /** The entries from the index on are cut off. */
  truncateFrom(index: number): void {
    this.#sets = this.#sets.filter((set) => set.index < index)
  }

  /** Nobody will ask about entries before the index. */
  forgetBefore(index: number): void {
    const first = this.at(index)
    if (first !== null) this.#sets = this.#sets.filter((set) => set.index >= first.index)
  }

  clear(): void {
    this.#sets = []
  }
}
