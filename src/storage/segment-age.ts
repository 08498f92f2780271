// How old the first record of the active segment is (`segment.ms`). Its age runs on the monotonic clock, from the moment
// it was appended: neither a jump of the wall clock nor what producers call the time makes segments roll. Only for a
// segment that was there when the log was opened is the time of its first record asked, once.
import type { Clock } from '../base/clock.ts'
import { HEADER_BYTES, maxTimestampOf } from '../record/batch-format.ts'
import { readFully } from './file-io.ts'
import type { OpenSegment } from './open-segment.ts'

export class SegmentAge {
  readonly #clock: Clock
  /** Monotonic milliseconds; null: not known yet. */
  #beganMs: number | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The first record of a segment was appended. */
  began(): void {
    this.#beganMs = this.#clock.monotonicMs()
  }

  /** Whether the segment is known to be so old. */
  isOlderThan(ms: number): boolean {
    return this.#beganMs !== null && this.#clock.monotonicMs() - this.#beganMs >= ms
  }

  /** Finds out how old a segment is that was there before. A clock that is behind makes it new, not younger than that. */
  async learn(open: OpenSegment): Promise<void> {
    if (this.#beganMs !== null || open.sizeBytes < HEADER_BYTES) return
    const header = new Uint8Array(HEADER_BYTES)
    await readFully(open.handle, header, 0)
    const timestampMs = maxTimestampOf(header, 0)
    const ageMs = timestampMs < 0 ? 0 : Math.max(0, this.#clock.wallMs() - timestampMs)
    this.#beganMs ??= this.#clock.monotonicMs() - ageMs
  }
}
