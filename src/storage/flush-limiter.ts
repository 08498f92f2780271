import { assert } from '../base/assert.ts'

/**
 * Bounds how many fsyncs of one data directory run at once, first come first served. Each occupies a thread of the
 * libuv pool, for seconds when a disk stalls; reads, DNS and compression need the rest (STO-18).
 */
export class FlushLimiter {
  readonly #runningMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  /** @param runningMax 1 or more, and less than UV_THREADPOOL_SIZE (4 unless set). */
  constructor(runningMax: number) {
    assert(runningMax >= 1, `at least one fsync must be able to run, got ${runningMax}`)
    this.#runningMax = runningMax
  }

  /** Runs the flush once there is room, and passes on its outcome. */
  async run(flush: () => Promise<void>): Promise<void> {
    if (this.#running < this.#runningMax) this.#running++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      await flush()
    } finally {
      // The next one takes over the place, so that none can slip in between.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}
