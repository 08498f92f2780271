// Brings the records of one consumer: finds where each partition starts, and keeps one fetch under way at each broker
// that it reads from, as long as there is room in the buffer. It runs once in a turn in which something happened, looks at every partition,
// and asks what can be asked.
import { WakeTimer } from '../base/async/wake-timer.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, NodeId, Offset, TopicId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import { fetch } from '../protocol/fetch.ts'
import { endsStatement } from '../protocol/fetch-session.ts'
import type { SessionRequest } from '../protocol/fetch-session-reader.ts'
import type { ClientContext } from './client-context.ts'
import type { BrokerView, TopicView } from './cluster-view.ts'
import type { ResolvedConsumerOptions } from './consumer-options.ts'
import { Dialer } from './dialer.ts'
import { fetchBytes, planFetches } from './fetch-plan.ts'
import { FetchedFrame, readFetchedBatches } from './fetched-batches.ts'
import { type Asked, type FetchStatement, isCurrent, LeaderSession } from './leader-session.ts'
import { damagedAtBroker, PartitionErrors } from './partition-errors.ts'
import { querySpecOf, readsAllPartitions, startingPositions, startOffsetOf } from './start-position.ts'
import { type PartitionState, SubscriptionState } from './subscription-state.ts'
import { UNKNOWN_TOPIC_WAIT_MS, unknownTopicError } from './unknown-topic.ts'

/** After an empty answer that came early: a broker that answers so in a loop must not be asked in one. */
const EMPTY_ANSWER_PAUSE_MS = 5

/**
 * How long another replica than the leader may take beyond the wait. Nobody tells that it is in trouble, as a new leader is told
 * of, and there is somebody else to ask.
 */
const REPLICA_ANSWER_MAX_MS = 5_000

export interface FetcherOptions {
  readonly context: ClientContext
  readonly options: ResolvedConsumerOptions
  /** Called once, when the partitions are known and before anything is asked of them; what it throws is fatal. */
  readonly onSubscribed: (subscription: SubscriptionState) => void
  /** Called when there may be something to take, or an error to tell. */
  readonly onProgress: () => void
}

/** Fetches of one session under way: the second one takes the place of the first at the leader. */
const FETCHES_PER_SESSION_MAX = 2

interface FetchUnderWay {
  readonly session: LeaderSession
  readonly request: SessionRequest<FetchStatement>
  readonly maxBytes: number
  readonly sentAtMs: number
}

type FetchAnswer = ResponseOf<typeof fetch>
type PartitionAnswer = FetchAnswer['partitions'][number]

export class Fetcher {
  readonly #options: FetcherOptions
  readonly #errors: PartitionErrors
  readonly #stopListening: () => void
  readonly #startDeadlineMs: number
  readonly #fetches = new Set<FetchUnderWay>()
  readonly #sessions = new Map<NodeId, LeaderSession>()
  readonly #sessionId: number | null
  readonly #dialer: Dialer
  readonly #timer: WakeTimer
  #subscription: SubscriptionState | null = null
  /** Partitions that the topic is known to have. */
  #partitionsCount = 0
  #topicId: TopicId | null = null
  #fatal: VltavaError | null = null
  #isScheduled = false
  #isClosed = false

