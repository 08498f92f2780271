import { assert } from '../base/assert.ts'
import type { Offset } from '../model/ids.ts'

/**
 * The high watermark of one replica: everything below it is committed. It never goes back while the object lives, that
 * is in one leader epoch; a new leader may start lower than the old one ended (REP-32).
 */
export class HighWatermark {
  #offset: Offset

  /**
   * @param checkpointed what the replica knew before; it may lie beyond the log end after a crash, or before the log
   *   start after a deletion, and is moved between them.
   */
  constructor(checkpointed: Offset, log: { readonly logStartOffset: Offset; readonly logEndOffset: Offset }) {
    assert(log.logStartOffset <= log.logEndOffset, 'a log must not end before it starts')
    this.#offset = Math.min(Math.max(checkpointed, log.logStartOffset), log.logEndOffset)
  }

  /** Exclusive. */
  get offset(): Offset {
    return this.#offset
  }

  /**
   * Moves up to a limit; a lower limit changes nothing.
   * @returns whether it moved.
   */
  raiseTo(limit: Offset): boolean {
    if (limit <= this.#offset) return false
    this.#offset = limit
    return true
  }
}
