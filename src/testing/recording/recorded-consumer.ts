import { assert } from '../../base/assert.ts'
import { type Deferred, deferred } from '../../base/async/deferred.ts'
import type { Clock } from '../../base/clock.ts'
import type { Client } from '../../client/client.ts'
import type { ConsumerOptions } from '../../client/consumer-options.ts'
import type { StartPosition } from '../../client/start-position.ts'
import type { HistoryKey, SeenRecord } from '../../history/history.ts'
import { historyKey, parseHistoryKey } from '../../history/history-key.ts'
import type { LeaderEpoch, Offset, PartitionIndex } from '../../model/ids.ts'
import { type Ended, type Outcome, RecordedProcess, type RecordedProcessOptions } from './recorded-process.ts'
import { TopicFeed } from './topic-feed.ts'
import { textCodec, type ValueCodec } from './value-codec.ts'

export interface RecordedConsumerOptions extends RecordedProcessOptions {
  readonly client: Client
  /** For the waits of `poll`. */
  readonly clock: Clock
  /** Options of the consumers, one of which is made for each topic. Default: their own defaults. */
  readonly consumer?: Omit<ConsumerOptions, 'topic' | 'partitions' | 'from' | 'signal'>
  /** What stands in a record for a value. Default: the value as text. */
  readonly codec?: ValueCodec
  /** Begins at bare offsets, as programs do that keep nothing but those. Default false: with their leader epochs. */
  readonly forgetsEpochs?: boolean
}

export interface AssignOptions {
  /**
   * `'beginning'`: all keys from their log start offsets. `'last'`: where this consumer has read up to; keys it has not
   * read start at the beginning. `'end'`: the same, but keys it has not read start at their ends; somebody else has to
   * read what is before, or the checker takes it for lost. Default `'last'`.
   */
  readonly from?: 'beginning' | 'last' | 'end'
}

export interface PollOptions {
  /** Milliseconds to wait for the first record. Default 1,000. */
  readonly timeoutMs?: number
  /** Default 1,000. */
  readonly recordsMax?: number
}

export interface PollOutcome extends Outcome {
  /** By key, in the order in which they came; empty when there was none. */
  readonly records: ReadonlyMap<HistoryKey, readonly SeenRecord[]>
}

type Records = Map<HistoryKey, SeenRecord[]>

/** Consumers of the product whose polls are recorded, seen as one that reads any keys. One operation at a time. */
export class RecordedConsumer {
  readonly #options: RecordedConsumerOptions
  readonly #process: RecordedProcess
  readonly #codec: ValueCodec
  #keys: readonly HistoryKey[] = []
  /** The process under which the keys were assigned last. */
  #assignedAs: number
  /** Where a key starts that was not read yet. */
  #start: 'beginning' | 'end' = 'beginning'
  readonly #positions = new Map<HistoryKey, Offset>()
  /** The leader epoch of the record before each position. */
  readonly #epochs = new Map<HistoryKey, LeaderEpoch>()
  readonly #feeds = new Map<string, TopicFeed>()
  #wake: Deferred<void> | null = null

  constructor(options: RecordedConsumerOptions) {
    this.#options = options
    this.#process = new RecordedProcess(options)
    this.#codec = options.codec ?? textCodec
    this.#assignedAs = this.#process.id
  }

  /** The number of the process under which the next operation is recorded. */
  get process(): number {
    return this.#process.id
  }

  get keys(): readonly HistoryKey[] {
    return this.#keys
  }

  /** Behind the last record that a poll returned, by key; keys that were not read yet are missing. */
  get positions(): ReadonlyMap<HistoryKey, Offset> {
    return this.#positions
  }

  /**
   * Reads these keys, and no others, from now on.
   * @throws VltavaError INVALID_ARGUMENT for a key that is not `topic/partition`; nothing is recorded then.
   */
  async assign(keys: readonly HistoryKey[], options: AssignOptions = {}): Promise<void> {
    for (const key of keys) parseHistoryKey(key)
    const { from = 'last' } = options
    await this.#assign([...keys], from === 'beginning')
    this.#start = from === 'end' ? 'end' : 'beginning'
  }

  /**
   * Waits for records, and takes what has come. Never rejects for what a cluster does; a poll that fails takes its whole
   * time, so that a loop of polls does not spin.
   */
  async poll(options: PollOptions = {}): Promise<PollOutcome> {
    const { timeoutMs = 1_000, recordsMax = 1_000 } = options
    // Another process goes on where the one before was left.
    if (this.#assignedAs !== this.#process.id) await this.#assign(this.#keys, false)
    const records: Records = new Map()
    const outcome = await this.#process.run({ f: 'poll', steps: [['poll']] }, () =>
      this.#poll(records, { timeoutMs, recordsMax }),
    )
    if (outcome.type === 'info') await this.#closeFeeds()
    return { ...outcome, records }
  }

  /** Throws the consumers and their positions away, as a client that crashed. Goes on with `assign`. */
  async crash(): Promise<void> {
    await this.#process.run({ f: 'crash' }, () => Promise.resolve({ type: 'info', error: null }))
    await this.#closeFeeds()
    this.#keys = []
    this.#positions.clear()
    this.#assignedAs = this.#process.id
  }

