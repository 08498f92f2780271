import { assert } from '../base/assert.ts'
import { setTimerAfterIo } from '../base/async/timer-after-io.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import type { AnyApi } from '../protocol/api.ts'
import type { Frame } from '../protocol/frame.ts'

/** A request that waits for its response. */
export interface PendingRequest {
  readonly api: AnyApi
  readonly timeoutMs: number
  /** Gets the response as it came; decoding is up to whoever asked. */
  onResponse(frame: Frame): void
  onFailure(error: VltavaError): void
}

interface Waiting {
  /** null once it waits no longer: see `#remove`. */
  request: PendingRequest | null
  readonly deadlineMs: number
}

const CORRELATION_IDS = 2 ** 32

/**
 * The requests one side of a connection has under way, by correlation id, with their deadlines. One timer serves all
 * of them, set to the earliest deadline and left alone when a request is answered: a timer for each would cost more
 * than the rest of a small request.
 */
export class RequestTable {
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #timer: Timer | null = null
  #timerDueMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.size
  }

  /** A number that no waiting request has; 1 to 2^32-1. */
  nextId(): number {
    let id = this.#nextId
    while (this.#waiting.has(id)) id = followingId(id)
    this.#nextId = followingId(id)
    return id
  }

  /** Waits for the response from now on. */
  add(correlationId: number, request: PendingRequest): void {
    const deadlineMs = this.#clock.monotonicMs() + request.timeoutMs
    this.#waiting.set(correlationId, { request, deadlineMs })
    if (deadlineMs < this.#timerDueMs) this.#setTimer(deadlineMs)
  }

  /** The request of this number, which no longer waits; undefined for a late, repeated or invented one. */
  take(correlationId: number): PendingRequest | undefined {
    const waiting = this.#waiting.get(correlationId)
    return waiting === undefined ? undefined : this.#remove(correlationId, waiting)
  }

  /** Fails all of them. */
  failAll(errorOf: (request: PendingRequest) => VltavaError): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#timerDueMs = Number.POSITIVE_INFINITY
    const requests = [...this.#waiting].map(([id, waiting]) => this.#remove(id, waiting))
    for (const request of requests) request.onFailure(errorOf(request))
  }

  /**
   * A Map of V8 that grew or shrank leaves its former table behind, and where that one is old already, what it refers to
   * lives until the next full collection: promise and response of requests answered long ago, with payloads of megabytes.
   * Clearing the cell cuts that chain (fetching 256 KiB each, 1 GB cost 17 full collections with it and none without).
   */
  #remove(id: number, waiting: Waiting): PendingRequest {
    const { request } = waiting
    assert(request !== null, 'a request is removed once')
    waiting.request = null
    this.#waiting.delete(id)
    return request
  }

  #setTimer(dueMs: number): void {
    this.#timer?.cancel()
    this.#timerDueMs = dueMs
    this.#timer = setTimerAfterIo(this.#clock, dueMs - this.#clock.monotonicMs(), () => this.#expire())
  }

  #expire(): void {
    this.#timer = null
    this.#timerDueMs = Number.POSITIVE_INFINITY
    const nowMs = this.#clock.monotonicMs()
    const expired: PendingRequest[] = []
    let earliestMs = Number.POSITIVE_INFINITY
    for (const [id, waiting] of this.#waiting) {
      if (waiting.deadlineMs > nowMs) earliestMs = Math.min(earliestMs, waiting.deadlineMs)
      else expired.push(this.#remove(id, waiting))
    }
    if (earliestMs < this.#timerDueMs) this.#setTimer(earliestMs)
    for (const request of expired) {
      const detail = `${request.api.name} was not answered within ${request.timeoutMs} ms.`
      request.onFailure(new VltavaError('REQUEST_TIMED_OUT', detail, { definite: false }))
    }
  }
}

function followingId(id: number): number {
  return id + 1 === CORRELATION_IDS ? 1 : id + 1
}
