// The epoch history of one log and the file it lives in. An epoch is durable before any record of it is written, so that
// two replicas can always find where their logs part (KIP-101).

import { type EpochEntry, EpochHistory, type EpochView } from '../log/epoch-history.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { type AtomicFile, isCount } from './atomic-file.ts'

export class LeaderEpochsFile {
  readonly #file: AtomicFile
  readonly #history: EpochHistory

  /** @param entries what the file holds. */
  constructor(file: AtomicFile, entries: readonly EpochEntry[]) {
    this.#file = file
    this.#history = new EpochHistory(entries)
  }

  get view(): EpochView {
    return this.#history
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
    if (copy.entries.length < this.#history.entries.length) await this.#file.write(encodeEpochs(copy.entries))
    this.#history.truncateFromStart(startOffset)
  }

  /** Changes a copy first: what memory says must not be ahead of the file. */
  async #change(change: (history: EpochHistory) => boolean): Promise<void> {
    const copy = new EpochHistory(this.#history.entries)
    if (!change(copy)) return
    await this.#file.write(encodeEpochs(copy.entries))
    change(this.#history)
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
