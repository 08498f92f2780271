import { VltavaError } from '../model/errors.ts'
import { type Offset, partitionKey } from '../model/ids.ts'
import { FETCH_SESSION_PARTITIONS_PER_BROKER_MAX } from '../model/limits.ts'
import type { Connection } from '../net/connection.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { fetch } from '../protocol/fetch.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { CommittedReads } from './committed-reads.ts'
import { FetchSessions } from './fetch-sessions.ts'
import { assemble, bytesOf, forEachHosted, type ReadLimit, readWithin, type Slot } from './fetch-slots.ts'
import { readOrPark } from './parked-read.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'
import { ServedSession, type SessionAnswer, type SessionKind, withoutSession } from './served-session.ts'

type Request = RequestOf<typeof fetch>
type PartitionRequest = Request['partitions'][number]
type PartitionResponse = ResponseOf<typeof fetch>['partitions'][number]
type Answer = SessionAnswer<PartitionResponse>
type ConsumerSession = ServedSession<PartitionRequest, PartitionResponse, PartitionRequest>

export interface FetchFlowOptions {
  readonly environment: BrokerEnvironment
  readonly registry: PartitionRegistry
  readonly counters: BrokerCounters
}

/** Reads for clients: committed records only, from the leader, or from a follower where the client says so. */
export class FetchFlow {
  readonly sessions = new FetchSessions<ConsumerSession>({
    partitionsMax: FETCH_SESSION_PARTITIONS_PER_BROKER_MAX,
  })
  readonly #options: FetchFlowOptions

  constructor(options: FetchFlowOptions) {
    this.#options = options
  }

  handle(request: Request, reader: Connection): Answer | Promise<Answer> {
    const { session } = request
    if (session === null) return this.#handlePlain(request, reader)
    const found = this.sessions.of(reader, { ...request, session }, () => this.#begin(session.id, reader))
    return found?.exchange(request) ?? this.#handlePlain(request, reader)
  }

  #handlePlain(request: Request, reader: Connection): Answer | Promise<Answer> {
    const { environment, registry } = this.#options
    const parkOn = request.partitions.flatMap(({ topicId, partition }) => {
      const hosted = registry.find(partitionKey(topicId, partition))
      return hosted === null ? [] : [hosted.committedFetches]
    })
    const answer = readOrPark({
      clock: environment.clock,
      reader,
      maxWaitMs: request.maxWaitMs,
      parkOn,
      attempt: () => this.#attempt(request),
      onAnswer: ({ body }) => this.#count(request.partitions, body.partitions),
    })
    return answer instanceof Promise ? answer.then(withoutSession) : withoutSession(answer)
  }

  #count(partitions: Parameters<typeof forEachHosted>[0], responses: readonly PartitionResponse[]): void {
    const { registry, counters } = this.#options
    forEachHosted(partitions, { registry, counters }, (counted, at) => {
      const { error, batchesBytes } = responses[at]!
      counted.fetchRequests++
      counted.bytesOut += batchesBytes
      if (error !== null) counted.failedFetchRequests++
    })
  }

  #begin(id: number, connection: Connection): ConsumerSession {
    const { environment, registry } = this.#options
    const kind: SessionKind<PartitionRequest, PartitionResponse, PartitionRequest> = {
      // A consumer tells nothing by asking; its position is judged with each look.
      judge: (request) => request,
      sourceOf: (request) => this.#readsOf(request),
      watched({ topicId, partition }) {
        const hosted = registry.find(partitionKey(topicId, partition))
        return hosted === null ? [] : [hosted.committedFetches]
      },
      maxBytesOf: ({ maxBytes }) => maxBytes,
      read: (request, limit) => this.#read(request, limit),
      hasRecords: (request) => request.fetchOffset < (this.#readsOf(request)?.highWatermark ?? 0),
      counted: (about, responses) => this.#count(about, responses),
    }
    const hasRoomFor = (partitions: number): boolean => this.sessions.hasRoomFor(partitions)
    return new ServedSession({ id, connection, environment, hasRoomFor, kind })
  }

  /** Who serves the partition here; null where nobody does. */
  #readsOf({ topicId, partition, fromReplica }: PartitionRequest): CommittedReads | null {
    return this.#options.registry.find(partitionKey(topicId, partition))?.readsOf(fromReplica) ?? null
  }

  #attempt(request: Request): ReturnType<typeof assemble<PartitionResponse>> {
    const slots = readWithin(request, (partition, limit) => this.#read(partition, limit))
    return assemble(slots, request.minBytes)
  }

  #read(
    request: PartitionRequest,
    limit: ReadLimit,
  ): Slot<PartitionResponse> | Promise<Slot<PartitionResponse>> {
    let bounds = { highWatermark: 0, logStartOffset: 0 }
    const failed = (thrown: unknown): Slot<PartitionResponse> => ({
      response: { error: partitionErrorOf(thrown), ...bounds, batchesBytes: 0, diverging: null },
      batches: [],
      urgent: true,
    })
    const found = (batches: readonly Uint8Array[]): Slot<PartitionResponse> => ({
      response: { error: null, ...bounds, batchesBytes: bytesOf(batches), diverging: null },
      batches,
      urgent: false,
    })
    try {
      const partition = this.#options.registry.require(partitionKey(request.topicId, request.partition))
      const role = partition.readsOf(request.fromReplica) ?? partition.requireLeader()
      role.checkEpoch(request.currentLeaderEpoch)
      const { log, cuts } = role
      bounds = { highWatermark: role.highWatermark, logStartOffset: log.logStartOffset }
      const refused = role.readCheck(request)
      if (typeof refused === 'string')
        throw new VltavaError(refused, describeBounds(request.fetchOffset, role.highWatermark, log))
      if (refused !== null) {
        const diverging = { epoch: refused.epoch, endOffset: refused.endOffset }
        const response = { error: null, ...bounds, batchesBytes: 0, diverging }
        return { response, batches: [], urgent: true }
      }
      const maxBytes = Math.min(limit.budget, request.maxBytes)
      if (request.fetchOffset >= bounds.highWatermark || maxBytes <= 0) return found([])
      const batches = log.read({
        offset: request.fetchOffset,
        endOffset: bounds.highWatermark,
        maxBytes,
        atLeastOneBatch: limit.first,
      })
      if (!(batches instanceof Promise)) return found(batches)
      // While the files were read the role may have ended, and another leader may have put other records there.
      return batches.then((cold) => {
        if (role.hasEnded) return failed(new VltavaError('NOT_LEADER_OR_FOLLOWER'))
        return role.cuts === cuts ? found(cold) : failed(new VltavaError('OFFSET_NOT_AVAILABLE'))
      }, failed)
    } catch (thrown) {
      return failed(thrown)
    }
  }
}

function describeBounds(
  offset: Offset,
  highWatermark: Offset,
  log: { readonly logStartOffset: Offset; readonly logEndOffset: Offset },
): string {
  return `Offset ${offset} cannot be read: the log goes from ${log.logStartOffset} to ${log.logEndOffset}, committed up to ${highWatermark}.`
}
