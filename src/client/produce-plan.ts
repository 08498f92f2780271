// Which batches go together in one produce request. Pure.
import type { LeaderEpoch, TopicId } from '../model/ids.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import type { RequestOf } from '../protocol/api.ts'
import type { produce } from '../protocol/produce.ts'
import type { PartitionQueue } from './accumulator.ts'
import type { ProducerBatch } from './producer-batch.ts'

/** A batch on its way to the leader of its partition. */
export interface SentBatch {
  readonly queue: PartitionQueue
  /** The queue's attempt this is; the answer counts only while it is still that one. */
  readonly attempt: number
  readonly batch: ProducerBatch
  readonly bytes: Uint8Array
  readonly topicId: TopicId
  readonly leaderEpoch: LeaderEpoch
}

/**
 * Smaller batches share a request, because each request costs both sides about as much as 64 KiB do. Larger ones go
 * alone, one behind the other: then the first is appended and replicated while the second is still on its way.
 */
const SHARED_BATCH_MAX_BYTES = 64 * 1024

/** Puts the batches for one broker into requests, each within the bound unless it holds a single batch. */
export function planRequests(
  batches: readonly SentBatch[],
  maxRequestBytes: number,
): readonly (readonly SentBatch[])[] {
  const requests: SentBatch[][] = []
  let shared: SentBatch[] = []
  let sharedBytes = 0
  for (const batch of batches) {
    const { length } = batch.bytes
    if (length >= SHARED_BATCH_MAX_BYTES) {
      requests.push([batch])
      continue
    }
    const isFull = sharedBytes + length > maxRequestBytes || shared.length === PARTITIONS_PER_REQUEST_MAX
    if (isFull || shared.length === 0) {
      shared = []
      sharedBytes = 0
      requests.push(shared)
    }
    shared.push(batch)
    sharedBytes += length
  }
  return requests
}

export function produceBody(
  batches: readonly SentBatch[],
  how: { readonly acks: 'all' | 1 | 0; readonly timeoutMs: number },
): RequestOf<typeof produce> {
  return {
    acks: how.acks === 'all' ? -1 : how.acks,
    timeoutMs: how.timeoutMs,
    partitions: batches.map(({ topicId, queue, leaderEpoch, bytes }) => ({
      topicId,
      partition: queue.partition,
      currentLeaderEpoch: leaderEpoch,
      batchesBytes: bytes.length,
    })),
  }
}
