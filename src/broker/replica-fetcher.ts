import { AssertionError } from '../base/assert.ts'
import { Sleeper } from '../base/async/sleeper.ts'
import { errorNameOf } from '../model/error-codes.ts'
import { toVltavaError } from '../model/errors.ts'
import type { BrokerEpoch, NodeId, Offset, PartitionKey } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { flushedNote, replicaFetch } from '../protocol/replica-fetch.ts'
import { FetchPlan } from '../replication/fetch-plan.ts'
import type { FetchRequest, FetchResponse } from '../replication/partition-follower.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment, BrokerSettings } from './broker-environment.ts'
import type { FollowerRole, LeaderBatches } from './follower-role.ts'
import type { Partition } from './partition.ts'

/** Beyond the time a fetch may park: how long an answer may take before the connection is given up. */
const RESPONSE_GRACE_MS = 5_000
const FAILURE_PAUSE_MS = 50
/** A second fetch that ends this soon is waited for, so that both become one again. */
const MERGE_WITHIN_MS = 50

interface Followed {
  readonly partition: Partition
  readonly role: FollowerRole
}

interface Asked {
  readonly key: PartitionKey
  readonly role: FollowerRole
  readonly request: FetchRequest
  readonly maxBytes: number
}

interface InFlight {
  readonly connection: Connection
  readonly keys: ReadonlySet<PartitionKey>
  readonly parkedUntilMs: number
}

interface Prepared {
  readonly inFlight: InFlight
  readonly asked: readonly Asked[]
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
}

/**
 * Fetches from one leader for all partitions that follow it. As a rule one fetch is under way; a partition that comes
 * while it is parked does not wait for its end but goes in a second one, which parks shortly.
 */
export class ReplicaFetcher {
  readonly #options: ReplicaFetcherOptions
  readonly #plan: FetchPlan
  readonly #followed = new Map<PartitionKey, Followed>()
  readonly #inFlight = new Set<InFlight>()
  readonly #sleeper: Sleeper
  #connecting = false
  #pumpTimer: { cancel(): void } | null = null

