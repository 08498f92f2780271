// Which partitions go into the next fetch to one leader, in which order and with how many bytes each. A leader fills
// its answer in the order of the request until it is full, so the order decides who gets something: a partition that
// got records goes to the end, and one full of records cannot starve the others.
import { assert } from '../base/assert.ts'
import type { PartitionKey } from '../model/ids.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'

export interface FetchPlanOptions {
  /** replica.fetch.response.max.bytes: what one answer may hold in all. */
  readonly responseMaxBytes: number
  /** replica.fetch.max.bytes: what it may hold of one partition. One batch always fits, or it could never pass. */
  readonly partitionMaxBytes: number
  /** Partitions in one request; the rest goes into the next. Default PARTITIONS_PER_REQUEST_MAX. */
  readonly partitionsMax?: number
}

export interface PlannedFetch {
  readonly key: PartitionKey
  readonly maxBytes: number
}

/** The partitions that one fetcher fetches from one leader. A partition is in the plan of at most one (INV-14). */
export class FetchPlan {
  /** Bytes one answer may hold in all. */
  readonly responseMaxBytes: number
  readonly #partitionMaxBytes: number
  readonly #partitionsMax: number
  /** The partition that waited longest for records first. */
  readonly #turns = new Set<PartitionKey>()
  /** The partition that was not asked for longest first. Only more partitions than one request takes need it. */
  readonly #rotation = new Set<PartitionKey>()

  constructor(options: FetchPlanOptions) {
    const partitionsMax = options.partitionsMax ?? PARTITIONS_PER_REQUEST_MAX
    assert(options.responseMaxBytes >= 1 && options.partitionMaxBytes >= 1, 'a fetch must allow for bytes')
    assert(partitionsMax >= 1, 'a fetch must allow for partitions')
    this.responseMaxBytes = options.responseMaxBytes
    this.#partitionMaxBytes = Math.min(options.partitionMaxBytes, options.responseMaxBytes)
    this.#partitionsMax = partitionsMax
  }

  get size(): number {
    return this.#turns.size
  }

  has(key: PartitionKey): boolean {
    return this.#turns.has(key)
  }

  /** A new partition comes last; one that is in the plan keeps its turn. */
  add(key: PartitionKey): void {
    this.#turns.add(key)
    this.#rotation.add(key)
  }

  remove(key: PartitionKey): void {
    this.#turns.delete(key)
    this.#rotation.delete(key)
  }

  /**
   * The next fetch, in the order of turns.
   * @param isReady whether a partition can fetch now; one that truncates, appends or waits after an error cannot.
   */
  next(isReady: (key: PartitionKey) => boolean): readonly PlannedFetch[] {
    const chosen = this.#turns.size > this.#partitionsMax ? this.#chooseByRotation(isReady) : null
    const planned: PlannedFetch[] = []
    for (const key of this.#turns) {
      if (chosen === null ? isReady(key) : chosen.has(key))
        planned.push({ key, maxBytes: this.#partitionMaxBytes })
    }
    return planned
  }

  /** A partition of the last fetch got records: its turn is over. */
  served(key: PartitionKey): void {
    if (this.#turns.has(key)) moveToEnd(this.#turns, key)
  }

  /** By turns alone, partitions that never have records would keep all others out of the request. */
  #chooseByRotation(isReady: (key: PartitionKey) => boolean): ReadonlySet<PartitionKey> {
    const chosen = new Set<PartitionKey>()
    for (const key of this.#rotation) {
      if (isReady(key)) chosen.add(key)
      if (chosen.size === this.#partitionsMax) break
    }
    for (const key of chosen) moveToEnd(this.#rotation, key)
    return chosen
  }
}

function moveToEnd(keys: Set<PartitionKey>, key: PartitionKey): void {
  keys.delete(key)
  keys.add(key)
}
