// Now and then the active controller moves leaderships back to the preferred replicas: after a restart all of them would stay
// with the brokers that did not restart.
import type { Clock, Timer } from '../base/clock.ts'

export interface LeaderBalancerOptions {
  readonly clock: Clock
  /** leader.imbalance.check.interval.seconds as it is now, in milliseconds; 0: never. */
  readonly intervalMs: () => number
  /** Decides and commits; a failure is tried again with the next check. */
  readonly balance: () => void
}

export class LeaderBalancer {
  readonly #options: LeaderBalancerOptions
  #timer: Timer | null = null
  /** What the timer was set by. */
  #intervalMs = 0

  /** The first check comes after one interval: a controller that has just become active knows least of its brokers. */
  constructor(options: LeaderBalancerOptions) {
    this.#options = options
    this.#schedule()
  }

  /** To be called when the interval may be another one: a new one counts from now on. */
  settingsChanged(): void {
    if (this.#options.intervalMs() === this.#intervalMs) return
    this.stop()
    this.#schedule()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  #schedule(): void {
    const { clock, intervalMs, balance } = this.#options
    this.#intervalMs = intervalMs()
    if (this.#intervalMs === 0) return
    this.#timer = clock.setTimer(this.#intervalMs, () => {
      this.#schedule()
      balance()
    })
  }
}
