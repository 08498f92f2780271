import { assert } from '../base/assert.ts'
import { type Clock, clampTimerDelayMs, type Timer } from '../base/clock.ts'

export interface ManualClockOptions {
  /** What `monotonicMs` starts with. Default 0. */
  readonly monotonicMs?: number
  /** What `wallMs` starts with, in milliseconds since 1970. Default 2026-01-01T00:00:00Z. */
  readonly wallMs?: number
}

interface ManualTimer extends Timer {
  /** Counts the timers of the clock, from 1. */
  readonly number: number
  readonly dueMs: number
  readonly callback: () => void
}

/** Callbacks without any progress of time after which `advance` gives up: one keeps starting itself anew. */
const CALLBACKS_PER_INSTANT_MAX = 100_000

/**
 * A clock that stands still until a test advances it. Callbacks run inside `advance` and `runPending`, never inside
 * `setTimer` or `afterPendingIo`.
 */
export class ManualClock implements Clock {
  #monotonicMs: number
  #wallMinusMonotonicMs: number
  #created = 0
  #advancing = false
  /** By due time; those due at the same time in the order of their creation. */
  readonly #timers: ManualTimer[] = []
  readonly #afterIo: ManualTimer[] = []

  constructor(options: ManualClockOptions = {}) {
    this.#monotonicMs = options.monotonicMs ?? 0
    this.#wallMinusMonotonicMs = (options.wallMs ?? Date.UTC(2026, 0, 1)) - this.#monotonicMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  wallMs(): number {
    return Math.floor(this.#monotonicMs + this.#wallMinusMonotonicMs)
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = this.#createIn(this.#timers, clampTimerDelayMs(delayMs), callback)
    const later = this.#timers.findIndex((other) => other.dueMs > timer.dueMs)
    this.#timers.splice(later === -1 ? this.#timers.length : later, 0, timer)
    return timer
  }

  afterPendingIo(callback: () => void): Timer {
    const timer = this.#createIn(this.#afterIo, 0, callback)
    this.#afterIo.push(timer)
    return timer
  }

  /** How many timers and callbacks of `afterPendingIo` have neither run nor been cancelled. */
  get pendingTimers(): number {
    return this.#timers.length + this.#afterIo.length
  }

  /** When the next timer is due, as `monotonicMs` counts; null when there is none. */
  get nextTimerMs(): number | null {
    return this.#timers[0]?.dueMs ?? null
  }

  /**
   * Lets both times go on by so many milliseconds and runs what becomes due on the way, in the order of time; each
   * callback sees the time at which it was due. Timers that callbacks start run as well if they fall into the span.
   * @param ms 0 or more; 0 runs what is due already.
   * @throws AssertionError when called from a callback, or when a timer keeps starting itself anew without a delay.
   *   What a callback throws comes through, with the time standing where it was thrown.
   */
  advance(ms: number): void {
    assert(ms >= 0 && Number.isFinite(ms), `advance takes 0 or more milliseconds, got ${ms}`)
    const endMs = this.#monotonicMs + ms
    this.#run(() => {
      let callbacksNow = 0
      for (;;) {
        const next = this.#afterIo[0] ?? this.#timers[0]
        if (next === undefined || next.dueMs > endMs) break
        callbacksNow = next.dueMs > this.#monotonicMs ? 0 : callbacksNow + 1
        assert(callbacksNow < CALLBACKS_PER_INSTANT_MAX, 'a timer keeps starting itself anew without a delay')
        this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs)
        next.cancel()
        next.callback()
      }
      this.#monotonicMs = endMs
    })
  }

  /** Runs the callbacks of `afterPendingIo` that wait at this moment, in their order; not those they add. */
  runPending(): void {
    const created = this.#created
    this.#run(() => {
      for (
        let next = this.#afterIo[0];
        next !== undefined && next.number <= created;
        next = this.#afterIo[0]
      ) {
        next.cancel()
        next.callback()
      }
    })
  }

  /** Sets the wall clock forward or, with a negative number, back, as an operator or NTP would. Timers do not notice. */
  jumpWall(ms: number): void {
    this.#wallMinusMonotonicMs += ms
  }

  #run(body: () => void): void {
    assert(!this.#advancing, 'a callback of the clock must not advance the clock')
    this.#advancing = true
    try {
      body()
    } finally {
      this.#advancing = false
    }
  }

  #createIn(queue: ManualTimer[], delayMs: number, callback: () => void): ManualTimer {
    const timer: ManualTimer = {
      number: ++this.#created,
      dueMs: this.#monotonicMs + delayMs,
      callback,
      cancel() {
        const at = queue.indexOf(timer)
        if (at !== -1) queue.splice(at, 1)
      },
    }
    return timer
  }
}
