import type { Clock, Timer } from '../base/clock.ts'

/** `flush.ms`: makes sure that what is written is fsynced in time also when `flush.messages` is not reached. */
export class FlushTimer {
  readonly #clock: Clock
  readonly #flush: () => void
  #timer: Timer | null = null

  /** @param flush asks for an fsync of all that is written by then. */
  constructor(clock: Clock, flush: () => void) {
    this.#clock = clock
    this.#flush = flush
  }

  /** Something was written that no fsync was asked for. Whatever waits longer sets the time. */
  written(flushMs: number): void {
    // The default is no limit; a timer of 25 days would fire and be of no use to anybody.
    if (flushMs === Number.MAX_SAFE_INTEGER) return
    this.#timer ??= this.#clock.setTimer(flushMs, () => {
      this.#timer = null
      this.#flush()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }
}