  /** Starts at once. */
  constructor(options: FetcherOptions) {
    this.#options = options
    const { context, options: settings } = options
    this.#errors = new PartitionErrors({ context, options: settings })
    this.#sessionId = context.sessionIds.take()
    this.#timer = new WakeTimer(context.environment.clock, () => this.wake())
    this.#dialer = new Dialer({
      connections: context.connections,
      onOpen: () => this.wake(),
      onFailed: (broker, error) => this.#dialFailed(broker, error),
    })
    this.#startDeadlineMs = context.environment.clock.monotonicMs() + settings.requestTimeoutMs
    this.#stopListening = context.metadata.onUpdate(() => this.wake())
    context.metadata.join(settings.topic)
    this.wake()
  }

  /** null until the topic is known. */
  get subscription(): SubscriptionState | null {
    return this.#subscription
  }

  /** Why nothing is read any more at all. */
  get fatal(): VltavaError | null {
    return this.#fatal
  }

  /** Looks again what can be asked: there is room, or the user has changed something. */
  wake(): void {
    if (this.#isScheduled || this.#isClosed) return
    this.#isScheduled = true
    queueMicrotask(() => this.#run())
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#timer.cancel()
    this.#stopListening()
    for (const session of this.#sessions.values()) session.end()
    this.#options.context.sessionIds.give(this.#sessionId)
    this.#options.context.metadata.leave(this.#options.options.topic)
  }

  #run(): void {
    this.#isScheduled = false
    if (this.#isClosed || this.#fatal !== null) return
    const { metadata, connections, environment } = this.#options.context
    const nowMs = this.#nowMs()
    const topic = this.#knownTopic(nowMs)
    if (topic === null) return
    this.#subscription ??= this.#subscribe(topic)
    const subscription = this.#subscription
    if (subscription === null) return
    this.#takeUpAdded(subscription, topic)
    const plan = planFetches(subscription.partitions(), {
      ...{ view: metadata.view, topic, nowMs },
      readFrom: this.#options.options.readFrom,
      random: environment.random,
    })
    let { dueMs } = plan
    if (plan.lacksReplica) metadata.requestRefresh()
    for (const state of plan.leaderless) {
      const detail = `Partition ${state.partition} of topic "${topic.name}" has no leader at the moment.`
      state.triedEpoch = topic.partitions[state.partition]?.leaderEpoch ?? state.triedEpoch
      this.#failed(state, new VltavaError('LEADER_NOT_AVAILABLE', detail))
      dueMs = Math.min(dueMs, state.notBeforeMs)
    }
    for (const state of plan.outdated) {
      const { leaderEpoch } = topic.partitions[state.partition]!
      state.triedEpoch = leaderEpoch
      this.#errors.outdated(state, { leaderEpoch })
      dueMs = Math.min(dueMs, state.notBeforeMs)
    }
    for (const { broker, locate, fetch: wanted } of plan.byBroker.values()) {
      const connection = connections.openTo(broker)
      if (connection === null) {
        this.#dialer.dial(broker)
        continue
      }
      if (locate.length > 0) this.#locate(broker, locate, topic)
      if (wanted.length > 0) {
        const session = this.#sessionWith(broker.brokerId, connection)
        this.#fetch({ session, wanted, topic, brokersCount: plan.brokersCount })
      }
    }
    for (const session of this.#sessions.values()) {
      if (!session.connection.isOpen) this.#drop(session)
      if (!session.connection.isOpen || !session.isWatching) continue
      const goesOn = nowMs >= session.notBeforeMs
      if (goesOn) this.#fetch({ session, wanted: [], topic, brokersCount: plan.brokersCount })
      else dueMs = Math.min(dueMs, session.notBeforeMs)
    }
    this.#timer.arm(dueMs)
  }

  /** The topic, as long as it is the one that is read; null while it is not known, and after a fatal error. */
  #knownTopic(nowMs: number): TopicView | null {
    const { context, options } = this.#options
    const { metadata } = context
    const topic = metadata.view.topic(options.topic)
    if (topic !== null) {
      metadata.refreshIfOld(topic, nowMs)
      this.#topicId ??= topic.topicId
      if (topic.topicId === this.#topicId) return topic
      const detail = `Topic "${topic.name}" was deleted and created again; its offsets mean other records now. Make a new consumer.`
      return this.#end(new VltavaError('UNKNOWN_TOPIC_OR_PARTITION', detail))
    }
    const unknown = metadata.view.unknownTopic(options.topic)
    const state = { nowMs, waitMs: UNKNOWN_TOPIC_WAIT_MS }
    const error =
      unknown === null ? this.#startFailure(nowMs) : unknownTopicError(options.topic, { ...state, unknown })
    if (error !== null) return this.#end(error)
    metadata.requestRefresh()
    // A time that is past would wake this at once, again and again; what comes then is for fresh metadata to say.
    const dueMs = unknown === null ? this.#startDeadlineMs : unknown.sinceMs + UNKNOWN_TOPIC_WAIT_MS
    if (this.#subscription === null && dueMs > nowMs) this.#timer.arm(dueMs)
    return null
  }

  /** Why the consumer cannot start, once it has tried for long enough. */
  #startFailure(nowMs: number): VltavaError | null {
    const { context, options } = this.#options
    const { bootstrapFailure, lastFailure } = context.metadata
    if (this.#subscription !== null) return null
    if (bootstrapFailure !== null || nowMs < this.#startDeadlineMs) return bootstrapFailure
    const detail = `The metadata of topic "${options.topic}" did not arrive within ${options.requestTimeoutMs} ms.`
    return lastFailure ?? new VltavaError('REQUEST_TIMED_OUT', detail, { definite: true })
  }

  #subscribe(topic: TopicView): SubscriptionState | null {
    const { from, partitions: chosen } = this.#options.options
    const { name, partitions } = topic
    try {
      const positions = startingPositions(from, { name, partitionsCount: partitions.length, chosen })
      const subscription = new SubscriptionState(positions)
      this.#partitionsCount = partitions.length
      this.#options.onSubscribed(subscription)
      this.#options.onProgress()
      return subscription
    } catch (thrown) {
      return this.#end(toVltavaError(thrown))
    }
  }

  /**
   * What is in a partition that was added since was all written after the consumer had begun: it is read from its beginning, wherever
   * the others were to start.
   */
  #takeUpAdded(subscription: SubscriptionState, { partitions: { length } }: TopicView): void {
    if (length <= this.#partitionsCount) return
    const { from, partitions: chosen } = this.#options.options
    if (readsAllPartitions(from, chosen)) {
      for (let added = this.#partitionsCount; added < length; added++) subscription.add(added, 'beginning')
    }
    this.#partitionsCount = length
  }

  #locate(broker: BrokerView, states: readonly PartitionState[], topic: TopicView): void {
    const { calls, metadata } = this.#options.context
    const asked = states.map((state) => this.#ask(state, topic, broker))
    const queries = new Map(states.map((state) => [state.partition, querySpecOf(state.start)!]))
    calls.offsets({ view: metadata.view, topic }, queries).then((results) => {
      for (const { state, underWay } of asked) {
        if (state.underWay !== underWay) continue
        state.underWay = null
        const result = results.get(state.partition)!
        if (result instanceof VltavaError) this.#failed(state, damagedAtBroker(result))
        else this.#subscription!.located(state, startOffsetOf(state.start, result))
      }
      this.#progress()
    }, throwUncaught)
  }

  /** The session at a leader. It goes with the connection: on another one, everything is asked for again. */
  #sessionWith(brokerId: NodeId, connection: Connection): LeaderSession {
    const found = this.#sessions.get(brokerId)
    if (found?.connection === connection) return found
    if (found !== undefined) this.#drop(found)
    const session = new LeaderSession({ brokerId, connection, id: this.#sessionId })
    this.#sessions.set(brokerId, session)
    return session
  }

  /** Its connection is gone. What waits for an answer fails by itself; what the leader watched is asked for again. */
  #drop(session: LeaderSession): void {
    if ([...this.#fetches].some((fetching) => fetching.session === session)) return
    this.#sessions.delete(session.brokerId)
    for (const asked of session.abandoned()) if (isCurrent(asked)) asked.state.underWay = null
    this.wake()
  }

  #fetch(fetching: {
    readonly session: LeaderSession
    /** To be asked for beside what the leader watches already. */
    readonly wanted: readonly PartitionState[]
    readonly topic: TopicView
    readonly brokersCount: number
  }): void {
    const { session, wanted, topic, brokersCount } = fetching
    const { options } = this.#options
    const takenBytes = this.#takenBytes(session, wanted.length > 0)
    if (takenBytes === null) return
    const maxBytes = fetchBytes({ ...options, takenBytes, brokersCount })
    if (maxBytes === null) return
    for (const state of wanted)
      session.ask(this.#ask(state, topic, session), { topic, maxPartitionBytes: options.maxPartitionBytes })
    const request = session.next()
    const underWay = { session, request, maxBytes, sentAtMs: this.#nowMs() }
    this.#fetches.add(underWay)
    const body = {
      maxWaitMs: options.maxWaitMs,
      minBytes: Math.min(options.minBytes, maxBytes),
      maxBytes,
      partitions: request.stated.map(({ statement }) => statement.body),
      session: request.session,
      forgotten: request.forgotten,
    }
    const { maxWaitMs, requestTimeoutMs } = options
    const graceMs = session.isOfReplica ? Math.min(requestTimeoutMs, REPLICA_ANSWER_MAX_MS) : requestTimeoutMs
    session.connection
      .request(fetch, body, { timeoutMs: maxWaitMs + graceMs })
      .then(
        ({ body: answer, payload }) => this.#answered(underWay, answer, payload),
        (error: unknown) => this.#allFailed(underWay, toVltavaError(error)),
      )
      .then(() => {
        this.#fetches.delete(underWay)
        this.#progress()
      }, throwUncaught)
  }

  /** Bytes that are held or asked for; null where another fetch has to be answered before. */
  #takenBytes(session: LeaderSession, isForMore: boolean): number | null {
    let takenBytes = this.#subscription!.bufferedBytes
    let ofSession = 0
    for (const other of this.#fetches) {
      const isSame = other.session === session
      if (isSame) ofSession++
      // What a seek or a new leader made void is dropped when it comes, so it takes no room and keeps nobody waiting.
      if (!isStillWanted(other)) continue
      if (other.session.brokerId === session.brokerId && !(isSame && session.isOpen && isForMore)) return null
      takenBytes += other.maxBytes
    }
    return session.isOpen && ofSession >= FETCHES_PER_SESSION_MAX ? null : takenBytes
  }

  #answered(underWay: FetchUnderWay, answer: FetchAnswer, payload: Uint8Array): void {
    if (this.#isClosed) return
    const { session, request, sentAtMs } = underWay
    const { partitions, sessionId, about } = answer
    const payloadBytes = partitions.reduce((sum, { batchesBytes }) => sum + batchesBytes, 0)
    const ends = partitions.map(endsStatement)
    const answered =
      payloadBytes === payload.length ? session.answered(request, { sessionId, about, ends }) : null
    if (answered === null) {
      const detail = `The answer is about ${partitions.length} partitions and ${payloadBytes} bytes; asked were ${request.stated.length}, sent ${payload.length} bytes.`
      this.#allFailed(underWay, new VltavaError('PROTOCOL_VIOLATION', detail))
      return
    }
    const nowMs = this.#nowMs()
    const cameEarly = payload.length === 0 && nowMs - sentAtMs < this.#options.options.maxWaitMs
    if (cameEarly) session.notBeforeMs = nowMs + EMPTY_ANSWER_PAUSE_MS
    const frame = new FetchedFrame(payload.length)
    let position = 0
    for (const [i, one] of answered.entries()) {
      const result = partitions[i]!
      const batches = payload.subarray(position, position + result.batchesBytes)
      position += result.batchesBytes
      if (one === null || !isCurrent(one.statement)) continue
      const { state } = one.statement
      const isOver = sessionId === null || ends[i] === true
      if (isOver) state.underWay = null
      const worked = this.#take(one.statement, result, { batches, frame })
      if (worked && cameEarly && isOver) state.notBeforeMs = nowMs + EMPTY_ANSWER_PAUSE_MS
    }
  }

  /** @returns whether the partition can be read on. */
  #take(
    { state, underWay }: Asked,
    result: PartitionAnswer,
    given: { readonly batches: Uint8Array; readonly frame: FetchedFrame },
  ): boolean {
    const asked = { state, underWay }
    if (result.error !== null) {
      this.#refused(asked, damagedAtBroker(errorOfWire(result.error)), result)
      return false
    }
    if (result.diverging !== null) {
      this.#diverged(asked, result.diverging)
      return false
    }
    if (!this.#received(asked, given)) return false
    if (underWay.fromReplica && given.batches.length > 0) this.#servedByReplica(state, underWay.brokerId)
    state.worked()
    state.highWatermark = result.highWatermark
    return true
  }

  #servedByReplica(state: PartitionState, brokerId: NodeId): void {
    if (state.servedByReplicaId === brokerId) return
    state.servedByReplicaId = brokerId
    const { context, options } = this.#options
    const { partition } = state
    context.environment.log.debug('consume-from-replica', { topic: options.topic, partition, brokerId })
  }

  /** Only the word of a leader resets a position: another replica may begin and end elsewhere (REP-34). */
  #refused(asked: Asked, error: VltavaError, answer: PartitionAnswer): void {
    const { state, underWay } = asked
    if (error.code !== 'OFFSET_OUT_OF_RANGE' || underWay.fromReplica) this.#askedInVain(asked, error)
    else this.#errors.outOfRange(this.#subscription!, state, { error, logStartOffset: answer.logStartOffset })
  }

  /** As for `#refused`: whether records were lost, only the leader knows. */
  #diverged(asked: Asked, end: { readonly epoch: LeaderEpoch; readonly endOffset: Offset }): void {
    const { state, underWay } = asked
    if (!underWay.fromReplica) {
      this.#errors.diverged(this.#subscription!, state, end)
      return
    }
    const detail = `Broker ${underWay.brokerId} holds leader epoch ${end.epoch} up to offset ${end.endOffset} only.`
    this.#askedInVain(asked, new VltavaError('LOG_TRUNCATED', detail))
  }

  #received(asked: Asked, given: { readonly batches: Uint8Array; readonly frame: FetchedFrame }): boolean {
    const { cpu } = this.#options.context.environment
    const { state, underWay } = asked
    const { batches, frame } = given
    try {
      const from = { frame, leaderEpoch: underWay.leaderEpoch, fetchOffset: state.fetchOffset, cpu }
      this.#subscription!.received(state, readFetchedBatches(batches, from))
      return true
    } catch (thrown) {
      if (!(thrown instanceof VltavaError)) throw thrown
      this.#askedInVain(asked, thrown)
      return false
    }
  }

  #allFailed({ session, request }: FetchUnderWay, error: VltavaError): void {
    if (this.#isClosed) return
    for (const asked of session.failed(request)) {
      if (!isCurrent(asked)) continue
      asked.state.underWay = null
      this.#askedInVain(asked, error)
    }
  }

  #askedInVain({ state, underWay }: Asked, error: VltavaError): void {
    if (underWay.fromReplica) this.#errors.replicaFailed(state, underWay.brokerId, error)
    else this.#failed(state, error)
  }

  #failed(state: PartitionState, error: VltavaError): void {
    this.#errors.happened(this.#subscription!, state, error)
  }

  #ask(state: PartitionState, topic: TopicView, broker: { readonly brokerId: NodeId }): Asked {
    const { leader, leaderEpoch } = topic.partitions[state.partition]!
    const { brokerId } = broker
    const underWay = { brokerId, leaderEpoch, fromReplica: brokerId !== leader }
    state.underWay = underWay
    state.triedEpoch = leaderEpoch
    return { state, underWay }
  }

  #dialFailed(broker: BrokerView, error: VltavaError): void {
    const { context, options } = this.#options
    const topic = context.metadata.view.topic(options.topic)
    if (this.#isClosed || this.#subscription === null || topic === null) return
    for (const state of this.#subscription.partitions()) {
      const view = topic.partitions[state.partition]
      const isIdle = state.phase !== 'failed' && state.underWay === null
      if (view === undefined || state.brokerId !== broker.brokerId || !isIdle) continue
      state.triedEpoch = view.leaderEpoch
      if (view.leader === broker.brokerId) this.#failed(state, error)
      else this.#errors.replicaFailed(state, broker.brokerId, error)
    }
    this.#progress()
  }

  #end(error: VltavaError): null {
    this.#fatal = error
    this.#options.onProgress()
    return null
  }

  #progress(): void {
    if (this.#isClosed) return
    this.#options.onProgress()
    this.wake()
  }

  #nowMs(): number {
    return this.#options.context.environment.clock.monotonicMs()
  }
}

/** Whether anything that it may bring still counts. */
function isStillWanted({ session, request }: FetchUnderWay): boolean {
  if (request.session === null || !session.isOpen)
    return request.stated.some(({ statement }) => isCurrent(statement))
  for (const asked of session.asked) if (isCurrent(asked)) return true
  return false
}

function throwUncaught(error: unknown): never {
  throw error
}
