import type { Clock, Timer } from '../clock.ts'

interface Waiter {
  readonly threshold: number
  readonly timer: Timer
  resolve(): void
}

/** Requests that wait until a number that never falls, an offset or an epoch, has reached a threshold. */
export class ThresholdWaiters {
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #reached: number

  /** @param reached what the number is at first. */
  constructor(clock: Clock, reached = 0) {
    this.#clock = clock
    this.#reached = reached
  }

  /** Resolves when the number has reached the threshold, and also when the time, in milliseconds, is up; in the order of the calls. */
  when(threshold: number, timeoutMs: number): Promise<void> {
    if (threshold <= this.#reached) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(timeoutMs, () => this.#settle(waiter))
      const waiter: Waiter = { threshold, timer, resolve }
      this.#waiters.add(waiter)
    })
  }

  reached(value: number): void {
    this.#reached = value
    for (const waiter of this.#waiters) if (waiter.threshold <= value) this.#settle(waiter)
  }

  /** Nobody waits any longer. */
  close(): void {
    for (const waiter of this.#waiters) this.#settle(waiter)
  }

  #settle(waiter: Waiter): void {
    this.#waiters.delete(waiter)
    waiter.timer.cancel()
    waiter.resolve()
  }
}
