// The clock port. Product code reads time and sets timers through it only, so that the simulator can run the same
// code under virtual time.
import { assert } from './assert.ts'

/** A pending timer. Cancelling one that has fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds from an arbitrary start; never goes backwards. Use it for every deadline and interval. */
  monotonicMs(): number
  /** Milliseconds since the Unix epoch; may jump either way. Use it for record timestamps and messages only. */
  wallMs(): number
  /**
   * Calls back once, not earlier than `delayMs` from now. Delays above 2^31-1 are clamped to it (a larger one would
   * fire at once in Node); negative ones count as 0.
   */
  setTimer(delayMs: number, callback: () => void): Timer
  /**
   * Calls back once after the I/O events that are already waiting were handled. Whoever is about to declare a peer
   * dead after a stall of its own event loop reads its sockets first by means of this.
   */
  afterPendingIo(callback: () => void): Timer
}

/** The longest delay a timer can have, in milliseconds (2^31-1, about 24.8 days). */
export const TIMER_DELAY_MAX_MS = 2 ** 31 - 1

export function clampTimerDelayMs(delayMs: number): number {
  // Node takes NaN for 1 ms, which would turn a wrong computation into a busy loop.
  assert(!Number.isNaN(delayMs), 'the delay of a timer is not a number')
  return Math.min(Math.max(0, delayMs), TIMER_DELAY_MAX_MS)
}
