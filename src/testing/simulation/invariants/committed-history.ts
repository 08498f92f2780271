import type { StoredBatch } from './replica-log.ts'
import { demand } from './violation.ts'

/** What one partition has ever committed, as learned from the replicas whose high watermark was first to pass it. */
export class CommittedHistory {
  readonly key: string
  readonly #batches: StoredBatch[] = []
  /**
   * Exclusive: below it the replica that is compared next may have empty batches in the place of others, and lack records of
   * the rest, because its log was compacted. How far that may go is judged by the readers of each key.
   */
  compactedBelow = 0

  constructor(key: string) {
    this.key = key
  }

  /** Exclusive: everything below was committed at some moment, and must stay. */
  get endOffset(): number {
    return this.#batches.at(-1)?.endOffset ?? 0
  }

  /** A replica says that all below `highWatermark` is committed. @param who for the message. */
  extend(batches: readonly StoredBatch[], highWatermark: number, who: string): void {
    const from = this.endOffset
    for (
      let i = firstFrom(batches, from);
      i < batches.length && batches[i]!.baseOffset < highWatermark;
      i++
    ) {
      demand(
        batches[i]!.baseOffset === this.endOffset,
        'INV-25',
        () =>
          `${this.key}: ${who} has the high watermark ${highWatermark} but its log goes from ${this.endOffset} to ${batches[i]!.baseOffset}`,
      )
      this.#batches.push(batches[i]!)
    }
    demand(
      this.endOffset >= highWatermark,
      'INV-25',
      () =>
        `${this.key}: ${who} has the high watermark ${highWatermark} but its log ends at ${batches.at(-1)?.endOffset ?? 0}`,
    )
  }

  /**
   * Compares a replica with the history: it must have the very batches that were committed in the range.
   * @returns up to where it was compared.
   */
  compare(
    batches: readonly StoredBatch[],
    range: { readonly from: number; readonly to: number; readonly invariant: string; readonly who: string },
  ): number {
    const { from, invariant, who } = range
    const to = Math.min(range.to, this.endOffset)
    let mine = firstFrom(this.#batches, from)
    let theirs = firstEndingBehind(batches, this.#batches[mine]?.baseOffset ?? to)
    for (; mine < this.#batches.length && this.#batches[mine]!.baseOffset < to; mine++) {
      const committed = this.#batches[mine]!
      const stored = batches[theirs]
      const mayBeCompacted = committed.endOffset <= this.compactedBelow
      demand(
        stored !== undefined && (isSame(committed, stored) || (mayBeCompacted && isRest(stored, committed))),
        invariant,
        () => `${this.key}: ${who} holds ${show(stored)} where ${show(committed)} was committed`,
      )
      if (stored!.endOffset <= committed.endOffset) theirs++
    }
    return to
  }
}

/** The first batch that begins at or behind the offset. */
function firstFrom(batches: readonly StoredBatch[], offset: number): number {
  let low = 0
  let high = batches.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (batches[middle]!.baseOffset < offset) low = middle + 1
    else high = middle
  }
  return low
}

/** The first batch that ends behind the offset. */
function firstEndingBehind(batches: readonly StoredBatch[], offset: number): number {
  const next = firstFrom(batches, offset)
  return next > 0 && batches[next - 1]!.endOffset > offset ? next - 1 : next
}

/** Whether one is what compaction may have left of the other: the batch with fewer records, or an empty one in its place. */
function isRest(a: StoredBatch, b: StoredBatch): boolean {
  const isAround = a.isEmpty && a.baseOffset <= b.baseOffset && b.endOffset <= a.endOffset
  return a.leaderEpoch === b.leaderEpoch && (isAround || isSame({ ...a, crc: b.crc }, b))
}

function isSame(a: StoredBatch, b: StoredBatch): boolean {
  return (
    a.baseOffset === b.baseOffset &&
    a.endOffset === b.endOffset &&
    a.leaderEpoch === b.leaderEpoch &&
    a.crc === b.crc
  )
}

function show(batch: StoredBatch | undefined): string {
  if (batch === undefined) return 'nothing'
  const { baseOffset, endOffset, leaderEpoch, crc } = batch
  return `offsets ${baseOffset} to ${endOffset - 1} of leader epoch ${leaderEpoch} (CRC ${crc.toString(16)})`
}
