/** What a loop over records or batches takes from. */
export interface Reading<T> {
  /** The next one if it is at hand, so that nothing has to be waited for; null otherwise. */
  readonly ready: () => T | null
  /** The next one; null at the end. */
  readonly next: () => Promise<T | null>
  /** The loop was left, has ended or has failed. Called once. */
  readonly onEnd: () => void
}

/** The iterator behind `for await`. Calls of `next` that overlap are served in their order. */
export class ReadingIterator<T> implements AsyncIterableIterator<T> {
  readonly #reading: Reading<T>
  /** The call under way; null when none is. */
  #underWay: Promise<unknown> | null = null
  #hasEnded = false

  constructor(reading: Reading<T>) {
    this.#reading = reading
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#underWay === null && !this.#hasEnded) {
      const value = this.#reading.ready()
      if (value !== null) return Promise.resolve({ value, done: false })
    }
    const before = this.#underWay ?? Promise.resolve()
    // What the call before threw is its caller's to hear.
    const result = before.then(
      () => this.#next(),
      () => this.#next(),
    )
    this.#underWay = result
    const clear = (): void => {
      if (this.#underWay === result) this.#underWay = null
    }
    result.then(clear, clear)
    return result
  }

  /** Waits for a call of `next` that is under way, as the iterator of an async generator does. */
  async return(): Promise<IteratorResult<T>> {
    await this.#underWay?.catch(() => {})
    this.#end()
    return { value: undefined, done: true }
  }

  async #next(): Promise<IteratorResult<T>> {
    if (this.#hasEnded) return { value: undefined, done: true }
    let value: T | null
    try {
      value = await this.#reading.next()
    } catch (error) {
      this.#end()
      throw error
    }
    if (value !== null) return { value, done: false }
    this.#end()
    return { value: undefined, done: true }
  }

  #end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#reading.onEnd()
  }
}