  /** Closes the consumers; nothing is recorded. A later poll makes new ones, which go on where these were. */
  async close(): Promise<void> {
    await this.#closeFeeds()
  }

  async #assign(keys: readonly HistoryKey[], seekToBeginning: boolean): Promise<void> {
    await this.#process.run(
      { f: 'assign', keys, ...(seekToBeginning ? { seekToBeginning } : {}) },
      async () => {
        await this.#closeFeeds()
        this.#keys = keys
        if (seekToBeginning) for (const key of keys) this.#positions.delete(key)
        return { type: 'ok', error: null }
      },
    )
    this.#assignedAs = this.#process.id
  }

  async #poll(records: Records, limits: Required<PollOptions>): Promise<Ended> {
    const notOpened = this.#openFeeds()
    await this.#gather(records, limits)
    const failure = notOpened ?? (await this.#closeFailed())
    if (failure !== null && records.size === 0) throw failure
    return {
      type: 'ok',
      error: null,
      operation: { f: 'poll', steps: [['poll', Object.fromEntries(records)]] },
    }
  }

  async #gather(records: Records, { timeoutMs, recordsMax }: Required<PollOptions>): Promise<void> {
    const { clock } = this.#options
    let isOver = false
    const over = (): void => {
      isOver = true
      this.#wake?.resolve()
    }
    let timer = clock.setTimer(timeoutMs, over)
    let left = recordsMax
    try {
      for (;;) {
        this.#wake = deferred<void>()
        const before = left
        for (const feed of [...this.#feeds.values()]) left -= this.#take(records, feed, left)
        if (left === 0 || isOver) return
        if (before === recordsMax && left < before) {
          // Something has come: what else is there already comes along, and nothing is waited for.
          timer.cancel()
          timer = clock.setTimer(0, over)
        }
        await this.#wake.promise
      }
    } finally {
      this.#wake = null
      timer.cancel()
    }
  }

  #take(records: Records, feed: TopicFeed, recordsMax: number): number {
    const taken = feed.take(recordsMax)
    if (taken.length > 0) {
      // Who has given records comes last in the next turn, so that a busy topic does not starve the others.
      this.#feeds.delete(feed.topic)
      this.#feeds.set(feed.topic, feed)
    }
    for (const { topic, partition, offset, leaderEpoch, value } of taken) {
      const key = historyKey(topic, partition)
      const seen: SeenRecord = [offset, value === null ? '(null)' : this.#codec.decode(value)]
      const others = records.get(key)
      if (others === undefined) records.set(key, [seen])
      else others.push(seen)
      this.#positions.set(key, offset + 1)
      this.#epochs.set(key, leaderEpoch)
    }
    return taken.length
  }

  /** @returns why not all topics have a feed; null when they have. */
  #openFeeds(): unknown {
    for (const [topic, partitions] of this.#partitionsByTopic()) {
      if (this.#feeds.has(topic)) continue
      try {
        this.#feeds.set(topic, this.#newFeed(topic, partitions))
      } catch (thrown) {
        return thrown
      }
    }
    return null
  }

  #newFeed(topic: string, from: ReadonlyMap<PartitionIndex, StartPosition>): TopicFeed {
    const feed: TopicFeed = new TopicFeed({
      client: this.#options.client,
      consumer: { ...this.#options.consumer, topic, from },
      onReady: () => {
        // A feed that was closed has nothing to say any more.
        if (this.#feeds.get(topic) === feed) this.#wake?.resolve()
      },
    })
    return feed
  }

  #partitionsByTopic(): ReadonlyMap<string, ReadonlyMap<PartitionIndex, StartPosition>> {
    const topics = new Map<string, Map<PartitionIndex, StartPosition>>()
    for (const key of this.#keys) {
      const { topic, partition } = parseHistoryKey(key)
      const partitions = topics.get(topic) ?? new Map<PartitionIndex, StartPosition>()
      partitions.set(partition, this.#startOf(key))
      topics.set(topic, partitions)
    }
    return topics
  }

  #startOf(key: HistoryKey): StartPosition {
    const offset = this.#positions.get(key)
    if (offset === undefined) return this.#start
    return this.#options.forgetsEpochs === true ? offset : { offset, leaderEpoch: this.#epochs.get(key)! }
  }

  /** Closes the feeds that have failed; the next poll opens them anew, where they were. @returns one of the errors. */
  async #closeFailed(): Promise<unknown> {
    let failure: unknown = null
    for (const feed of [...this.#feeds.values()]) {
      if (feed.failure === null) continue
      failure ??= feed.failure
      this.#feeds.delete(feed.topic)
      await feed.close()
    }
    return failure
  }

  async #closeFeeds(): Promise<void> {
    assert(this.#wake === null, 'the consumer is not closed during a poll')
    const feeds = [...this.#feeds.values()]
    this.#feeds.clear()
    await Promise.all(feeds.map((feed) => feed.close()))
  }
}
