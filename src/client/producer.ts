// The producer of the public API: takes records, and holds back those who send more than the buffer takes. What
// happens to a record then is in record-intake.ts (its partition), accumulator.ts (its batch) and sender.ts.
import { deferred } from '../base/async/deferred.ts'
import { toVltavaError, type VltavaError } from '../model/errors.ts'
import { Accumulator } from './accumulator.ts'
import { BufferWaiters } from './buffer-waiters.ts'
import type { ClientContext } from './client-context.ts'
import { closedError } from './errors.ts'
import { integerOption, resolveOptions } from './options.ts'
import type { ResolvedProducerOptions } from './producer-options.ts'
import { RecordIntake } from './record-intake.ts'
import type { OnSettled, ProducerRecord, Receipt } from './records.ts'
import { Sender } from './sender.ts'
import { callSettled } from './settle.ts'

const CLOSE_OPTIONS = {
  /** Milliseconds to wait for what is under way. 0 to 86,400,000. */
  timeoutMs: integerOption({ min: 0, max: 86_400_000, fallback: 30_000 }),
} as const

/**
 * Sends records. Made by `client.producer()`.
 *
 * The records of one partition are appended in the order in which they were taken: one batch of a partition is under
 * way at a time, and a batch that failed is sent again before any later one. Where an attempt may have been carried
 * out although it failed (its connection broke, say), sending again can append the records twice, but never out of
 * order.
 */
export class Producer {
  readonly #options: ResolvedProducerOptions
  readonly #context: ClientContext
  readonly #accumulator: Accumulator
  readonly #intake: RecordIntake
  readonly #sender: Sender
  readonly #waiters: BufferWaiters
  readonly #onClosed: (producer: Producer) => void
  #closing: Promise<void> | null = null

