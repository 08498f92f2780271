import type { Clock, Timer } from '../clock.ts'

/** Waits that end early, all together, when their owner stops. */
export class Sleeper {
  readonly #clock: Clock
  readonly #sleeping = new Map<() => void, Timer>()
  #stopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** Resolves after the delay, or at once when `stop` was or is called. */
  sleep(delayMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(delayMs, () => {
        this.#sleeping.delete(resolve)
        resolve()
      })
      this.#sleeping.set(resolve, timer)
    })
  }

  /** Ends the waits under way now, without stopping later ones. */
  wake(): void {
    const sleeping = [...this.#sleeping]
    this.#sleeping.clear()
    for (const [resolve, timer] of sleeping) {
      timer.cancel()
      resolve()
    }
  }

  stop(): void {
    this.#stopped = true
    this.wake()
  }
}
