// The committed metadata log in memory, and the brokers that wait for its end to move.
import { assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset } from '../model/ids.ts'
import { NODES_MAX } from '../model/limits.ts'
import type { Entry } from '../raft/types.ts'

/** Bytes of entries in one answer, beyond the first entry: with its own fields it fits into a 4 MiB frame header. */
const READ_MAX_BYTES = 2 * 1024 * 1024
const READ_MAX_ENTRIES = 10_000
/** Bytes an entry takes in an answer besides its data. */
const ENTRY_OVERHEAD_BYTES = 5
/** Two for each node: after a reconnect the parked request of the old link may still wait. */
const PARKED_MAX = 2 * NODES_MAX

export interface ReadRange {
  /** The first offset wanted; from 1. */
  readonly fromOffset: MetadataOffset
  readonly maxBytes: number
}

export class CommittedLog {
  readonly #clock: Clock
  /** Entry of offset i at i - 1; null for the empty entry that starts a term. */
  readonly #entries: (Uint8Array | null)[] = []
  readonly #parked = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The last committed offset; 0 before the first. */
  get endOffset(): MetadataOffset {
    return this.#entries.length
  }

  append(entry: Entry): void {
    assert(
      entry.index === this.#entries.length + 1,
      `entry ${entry.index} does not follow ${this.#entries.length}`,
    )
    this.#entries.push(entry.data)
  }

  /** The entries from the offset on, at least one if there is any. */
  read({ fromOffset, maxBytes }: ReadRange): readonly (Uint8Array | null)[] {
    const bytesMax = Math.min(maxBytes, READ_MAX_BYTES)
    const endMax = Math.min(this.#entries.length, fromOffset - 1 + READ_MAX_ENTRIES)
    let end = fromOffset - 1
    let bytes = 0
    while (end < endMax) {
      bytes += ENTRY_OVERHEAD_BYTES + (this.#entries[end]?.length ?? 0)
      if (bytes > bytesMax && end >= fromOffset) break
      end++
    }
    return this.#entries.slice(fromOffset - 1, end)
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
