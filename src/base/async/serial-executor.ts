import { deferred } from './deferred.ts'

/** Thrown by `run` when the executor already holds as many waiting tasks as it may. */
export class ExecutorFullError extends Error {
  override readonly name = 'ExecutorFullError'
}

/** Thrown by `run` after `close`. */
export class ExecutorClosedError extends Error {
  override readonly name = 'ExecutorClosedError'
}

/**
 * Runs asynchronous tasks one at a time in the order they were given. A task that throws rejects its own promise and
 * does not stop the ones behind it.
 */
export class SerialExecutor {
  readonly #waitingMax: number
  readonly #waiting: (() => Promise<void>)[] = []
  #running = false
  #closed = false
  #idle = deferred<void>()

  /** @param waitingMax how many tasks may wait behind the running one; 1 or more, default 1,024. */
  constructor(waitingMax = 1024) {
    this.#waitingMax = waitingMax
    this.#idle.resolve()
  }

  /** @throws ExecutorFullError, ExecutorClosedError (as rejections; the task then never starts). */
  run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new ExecutorClosedError('the executor is closed'))
    if (this.#waiting.length >= this.#waitingMax) {
      return Promise.reject(new ExecutorFullError(`${this.#waitingMax} tasks are waiting already`))
    }
    const result = deferred<T>()
    this.#waiting.push(() => task().then(result.resolve, result.reject))
    if (!this.#running) {
      this.#running = true
      this.#idle = deferred<void>()
      this.#next()
    }
    return result.promise
  }

  /** Refuses new tasks and resolves when those already given have ended. */
  close(): Promise<void> {
    this.#closed = true
    return this.#idle.promise
  }

  #next(): void {
    const task = this.#waiting.shift()
    if (task === undefined) {
      this.#running = false
      this.#idle.resolve()
      return
    }
    task().then(
      () => this.#next(),
      () => this.#next(),
    )
  }
}
