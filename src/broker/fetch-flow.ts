import { VltavaError } from '../model/errors.ts'
import { type Offset, partitionKey, type TopicPartition } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { fetch } from '../protocol/fetch.ts'
import type { BrokerCounters, TopicCounters } from './broker-counters.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import { type ReadAttempt, readOrPark } from './parked-read.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

type Request = RequestOf<typeof fetch>
type PartitionRequest = Request['partitions'][number]
type PartitionResponse = ResponseOf<typeof fetch>['partitions'][number]

export interface FetchAnswer<Body> {
  readonly body: Body
  readonly payload: readonly Uint8Array[]
}

/** What one partition gives to a fetch. */
export interface Slot<Response> {
  readonly response: Response
  readonly batches: readonly Uint8Array[]
  /** Whether the reader must hear of it at once: an error, a divergence. */
  readonly urgent: boolean
}

export function bytesOf(batches: readonly Uint8Array[]): number {
  let bytes = 0
  for (const batch of batches) bytes += batch.length
  return bytes
}

/** Puts the slots of all partitions together; waits only if one of them had to go to its files. */
export function assemble<Response>(
  slots: readonly (Slot<Response> | Promise<Slot<Response>>)[],
  minBytes: number,
):
  | ReadAttempt<FetchAnswer<{ partitions: Response[] }>>
  | Promise<ReadAttempt<FetchAnswer<{ partitions: Response[] }>>> {
  if (slots.some((slot) => slot instanceof Promise))
    return Promise.all(slots.map((slot) => Promise.resolve(slot))).then((done) => join(done, minBytes))
  return join(slots as readonly Slot<Response>[], minBytes)
}

function join<Response>(
  slots: readonly Slot<Response>[],
  minBytes: number,
): ReadAttempt<FetchAnswer<{ partitions: Response[] }>> {
  const payload = slots.flatMap((slot) => slot.batches)
  const satisfied = slots.some((slot) => slot.urgent) || bytesOf(payload) >= minBytes
  return { satisfied, answer: { body: { partitions: slots.map((slot) => slot.response) }, payload } }
}

/** What is left for a partition of the bytes of an answer, and whether it would be the first to give any. */
export interface ReadLimit {
  readonly budget: number
  readonly first: boolean
}

/** Reads the partitions of a fetch one after the other, until the bytes of the answer are used up. */
export function readWithin<Partition extends { readonly maxBytes: number }, Response>(
  request: { readonly maxBytes: number; readonly partitions: readonly Partition[] },
  read: (partition: Partition, limit: ReadLimit, at: number) => Slot<Response> | Promise<Slot<Response>>,
): readonly (Slot<Response> | Promise<Slot<Response>>)[] {
  let budget = request.maxBytes
  let first = true
  return request.partitions.map((partition, at) => {
    const slot = read(partition, { budget, first }, at)
    // A cold read is counted with all that it may bring.
    const bytes = slot instanceof Promise ? Math.min(budget, partition.maxBytes) : bytesOf(slot.batches)
    budget -= bytes
    if (bytes > 0) first = false
    return slot
  })
}

export interface FetchFlowOptions {
  readonly environment: BrokerEnvironment
  readonly registry: PartitionRegistry
  readonly counters: BrokerCounters
}

/** Reads for clients: committed records only, from the leader. */
export class FetchFlow {
  readonly #options: FetchFlowOptions

  constructor(options: FetchFlowOptions) {
    this.#options = options
  }

  handle(
    request: Request,
    reader: Connection,
  ): ReturnType<typeof readOrPark<FetchAnswer<{ partitions: PartitionResponse[] }>>> {
    const { environment, registry, counters } = this.#options
    const parkOn = request.partitions.flatMap(({ topicId, partition }) => {
      const hosted = registry.find(partitionKey(topicId, partition))
      return hosted === null ? [] : [hosted.committedFetches]
    })
    return readOrPark({
      clock: environment.clock,
      reader,
      maxWaitMs: request.maxWaitMs,
      parkOn,
      attempt: () => this.#attempt(request),
      onAnswer: ({ body }) =>
        forEachHosted(request.partitions, { registry, counters }, (counted, at) => {
          const { error, batchesBytes } = body.partitions[at]!
          counted.fetchRequests++
          counted.bytesOut += batchesBytes
          if (error !== null) counted.failedFetchRequests++
        }),
    })
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
      const role = partition.requireLeader()
      role.checkEpoch(request.currentLeaderEpoch)
      const { log } = role.options
      bounds = { highWatermark: role.highWatermark, logStartOffset: log.logStartOffset }
      const refused = role.options.core.readCheck(request.fetchOffset, request.lastFetchedEpoch)
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
      return batches.then(
        (cold) => (role.hasEnded ? failed(new VltavaError('NOT_LEADER_OR_FOLLOWER')) : found(cold)),
        failed,
      )
    } catch (thrown) {
      return failed(thrown)
    }
  }
}

/** The counters of each partition of a fetch that is hosted here; others must not make counters grow. */
export function forEachHosted(
  partitions: readonly TopicPartition[],
  from: { readonly registry: PartitionRegistry; readonly counters: BrokerCounters },
  count: (counted: TopicCounters, at: number) => void,
): void {
  partitions.forEach(({ topicId, partition }, at) => {
    if (from.registry.find(partitionKey(topicId, partition)) !== null) count(from.counters.topic(topicId), at)
  })
}

function describeBounds(
  offset: Offset,
  highWatermark: Offset,
  log: { readonly logStartOffset: Offset; readonly logEndOffset: Offset },
): string {
  return `Offset ${offset} cannot be read: the log goes from ${log.logStartOffset} to ${log.logEndOffset}, committed up to ${highWatermark}.`
}
