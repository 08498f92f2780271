import { VltavaError } from '../model/errors.ts'
import { type NodeId, partitionKey } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import { wireErrorOf } from '../protocol/error-schema.ts'
import type { flushedNote, replicaFetch } from '../protocol/replica-fetch.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import {
  assemble,
  bytesOf,
  type FetchAnswer,
  forEachHosted,
  type ReadLimit,
  readWithin,
  type Slot,
} from './fetch-flow.ts'
import type { LeaderRole } from './leader-role.ts'
import { readOrPark } from './parked-read.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

type Request = RequestOf<typeof replicaFetch>
type PartitionRequest = Request['partitions'][number]
type PartitionResponse = ResponseOf<typeof replicaFetch>['partitions'][number]

const NO_BOUNDS = {
  highWatermark: 0,
  logStartOffset: 0,
  diverging: null,
  batchesBytes: 0,
  compactedBelow: 0,
} as const

/** A partition of a follower's fetch after its position was judged once. */
type Judged =
  | { readonly kind: 'answered'; readonly slot: Slot<PartitionResponse> }
  | { readonly kind: 'readable'; readonly role: LeaderRole; readonly request: PartitionRequest }

/** Serves followers. Who fetches is the node that the connection proved, never what a message says (SEC-30). */
export class ReplicaFetchFlow {
  readonly #environment: BrokerEnvironment
  readonly #registry: PartitionRegistry
  readonly #counters: BrokerCounters

  constructor(options: {
    readonly environment: BrokerEnvironment
    readonly registry: PartitionRegistry
    readonly counters: BrokerCounters
  }) {
    this.#environment = options.environment
    this.#registry = options.registry
    this.#counters = options.counters
  }

  handle(
    request: Request,
    from: { readonly replicaId: NodeId; readonly connection: Connection },
  ): ReturnType<typeof readOrPark<FetchAnswer<{ partitions: PartitionResponse[] }>>> {
    // The fetch tells the leader what the follower holds; that counts once, when it arrives, however long it parks.
    const judged = request.partitions.map((partition) =>
      this.#judge(partition, request.brokerEpoch, from.replicaId),
    )
    const roles = judged.flatMap((one) => (one.kind === 'readable' ? [one.role] : []))
    const parkOn = request.partitions.flatMap(({ topicId, partition }) => {
      const hosted = this.#registry.find(partitionKey(topicId, partition))
      return hosted === null ? [] : [hosted.writtenFetches]
    })
    return readOrPark({
      clock: this.#environment.clock,
      reader: from.connection,
      maxWaitMs: request.maxWaitMs,
      parkOn,
      attempt: () => this.#attempt(judged, request),
      onAnswer: ({ body }) => {
        for (const role of roles) role.followerAnswered(from.replicaId)
        const counts = { registry: this.#registry, counters: this.#counters }
        forEachHosted(request.partitions, counts, (counted, at) => {
          counted.replicationBytesOut += body.partitions[at]!.batchesBytes
        })
      },
      onPark: () => {
        for (const role of roles) role.followerParked(from.replicaId, from.connection)
      },
      onUnpark: () => {
        for (const role of roles) role.followerUnparked(from.replicaId, from.connection)
      },
    })
  }

  flushed(note: RequestOf<typeof flushedNote>, replicaId: NodeId): void {
    for (const { topicId, partition, leaderEpoch, flushedOffset } of note.partitions) {
      const role = this.#registry.find(partitionKey(topicId, partition))?.leader ?? null
      role?.followerFlushed({ replicaId, brokerEpoch: note.brokerEpoch, leaderEpoch, flushedOffset })
    }
  }

  #judge(request: PartitionRequest, brokerEpoch: number, replicaId: NodeId): Judged {
    try {
      const role = this.#registry.require(partitionKey(request.topicId, request.partition)).requireLeader()
      const { fetchOffset, flushedOffset, lastFetchedEpoch, currentLeaderEpoch } = request
      const position = { fetchOffset, flushedOffset, lastFetchedEpoch, currentLeaderEpoch }
      const result = role.followerFetched({ replicaId, brokerEpoch, ...position, isDamaged: request.damaged })
      if (result.kind === 'accepted') {
        if (request.logStartOffset !== null) role.followerStartsAt(replicaId, request.logStartOffset)
        return { kind: 'readable', role, request }
      }
      if (result.kind === 'error') {
        const error = wireErrorOf(new VltavaError(result.code))
        return {
          kind: 'answered',
          slot: urgent({ ...boundsOf(role), error, diverging: null, batchesBytes: 0 }),
        }
      }
      const diverging = { epoch: result.epoch, endOffset: result.endOffset }
      return {
        kind: 'answered',
        slot: urgent({ ...boundsOf(role), error: null, diverging, batchesBytes: 0 }),
      }
    } catch (thrown) {
      return { kind: 'answered', slot: failed(thrown) }
    }
  }

  #attempt(judged: readonly Judged[], request: Request): ReturnType<typeof assemble<PartitionResponse>> {
    const slots = readWithin(request, (_partition, limit, at) => {
      const one = judged[at]!
      return one.kind === 'answered' ? one.slot : read(one.role, one.request, limit)
    })
    return assemble(slots, 1)
  }
}

function boundsOf(
  role: LeaderRole,
): Pick<PartitionResponse, 'highWatermark' | 'logStartOffset' | 'compactedBelow'> {
  const { logStartOffset, compaction } = role.options.log
  return { highWatermark: role.highWatermark, logStartOffset, compactedBelow: compaction.compactedBelow }
}

function urgent(response: PartitionResponse): Slot<PartitionResponse> {
  return { response, batches: [], urgent: true }
}

function failed(thrown: unknown): Slot<PartitionResponse> {
  return urgent({ error: partitionErrorOf(thrown), ...NO_BOUNDS })
}

function read(
  role: LeaderRole,
  request: PartitionRequest,
  limit: ReadLimit,
): Slot<PartitionResponse> | Promise<Slot<PartitionResponse>> {
  if (role.hasEnded) return failed(new VltavaError('NOT_LEADER_OR_FOLLOWER'))
  const found = (batches: readonly Uint8Array[]): Slot<PartitionResponse> =>
    role.hasEnded
      ? failed(new VltavaError('NOT_LEADER_OR_FOLLOWER'))
      : {
          response: { error: null, diverging: null, ...boundsOf(role), batchesBytes: bytesOf(batches) },
          batches,
          // A deletion waits for the follower to do the same.
          urgent: request.logStartOffset !== null && request.logStartOffset < role.options.log.logStartOffset,
        }
  // With the bounds: what the follower wants next may just have been deleted.
  const refused = (thrown: unknown): Slot<PartitionResponse> =>
    urgent({ error: partitionErrorOf(thrown), ...boundsOf(role), diverging: null, batchesBytes: 0 })
  const { log } = role.options
  const maxBytes = Math.min(limit.budget, request.maxBytes)
  if (request.fetchOffset >= log.logEndOffset || maxBytes <= 0) return found([])
  try {
    const batches = log.read({
      offset: request.fetchOffset,
      endOffset: log.logEndOffset,
      maxBytes,
      atLeastOneBatch: limit.first,
    })
    return batches instanceof Promise ? batches.then(found, refused) : found(batches)
  } catch (thrown) {
    return refused(thrown)
  }
}
