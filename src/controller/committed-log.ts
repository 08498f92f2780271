// The committed metadata log in memory, from the last few entries before the newest snapshot on, and the brokers that
// wait for its end to move. Who lacks what is gone from it begins with the snapshot.
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset } from '../model/ids.ts'
import { NODES_MAX } from '../model/limits.ts'
import type { Entry, Snapshot } from '../raft/types.ts'

/** Bytes of entries in one answer, beyond the first entry: with its own fields it fits into a 4 MiB frame header. */
const READ_MAX_BYTES = 2 * 1024 * 1024
const READ_MAX_ENTRIES = 10_000
/** Bytes an entry takes in an answer besides its data. */
const ENTRY_OVERHEAD_BYTES = 5
/** Two for each node: after a reconnect the parked request of the old link may still wait. */
const PARKED_MAX = 2 * NODES_MAX

export interface ReadRange {
  /** The first offset wanted. */
  readonly fromOffset: MetadataOffset
  readonly maxBytes: number
}

export class CommittedLog {
  readonly #clock: Clock
  /** Entry of offset i at i - start; null for the empty entry that starts a term. */
  #entries: (Uint8Array | null)[] = []
  #startOffset: MetadataOffset = 1
  #snapshot: Snapshot | null = null
  readonly #parked = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The last committed offset; 0 before the first. */
  get endOffset(): MetadataOffset {
    return this.#startOffset - 1 + this.#entries.length
  }

  /** The first offset that can be read; those before it are in the snapshot. */
  get startOffset(): MetadataOffset {
    return this.#startOffset
  }

  /** Stands for everything up to its index, which is at or behind the offset before the start. */
  get snapshot(): Snapshot | null {
    return this.#snapshot
  }

  /** Begins anew behind a snapshot. */
  restore(snapshot: Snapshot): void {
    assert(
      snapshot.index >= this.endOffset,
      `a snapshot up to ${snapshot.index} goes back from ${this.endOffset}`,
    )
    this.#entries = []
    this.#startOffset = snapshot.index + 1
    this.#snapshot = snapshot
  }

  /** Takes over a snapshot of what was appended, and drops the entries up to and with an offset that it stands for. */
  compact(snapshot: Snapshot, lastDropped: MetadataOffset): void {
    assert(
      lastDropped <= snapshot.index && snapshot.index <= this.endOffset,
      `a snapshot up to ${snapshot.index} for ${this.#startOffset} to ${lastDropped} of ${this.endOffset}`,
    )
    this.#snapshot = snapshot
    if (lastDropped < this.#startOffset) return
    this.#entries.splice(0, lastDropped - this.#startOffset + 1)
    this.#startOffset = lastDropped + 1
  }

  append(entry: Entry): void {
    assert(entry.index === this.endOffset + 1, `entry ${entry.index} does not follow ${this.endOffset}`)
    this.#entries.push(entry.data)
  }

  /** The entries from the offset on, which is the start or behind it; at least one if there is any. */
  read({ fromOffset, maxBytes }: ReadRange): readonly (Uint8Array | null)[] {
    assert(fromOffset >= this.#startOffset, `offset ${fromOffset} is in the snapshot`)
    const bytesMax = Math.min(maxBytes, READ_MAX_BYTES)
    const start = fromOffset - this.#startOffset
    const endMax = Math.min(this.#entries.length, start + READ_MAX_ENTRIES)
    let end = start
    let bytes = 0
    while (end < endMax) {
      bytes += ENTRY_OVERHEAD_BYTES + (this.#entries[end]?.length ?? 0)
      if (bytes > bytesMax && end > start) break
      end++
    }
    return this.#entries.slice(start, end)
  }

  /**
   * Resolves when something is committed at or after the offset, when the time is up, or at `wakeAll`.
   * @throws VltavaError SERVER_BUSY when too many wait already
   */
  waitFor(fromOffset: MetadataOffset, maxWaitMs: number): Promise<void> {
    if (this.endOffset >= fromOffset || maxWaitMs === 0) return Promise.resolve()
    if (this.#parked.size >= PARKED_MAX) {
      throw new VltavaError('SERVER_BUSY', `${PARKED_MAX} requests wait for the metadata log already.`)
    }
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel()
        this.#parked.delete(wake)
        resolve()
      }
      const timer = this.#clock.setTimer(maxWaitMs, wake)
      this.#parked.add(wake)
    })
  }

  /** Ends all waits: entries were committed, or this node does not lead any more. */
  wakeAll(): void {
    for (const wake of [...this.#parked]) wake()
  }
}
