// What a follower says of one partition in a fetch, and what it hears about it.
import { errorNameOf } from '../model/error-codes.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { replicaFetch } from '../protocol/replica-fetch.ts'
import type { FetchRequest, FetchResponse } from '../replication/partition-follower.ts'
import type { FollowerRole, LeaderBatches } from './follower-role.ts'

export interface Statement {
  readonly role: FollowerRole
  readonly request: FetchRequest
  readonly body: RequestOf<typeof replicaFetch>['partitions'][number]
}

/** @returns null while the partition cannot fetch: it truncates, appends, or waits after an error. */
export function statementOf(role: FollowerRole, maxBytes: number): Statement | null {
  const request = role.nextFetch()
  if (request === null) return null
  const { topicId, partition, log } = role.options
  const { logStartOffset } = log
  const damaged = log.health.damagedRanges.length > 0
  const { fetchOffset, flushedOffset, lastFetchedEpoch, currentLeaderEpoch } = request
  const position = { fetchOffset, flushedOffset, lastFetchedEpoch, currentLeaderEpoch }
  // Assigned and not spread: there can be ten thousand, and each object with a spread has a hidden class of its own.
  const body = Object.assign(position, { topicId, partition, maxBytes, logStartOffset, damaged })
  return { role, request, body }
}

/** Whether the leader would learn nothing by the second one. */
export function isSameStatement(a: Statement, b: Statement): boolean {
  return (
    a.role === b.role &&
    a.body.fetchOffset === b.body.fetchOffset &&
    a.body.flushedOffset === b.body.flushedOffset &&
    a.body.lastFetchedEpoch === b.body.lastFetchedEpoch &&
    a.body.currentLeaderEpoch === b.body.currentLeaderEpoch &&
    a.body.logStartOffset === b.body.logStartOffset &&
    a.body.damaged === b.body.damaged
  )
}

export function responseOf(
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
