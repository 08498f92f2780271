// What goes on while the faults happen (JEP-1): producers that send unique values, consumers that read along, and now
// and then a client that is thrown away in the middle of what it does.
import type { Clock } from '../base/clock.ts'
import { type Random, seededRandom } from '../base/random.ts'
import type { Client } from '../client/client.ts'
import { createClient } from '../client/node.ts'
import type { HistoryKey } from '../history/history.ts'
import { historyKey } from '../history/history-key.ts'
import type { HistoryRecorder } from '../history/history-recorder.ts'
import { type Drained, finalPhase } from '../testing/recording/final-phase.ts'
import { RecordedConsumer } from '../testing/recording/recorded-consumer.ts'
import { RecordedProducer } from '../testing/recording/recorded-producer.ts'
import { pause } from './chaos-cluster.ts'
import { paddedCodec } from './chaos-values.ts'

/** A client is thrown away this often on average. */
const CRASH_INTERVAL_MS = 30_000
const REASSIGN_ONE_IN = 64
const VALUES_PER_SEND_MAX = 4
const PADDING_MAX = 2_000
/** Sends that take longer end without an answer; shorter than many faults, so that such sends occur. */
const DELIVERY_TIMEOUT_MS = 8_000
const REQUEST_TIMEOUT_MS = 3_000
const CONNECT_TIMEOUT_MS = 2_000
const PAUSE_AFTER_FAILURE_MS = 20
const POLL_TIMEOUT_MS = 500

export interface WorkloadOptions {
  readonly bootstrap: string
  readonly topic: string
  readonly partitions: number
  readonly producers: number
  readonly consumers: number
  readonly seed: number
  readonly recorder: HistoryRecorder
  readonly clock: Clock
  /** Milliseconds since the start of the run. */
  readonly nowMs: () => number
  /** Ends everything at once, in the middle of whatever is under way. */
  readonly signal: AbortSignal
}

type Recording = Pick<WorkloadOptions, 'recorder' | 'nowMs'> & { readonly nextProcess: () => number }

export class ChaosWorkload {
  readonly keys: readonly HistoryKey[]
  readonly #options: WorkloadOptions
  readonly #recording: Recording
  readonly #producersEnd = new AbortController()
  readonly #consumersEnd = new AbortController()
  readonly #failures: string[] = []
  readonly #producers: readonly Promise<void>[]
  readonly #consumers: readonly Promise<void>[]

