import { type NodeId, partitionKey } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { RequestOf } from '../protocol/api.ts'
import { type flushedNote, highWatermarkNote, type replicaFetch } from '../protocol/replica-fetch.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import { FetchSessions } from './fetch-sessions.ts'
import { assemble, forEachHosted, type ReadLimit, readWithin } from './fetch-slots.ts'
import type { MovingThrottle } from './moving-throttle.ts'
import { readOrPark } from './parked-read.ts'
import type { PartitionRegistry } from './partition-registry.ts'
import {
  type Judged,
  judge,
  type ReplicaPartitionRequest,
  type ReplicaPartitionResponse,
  readJudged,
} from './replica-reads.ts'
import { ServedSession, type SessionAnswer, type SessionKind, withoutSession } from './served-session.ts'

type Request = RequestOf<typeof replicaFetch>
type Answer = SessionAnswer<ReplicaPartitionResponse>
/** In a session the broker epoch goes with each partition that is stated in it. */
type Stated = ReplicaPartitionRequest & { readonly brokerEpoch: number }
type StatedJudged = Judged & { readonly stated: Stated }
type ReplicaSession = ServedSession<Stated, ReplicaPartitionResponse, StatedJudged>

interface Follower {
  readonly replicaId: NodeId
  readonly connection: Connection
}

/** Serves followers. Who fetches is the node that the connection proved, never what a message says (SEC-30). */
export class ReplicaFetchFlow {
  /** Peers are few and trusted, and one session of each is all there is. */
  readonly sessions = new FetchSessions<ReplicaSession>({ partitionsMax: Number.POSITIVE_INFINITY })
  readonly #environment: BrokerEnvironment
  readonly #registry: PartitionRegistry
  readonly #counters: BrokerCounters
  readonly #throttle: MovingThrottle

  constructor(options: {
    readonly environment: BrokerEnvironment
    readonly registry: PartitionRegistry
    readonly counters: BrokerCounters
    /** What this broker gives as a leader. */
    readonly throttle: MovingThrottle
  }) {
    this.#environment = options.environment
    this.#registry = options.registry
    this.#counters = options.counters
    this.#throttle = options.throttle
  }

  handle(request: Request, from: Follower): Answer | Promise<Answer> {
    const { session, brokerEpoch } = request
    if (session !== null) {
      const found = this.sessions.of(from.connection, { ...request, session }, () =>
        this.#begin(session.id, from),
      )
      const partitions = request.partitions.map((partition) => ({ ...partition, brokerEpoch }))
      if (found !== null) return found.exchange({ ...request, minBytes: 1, partitions })
    }
    return this.#handlePlain(request, from)
  }

  flushed(note: RequestOf<typeof flushedNote>, replicaId: NodeId): void {
    for (const { topicId, partition, leaderEpoch, flushedOffset } of note.partitions) {
      const role = this.#registry.find(partitionKey(topicId, partition))?.leader ?? null
      role?.followerFlushed({ replicaId, brokerEpoch: note.brokerEpoch, leaderEpoch, flushedOffset })
    }
  }

