// Reads of the newest state that wait for the consensus to confirm that this node still leads (RAFT-31).
import type { Clock, Timer } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'

interface Waiting {
  readonly timer: Timer
  resolve(): void
  reject(error: VltavaError): void
}

export class PendingReads {
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Resolves when the read is confirmed.
   * @throws VltavaError NOT_CONTROLLER, REQUEST_TIMED_OUT; both definite, since a read changes nothing
   */
  wait(read: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(timeoutMs, () => {
        this.#waiting.delete(read)
        const detail = `No majority of the voters confirmed this controller within ${timeoutMs} ms.`
        reject(new VltavaError('REQUEST_TIMED_OUT', detail, { definite: true }))
      })
      this.#waiting.set(read, { timer, resolve, reject })
    })
  }

  /** They may be answered from the state as it is now. One that has timed out is not there any more. */
  confirmed(reads: readonly number[]): void {
    for (const read of reads) {
      this.#take(read)?.resolve()
    }
  }

  /** This node does not lead any more, or stops. */
  failAll(): void {
    for (const read of [...this.#waiting.keys()]) {
      this.#take(read)?.reject(
        new VltavaError('NOT_CONTROLLER', 'This node stopped to be the active controller.'),
      )
    }
  }

  #take(read: number): Waiting | undefined {
    const waiting = this.#waiting.get(read)
    this.#waiting.delete(read)
    waiting?.timer.cancel()
    return waiting
  }
}