  /** Starts at once. */
  constructor(options: WorkloadOptions) {
    const { recorder, nowMs, topic, partitions, seed } = options
    this.#options = options
    this.#recording = { recorder, nowMs, nextProcess: () => recorder.newProcess() }
    this.keys = Array.from({ length: partitions }, (_, partition) => historyKey(topic, partition))
    this.#producers = Array.from({ length: options.producers }, (_, i) =>
      this.#watch(this.#produce(`p${i + 1}`, seededRandom(seed + 1_000 + i))),
    )
    this.#consumers = Array.from({ length: options.consumers }, (_, i) =>
      this.#watch(this.#consume(seededRandom(seed + 2_000 + i))),
    )
  }

  /** What the clients threw that was no answer of a cluster: assertions, and other errors in their code. */
  get failures(): readonly string[] {
    return this.#failures
  }

  /** Resolves when nobody sends any more. */
  async stopProducing(): Promise<void> {
    this.#producersEnd.abort()
    await Promise.all(this.#producers)
  }

  /** The same for those who read. */
  async stopConsuming(): Promise<void> {
    this.#consumersEnd.abort()
    await Promise.all(this.#consumers)
  }

  /** New clients read everything once more from the beginning (JEP-2). */
  async readAll(timeoutMs: number): Promise<readonly Drained[]> {
    const { clock, consumers, seed, signal } = this.#options
    // For someone who does not want to wait any longer, the time is up.
    const impatient: Clock = {
      ...clock,
      monotonicMs: () => (signal.aborted ? Infinity : clock.monotonicMs()),
    }
    const clients = Array.from({ length: Math.max(1, consumers) }, () => this.#client())
    const readers = clients.map((client) => this.#consumer(client, seededRandom(seed)))
    try {
      return await finalPhase({
        ...this.#recording,
        clock: impatient,
        keys: this.keys,
        timeoutMs,
        consumers: readers,
      })
    } finally {
      await Promise.all(clients.map((client) => client.close()))
    }
  }

  async #watch(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (thrown) {
      this.#failures.push(
        `a client failed: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`,
      )
    }
  }

  #client(): Client {
    return createClient({
      bootstrap: this.#options.bootstrap,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
    })
  }

  #consumer(client: Client, random: Random): RecordedConsumer {
    return new RecordedConsumer({
      ...this.#recording,
      client,
      clock: this.#options.clock,
      codec: paddedCodec(random, PADDING_MAX),
      consumer: { requestTimeoutMs: REQUEST_TIMEOUT_MS },
    })
  }

  async #produce(name: string, random: Random): Promise<void> {
    const signal = AbortSignal.any([this.#producersEnd.signal, this.#options.signal])
    let sent = 0
    while (!signal.aborted) {
      const life = new ClientLife(this.#client(), { random, signal: this.#options.signal })
      const producer = new RecordedProducer({
        ...this.#recording,
        client: life.client,
        codec: paddedCodec(random, PADDING_MAX),
        producer: {
          deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
          requestTimeoutMs: REQUEST_TIMEOUT_MS,
          maxBlockMs: DELIVERY_TIMEOUT_MS,
        },
      })
      while (!signal.aborted && !life.isOver) {
        const key = this.keys[random.below(this.keys.length)]!
        const values = Array.from(
          { length: 1 + random.below(VALUES_PER_SEND_MAX) },
          () => `${name}-${++sent}`,
        )
        const { type } = await producer.send(key, values)
        if (type !== 'ok') await pause(PAUSE_AFTER_FAILURE_MS, signal)
      }
      await (life.isOver ? producer.crash() : producer.close())
      await life.end()
    }
  }

  async #consume(random: Random): Promise<void> {
    const signal = AbortSignal.any([this.#consumersEnd.signal, this.#options.signal])
    while (!signal.aborted) {
      const life = new ClientLife(this.#client(), { random, signal: this.#options.signal })
      const consumer = this.#consumer(life.client, random)
      await consumer.assign(this.#someKeys(random))
      while (!signal.aborted && !life.isOver) {
        if (random.below(REASSIGN_ONE_IN) === 0) await consumer.assign(this.#someKeys(random))
        const { type } = await consumer.poll({ timeoutMs: POLL_TIMEOUT_MS })
        if (type !== 'ok') await pause(PAUSE_AFTER_FAILURE_MS, signal)
      }
      await (life.isOver ? consumer.crash() : consumer.close())
      await life.end()
    }
  }

  /** All keys, or half of the time about half of them. */
  #someKeys(random: Random): readonly HistoryKey[] {
    if (random.below(2) === 0) return this.keys
    const some = this.keys.filter(() => random.below(2) === 0)
    return some.length === 0 ? this.keys : some
  }
}

/** A client that is closed without further ado after a time that is drawn, whatever it does then. */
class ClientLife {
  readonly client: Client
  readonly #signal: AbortSignal
  readonly #timer: NodeJS.Timeout
  readonly #finish = (): void => {
    this.#isOver = true
    this.client.close({ timeoutMs: 0 }).catch(() => {})
  }
  #isOver = false

  constructor(client: Client, from: { readonly random: Random; readonly signal: AbortSignal }) {
    this.client = client
    this.#signal = from.signal
    this.#timer = setTimeout(this.#finish, CRASH_INTERVAL_MS / 2 + from.random.below(CRASH_INTERVAL_MS))
    this.#signal.addEventListener('abort', this.#finish)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#finish)
    await this.client.close({ timeoutMs: 0 })
  }
}
