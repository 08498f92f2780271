// Commands whose records, or the records they were decided on, are not committed yet.
import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset } from '../model/ids.ts'

interface Pending {
  /** The last batch the outcome depends on. */
  readonly offset: MetadataOffset
  /** Whether the command itself proposed that batch: then nobody knows what becomes of it when leadership ends. */
  readonly proposed: boolean
  readonly timer: Timer
  settled: boolean
  resolve(): void
  reject(error: VltavaError): void
}

export interface CommitWait {
  readonly offset: MetadataOffset
  readonly proposed: boolean
  readonly timeoutMs: number
}

/** The waits of one term of an active controller. */
export class PendingCommands {
  readonly #clock: Clock
  readonly #term: number
  /** In the order of their offsets, which is the order in which they were added. */
  #pending: Pending[] = []

  constructor(clock: Clock, term: number) {
    this.#clock = clock
    this.#term = term
  }

  get size(): number {
    return this.#pending.length
  }

  /**
   * Resolves when the entry of this term at the offset is committed.
   * @throws VltavaError REQUEST_TIMED_OUT, NOT_CONTROLLER; definite only where nothing was proposed
   */
  wait({ offset, proposed, timeoutMs }: CommitWait): Promise<void> {
    assert(offset >= (this.#pending.at(-1)?.offset ?? 0), 'commands wait in the order of the log')
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(timeoutMs, () => {
        const what = proposed ? 'The change was not committed' : 'The answer was not confirmed'
        const detail = `${what} within ${timeoutMs} ms; a majority of the voters must be reachable.`
        settle(pending, () => reject(new VltavaError('REQUEST_TIMED_OUT', detail, { definite: !proposed })))
      })
      const pending: Pending = { offset, proposed, timer, settled: false, resolve, reject }
      this.#pending.push(pending)
    })
  }

  /** The entry at the offset is committed, and it is of that term. */
  committed(offset: MetadataOffset, term: number): void {
    let count = 0
    for (const pending of this.#pending) {
      if (pending.offset > offset) break
      count++
      if (term === this.#term) settle(pending, () => pending.resolve())
      else settle(pending, () => pending.reject(lostLeadership(pending.proposed)))
    }
    this.#pending.splice(0, count)
  }

  /** This node does not lead any more. */
  failAll(): void {
    const pendings = this.#pending
    this.#pending = []
    for (const pending of pendings) {
      settle(pending, () => pending.reject(lostLeadership(pending.proposed)))
    }
  }
}

function settle(pending: Pending, outcome: () => void): void {
  if (pending.settled) return
  pending.settled = true
  pending.timer.cancel()
  outcome()
}

function lostLeadership(proposed: boolean): VltavaError {
  const detail = proposed
    ? 'This node stopped to be the active controller while the change was under way; it may or may not take effect.'
    : 'This node stopped to be the active controller before the answer was confirmed; nothing was changed.'
  return new VltavaError('NOT_CONTROLLER', detail, { definite: !proposed })
}
