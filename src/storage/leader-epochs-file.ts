// The epoch history of one log and the file it lives in. An epoch is durable before any record of it is written, so that
// two replicas can always find where their logs part (KIP-101). An epoch without records need not be: it says only where the
// log ends, and opening the log drops it anyway.

import { type EpochEntry, EpochHistory, type EpochView } from '../log/epoch-history.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { type AtomicFile, isCount } from './atomic-file.ts'

export class LeaderEpochsFile {
  readonly #file: AtomicFile
  readonly #history: EpochHistory
  /** The entries that the file holds; those of the history, or another array while it is ahead of the file. */
  #saved: readonly EpochEntry[]

  /** @param entries what the file holds. */
  constructor(file: AtomicFile, entries: readonly EpochEntry[]) {
    this.#file = file
    this.#history = new EpochHistory(entries)
    this.#saved = this.#history.entries
  }

  get view(): EpochView {
    return this.#history
  }

  /** Whether the file holds all that memory says. To be true, by `save`, before a record of the latest epoch is written. */
  get isSaved(): boolean {
    return this.#saved === this.#history.entries
  }

  /**
   * Notes in memory alone that an epoch begins, at the end of the log: a broker that comes to lead a thousand partitions
   * would have to write as many files before it could serve any.
   */
  begin(entry: EpochEntry): void {
    this.#history.assign(entry.epoch, entry.startOffset)
  }

  /** Makes durable what `begin` noted. */
  async save(): Promise<void> {
    if (!this.isSaved) await this.#write(this.#history.entries)
  }

  /** Notes that epochs begin, durably when this resolves. What was noted before costs nothing. */
  assign(entries: readonly EpochEntry[]): Promise<void> {
    return this.#change((history) => {
      let changed = false
      for (const { epoch, startOffset } of entries) {
        if (epoch !== history.latestEpoch) changed = history.assign(epoch, startOffset) || changed
      }
      return changed
    })
  }

  /**
   * Forgets, in memory alone, what begins beyond the end of the log: its first record was to be written behind it and was not. The
   * file may say it until the next `save`; opening the log drops it.
   */
  forgetBeyond(endOffset: Offset): void {
    this.#history.truncateFromEnd(endOffset + 1)
  }

  /** Drops what begins at or beyond the end of the log. */
  truncateFromEnd(endOffset: Offset): Promise<void> {
    return this.#change((history) => history.truncateFromEnd(endOffset))
  }

  /**
   * Drops what ends at or below the start of the log. That the epoch of the first record began further down says nothing
   * wrong, and opening the log corrects it, so the file is written only where an epoch goes.
   */
  async truncateFromStart(startOffset: Offset): Promise<void> {
    const copy = new EpochHistory(this.#history.entries)
    if (!copy.truncateFromStart(startOffset)) return
    const { isSaved } = this
    const mustWrite = copy.entries.length < this.#history.entries.length
    if (mustWrite) await this.#file.write(encodeEpochs(copy.entries))
    this.#history.truncateFromStart(startOffset)
    if (mustWrite || isSaved) this.#saved = this.#history.entries
  }

  /** Changes a copy first: of what goes, memory must not be ahead of the file. */
  async #change(change: (history: EpochHistory) => boolean): Promise<void> {
    const copy = new EpochHistory(this.#history.entries)
    if (!change(copy)) return
    await this.#write(copy.entries)
    change(this.#history)
    this.#saved = this.#history.entries
  }

  async #write(entries: readonly EpochEntry[]): Promise<void> {
    await this.#file.write(encodeEpochs(entries))
    this.#saved = entries
  }
}

/** As pairs of epoch and start offset. */
export function encodeEpochs(entries: readonly EpochEntry[]): unknown {
  return entries.map(({ epoch, startOffset }) => [epoch, startOffset])
}

/** @returns null when the data is not a list of ascending epochs. */
export function decodeEpochs(data: unknown): EpochEntry[] | null {
  if (!Array.isArray(data)) return null
  const entries: EpochEntry[] = []
  let epochBefore: LeaderEpoch = -1
  let startBefore: Offset = -1
  for (const pair of data as unknown[]) {
    if (!Array.isArray(pair)) return null
    const [epoch, startOffset] = pair as unknown[]
    if (!isCount(epoch) || !isCount(startOffset)) return null
    if (epoch <= epochBefore || startOffset <= startBefore) return null
    entries.push({ epoch, startOffset })
    epochBefore = epoch
    startBefore = startOffset
  }
  return entries
}
