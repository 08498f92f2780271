import { AssertionError } from '../base/assert.ts'
import { settledWithin } from '../base/async/settled-within.ts'
import { Sleeper } from '../base/async/sleeper.ts'
import type { Timer } from '../base/clock.ts'
import { toVltavaError } from '../model/errors.ts'
import type { BrokerEpoch, NodeId, Offset, PartitionKey } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { endsStatement } from '../protocol/fetch-session.ts'
import { FetchSessionReader, type SessionRequest } from '../protocol/fetch-session-reader.ts'
import { flushedNote, replicaFetch } from '../protocol/replica-fetch.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment, BrokerSettings } from './broker-environment.ts'
import type { FollowerRole } from './follower-role.ts'
import type { Copying, MovingThrottle } from './moving-throttle.ts'
import type { Partition } from './partition.ts'
import { isSameStatement, responseOf, type Statement, statementOf } from './replica-statement.ts'

/** Beyond the time a fetch may park: how long an answer may take before the connection is given up. */
const RESPONSE_GRACE_MS = 5_000
const FAILURE_PAUSE_MS = 50
/** A second fetch beside a parked one parks so long where the leader keeps no session, so that both become one again. */
const MERGE_WITHIN_MS = 50
/** How long the next fetch waits for the steps of an answer; a log that takes longer must not stop the others. */
const STEPS_WAIT_MS = 50
const SESSION_ID = 1

interface Followed {
  readonly partition: Partition
  readonly role: FollowerRole
}

interface Prepared {
  readonly connection: Connection
  readonly request: SessionRequest<Statement>
  readonly brokerEpoch: BrokerEpoch
  readonly maxWaitMs: number
}

export interface ReplicaFetcherOptions {
  readonly environment: BrokerEnvironment
  readonly settings: BrokerSettings
  readonly leaderId: NodeId
  readonly connect: () => Promise<Connection>
  readonly brokerEpoch: () => BrokerEpoch | null
  readonly counters: BrokerCounters
  readonly nodeId: NodeId
  readonly throttle: MovingThrottle
}

/**
 * Fetches from one leader for all partitions that follow it, in one session. As a rule one fetch is under way; a partition that
 * comes while it is parked does not wait for its end but goes in a second one, which takes the place of the first.
 */
export class ReplicaFetcher {
  readonly #options: ReplicaFetcherOptions
  readonly #reader = new FetchSessionReader<Statement>({ id: SESSION_ID, isSame: isSameStatement })
  readonly #followed = new Map<PartitionKey, Followed>()
  readonly #inFlight = new Set<Prepared>()
  readonly #sleeper: Sleeper
  /** What the session goes with: another connection or another run, as the controller counts them, is another session. */
  #sessionOf: { readonly connection: Connection; readonly brokerEpoch: BrokerEpoch } | null = null
  #connecting = false
  /** Answers whose steps the next fetch waits for. */
  #stepping = 0
  #pumpTimer: Timer | null = null
  #heardAtMs: number

  constructor(options: ReplicaFetcherOptions) {
    this.#options = options
    this.#heardAtMs = options.environment.clock.monotonicMs()
    this.#sleeper = new Sleeper(options.environment.clock)
  }

  /** When the leader last answered, or since when it is asked. */
  get heardAtMs(): number {
    return this.#heardAtMs
  }

  get isIdle(): boolean {
    return this.#followed.size === 0
  }

  fetches(partition: Partition): boolean {
    return this.#followed.has(partition.key)
  }

  add(partition: Partition, role: FollowerRole): void {
    this.#followed.set(partition.key, { partition, role })
    this.#reader.add(partition.key)
    role.reads.fetchedBy(this)
    this.#pump()
  }

  remove(partition: Partition): void {
    this.#followed.delete(partition.key)
    this.#reader.remove(partition.key)
  }

  stop(): void {
    this.#followed.clear()
    this.#pumpTimer?.cancel()
    this.#sleeper.stop()
  }

  /** What the leader has to hear of the partition may have changed; the next fetch says it. */
  touched(partition: Partition): void {
    this.#reader.touched(partition.key)
  }

  /** Partitions that were held up may be asked for again. */
  wake(): void {
    this.#pump()
  }

