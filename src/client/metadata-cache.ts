// Keeps the client's view of the cluster fresh: asks when somebody found it wrong, takes the hints brokers push, and
// tells those who use it. One question is under way at a time, whoever asks.
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { toVltavaError, type VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { TOPICS_PER_REQUEST_MAX } from '../model/limits.ts'
import { backoffMs } from '../net/backoff.ts'
import type { RequestOf } from '../protocol/api.ts'
import { clusterMetadata, type metadataChanged } from '../protocol/cluster-metadata.ts'
import type { AnyBroker } from './any-broker.ts'
import type { ResolvedClientSettings } from './client-options.ts'
import type { ClusterView, TopicView } from './cluster-view.ts'

/** One broker may take this long; then the next is asked. A healthy one answers from memory, in a millisecond. */
const ATTEMPT_TIMEOUT_MS = 5_000

/** Up to 200 ms between two questions about a topic that is missing, with the default back-off. */
const MISSING_TOPIC_ATTEMPT_MAX = 3

export interface MetadataCacheOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly settings: ResolvedClientSettings
  readonly anyBroker: AnyBroker
  readonly view: ClusterView
}

export class MetadataCache {
  readonly view: ClusterView
  readonly #options: MetadataCacheOptions
  /** How many producers and consumers use each topic. */
  readonly #users = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  /** Brokers that the next question goes to last. */
  readonly #notFirst = new Set<NodeId>()
  #isRunning = false
  /** A question is under way that may not tell what is looked for: it does not name a topic, or came too early. */
  #askAgain = false
  #timer: Timer | null = null
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #failures = 0
  /** Answers in a row that brought nothing new. */
  #fruitless = 0
  #lastFailure: VltavaError | null = null
  #firstAskedAtMs: number | null = null
  #isClosed = false

  constructor(options: MetadataCacheOptions) {
    this.#options = options
    this.view = options.view
  }

  /** Why the newest question failed; null when it was answered. */
  get lastFailure(): VltavaError | null {
    return this.#lastFailure
  }

