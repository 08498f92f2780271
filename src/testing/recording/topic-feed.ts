import type { Client } from '../../client/client.ts'
import type { Consumer, ConsumerBatch } from '../../client/consumer.ts'
import type { ConsumerOptions } from '../../client/consumer-options.ts'
import type { ConsumerRecord } from '../../client/records.ts'
import { VltavaError } from '../../model/errors.ts'

export interface TopicFeedOptions {
  readonly client: Client
  readonly consumer: ConsumerOptions
  /** Called when there is something to take, or an error to tell. */
  readonly onReady: () => void
}

/** The records of one topic as they come, for someone who looks in from time to time instead of waiting in a loop. */
export class TopicFeed {
  readonly #consumer: Consumer
  readonly #batches: AsyncIterator<ConsumerBatch>
  readonly #onReady: () => void
  #records: readonly ConsumerRecord[] = []
  #taken = 0
  #isAsking = false
  #failure: unknown = null

  constructor(options: TopicFeedOptions) {
    this.#onReady = options.onReady
    this.#consumer = options.client.consumer(options.consumer)
    this.#batches = this.#consumer.batches()
  }

  get topic(): string {
    return this.#consumer.topic
  }

  /** What ended the feed; null while it goes on. */
  get failure(): unknown {
    return this.#failure
  }

  /** Takes what is there, at most so many. When nothing is left, more is asked for. */
  take(recordsMax: number): readonly ConsumerRecord[] {
    const records = this.#records.slice(this.#taken, this.#taken + recordsMax)
    this.#taken += records.length
    if (this.#taken === this.#records.length) this.#ask()
    return records
  }

  async close(): Promise<void> {
    await this.#consumer.close()
  }

  #ask(): void {
    if (this.#isAsking || this.#failure !== null) return
    this.#isAsking = true
    this.#batches
      .next()
      .then(({ value, done }) => {
        if (done === true) throw new VltavaError('CLOSED', 'The consumer was closed.')
        this.#records = value.records
        this.#taken = 0
      })
      .catch((thrown: unknown) => {
        this.#failure = thrown
      })
      .then(
        () => {
          this.#isAsking = false
          this.#onReady()
        },
        () => {},
      )
  }
}