  /** Tells the leader of an fsync if it watches the partition for us; else the next fetch carries it. */
  reportFlush(partition: Partition, flushedOffset: Offset): void {
    this.touched(partition)
    const followed = this.#followed.get(partition.key)
    const session = this.#sessionOf
    if (followed === undefined || session === null || !this.#reader.isStated(partition.key)) return
    const { connection, brokerEpoch } = session
    if (!connection.isOpen || brokerEpoch !== this.#options.brokerEpoch()) return
    const { topicId, partition: index } = partition.options
    const note = { topicId, partition: index, leaderEpoch: followed.role.leaderEpoch, flushedOffset }
    connection.notify(flushedNote, { brokerEpoch, partitions: [note] })
  }

  /** Sends a fetch if there is room for one and something to ask. Safe to call at any time. */
  #pump(): void {
    if (this.#sleeper.isStopped || this.#connecting || this.#inFlight.size >= 2) return
    const isWorthIt = this.#inFlight.size === 0 && this.#reader.isWatching
    if (!isWorthIt && !this.#reader.hasNews(this.#statement)) {
      this.#pumpAfterPauses()
      return
    }
    this.#connecting = true
    this.#fetch().catch((error: unknown) => this.#fail(error))
  }

  readonly #statement = (key: PartitionKey): Statement | null => {
    const { settings, throttle } = this.#options
    const { replicaFetchMaxBytes, replicaFetchResponseMaxBytes } = settings
    const { role } = this.#followed.get(key)!
    const copying = this.#copying(role)
    // It is left out until there is budget, so that the others of the fetch do not wait for it.
    if (throttle.waitMs(copying) > 0) return null
    const maxBytes = Math.min(replicaFetchMaxBytes, replicaFetchResponseMaxBytes)
    return statementOf(role, throttle.atOnce(copying, maxBytes))
  }

  #copying({ options }: FollowerRole): Copying {
    const { topicId, partition } = options
    return { topicId, partition, replicaId: this.#options.nodeId }
  }

  /** Paused partitions are asked for again when the shortest pause is over. */
  #pumpAfterPauses(): void {
    let shortestMs = Number.POSITIVE_INFINITY
    for (const key of this.#reader.due) {
      const { role } = this.#followed.get(key)!
      const pauseMs = Math.max(role.pauseMs, this.#options.throttle.waitMs(this.#copying(role)))
      if (pauseMs > 0) shortestMs = Math.min(shortestMs, pauseMs)
    }
    if (!Number.isFinite(shortestMs)) return
    this.#pumpTimer?.cancel()
    this.#pumpTimer = this.#options.environment.clock.setTimer(Math.ceil(shortestMs), () => this.#pump())
  }

  async #fetch(): Promise<void> {
    const { environment, leaderId } = this.#options
    let isConnecting = true
    try {
      const connection = await this.#options.connect()
      // What to ask is decided now: during the dial logs were flushed and roles ended.
      const prepared = this.#prepare(connection)
      this.#connecting = false
      isConnecting = false
      if (prepared === null) return
      this.#pump()
      await this.#exchange(prepared)
    } catch (thrown) {
      if (thrown instanceof AssertionError) throw thrown
      const { code, message } = toVltavaError(thrown)
      environment.log.debug('replica-fetch-failed', { leaderId, code, reason: message })
      await this.#sleeper.sleep(FAILURE_PAUSE_MS)
    } finally {
      if (isConnecting) this.#connecting = false
    }
    this.#pump()
  }

  #prepare(connection: Connection): Prepared | null {
    const brokerEpoch = this.#options.brokerEpoch()
    if (this.#sleeper.isStopped || brokerEpoch === null) return null
    const session = this.#sessionOf
    if (session?.connection !== connection || session.brokerEpoch !== brokerEpoch) {
      this.#reader.reset()
      this.#sessionOf = { connection, brokerEpoch }
    }
    const request = this.#reader.next(this.#statement)
    // One that neither asks nor goes on with a session would be answered in a loop.
    if (request.stated.length === 0 && (request.session === null || request.session.epoch === 0)) {
      this.#reader.failed(request)
      return null
    }
    const { replicaFetchWaitMaxMs } = this.#options.settings
    const isBeside = request.session === null && this.#inFlight.size > 0
    const maxWaitMs = isBeside ? Math.min(replicaFetchWaitMaxMs, MERGE_WITHIN_MS) : replicaFetchWaitMaxMs
    const prepared: Prepared = { connection, request, brokerEpoch, maxWaitMs }
    this.#inFlight.add(prepared)
    return prepared
  }

  async #exchange(prepared: Prepared): Promise<void> {
    const { connection, request, brokerEpoch, maxWaitMs } = prepared
    const { replicaFetchResponseMaxBytes: maxBytes } = this.#options.settings
    const { session, forgotten } = request
    let steps: readonly Promise<void>[]
    try {
      const partitions = request.stated.map(({ statement }) => statement.body)
      const { body, payload } = await connection.request(
        replicaFetch,
        { brokerEpoch, maxWaitMs, maxBytes, partitions, session, forgotten },
        { timeoutMs: maxWaitMs + RESPONSE_GRACE_MS },
      )
      this.#heardAtMs = this.#options.environment.clock.monotonicMs()
      steps = this.#take(request, body, payload)
    } catch (error) {
      this.#reader.failed(request)
      throw error
    } finally {
      this.#inFlight.delete(prepared)
    }
    if (steps.length === 0) return
    this.#stepping++
    await settledWithin(this.#options.environment.clock, steps, STEPS_WAIT_MS)
    this.#stepping--
  }

  /** Gives each partition its part of the answer. @returns the steps that are to be carried out before they can fetch again. */
  #take(
    request: SessionRequest<Statement>,
    body: ResponseOf<typeof replicaFetch>,
    payload: Uint8Array,
  ): readonly Promise<void>[] {
    const { sessionId, about, partitions } = body
    const answered = this.#reader.answered(request, { sessionId, about, ends: partitions.map(endsStatement) })
    const steps: Promise<void>[] = []
    let position = 0
    partitions.forEach((answer, i) => {
      const batches = payload.subarray(position, position + answer.batchesBytes)
      position += answer.batchesBytes
      const one = answered?.[i] ?? null
      if (one === null) return
      const { role, request: asked } = one.statement
      if (batches.length > 0) {
        this.#options.counters.topic(role.options.topicId).replicationBytesIn += batches.length
        this.#options.throttle.charge(this.#copying(role), batches.length)
      }
      const step = role.take(asked, responseOf(answer, batches))
      if (step !== null) steps.push(this.#stepped(one.key, role, step))
    })
    return steps
  }

  async #stepped(key: PartitionKey, role: FollowerRole, step: Promise<void>): Promise<void> {
    const before = role.truncatedRecords
    try {
      await step
    } catch (error) {
      this.#fail(error)
      return
    }
    const records = role.truncatedRecords - before
    if (records > 0) this.#options.counters.topic(role.options.topicId).truncatedRecords += records
    this.#reader.changed(key)
    // As a rule the fetch after the answer does it.
    if (this.#stepping === 0) this.#pump()
  }

  #fail(error: unknown): void {
    this.#options.environment.process.fail('a replica fetch could not be carried out', error)
  }
}
