import type { Clock, Timer } from '../../src/base/clock.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

/** Turns of the event loop without any I/O after which everything is at rest. Promise chains need none of them. */
const IDLE_TURNS = 2
/** Far more than any test needs; something answers itself for ever. */
const TURNS_MAX = 10_000

/** A manual clock that can let everything come to rest: messages in memory, promises, callbacks. */
export class TestClock implements Clock {
  readonly manual = new ManualClock()
  #waitingForIo = 0

  monotonicMs(): number {
    return this.manual.monotonicMs()
  }

  wallMs(): number {
    return this.manual.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.manual.setTimer(delayMs, callback)
  }

  afterPendingIo(callback: () => void): Timer {
    this.#waitingForIo++
    let isWaiting = true
    const end = (): void => {
      if (isWaiting) this.#waitingForIo--
      isWaiting = false
    }
    const timer = this.manual.afterPendingIo(() => {
      end()
      callback()
    })
    return {
      cancel: () => {
        end()
        timer.cancel()
      },
    }
  }

  /** Timers that are set. */
  get pendingTimers(): number {
    return this.manual.pendingTimers - this.#waitingForIo
  }

  /** Resolves when nothing happens any more without time going on. */
  async rest(): Promise<void> {
    let idle = 0
    for (let turns = 0; idle < IDLE_TURNS; turns++) {
      if (turns > TURNS_MAX) throw new Error('it does not come to rest')
      await new Promise((resolve) => setImmediate(resolve))
      idle = this.#waitingForIo === 0 ? idle + 1 : 0
      this.manual.runPending()
    }
  }

  /** Lets time go on from timer to timer, with everything at rest before each. */
  async run(ms: number): Promise<void> {
    const endMs = this.monotonicMs() + ms
    for (;;) {
      await this.rest()
      const nextMs = this.manual.nextTimerMs
      if (nextMs === null || nextMs > endMs) break
      this.manual.advance(Math.max(0, nextMs - this.monotonicMs()))
    }
    this.manual.advance(endMs - this.monotonicMs())
    await this.rest()
  }
}
