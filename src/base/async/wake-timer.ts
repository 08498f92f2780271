import type { Clock, Timer } from '../clock.ts'

/** One timer for a loop that looks at everything whenever it runs. */
export class WakeTimer {
  readonly #clock: Clock
  readonly #wake: () => void
  #timer: Timer | null = null
  #dueMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  /**
   * Wakes the loop at the given monotonic time, at the latest; never for infinity. Waking it early does no harm, so an
   * earlier timer stays: replacing it each time would cost more.
   */
  arm(dueMs: number): void {
    if (dueMs >= this.#dueMs || dueMs === Number.POSITIVE_INFINITY) return
    this.#timer?.cancel()
    this.#dueMs = dueMs
    this.#timer = this.#clock.setTimer(dueMs - this.#clock.monotonicMs(), () => {
      this.#timer = null
      this.#dueMs = Number.POSITIVE_INFINITY
      this.#wake()
    })
  }

  cancel(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#dueMs = Number.POSITIVE_INFINITY
  }
}
