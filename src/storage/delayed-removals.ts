// What was taken out of use stays on disk for a while under another name (`file.delete.delay.ms`), so that a read that has
// just begun still finds it, and an operator who deleted the wrong thing has a moment. Nothing depends on when it goes: a
// start removes whatever a stop has left.
import type { Clock, Timer } from '../base/clock.ts'
import { TIMER_DELAY_MAX_MS } from '../base/clock.ts'
import type { Log } from '../base/log.ts'

/** Before a removal that failed is tried again. */
const RETRY_MS = 60_000

export interface Removal {
  /** What is removed, for the log. */
  readonly path: string
  /** Removes it; does nothing where it is gone already. */
  readonly run: () => Promise<void>
}

interface Pending {
  readonly removal: Removal
  readonly dueMs: number
  timer: Timer | null
}

export class DelayedRemovals {
  readonly #clock: Clock
  readonly #log: Log
  readonly #pending = new Set<Pending>()
  readonly #running = new Set<Promise<void>>()
  #isClosed = false

  constructor(options: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = options.clock
    this.#log = options.log
  }

  /** Removals that wait for their time. */
  get pendingCount(): number {
    return this.#pending.size
  }

  /** @param delayMs 0: it begins at once. */
  add(removal: Removal, delayMs: number): void {
    if (this.#isClosed) return
    if (delayMs <= 0) {
      this.#start(removal)
      return
    }
    const pending: Pending = { removal, dueMs: this.#clock.monotonicMs() + delayMs, timer: null }
    this.#pending.add(pending)
    this.#wait(pending)
  }

  /** Begins no more removals and resolves when none runs. What waits is left for the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const { timer } of this.#pending) timer?.cancel()
    this.#pending.clear()
    await Promise.all(this.#running)
  }

  /** A delay may be longer than a timer can be. */
  #wait(pending: Pending): void {
    const leftMs = pending.dueMs - this.#clock.monotonicMs()
    pending.timer = this.#clock.setTimer(Math.min(leftMs, TIMER_DELAY_MAX_MS), () => {
      if (this.#clock.monotonicMs() < pending.dueMs) {
        this.#wait(pending)
        return
      }
      this.#pending.delete(pending)
      this.#start(pending.removal)
    })
  }

  #start(removal: Removal): void {
    const running = removal
      .run()
      .catch((error: unknown) => {
        this.#log.warn('removal-failed', { path: removal.path, error })
        this.add(removal, RETRY_MS)
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}
