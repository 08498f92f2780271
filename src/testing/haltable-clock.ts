import type { Clock, Timer } from '../base/clock.ts'

/** The clock of one run of a process. Halted, it calls nobody back any more, as if the process were gone. */
export class HaltableClock implements Clock {
  readonly #clock: Clock
  #halted = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  halt(): void {
    this.#halted = true
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#clock.setTimer(delayMs, () => this.#call(callback))
  }

  afterPendingIo(callback: () => void): Timer {
    return this.#clock.afterPendingIo(() => this.#call(callback))
  }

  #call(callback: () => void): void {
    if (!this.#halted) callback()
  }
}
