// Whether the wall clock of a broker can be believed when records are deleted by age. A machine that boots in 2100, or whose
// clock is set wrong, must not delete everything (STO-25). Two other clocks bear witness: the monotonic one, which shows
// every jump, and those of the producers, whose latest records say about what time it is.

/** After a start: a clock may be so far ahead of the latest record on this broker, which may have been off or idle. */
export const AHEAD_MAX_MS = 30 * 24 * 60 * 60 * 1000
/** The wall clock may move so much more or less than the monotonic one between two looks. */
export const JUMP_MAX_MS = 10 * 60 * 1000
/** After a jump: a record whose time is so near to the clock confirms it. */
export const CONFIRMED_WITHIN_MS = 60 * 60 * 1000

export interface ClockReading {
  /** Milliseconds since 1970. */
  readonly wallMs: number
  readonly monotonicMs: number
  /** The latest time of a record on this broker; -1 where there is none. */
  readonly newestRecordMs: number
}

export type ClockDoubt = 'it jumped' | 'no record is that new'

export class ClockTrust {
  #before: ClockReading | null = null
  #hasJumped = false

  /** To be told before each round of retention. @returns why the wall clock cannot be believed; null when it can. */
  look(now: ClockReading): ClockDoubt | null {
    const before = this.#before
    this.#before = now
    if (before !== null) {
      const driftMs = now.wallMs - before.wallMs - (now.monotonicMs - before.monotonicMs)
      if (Math.abs(driftMs) > JUMP_MAX_MS) this.#hasJumped = true
    }
    const aheadMs = now.wallMs - now.newestRecordMs
    if (Math.abs(aheadMs) <= CONFIRMED_WITHIN_MS) this.#hasJumped = false
    if (this.#hasJumped) return 'it jumped'
    return aheadMs > AHEAD_MAX_MS ? 'no record is that new' : null
  }
}