  #handlePlain(request: Request, from: Follower): Answer | Promise<Answer> {
    // The fetch tells the leader what the follower holds; that counts once, when it arrives, however long it parks.
    const { brokerEpoch, partitions } = request
    const { replicaId } = from
    const judged = partitions.map((partition) => judge(this.#registry, partition, { replicaId, brokerEpoch }))
    const roles = judged.flatMap((one) => (one.kind === 'readable' ? [one.role] : []))
    const parkOn = request.partitions.flatMap(({ topicId, partition }) => {
      const hosted = this.#registry.find(partitionKey(topicId, partition))
      return hosted === null ? [] : [hosted.writtenFetches]
    })
    const answer = readOrPark({
      clock: this.#environment.clock,
      reader: from.connection,
      maxWaitMs: request.maxWaitMs,
      parkOn,
      attempt: () => this.#attempt(judged, request, replicaId),
      onAnswer: ({ body }) => {
        for (const role of roles) role.followerAnswered(replicaId)
        this.#count(request.partitions, body.partitions, replicaId)
      },
      onPark: () => {
        for (const role of roles) role.followerParked(replicaId, from.connection)
      },
      onUnpark: () => {
        for (const role of roles) role.followerUnparked(replicaId, from.connection)
      },
    })
    return answer instanceof Promise ? answer.then(withoutSession) : withoutSession(answer)
  }

  #attempt(
    judged: readonly Judged[],
    request: Request,
    replicaId: NodeId,
  ): ReturnType<typeof assemble<ReplicaPartitionResponse>> {
    const slots = readWithin(request, (_partition, limit, at) => this.#read(judged[at]!, limit, replicaId))
    return assemble(slots, 1)
  }

  /** What is held up for want of budget is looked at again when there is some; it hears of the bounds meanwhile. */
  #read(judged: Judged, limit: ReadLimit, replicaId: NodeId): ReturnType<typeof readJudged> {
    const throttle = this.#throttle
    if (judged.kind !== 'readable' || !throttle.isOn) return readJudged(judged, limit)
    // One whose joining is proposed is waited for already; the image has it a moment later.
    if (judged.role.options.core.isr.maximalIsr.includes(replicaId)) return readJudged(judged, limit)
    const { topicId, partition } = judged.request
    const copying = { topicId, partition, replicaId }
    if (throttle.waitMs(copying) === 0)
      return readJudged(judged, { ...limit, budget: throttle.atOnce(copying, limit.budget) })
    const hosted = this.#registry.find(partitionKey(topicId, partition))
    if (hosted !== null) throttle.wakeLater(hosted.writtenFetches)
    return readJudged(judged, { budget: 0, first: false })
  }

  #count(
    partitions: Parameters<typeof forEachHosted>[0],
    responses: readonly ReplicaPartitionResponse[],
    replicaId: NodeId,
  ): void {
    if (this.#throttle.isOn) {
      for (const [at, { topicId, partition }] of partitions.entries())
        this.#throttle.charge({ topicId, partition, replicaId }, responses[at]!.batchesBytes)
    }
    forEachHosted(partitions, { registry: this.#registry, counters: this.#counters }, (counted, at) => {
      counted.replicationBytesOut += responses[at]!.batchesBytes
    })
  }

  #begin(id: number, { replicaId, connection }: Follower): ReplicaSession {
    return new ServedSession({
      id,
      connection,
      environment: this.#environment,
      hasRoomFor: () => true,
      kind: this.#kindFor(replicaId, connection),
    })
  }

  #kindFor(
    replicaId: NodeId,
    connection: Connection,
  ): SessionKind<Stated, ReplicaPartitionResponse, StatedJudged> {
    const registry = this.#registry
    return {
      judge(stated) {
        const judged = judge(registry, stated, { replicaId, brokerEpoch: stated.brokerEpoch })
        // There can be ten thousand, and each object with a spread has a hidden class of its own.
        return judged.kind === 'readable'
          ? { kind: judged.kind, role: judged.role, request: judged.request, stated }
          : { kind: judged.kind, slot: judged.slot, stated }
      },
      sourceOf: (judged) => (judged.kind === 'readable' ? judged.role : null),
      watched({ topicId, partition }) {
        const hosted = registry.find(partitionKey(topicId, partition))
        return hosted === null ? [] : [hosted.writtenFetches, hosted.committedFetches]
      },
      maxBytesOf: ({ stated }) => stated.maxBytes,
      read: (judged, limit) => this.#read(judged, limit, replicaId),
      hasRecords: (judged) =>
        judged.kind === 'readable' && judged.request.fetchOffset < judged.role.options.log.logEndOffset,
      // It holds what it held, and it is alive: who left the in-sync set may come back by that (REP-39).
      heard(judged) {
        if (judged.kind !== 'readable') return
        const { role, stated } = judged
        const { brokerEpoch, flushedOffset } = stated
        role.followerFlushed({ replicaId, brokerEpoch, leaderEpoch: role.leaderEpoch, flushedOffset })
      },
      note(moved) {
        if (!connection.isOpen) return
        const partitions = moved.map(({ judged: { stated }, highWatermark }) => {
          const { topicId, partition, currentLeaderEpoch } = stated
          return { topicId, partition, leaderEpoch: currentLeaderEpoch, highWatermark }
        })
        connection.notify(highWatermarkNote, { partitions })
      },
      counted: (about, responses) => this.#count(about, responses, replicaId),
    }
  }
}
