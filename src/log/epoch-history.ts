// The leader epochs of one log: at which offset each leadership began to write. Two replicas compare their histories
// to find where their logs part (KIP-101, KIP-279). The partition log owns the one mutable instance, keeps it on disk
// and passes a read-only view to the cores.
import { assert, assertSafeInteger } from '../base/assert.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'

/** Records from `startOffset` up to the start of the next entry were written by the leader of `epoch`. */
export interface EpochEntry {
  readonly epoch: LeaderEpoch
  readonly startOffset: Offset
}

/**
 * Where an epoch ends in a log. It always carries both: an end offset alone makes two logs that forked in different
 * epochs truncate to the wrong place (KIP-279).
 */
export interface EpochEnd {
  readonly epoch: LeaderEpoch
  /** Exclusive. */
  readonly endOffset: Offset
}

/** What cores may see of a history; it shows the present state of the log, also after later changes. */
export interface EpochView {
  /** -1 while there is none. */
  readonly latestEpoch: LeaderEpoch
  /** Epochs and start offsets both strictly ascending. The array never changes; a change makes a new one. */
  readonly entries: readonly EpochEntry[]

  /**
   * The end of an epoch in this log: of the latest epoch the log end offset; of an older one the start of the next
   * larger, together with the largest epoch that is not above the one asked for. An epoch below the first entry ends
   * where that entry starts and is returned itself.
   * @param epoch the epoch asked for; -1 is answered with null.
   * @returns null where the epoch is above the latest: this log cannot say anything about it.
   */
  endOffsetFor(epoch: LeaderEpoch, logEndOffset: Offset): EpochEnd | null

  /** The epoch of the record at an offset; -1 below the first entry. The caller keeps to offsets inside the log. */
  epochAt(offset: Offset): LeaderEpoch
}

/** The mutable history. Each change says whether the entries differ now, so that the owner writes them only then. */
export class EpochHistory implements EpochView {
  #entries: readonly EpochEntry[]

  /** @param entries what the log had on disk; [] for a new log. Epochs and start offsets must strictly ascend. */
  constructor(entries: readonly EpochEntry[]) {
    for (let i = 0; i < entries.length; i++) {
      checkEntry(entries[i]!)
      if (i > 0) checkOrder(entries[i - 1]!, entries[i]!)
    }
    this.#entries = entries.slice()
  }

  get latestEpoch(): LeaderEpoch {
    return this.#entries.at(-1)?.epoch ?? -1
  }

  get entries(): readonly EpochEntry[] {
    return this.#entries
  }

  endOffsetFor(epoch: LeaderEpoch, logEndOffset: Offset): EpochEnd | null {
    const latestEpoch = this.latestEpoch
    if (epoch < 0 || epoch > latestEpoch) return null
    if (epoch === latestEpoch) return { epoch, endOffset: logEndOffset }
    const next = this.#countWhile((entry) => entry.epoch <= epoch)
    return { epoch: this.#entries[next - 1]?.epoch ?? epoch, endOffset: this.#entries[next]!.startOffset }
  }

  epochAt(offset: Offset): LeaderEpoch {
    return this.#entries[this.#countWhile((entry) => entry.startOffset <= offset) - 1]?.epoch ?? -1
  }

  /**
   * Notes that `epoch` writes from `startOffset` on. To be called before each append (with the epoch of the batch and
   * its base offset) and at the start of a leadership, also when it will write nothing. The latest epoch again changes
   * nothing. A latest entry that starts at the same offset has no records, and the new epoch takes its place.
   * @returns whether the entries changed.
   */
  assign(epoch: LeaderEpoch, startOffset: Offset): boolean {
    const latest = this.#entries.at(-1)
    if (latest?.epoch === epoch) {
      // Once per append, so the message is a constant: one with numbers would be built each time.
      assert(startOffset >= latest.startOffset, 'the latest leader epoch begins beyond this offset')
      return false
    }
    const entry = { epoch, startOffset }
    checkEntry(entry)
    const kept = latest?.startOffset === startOffset ? this.#entries.slice(0, -1) : this.#entries
    // The replaced entry still counts for the order of epochs: they never go backwards.
    if (latest !== undefined) assert(epoch > latest.epoch, `leader epoch ${epoch} after ${latest.epoch}`)
    if (kept.length > 0) checkOrder(kept.at(-1)!, entry)
    this.#entries = [...kept, entry]
    return true
  }

  /**
   * Drops the entries that start at or beyond a log end. To be called with every truncation, also one that removes no
   * record: an epoch without records must go too, or the replica would name it again in its next fetch. Zero clears.
   * @param endOffset the log end offset after the truncation.
   * @returns whether the entries changed.
   */
  truncateFromEnd(endOffset: Offset): boolean {
    const kept = this.#countWhile((entry) => entry.startOffset < endOffset)
    if (kept === this.#entries.length) return false
    this.#entries = this.#entries.slice(0, kept)
    return true
  }

  /**
   * Drops the entries whose records all lie below a log start; the epoch that covers it starts there from now on.
   * @param startOffset the log start offset after the deletion.
   * @returns whether the entries changed.
   */
  truncateFromStart(startOffset: Offset): boolean {
    const passed = this.#countWhile((entry) => entry.startOffset <= startOffset)
    const covering = this.#entries[passed - 1]
    if (covering === undefined || (passed === 1 && covering.startOffset === startOffset)) return false
    this.#entries = [{ epoch: covering.epoch, startOffset }, ...this.#entries.slice(passed)]
    return true
  }

  /** How many entries from the first on meet a condition that, once false, stays false (binary search). */
  #countWhile(condition: (entry: EpochEntry) => boolean): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (condition(this.#entries[middle]!)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function checkEntry(entry: EpochEntry): void {
  assertSafeInteger(entry.epoch, 'a leader epoch')
  assertSafeInteger(entry.startOffset, 'the start offset of a leader epoch')
  assert(entry.epoch >= 0, `a leader epoch must not be negative, got ${entry.epoch}`)
  assert(entry.startOffset >= 0, `a leader epoch must not start at ${entry.startOffset}`)
}

function checkOrder(before: EpochEntry, after: EpochEntry): void {
  assert(after.epoch > before.epoch, `leader epoch ${after.epoch} after ${before.epoch}`)
  assert(
    after.startOffset > before.startOffset,
    `leader epoch ${after.epoch} starts at ${after.startOffset}, not beyond ${before.startOffset}`,
  )
}
