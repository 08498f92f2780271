import type { Clock, Timer } from '../base/clock.ts'
import type { MetadataOffset } from '../model/ids.ts'

interface Waiter {
  readonly offset: MetadataOffset
  readonly timer: Timer
  resolve(): void
}

/** Requests that wait until this broker has applied a metadata offset. */
export class ImageWaiters {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #reached: MetadataOffset = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves when the offset is applied, and also when the time is up. */
  when(offset: MetadataOffset, timeoutMs: number): Promise<void> {
    if (offset <= this.#reached) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(timeoutMs, () => this.#settle(waiter))
      const waiter: Waiter = { offset, timer, resolve }
      this.#waiters.add(waiter)
    })
  }

  reached(offset: MetadataOffset): void {
    this.#reached = offset
    for (const waiter of this.#waiters) if (waiter.offset <= offset) this.#settle(waiter)
  }

  close(): void {
    for (const waiter of this.#waiters) this.#settle(waiter)
  }

  #settle(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    waiter.timer.cancel()
    waiter.resolve()
  }
}
