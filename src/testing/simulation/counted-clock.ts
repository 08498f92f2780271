import type { Clock, Timer } from '../../base/clock.ts'

/**
 * A view of a clock that knows which timers were set through it and still wait: whoever has left must leave none behind
 * (SIM-14), because a real one would keep its process alive.
 */
export class CountedClock implements Clock {
  readonly #clock: Clock
  readonly #waiting = new Set<object>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get waiting(): number {
    return this.#waiting.size
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#counted(callback, (call) => this.#clock.setTimer(delayMs, call))
  }

  afterPendingIo(callback: () => void): Timer {
    return this.#counted(callback, (call) => this.#clock.afterPendingIo(call))
  }

  #counted(callback: () => void, set: (call: () => void) => Timer): Timer {
    const entry = {}
    this.#waiting.add(entry)
    const timer = set(() => {
      this.#waiting.delete(entry)
      callback()
    })
    return {
      cancel: () => {
        this.#waiting.delete(entry)
        timer.cancel()
      },
    }
  }
}
