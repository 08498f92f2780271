// Requests that wait for a partition to move: a produce with acks=all for the high watermark, a fetch for records.
import type { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'

/** A produce that waits until the high watermark covers its records. */
export interface PendingAck {
  readonly endOffset: Offset
  /** Called exactly once. */
  settle(error: VltavaError | null): void
}

/** The waiting produce requests of one partition in one leader epoch, in the order of their offsets. */
export class PendingAcks {
  #pending: PendingAck[] = []
  #head = 0

  get size(): number {
    return this.#pending.length - this.#head
  }

  add(ack: PendingAck): void {
    this.#pending.push(ack)
  }

  /** Settles all that the high watermark covers. */
  release(highWatermark: Offset): void {
    while (this.#head < this.#pending.length) {
      const next = this.#pending[this.#head]!
      if (next.endOffset > highWatermark) break
      this.#head++
      next.settle(null)
    }
    // Shifting one by one would be quadratic; half-empty arrays are copied instead.
    if (this.#head > 64 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head)
      this.#head = 0
    }
  }

  /** Takes one out that was settled by its deadline. */
  remove(ack: PendingAck): void {
    const at = this.#pending.indexOf(ack, this.#head)
    if (at >= 0) this.#pending.splice(at, 1)
  }

  failAll(error: VltavaError): void {
    const failed = this.#pending.slice(this.#head)
    this.#pending = []
    this.#head = 0
    for (const ack of failed) ack.settle(error)
  }
}

/** A parked fetch. `wake` makes it look again; it decides by itself whether it has enough. */
export interface ParkedFetch {
  wake(): void
}

/** A fetch session that has the partition. Told of every move, whether a fetch of it is parked or not. */
export interface PartitionWatcher {
  moved(): void
}

/** The fetches parked on one partition, and the sessions that watch it. */
export class ParkedFetches {
  readonly #parked = new Set<ParkedFetch>()
  readonly #watchers = new Set<PartitionWatcher>()
  readonly #joined: () => void

  /** @param joined called with each that begins to wait */
  constructor(joined: () => void = () => {}) {
    this.#joined = joined
  }

  /** Parked fetches of the partition alone; those of sessions are counted there. */
  get size(): number {
    return this.#parked.size
  }

  /** Whether nobody waits or watches. */
  get isEmpty(): boolean {
    return this.#parked.size === 0 && this.#watchers.size === 0
  }

  add(fetch: ParkedFetch): void {
    this.#parked.add(fetch)
    this.#joined()
  }

  remove(fetch: ParkedFetch): void {
    this.#parked.delete(fetch)
  }

  watch(watcher: PartitionWatcher): void {
    this.#watchers.add(watcher)
    this.#joined()
  }

  unwatch(watcher: PartitionWatcher): void {
    this.#watchers.delete(watcher)
  }

  wakeAll(): void {
    // A woken fetch takes itself out of the set, and one that goes on waiting stays in it.
    for (const fetch of [...this.#parked]) fetch.wake()
    for (const watcher of [...this.#watchers]) watcher.moved()
  }
}
