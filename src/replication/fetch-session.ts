// The broker's end of a fetch session: what the reader said of each partition, what it was told since, and which partitions
// may have news. A round looks at those alone; the others cost nothing. Without sockets and logs: the shell says when a
// partition moved, looks at it, and says what it told.
import { assert } from '../base/assert.ts'
import type { Offset, PartitionKey } from '../model/ids.ts'

/** What a reader is told of a partition beside records. */
export interface ToldBounds {
  readonly highWatermark: Offset
  readonly logStartOffset: Offset
}

/** One partition of a session; the shell only reads it. */
export interface SessionPartition<S> {
  readonly key: PartitionKey
  readonly statement: S
  /** Whether an answer since the statement was about it: each statement gets one, so that its reader knows it holds. */
  readonly isAnswered: boolean
  /** null while nothing was told under `source`. */
  readonly told: ToldBounds | null
  /** Whether the statement holds: it has not been ended by an answer. */
  readonly isWatched: boolean
}

interface Entry<S> extends SessionPartition<S> {
  statement: S
  isAnswered: boolean
  told: ToldBounds | null
  isWatched: boolean
  source: unknown
}

export class FetchSession<S> {
  readonly #partitionsMax: number
  readonly #partitions = new Map<PartitionKey, Entry<S>>()
  /** Those to look at, the one that has waited longest first. */
  readonly #news = new Set<Entry<S>>()
  /** Those that moved since the reader was heard of last. */
  readonly #unheard = new Set<Entry<S>>()
  #nextEpoch = 0

  constructor(options: { readonly partitionsMax: number }) {
    this.#partitionsMax = options.partitionsMax
  }

  /** Partitions whose statement holds, or is being made anew by the reader. */
  get size(): number {
    return this.#partitions.size
  }

  get partitions(): Iterable<SessionPartition<S>> {
    return this.#partitions.values()
  }

  get(key: PartitionKey): SessionPartition<S> | null {
    return this.#partitions.get(key) ?? null
  }

  /** Takes the epoch of the next request. @returns false where it is not the one that follows. */
  advance(epoch: number): boolean {
    if (epoch !== this.#nextEpoch) return false
    this.#nextEpoch++
    return true
  }

  /** How many of the partitions are not in the session. */
  countNew(keys: readonly PartitionKey[]): number {
    let count = 0
    for (const key of keys) if (!this.#partitions.has(key)) count++
    return count
  }

  /**
   * The reader says where it stands.
   * @param by `source`: who leads the partition; what was told under another one counts no more.
   */
  state(key: PartitionKey, by: { readonly statement: S; readonly source: unknown }): SessionPartition<S> {
    const before = this.#partitions.get(key)
    const entry = before ?? { key, ...by, isAnswered: false, told: null, isWatched: true }
    if (before === undefined) {
      this.#partitions.set(key, entry)
      assert(this.#partitions.size <= this.#partitionsMax, 'a fetch session must keep to its limit')
    } else {
      if (before.source !== by.source) before.told = null
      Object.assign(before, by, { isAnswered: false, isWatched: true })
      // It waits behind those that have not been looked at since.
      this.#news.delete(before)
      this.#unheard.delete(before)
    }
    this.#news.add(entry)
    return entry
  }

  /** The reader does not want the partition any more. @returns null where it is not in the session. */
  forget(key: PartitionKey): SessionPartition<S> | null {
    const entry = this.#partitions.get(key)
    if (entry === undefined) return null
    this.#partitions.delete(key)
    this.#news.delete(entry)
    this.#unheard.delete(entry)
    entry.isWatched = false
    return entry
  }

  /** Something about the partition changed: records, bounds, its in-sync set, its leader. */
  moved(key: PartitionKey): void {
    const entry = this.#partitions.get(key)
    if (entry?.isWatched !== true) return
    this.#news.add(entry)
    this.#unheard.add(entry)
  }

  /** The reader sent a request. @returns those that moved since its last one and that it did not state anew. */
  heard(): readonly SessionPartition<S>[] {
    const unheard = [...this.#unheard].filter(({ isWatched }) => isWatched)
    this.#unheard.clear()
    return unheard
  }

  /** Those to look at, in their turn. They have none any more unless they are kept. */
  *look(): Generator<SessionPartition<S>> {
    for (const entry of this.#news) {
      this.#news.delete(entry)
      if (entry.isWatched) yield entry
    }
  }

  /** What was looked at is to be looked at again, as there is something left to tell. It keeps no turn. */
  keep(keys: Iterable<PartitionKey>): void {
    const again: Entry<S>[] = []
    for (const key of keys) {
      const entry = this.#partitions.get(key)
      if (entry?.isWatched === true) again.push(entry)
    }
    // Before those that moved meanwhile: they have waited longer.
    const meanwhile = [...this.#news]
    this.#news.clear()
    for (const entry of again) this.#news.add(entry)
    for (const entry of meanwhile) this.#news.add(entry)
  }

  /** The reader was told of a high watermark outside of an answer. */
  noted(key: PartitionKey, highWatermark: Offset): void {
    const entry = this.#partitions.get(key)
    if (entry !== undefined) entry.told = { highWatermark, logStartOffset: entry.told?.logStartOffset ?? -1 }
  }

  /** An answer is about the partition. @param what `ends`: it ends the statement. */
  answered(key: PartitionKey, what: { readonly told: ToldBounds | null; readonly ends: boolean }): void {
    const entry = this.#partitions.get(key)
    if (entry === undefined) return
    entry.isAnswered = true
    entry.told = what.told
    if (!what.ends) return
    entry.isWatched = false
    this.#news.delete(entry)
    this.#unheard.delete(entry)
  }
}

/** Whether a reader without new records has to hear of the bounds, and how soon it can. */
export function newsOf(
  partition: Pick<SessionPartition<unknown>, 'isAnswered' | 'told'>,
  bounds: ToldBounds,
): { readonly isOpen: boolean; readonly isHighWatermarkNew: boolean } {
  const { told, isAnswered } = partition
  return {
    isOpen: !isAnswered || told?.logStartOffset !== bounds.logStartOffset,
    isHighWatermarkNew: told?.highWatermark !== bounds.highWatermark,
  }
}
