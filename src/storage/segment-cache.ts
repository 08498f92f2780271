import type { Log } from '../base/log.ts'

/** What the cache needs of a segment. */
export interface Cached {
  readonly path: string
  /** Whether nothing reads from it at the moment. */
  readonly isUnused: boolean
  close(): Promise<void>
}

/** Keeps the sealed segments of a data directory open that were used last, up to a number of them. */
export class SegmentCache {
  readonly #openMax: number
  readonly #log: Log
  /** In the order of their last use. */
  readonly #open = new Set<Cached>()

  /** @param openMax files that stay open when nothing reads from them; each also holds its indexes in memory. */
  constructor(openMax: number, log: Log) {
    this.#openMax = openMax
    this.#log = log
  }

  /** Counts a use of an open segment and closes those beyond the limit that were not used for longest. */
  used(segment: Cached): void {
    this.#open.delete(segment)
    this.#open.add(segment)
    this.#closeBeyondMax(segment)
  }

  /** To be called when the last read of an open segment has ended: while it ran, the segment could not be closed. */
  released(): void {
    this.#closeBeyondMax(null)
  }

  /** To be called when the segment is closed or becomes the active one. */
  forget(segment: Cached): void {
    this.#open.delete(segment)
  }

  #closeBeyondMax(kept: Cached | null): void {
    for (const oldest of this.#open) {
      if (this.#open.size <= this.#openMax) break
      if (!oldest.isUnused || oldest === kept) continue
      oldest.close().catch((error: unknown) => {
        this.#log.warn('segment-close-failed', { path: oldest.path, error })
      })
    }
  }
}
