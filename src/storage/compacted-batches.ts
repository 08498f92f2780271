// What a compaction writes, in the order of the offsets: the batches that stay, and one without records for each stretch of
// those that go, so that the offsets have no gap. A stretch is of one leader epoch, because a batch is.
import type { Cpu } from '../base/cpu.ts'
import { EMPTY_BATCH_OFFSETS_MAX, type EmptyRange, emptyBatch } from '../record/empty-batch.ts'

export class CompactedBatches {
  readonly #cpu: Cpu
  #parts: Uint8Array[] = []
  /** The stretch that goes, as far as it is known. */
  #gone: EmptyRange | null = null

  constructor(cpu: Cpu) {
    this.#cpu = cpu
  }

  /** @param batch is not copied. */
  keep(batch: Uint8Array): void {
    this.finish()
    this.#parts.push(batch)
  }

  /** @param batch begins where the one before ended. */
  drop({ baseOffset, nextOffset, leaderEpoch }: EmptyRange): void {
    const gone = this.#gone
    const isSame =
      gone?.leaderEpoch === leaderEpoch && nextOffset - gone.baseOffset <= EMPTY_BATCH_OFFSETS_MAX
    if (!isSame) this.finish()
    this.#gone = { baseOffset: isSame ? gone.baseOffset : baseOffset, nextOffset, leaderEpoch }
  }

  /** No more comes, or something that stays. */
  finish(): void {
    if (this.#gone !== null) this.#parts.push(emptyBatch(this.#gone, this.#cpu))
    this.#gone = null
  }

  /** What is to be written next; a stretch of which the end is not known comes later. */
  take(): readonly Uint8Array[] {
    const parts = this.#parts
    this.#parts = []
    return parts
  }
}
