import type { Clock, Timer } from '../base/clock.ts'

/** The clock of one run of a process. Halted, it calls nobody back any more, as if the process were gone. */
export class HaltableClock implements Clock {
  readonly #clock: Clock
  /** Those that are set; cancelled at the end, because a timer that nobody waits for keeps Node running. */
  readonly #timers = new Set<Timer>()
  #halted = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  halt(): void {
    this.#halted = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#set(callback, (fire) => this.#clock.setTimer(delayMs, fire))
  }

  afterPendingIo(callback: () => void): Timer {
    return this.#set(callback, (fire) => this.#clock.afterPendingIo(fire))
  }

  #set(callback: () => void, start: (fire: () => void) => Timer): Timer {
    if (this.#halted) return { cancel() {} }
    const started = start(() => {
      this.#timers.delete(timer)
      callback()
    })
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer)
        started.cancel()
      },
    }
    this.#timers.add(timer)
    return timer
  }
}
