// Looks at the partitions in which time alone may change something: a follower lags for too long, a refused proposal may be
// made again, a leader has been silent for longer than consumers of a follower are to wait. The others cost nothing.
import { setTimerAfterIo } from '../base/async/timer-after-io.ts'
import type { Clock, Timer } from '../base/clock.ts'

const INTERVAL_MS = 500

/** Every so many looks are at all partitions. Nothing should depend on it; what a look costs is far below what it can save. */
const LOOKS_PER_WHOLE_LOOK = 20

/** What is looked at; a partition. */
export interface Aging {
  /** Time passed. */
  tick(): void
  /** Whether time alone changes nothing in it. Whoever changes that says so by `unsettled`. */
  readonly isAtRest: boolean
}

export class LagCheck {
  readonly #clock: Clock
  readonly #all: () => Iterable<Aging>
  readonly #unsettled = new Set<Aging>()
  #looks = 0
  #timer: Timer | null = null

  /** @param all everything there is to look at */
  constructor(clock: Clock, all: () => Iterable<Aging>) {
    this.#clock = clock
    this.#all = all
  }

  /** Something happened in it: it is looked at until it is at rest again. */
  unsettled(one: Aging): void {
    this.#unsettled.add(one)
  }

  start(): void {
    this.#look()
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #look(): void {
    const isWhole = this.#looks % LOOKS_PER_WHOLE_LOOK === 0
    this.#looks++
    for (const one of isWhole ? this.#all() : this.#unsettled) {
      one.tick()
      if (one.isAtRest) this.#unsettled.delete(one)
      else if (isWhole) this.#unsettled.add(one)
    }
    // A stall of this process must not look like a lag of the followers.
    this.#timer = setTimerAfterIo(this.#clock, INTERVAL_MS, () => this.#look())
  }
}
