// Those who wait for room in the producer's buffer, in order.
import type { Clock, Timer } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'

interface Waiter {
  /** Tries to use the room; false: there is still none. */
  readonly attempt: () => boolean
  readonly fail: (error: VltavaError) => void
  readonly timer: Timer
}

export interface BufferWaitersOptions {
  readonly clock: Clock
  /** How long one waits at most. */
  readonly maxBlockMs: number
  readonly bufferBytes: number
}

export class BufferWaiters {
  readonly #options: BufferWaitersOptions
  readonly #waiters = new Set<Waiter>()

  constructor(options: BufferWaitersOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0
  }

  /** Waits behind those who wait already. Exactly one of `attempt` returning true and `fail` ends it. */
  add(attempt: () => boolean, fail: (error: VltavaError) => void): void {
    const { clock, maxBlockMs, bufferBytes } = this.#options
    const timer = clock.setTimer(maxBlockMs, () => {
      this.#waiters.delete(waiter)
      const detail = `The buffer of ${bufferBytes} bytes (bufferBytes) was full for ${maxBlockMs} ms (maxBlockMs).`
      fail(new VltavaError('BUFFER_FULL', detail))
    })
    const waiter = { attempt, fail, timer }
    this.#waiters.add(waiter)
  }

  /** There may be room: lets those in front use it, until one finds none. */
  wake(): void {
    for (const waiter of this.#waiters) {
      if (!waiter.attempt()) return
      waiter.timer.cancel()
      this.#waiters.delete(waiter)
    }
  }

  close(error: VltavaError): void {
    for (const waiter of [...this.#waiters]) {
      this.#waiters.delete(waiter)
      waiter.timer.cancel()
      waiter.fail(error)
    }
  }
}