  constructor(options: ReplicaFetcherOptions) {
    this.#options = options
    const { replicaFetchMaxBytes, replicaFetchResponseMaxBytes } = options.settings
    this.#plan = new FetchPlan({
      responseMaxBytes: replicaFetchResponseMaxBytes,
      partitionMaxBytes: replicaFetchMaxBytes,
    })
    this.#sleeper = new Sleeper(options.environment.clock)
  }

  get isIdle(): boolean {
    return this.#followed.size === 0
  }

  fetches(partition: Partition): boolean {
    return this.#followed.has(partition.key)
  }

  add(partition: Partition, role: FollowerRole): void {
    this.#followed.set(partition.key, { partition, role })
    this.#plan.add(partition.key)
    this.#pump()
  }

  remove(partition: Partition): void {
    this.#followed.delete(partition.key)
    this.#plan.remove(partition.key)
  }

  stop(): void {
    this.#followed.clear()
    this.#pumpTimer?.cancel()
    this.#sleeper.stop()
  }

  /** Tells the leader of an fsync if a fetch of the partition is under way there; else the next fetch carries it. */
  reportFlush(partition: Partition, flushedOffset: Offset): void {
    const brokerEpoch = this.#options.brokerEpoch()
    const followed = this.#followed.get(partition.key)
    if (followed === undefined || brokerEpoch === null) return
    for (const { connection, keys } of this.#inFlight) {
      if (!keys.has(partition.key) || !connection.isOpen) continue
      const { topicId, partition: index } = partition.options
      const note = { topicId, partition: index, leaderEpoch: followed.role.leaderEpoch, flushedOffset }
      connection.notify(flushedNote, { brokerEpoch, partitions: [note] })
    }
  }

  /** Sends a fetch if there is room for one and something to ask. Safe to call at any time. */
  #pump(): void {
    if (this.#sleeper.isStopped || this.#connecting || this.#inFlight.size >= 2) return
    const nowMs = this.#options.environment.clock.monotonicMs()
    const [other] = this.#inFlight
    if (other !== undefined && other.parkedUntilMs - nowMs <= MERGE_WITHIN_MS && other.parkedUntilMs > nowMs)
      return
    if (this.#nextAsked(other).length === 0) {
      this.#pumpAfterPauses()
      return
    }
    this.#connecting = true
    this.#fetch().catch((error: unknown) => {
      this.#options.environment.process.fail('a replica fetch could not be carried out', error)
    })
  }

  #nextAsked(other: InFlight | undefined): readonly Asked[] {
    const planned = this.#plan.next(
      (key) => other?.keys.has(key) !== true && this.#followed.get(key)!.role.nextFetch() !== null,
    )
    return planned.map(({ key, maxBytes }) => {
      const { role } = this.#followed.get(key)!
      return { key, role, request: role.nextFetch()!, maxBytes }
    })
  }

  /** Paused partitions are asked for again when the shortest pause is over. */
  #pumpAfterPauses(): void {
    let shortestMs = Number.POSITIVE_INFINITY
    for (const { role } of this.#followed.values())
      if (role.pauseMs > 0) shortestMs = Math.min(shortestMs, role.pauseMs)
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
    const [other] = this.#inFlight
    const asked = this.#nextAsked(other)
    if (asked.length === 0) return null
    const { replicaFetchWaitMaxMs } = this.#options.settings
    // Beside another one it parks shortly: whoever comes third would have to wait for its end.
    const maxWaitMs =
      other === undefined ? replicaFetchWaitMaxMs : Math.min(replicaFetchWaitMaxMs, MERGE_WITHIN_MS)
    const parkedUntilMs = this.#options.environment.clock.monotonicMs() + maxWaitMs
    const inFlight: InFlight = { connection, keys: new Set(asked.map(({ key }) => key)), parkedUntilMs }
    this.#inFlight.add(inFlight)
    return { inFlight, asked, brokerEpoch, maxWaitMs }
  }

  async #exchange({ inFlight, asked, brokerEpoch, maxWaitMs }: Prepared): Promise<void> {
    try {
      const { body, payload } = await inFlight.connection.request(
        replicaFetch,
        { brokerEpoch, maxWaitMs, maxBytes: this.#plan.responseMaxBytes, partitions: asked.map(requestOf) },
        { timeoutMs: maxWaitMs + RESPONSE_GRACE_MS },
      )
      await this.#take(asked, body, payload)
    } finally {
      this.#inFlight.delete(inFlight)
    }
  }

  /** Gives each partition its part of the answer; resolves when all are ready for the next fetch. */
  async #take(
    asked: readonly Asked[],
    body: ResponseOf<typeof replicaFetch>,
    payload: Uint8Array,
  ): Promise<void> {
    const steps: Promise<void>[] = []
    let position = 0
    body.partitions.forEach((answer, i) => {
      const one = asked[i]
      if (one === undefined) return
      const batches = payload.subarray(position, position + answer.batchesBytes)
      position += answer.batchesBytes
      if (batches.length > 0) {
        this.#plan.served(one.key)
        this.#options.counters.topic(one.role.options.topicId).replicationBytesIn += batches.length
      }
      const step = one.role.take(one.request, responseOf(answer, batches))
      if (step !== null) steps.push(this.#countingTruncation(one, step))
    })
    await Promise.all(steps)
  }

  async #countingTruncation({ role }: Asked, step: Promise<void>): Promise<void> {
    const before = role.truncatedRecords
    await step
    const records = role.truncatedRecords - before
    if (records > 0) this.#options.counters.topic(role.options.topicId).truncatedRecords += records
  }
}

function requestOf({ role, request, maxBytes }: Asked): {
  topicId: string
  partition: number
  maxBytes: number
  logStartOffset: Offset
  damaged: boolean
} & FetchRequest {
  const { topicId, partition, log } = role.options
  const { logStartOffset } = log
  const damaged = log.health.damagedRanges.length > 0
  return { topicId, partition, maxBytes, logStartOffset, damaged, ...request }
}

function responseOf(
  answer: ResponseOf<typeof replicaFetch>['partitions'][number],
  batches: Uint8Array,
): FetchResponse<LeaderBatches> {
  const { error, diverging, highWatermark, logStartOffset, compactedBelow } = answer
  if (error !== null) {
    const code = errorNameOf(error.code)
    return { kind: 'error', code, logStartOffset: code === 'OFFSET_OUT_OF_RANGE' ? logStartOffset : null }
  }
  if (diverging !== null) return { kind: 'diverging', ...diverging, logStartOffset }
  const given = batches.length === 0 ? [] : [{ bytes: batches, compactedBelow }]
  return { kind: 'records', batches: given, highWatermark, logStartOffset }
}
