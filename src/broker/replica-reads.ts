// What a leader makes of one partition of a follower's fetch: whether it may read on from where it stands, and what it gets.
import { VltavaError } from '../model/errors.ts'
import { type NodeId, partitionKey } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import { wireErrorOf } from '../protocol/error-schema.ts'
import type { replicaFetch } from '../protocol/replica-fetch.ts'
import { bytesOf, type ReadLimit, type Slot } from './fetch-slots.ts'
import type { LeaderRole } from './leader-role.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

export type ReplicaPartitionRequest = RequestOf<typeof replicaFetch>['partitions'][number]
export type ReplicaPartitionResponse = ResponseOf<typeof replicaFetch>['partitions'][number]

const NO_BOUNDS = {
  highWatermark: 0,
  logStartOffset: 0,
  diverging: null,
  batchesBytes: 0,
  compactedBelow: 0,
} as const

/** A partition of a follower's fetch after its position was judged once. */
export type Judged =
  | { readonly kind: 'answered'; readonly slot: Slot<ReplicaPartitionResponse> }
  | { readonly kind: 'readable'; readonly role: LeaderRole; readonly request: ReplicaPartitionRequest }

/** Takes what a follower says of a partition. @param from who it is, in which broker epoch. */
export function judge(
  registry: PartitionRegistry,
  request: ReplicaPartitionRequest,
  from: { readonly replicaId: NodeId; readonly brokerEpoch: number },
): Judged {
  try {
    const role = registry.require(partitionKey(request.topicId, request.partition)).requireLeader()
    const { fetchOffset, flushedOffset, lastFetchedEpoch, currentLeaderEpoch } = request
    const position = { fetchOffset, flushedOffset, lastFetchedEpoch, currentLeaderEpoch }
    const { logStartOffset, damaged: isDamaged } = request
    const result = role.followerFetched({ ...from, ...position, logStartOffset, isDamaged })
    if (result.kind === 'accepted') return { kind: 'readable', role, request }
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

/** What the leader has for it now. */
export function readJudged(
  judged: Judged,
  limit: ReadLimit,
): Slot<ReplicaPartitionResponse> | Promise<Slot<ReplicaPartitionResponse>> {
  return judged.kind === 'answered' ? judged.slot : read(judged.role, judged.request, limit)
}

function boundsOf(
  role: LeaderRole,
): Pick<ReplicaPartitionResponse, 'highWatermark' | 'logStartOffset' | 'compactedBelow'> {
  const { logStartOffset, compaction } = role.options.log
  return { highWatermark: role.highWatermark, logStartOffset, compactedBelow: compaction.compactedBelow }
}

function urgent(response: ReplicaPartitionResponse): Slot<ReplicaPartitionResponse> {
  return { response, batches: [], urgent: true }
}

function failed(thrown: unknown): Slot<ReplicaPartitionResponse> {
  return urgent({ error: partitionErrorOf(thrown), ...NO_BOUNDS })
}

function read(
  role: LeaderRole,
  request: ReplicaPartitionRequest,
  limit: ReadLimit,
): Slot<ReplicaPartitionResponse> | Promise<Slot<ReplicaPartitionResponse>> {
  if (role.hasEnded) return failed(new VltavaError('NOT_LEADER_OR_FOLLOWER'))
  const found = (batches: readonly Uint8Array[]): Slot<ReplicaPartitionResponse> =>
    role.hasEnded
      ? failed(new VltavaError('NOT_LEADER_OR_FOLLOWER'))
      : {
          response: { error: null, diverging: null, ...boundsOf(role), batchesBytes: bytesOf(batches) },
          batches,
          // A deletion waits for the follower to do the same.
          urgent: request.logStartOffset !== null && request.logStartOffset < role.options.log.logStartOffset,
        }
  // With the bounds: what the follower wants next may just have been deleted.
  const refused = (thrown: unknown): Slot<ReplicaPartitionResponse> =>
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
