// The consumer of the public API: hands out what the fetcher brings.
import { type Deferred, deferred } from '../base/async/deferred.ts'
import { type EpochPosition, VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset, PartitionIndex } from '../model/ids.ts'
import type { ClientContext } from './client-context.ts'
import type { ConsumerBatch } from './consumer-batch.ts'
import { type ConsumerHealth, consumerHealth } from './consumer-health.ts'
import type { ResolvedConsumerOptions } from './consumer-options.ts'
import { closedError } from './errors.ts'
import { Fetcher } from './fetcher.ts'
import { showValue } from './options.ts'
import { Reader } from './reader.ts'
import { type Reading, ReadingIterator } from './reading-iterator.ts'
import type { ConsumerRecord } from './records.ts'
import { isStartPosition, placeOf, startingPositions } from './start-position.ts'
import type { PartitionState, SubscriptionState } from './subscription-state.ts'

export type { ConsumerBatch }

/**
 * Reads the partitions of one topic, or some of them, in the order of their offsets. Made by `client.consumer()`.
 *
 * `for await (const record of consumer)` reads record by record, `consumer.batches()` batch by batch, which is faster.
 * A loop goes on until it is left or the consumer is closed; one loop can run at a time, and the next one goes on where
 * the last one was left. Within a partition no offset is handed out twice or before a lower one, save after `seek` and
 * after a reset that `autoOffsetReset` asked for.
 *
 * Where all partitions are read (neither `partitions` nor `from` names any), those that are added to the topic meanwhile are read as
 * well, from their beginning whatever `from` says: what is in them was written later. Brokers tell of them at once; a client that was
 * not told asks for itself once what it knows is `metadataMaxAgeMs` old. While nothing is fetched, because all is paused or the buffer
 * is full, it asks when reading goes on.
 *
 * Nothing is asked of the cluster before the first use.
 */
export class Consumer implements AsyncIterable<ConsumerRecord> {
  readonly #context: ClientContext
  readonly #options: ResolvedConsumerOptions
  readonly #onClosed: (consumer: Consumer) => void
  readonly #reader: Reader
  #fetcher: Fetcher | null = null
  #isReading = false
  #isClosed = false
  /** Resolved at the next progress; whoever waits looks again then. */
  #progress: Deferred<void> | null = null
  /** Seeks and pauses from before the topic was known, in order. */
  #early: ((subscription: SubscriptionState) => void)[] = []
  readonly #onAbort = (): void => this.#close()

