// Where vltava consume stops. Pure.
import type { ConsumerBatch } from '../client/consumer.ts'
import type { ConsumerRecord } from '../client/records.ts'

type Offsets = ReadonlyMap<number, number>

/** What counts of the batches that come, and when that is all. */
export class ConsumeLimit {
  /** By partition; null: there is no end. */
  readonly #ends: Offsets | null
  /** Partitions whose end was not reached yet. */
  readonly #pending: Set<number>
  #left: number

  constructor(limit: {
    /** The end of each partition as it was at the start; null: to go on for ever. */
    readonly ends: Offsets | null
    /** Where reading begins; a partition that is not among them begins at 0. */
    readonly positions: Offsets
    readonly maxRecords: number
  }) {
    const { ends, positions, maxRecords } = limit
    this.#ends = ends
    this.#left = maxRecords
    const isBehind = ([partition, end]: readonly [number, number]): boolean =>
      (positions.get(partition) ?? 0) < end
    this.#pending = new Set([...(ends ?? [])].filter(isBehind).map(([partition]) => partition))
  }

  /** Whether nothing that comes counts any more. */
  get isReached(): boolean {
    return this.#left <= 0 || (this.#ends !== null && this.#pending.size === 0)
  }

  /** @returns the records of the batch that count. Where there are ends, none of a partition that was added since. */
  take(batch: Pick<ConsumerBatch, 'partition' | 'nextOffset' | 'records'>): readonly ConsumerRecord[] {
    const { partition, nextOffset } = batch
    const end = this.#ends === null ? Number.POSITIVE_INFINITY : (this.#ends.get(partition) ?? 0)
    const counting = nextOffset > end ? batch.records.filter(({ offset }) => offset < end) : batch.records
    const records = counting.length > this.#left ? counting.slice(0, this.#left) : counting
    this.#left -= records.length
    if (nextOffset >= end) this.#pending.delete(partition)
    return records
  }
}