  /** Set once the bootstrap servers have been tried for long enough without any answer, ever. */
  get bootstrapFailure(): VltavaError | null {
    if (this.view.clusterId !== null || this.#firstAskedAtMs === null) return null
    const triedMs = this.#options.clock.monotonicMs() - this.#firstAskedAtMs
    return triedMs >= this.#options.settings.bootstrapTimeoutMs ? this.#lastFailure : null
  }

  /** Calls back after every change and after every question, answered or not. Returns how to take that back. */
  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Asks for the topic from now on, until `leave`. */
  join(topic: string): void {
    this.#users.set(topic, (this.#users.get(topic) ?? 0) + 1)
    if (this.view.topic(topic) !== null) return
    if (this.#isRunning) this.#askAgain = true
    else if (this.#failures === 0) this.#start()
    else this.requestRefresh()
  }

  leave(topic: string): void {
    const users = this.#users.get(topic) ?? 0
    if (users > 1) {
      this.#users.set(topic, users - 1)
    } else {
      this.#users.delete(topic)
      this.view.forget(topic)
    }
  }

  /** Asks again in the background when what is known of a topic is old; for those who use it. */
  refreshIfOld(topic: TopicView, nowMs: number): void {
    if (nowMs - topic.refreshedAtMs > this.#options.settings.metadataMaxAgeMs) this.requestRefresh()
  }

  /**
   * Asks for fresh metadata soon; many calls make one question. Listeners hear when it was answered or failed.
   * @param notFirst a broker that may not know what is looked for: the others are asked before it, in any order.
   */
  requestRefresh(notFirst: NodeId | null = null): void {
    if (notFirst !== null) this.#notFirst.add(notFirst)
    if (this.#isClosed || this.#isRunning || this.#timer !== null) return
    const waitMs = this.#notBeforeMs - this.#options.clock.monotonicMs()
    if (waitMs <= 0) {
      this.#start()
      return
    }
    this.#timer = this.#options.clock.setTimer(waitMs, () => {
      this.#timer = null
      this.#start()
    })
  }

  /** Asks again in the background when a topic was found to have more partitions than are known here; for those who looked it up. */
  refreshIfFewer(found: TopicView): void {
    const known = this.view.topic(found.name)
    if (known !== null && found.partitions.length > known.partitions.length) this.#requestNewer()
  }

  /** Applies a hint from a broker at once, without a question; asks where a topic has got more partitions. */
  applyHint(hint: RequestOf<typeof metadataChanged>): void {
    if (this.#isClosed) return
    if (this.view.tellsOfMore(hint)) this.#requestNewer()
    const changed = this.view.applyHint(hint)
    if (changed.size === 0) return
    this.#fruitless = 0
    this.#options.log.debug('metadata-hint', { metadataOffset: hint.metadataOffset, topics: [...changed] })
    this.#tell()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = null
    this.#listeners.clear()
  }

  /** As `requestRefresh`; the answer to a question that is under way may be too old to count. */
  #requestNewer(): void {
    if (this.#isRunning) this.#askAgain = true
    else this.requestRefresh()
  }

  #start(): void {
    if (this.#isClosed || this.#isRunning) return
    this.#timer?.cancel()
    this.#timer = null
    this.#isRunning = true
    this.#askAgain = false
    this.#refresh().then(
      () => this.#ended(null),
      (error: unknown) => this.#ended(toVltavaError(error)),
    )
  }

  async #refresh(): Promise<void> {
    const { clock, settings, anyBroker } = this.#options
    const startedMs = clock.monotonicMs()
    this.#firstAskedAtMs ??= startedMs
    const topics = [...this.#users.keys()]
    const body = { topics: topics.length > TOPICS_PER_REQUEST_MAX ? null : topics }
    const notFirst = new Set(this.#notFirst)
    this.#notFirst.clear()
    const answer = await anyBroker.ask({
      request: (connection, timeoutMs) => connection.request(clusterMetadata, body, { timeoutMs }),
      attemptTimeoutMs: Math.min(ATTEMPT_TIMEOUT_MS, settings.requestTimeoutMs),
      deadlineMs: this.#askDeadlineMs(startedMs),
      notFirst,
    })
    if (this.#isClosed) return
    const hasChanged = this.view.applyAnswer(answer.body, clock.monotonicMs(), (name) =>
      this.#users.has(name),
    )
    this.#fruitless = hasChanged ? 0 : this.#fruitless + 1
  }

  /** Until the first answer ever, no round of questions goes far beyond the time that is given to find the cluster. */
  #askDeadlineMs(startedMs: number): number {
    const { requestTimeoutMs, bootstrapTimeoutMs, connectTimeoutMs } = this.#options.settings
    const deadlineMs = startedMs + requestTimeoutMs
    if (this.view.clusterId !== null) return deadlineMs
    const bootstrapDeadlineMs = (this.#firstAskedAtMs ?? startedMs) + bootstrapTimeoutMs
    return Math.min(deadlineMs, Math.max(bootstrapDeadlineMs, startedMs + connectTimeoutMs))
  }

  #ended(failure: VltavaError | null): void {
    const { clock, random, settings, log } = this.#options
    this.#isRunning = false
    if (this.#isClosed) return
    this.#failures = failure === null ? 0 : this.#failures + 1
    this.#lastFailure = failure
    if (failure !== null) log.warn('metadata-refresh-failed', { code: failure.code, detail: failure.message })
    // Also after an answer: what the brokers themselves do not know yet must not be asked for in a tight loop, by every
    // client at once. A topic that may just have been created is worth asking for more often.
    const isTopicMissing = [...this.#users.keys()].some((name) => this.view.topic(name) === null)
    const fruitless = isTopicMissing ? Math.min(this.#fruitless, MISSING_TOPIC_ATTEMPT_MAX) : this.#fruitless
    const pauseMs = backoffMs({
      attempt: Math.max(1, this.#failures, fruitless),
      baseMs: settings.retryBackoffMs,
      maxMs: settings.retryBackoffMaxMs,
      random,
    })
    this.#notBeforeMs = clock.monotonicMs() + pauseMs
    const askAgain = this.#askAgain
    this.#tell()
    if (askAgain && failure === null) this.#start()
    else if (askAgain) this.requestRefresh()
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