  /** For the client; users call `client.producer()`. */
  constructor(
    context: ClientContext,
    producer: {
      readonly options: ResolvedProducerOptions
      readonly onClosed: (producer: Producer) => void
    },
  ) {
    const { environment, connections, metadata } = context
    const { clock, random, cpu } = environment
    const { options } = producer
    this.#options = options
    this.#context = context
    this.#onClosed = producer.onClosed
    this.#accumulator = new Accumulator({ ...options, cpu })
    const accumulator = this.#accumulator
    this.#intake = new RecordIntake({ clock, random, cpu, metadata, accumulator, options })
    this.#waiters = new BufferWaiters({ clock, ...options })
    this.#sender = new Sender({
      environment,
      connections,
      metadata,
      accumulator,
      intake: this.#intake,
      options,
      onRoom: () => this.#waiters.wake(),
    })
  }

  /** Records taken and not settled yet, those under way included. */
  get bufferedRecords(): number {
    return this.#accumulator.bufferedRecords
  }

  /** Bytes of those records, an upper bound of what they take in their batches. At most `bufferBytes`. */
  get bufferedBytes(): number {
    return this.#accumulator.bufferedBytes
  }

  /** Records in batches that were sent and not answered yet. */
  get inFlightRecords(): number {
    return this.#accumulator.inFlightRecords
  }

  /**
   * Sends one record. While the buffer is full the record waits outside of it, up to `maxBlockMs`; its bytes must not
   * change as long. With `await` after each call, every record makes a round trip of its own: to send many, call
   * `send` without waiting, or use `enqueue`.
   * @returns where the record stands, once it is acknowledged as `acks` says.
   * @throws VltavaError `definite` tells whether the record surely was not appended. DELIVERY_TIMEOUT when
   *   `deliveryTimeoutMs` passed (the message names the reasons), BUFFER_FULL, BOOTSTRAP_UNREACHABLE,
   *   UNKNOWN_TOPIC_OR_PARTITION, RECORD_TOO_LARGE, INVALID_TOPIC, INVALID_ARGUMENT, CLOSED, or the error that is not
   *   retriable which a broker answered.
   */
  send(record: ProducerRecord): Promise<Receipt> {
    const { promise, resolve, reject } = deferred<Receipt>()
    const onSettled: OnSettled = (error, receipt) => {
      if (error === null) resolve(receipt!)
      else reject(error)
    }
    if (!this.enqueue(record, onSettled)) {
      this.#waiters.add(() => this.#take(record, onSettled), reject)
    }
    return promise
  }

  /**
   * Takes one record without a promise for it: the fast way. The bytes of the record are copied, so they may be used
   * again.
   * @param onSettled called exactly once if the record was taken, never before this call has returned, with either
   *   the error (as `send` throws) or the receipt. An error it throws surfaces as an uncaught one.
   * @returns false when the buffer is full or others wait for it: the record was not taken and `onSettled` will not be
   *   called. Wait for `writable()` and try again.
   */
  enqueue(record: ProducerRecord, onSettled: OnSettled): boolean {
    if (this.#closing !== null) {
      settleLater(onSettled, closedError('producer'))
      return true
    }
    return this.#waiters.isEmpty && this.#take(record, onSettled)
  }

  /**
   * Resolves when the buffer has room for a batch, or a quarter of it where that is less.
   * @throws VltavaError BUFFER_FULL after `maxBlockMs`, CLOSED
   */
  writable(): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closedError('producer'))
    const { batchBytes, bufferBytes } = this.#options
    const neededBytes = Math.min(batchBytes, Math.floor(bufferBytes / 4))
    if (this.#waiters.isEmpty && this.#accumulator.hasRoom(neededBytes)) return Promise.resolve()
    const { promise, resolve, reject } = deferred<void>()
    const attempt = (): boolean => {
      if (!this.#accumulator.hasRoom(neededBytes)) return false
      resolve()
      return true
    }
    this.#waiters.add(attempt, reject)
    return promise
  }

  /**
   * Sends at once what waits for company, and resolves when every record given so far is settled, acknowledged or
   * not. It takes `maxBlockMs` and `deliveryTimeoutMs` at most, and never rejects.
   */
  async flush(): Promise<void> {
    await this.#whenTaken()
    await Promise.all(
      this.#intake.unresolved().map((topic) => new Promise<void>((resolve) => topic.whenPlaced(resolve))),
    )
    const settled: Promise<void>[] = []
    for (const { batches } of this.#accumulator.active) {
      // Those before it are settled earlier, and nothing is added to it any more.
      const last = batches[batches.length - 1]!
      last.isSealed = true
      settled.push(new Promise((resolve) => last.whenSettled(resolve)))
    }
    this.#sender.schedule()
    await Promise.all(settled)
  }

  /**
   * Takes no more records, flushes, and gives up what is left then with CLOSED. Calling it again waits for the first
   * call.
   * @param options timeoutMs: milliseconds for the flush, 0 to 86,400,000, default 30,000.
   * @throws VltavaError INVALID_ARGUMENT for the option; nothing is closed then.
   */
  async close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    const { timeoutMs } = resolveOptions(CLOSE_OPTIONS, options, 'producer.close')
    this.#closing ??= this.#close(timeoutMs)
    await this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    const timedOut = deferred<void>()
    const timer = this.#context.environment.clock.setTimer(timeoutMs, timedOut.resolve)
    await Promise.race([this.flush(), timedOut.promise])
    timer.cancel()
    const error = closedError('producer')
    this.#sender.close(error)
    this.#intake.close(error)
    this.#waiters.close(error)
    this.#onClosed(this)
  }

  /** Resolves when those who wait for room now have got it or given up. */
  async #whenTaken(): Promise<void> {
    if (this.#waiters.isEmpty) return
    const { promise, resolve } = deferred<void>()
    const attempt = (): boolean => {
      resolve()
      return true
    }
    this.#waiters.add(attempt, () => resolve())
    await promise
  }

  /** @returns false when the buffer is full. Errors go to `onSettled`, in a turn of their own. */
  #take(record: ProducerRecord, onSettled: OnSettled): boolean {
    try {
      if (!this.#intake.take(record, onSettled)) return false
      this.#sender.schedule()
    } catch (thrown) {
      settleLater(onSettled, toVltavaError(thrown))
    }
    return true
  }
}

/** A callback that ran before `enqueue` returned would surprise its owner. */
function settleLater(onSettled: OnSettled, error: VltavaError): void {
  queueMicrotask(() => callSettled(onSettled, error, null))
}