  /** For the client; users call `client.consumer()`. */
  constructor(
    context: ClientContext,
    consumer: {
      readonly options: ResolvedConsumerOptions
      readonly onClosed: (consumer: Consumer) => void
    },
  ) {
    this.#context = context
    this.#options = consumer.options
    this.#onClosed = consumer.onClosed
    this.#reader = new Reader({
      cpu: context.environment.cpu,
      topic: this.#options.topic,
      subscription: () => this.#fetcher?.subscription ?? null,
      fatal: () => this.#fetcher?.fatal ?? null,
      isClosed: () => this.#isClosed,
      progressed: () => this.#progressed(),
      onRoom: () => this.#fetcher?.wake(),
    })
    const { signal } = this.#options
    if (signal?.aborted === true) this.#isClosed = true
    else signal?.addEventListener('abort', this.#onAbort)
  }

  get topic(): string {
    return this.#options.topic
  }

  /** After `close`, and after the signal was aborted. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Reads record by record. Leaving the loop does not close the consumer.
   * @throws VltavaError (from the loop) UNKNOWN_TOPIC_OR_PARTITION, BOOTSTRAP_UNREACHABLE, OFFSET_OUT_OF_RANGE,
   *   LOG_TRUNCATED, CORRUPT_MESSAGE, INVALID_RECORD and other errors that trying again does not mend; INVALID_ARGUMENT for a second
   *   loop. After an error of one partition a new loop goes on with the others; `seek` revives the failed one.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<ConsumerRecord> {
    return this.#read({
      ready: () => this.#reader.readyRecord(),
      next: () => this.#reader.nextRecord(),
    })
  }

  /**
   * Reads batch by batch, as they were written. The memory of a batch counts as held until the next one is asked for.
   * Leaving the loop does not close the consumer.
   * @throws VltavaError as the loop over records does.
   */
  batches(): AsyncIterableIterator<ConsumerBatch> {
    return this.#read({ ready: () => null, next: () => this.#reader.nextBatch() })
  }

  /**
   * Resolves when every partition knows where it starts. From then on, `from: 'end'` misses no record.
   * @throws VltavaError what ended the consumer or failed a partition; after `requestTimeoutMs` the error that keeps a
   *   partition from being found (the consumer goes on trying); CLOSED
   */
  async ready(): Promise<void> {
    await this.#located()
  }

  /**
   * The next offset of each partition that will be handed out, by partition; waits until they are known.
   * @throws VltavaError as `ready` does.
   */
  async positions(): Promise<ReadonlyMap<PartitionIndex, Offset>> {
    const states = await this.#located()
    return new Map(
      states.map(({ partition, position }) => [partition, position] as const).toSorted(byPartition),
    )
  }

  /**
   * The positions with their leader epochs, by partition, to be kept and given to `from` or `seek` later; waits until they
   * are known. The epoch is -1 where nothing was read yet and none was given. A consumer that is made with them reads the partitions
   * that are in them, and no others: give it a position for each that was added since.
   * @throws VltavaError as `ready` does.
   */
  async checkpoint(): Promise<ReadonlyMap<PartitionIndex, EpochPosition>> {
    const states = await this.#located()
    const places = states.map(
      ({ partition, position: offset, positionEpoch: leaderEpoch }) =>
        [partition, { offset, leaderEpoch }] as const,
    )
    return new Map(places.toSorted(byPartition))
  }

  /**
   * The high watermarks at the time of the call, by partition: a loop that has read up to them has read everything
   * that was committed then, as far as the leader knew that answered. Partitions that are added later are not among them, and the loop
   * may get records of those as well.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION; LEADER_NOT_AVAILABLE and other errors of a leader after
   *   `requestTimeoutMs`; CLOSED
   */
  async endOffsets(): Promise<ReadonlyMap<PartitionIndex, Offset>> {
    if (this.#isClosed) throw closedError('consumer')
    const { calls, metadata } = this.#context
    const { topic, from, partitions: chosen, requestTimeoutMs } = this.#options
    const offsets = await calls.allOffsets(topic, {
      deadlineMs: calls.deadlineMs(requestTimeoutMs),
      queriesFor: (found) => {
        metadata.refreshIfFewer(found)
        const { name, partitions } = found
        const positions = startingPositions(from, { name, partitionsCount: partitions.length, chosen })
        return new Map([...positions.keys()].map((partition) => [partition, { type: 'latest' }]))
      },
    })
    const ends = [...offsets].map(([partition, { highWatermark }]) => [partition, highWatermark] as const)
    return new Map(ends.toSorted(byPartition))
  }

  /**
   * Goes on at this offset. What was fetched but not handed out is dropped. Revives a partition that has failed.
   * @param to an offset, 0 to 2^53-1, with its leader epoch where that is known (see StartPosition); outside of the log,
   *   the partition fails or is reset as `autoOffsetReset` says.
   * @throws VltavaError INVALID_ARGUMENT, CLOSED, UNKNOWN_TOPIC_OR_PARTITION when the partition is not being read; before
   *   the partitions are known, that comes from the first use.
   */
  seek(
    partition: PartitionIndex,
    to: Offset | { readonly offset: Offset; readonly leaderEpoch?: LeaderEpoch | undefined },
  ): void {
    const place = isStartPosition(to) ? placeOf(to) : null
    if (place === null) {
      const detail = `seek: the offset must be an integer from 0 to 2^53-1, or { offset, leaderEpoch }, got ${showValue(to)}.`
      throw new VltavaError('INVALID_ARGUMENT', detail)
    }
    this.#change((subscription) => subscription.seek(this.#known(subscription, partition), place))
  }

  /**
   * Stops to hand out and to fetch records of these partitions; of all without the argument, and then those that are added wait too,
   * until there is a `resume` without it. What is fetched stays.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION when a partition is not being read, CLOSED
   */
  pause(partitions?: readonly PartitionIndex[]): void {
    this.#setPaused(partitions, true)
  }

  /**
   * Ends `pause` for these partitions; for all without the argument, and for those that are added.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION when a partition is not being read, CLOSED
   */
  resume(partitions?: readonly PartitionIndex[]): void {
    this.#setPaused(partitions, false)
  }

  /** How the consumer is doing. Asks nobody, so it can be called at any rate. */
  health(): ConsumerHealth {
    return consumerHealth({
      isOpen: !this.#isClosed,
      fatal: this.#fetcher?.fatal ?? null,
      subscription: this.#fetcher?.subscription ?? null,
      problemAfterMs: this.#options.problemAfterMs,
      nowMs: this.#context.environment.clock.monotonicMs(),
    })
  }

  /** Stops reading. A loop that waits ends, without an error. Calling it again does nothing. */
  close(): Promise<void> {
    this.#close()
    return Promise.resolve()
  }

  /**
   * The partitions, once all of them know where they start. Those of that moment: one may be added before a caller that waits goes on.
   * @throws VltavaError as `ready` does.
   */
  async #located(): Promise<readonly PartitionState[]> {
    const { clock } = this.#context.environment
    const { requestTimeoutMs } = this.#options
    const deadlineMs = clock.monotonicMs() + requestTimeoutMs
    const timer = clock.setTimer(requestTimeoutMs, () => this.#told())
    try {
      while (!this.#isReady(clock.monotonicMs() >= deadlineMs)) await this.#progressed()
      return [...this.#fetcher!.subscription!.partitions()]
    } finally {
      timer.cancel()
    }
  }

  /** @throws VltavaError as `ready` does. */
  #isReady(isLate: boolean): boolean {
    if (this.#isClosed) throw closedError('consumer')
    const { subscription, fatal } = this.#start()
    if (fatal !== null) throw fatal
    const missing = [...(subscription?.partitions() ?? [])].find(({ position }) => position < 0)
    if (subscription !== null && missing === undefined) return true
    if (missing?.phase === 'failed') throw missing.failure
    if (!isLate) return false
    const detail = `The positions were not found within ${this.#options.requestTimeoutMs} ms.`
    throw missing?.lastError ?? new VltavaError('REQUEST_TIMED_OUT', detail, { definite: true })
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#fetcher?.close()
    this.#told()
    this.#onClosed(this)
  }

  #read<T>(reading: Omit<Reading<T>, 'onEnd'>): AsyncIterableIterator<T> {
    if (this.#isReading) {
      const detail = 'The consumer is being read already; leave that loop first, or make another consumer.'
      throw new VltavaError('INVALID_ARGUMENT', detail)
    }
    this.#isReading = true
    return new ReadingIterator({
      ready: reading.ready,
      next: () => {
        if (!this.#isClosed) this.#start()
        return reading.next()
      },
      onEnd: () => {
        this.#reader.putBack()
        this.#isReading = false
      },
    })
  }

  /** Connects at the first use. */
  #start(): Fetcher {
    this.#fetcher ??= new Fetcher({
      context: this.#context,
      options: this.#options,
      onSubscribed: (subscription) => this.#subscribed(subscription),
      onProgress: () => this.#told(),
    })
    return this.#fetcher
  }

  /** Does what was asked for before the partitions were known. @throws VltavaError as `seek` does. */
  #subscribed(subscription: SubscriptionState): void {
    for (const change of this.#early) change(subscription)
    this.#early = []
  }

  /** Changes what is read, now or as soon as the partitions are known. */
  #change(change: (subscription: SubscriptionState) => void): void {
    if (this.#isClosed) throw closedError('consumer')
    const subscription = this.#fetcher?.subscription ?? null
    if (subscription === null) {
      this.#early.push(change)
      return
    }
    change(subscription)
    this.#fetcher!.wake()
    this.#told()
  }

  #setPaused(partitions: readonly PartitionIndex[] | undefined, isPaused: boolean): void {
    this.#change((subscription) => {
      const states =
        partitions === undefined
          ? [...subscription.partitions()]
          : partitions.map((partition) => this.#known(subscription, partition))
      for (const state of states) state.isPaused = isPaused
      if (partitions === undefined) subscription.pausesAdded = isPaused
    })
  }

  #known(subscription: SubscriptionState, partition: PartitionIndex): PartitionState {
    const state = subscription.partition(partition)
    if (state !== null) return state
    const read = [...subscription.partitions()].map((other) => other.partition).toSorted((a, b) => a - b)
    const detail = `Partition ${partition} of topic "${this.topic}" is not being read; ${read.join(', ')} are.`
    throw new VltavaError('UNKNOWN_TOPIC_OR_PARTITION', detail)
  }

  #progressed(): Promise<void> {
    this.#progress ??= deferred<void>()
    return this.#progress.promise
  }

  #told(): void {
    const progress = this.#progress
    this.#progress = null
    progress?.resolve()
  }
}

function byPartition(a: readonly [PartitionIndex, unknown], b: readonly [PartitionIndex, unknown]): number {
  return a[0] - b[0]
}
