// Turns written into flushed: at most one fdatasync of a log runs, and those that are wanted meanwhile become one behind
// it. An fsync covers what was written when it started, and nothing that was written while it ran (STO-31).
import { type Deferred, deferred } from '../base/async/deferred.ts'
import type { Offset } from '../model/ids.ts'
import type { StorageFailure } from './storage-failure.ts'

export interface FlusherOptions {
  readonly failure: StorageFailure
  /** Where the log ends; all of it is flushed. */
  readonly endOffset: Offset
  /** Syncs the file that is being written; `onStart` is called when the fsync begins. */
  readonly sync: (onStart: () => void) => Promise<void>
  readonly onFlushed: (flushedOffset: Offset) => void
}

export class Flusher {
  readonly #options: FlusherOptions
  readonly #waiters: { readonly offset: Offset; readonly done: Deferred<void> }[] = []
  #writtenOffset: Offset
  #flushedOffset: Offset
  #wanted = false
  #held = false
  #running = false
  #run: Promise<void> = Promise.resolve()

  constructor(options: FlusherOptions) {
    this.#options = options
    this.#writtenOffset = options.endOffset
    this.#flushedOffset = options.endOffset
  }

  /** Exclusive. */
  get flushedOffset(): Offset {
    return this.#flushedOffset
  }

  /** To be called when a write has returned. */
  written(endOffset: Offset): void {
    this.#writtenOffset = endOffset
  }

  /** Asks for an fsync that covers all that is written by now; does nothing when all of it is flushed. */
  request(): void {
    this.#wanted = true
    this.#start()
  }

  /**
   * Resolves when all that is written by now is flushed.
   * @throws VltavaError STORAGE_ERROR when the directory fails before.
   */
  flush(): Promise<void> {
    const { failure } = this.#options
    if (this.#flushedOffset === this.#writtenOffset) return Promise.resolve()
    if (failure.isTripped) return Promise.reject(failure.indefiniteError())
    const waiter = { offset: this.#writtenOffset, done: deferred<void>() }
    this.#waiters.push(waiter)
    this.request()
    return waiter.done.promise
  }

  /** Starts no more fsyncs and resolves when none runs: the file may be changed in other ways now. */
  async hold(): Promise<void> {
    this.#held = true
    await this.#run
  }

  release(): void {
    this.#held = false
    if (this.#wanted) this.#start()
  }

  /** While held: what lies at or beyond the offset is about to be cut off. */
  lower(endOffset: Offset): void {
    this.#writtenOffset = Math.min(this.#writtenOffset, endOffset)
    this.#flushedOffset = Math.min(this.#flushedOffset, endOffset)
  }

  /** While held: what `lower` was called for did not come about. */
  restore(before: { readonly writtenOffset: Offset; readonly flushedOffset: Offset }): void {
    this.#writtenOffset = before.writtenOffset
    this.#flushedOffset = before.flushedOffset
  }

  /** While held: the log ends here now, and all of it is durable. */
  reset(endOffset: Offset): void {
    const isProgress = endOffset > this.#flushedOffset
    this.#writtenOffset = endOffset
    this.#flushedOffset = endOffset
    this.#wanted = false
    if (isProgress) this.#options.onFlushed(endOffset)
    this.#resolveWaiters(Number.POSITIVE_INFINITY)
  }

  /** Answers those who wait; to be called when the directory has failed. */
  fail(): void {
    for (const { done } of this.#waiters.splice(0)) done.reject(this.#options.failure.indefiniteError())
  }

  #start(): void {
    if (this.#running || !this.#mayFlush()) return
    this.#running = true
    this.#run = this.#flushWhileWanted()
  }

  #mayFlush(): boolean {
    const isNeeded = this.#wanted && this.#flushedOffset < this.#writtenOffset
    return isNeeded && !this.#held && !this.#options.failure.isTripped
  }

  async #flushWhileWanted(): Promise<void> {
    const { failure, sync, onFlushed } = this.#options
    try {
      while (this.#mayFlush()) {
        let coveredOffset = this.#flushedOffset
        await sync(() => {
          this.#wanted = false
          coveredOffset = this.#writtenOffset
        })
        if (failure.isTripped) return
        this.#flushedOffset = coveredOffset
        onFlushed(coveredOffset)
        this.#resolveWaiters(coveredOffset)
      }
    } catch (error) {
      failure.trip(error)
    } finally {
      // In the same turn as the check above, or a request in between would be lost.
      this.#running = false
    }
  }

  #resolveWaiters(flushedOffset: Offset): void {
    while (this.#waiters.length > 0 && this.#waiters[0]!.offset <= flushedOffset)
      this.#waiters.shift()!.done.resolve()
  }
}
