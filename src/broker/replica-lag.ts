// How far the followers of a partition are behind, by what their leader knows.
import type { Offset } from '../model/ids.ts'
import type { ResponseOf } from '../protocol/api.ts'
import type { describeReplicas } from '../protocol/describe-replicas.ts'
import type { ReplicaDescription } from '../replication/leader-messages.ts'
import { SegmentRetiredError } from '../storage/segment-retired-error.ts'
import type { LeaderRole } from './leader-role.ts'

/** As describe-replicas tells it. */
export type ReplicaLag = ResponseOf<typeof describeReplicas>['partitions'][number]['replicas'][number]

/** Segments may leave the log while their sizes are looked at; then it is done again, so often. */
const ATTEMPTS = 3

/** All replicas, the leader first, without what only the files tell. */
export function replicaPlaces(role: LeaderRole): readonly Omit<ReplicaLag, 'lagBytes'>[] {
  return role.options.core.describe().map((replica) => placeOf(role, replica))
}

/**
 * All replicas, the leader first.
 * @throws VltavaError STORAGE_ERROR
 */
export async function replicaLags(role: LeaderRole): Promise<readonly ReplicaLag[]> {
  return Promise.all(
    replicaPlaces(role).map(async (place) => ({ ...place, lagBytes: await lagBytes(role, place) })),
  )
}

function placeOf({ options }: LeaderRole, replica: ReplicaDescription): Omit<ReplicaLag, 'lagBytes'> {
  const { core } = options
  const { replicaId: brokerId, inIsr: isInSync, logEndOffset, caughtUpAtMs, countedOffset } = replica
  if (logEndOffset < 0) {
    const unknown = { logEndOffset: null, flushedOffset: null, lagRecords: null, lagMs: null }
    return { brokerId, isInSync, ...unknown }
  }
  const isCaughtUp = countedOffset >= core.logEndOffset
  const sinceMs = caughtUpAtMs === null ? null : Math.max(0, Math.floor(core.nowMs - caughtUpAtMs))
  return {
    brokerId,
    isInSync,
    logEndOffset,
    flushedOffset: replica.flushedOffset < 0 ? null : replica.flushedOffset,
    lagRecords: Math.max(0, core.logEndOffset - logEndOffset),
    lagMs: isCaughtUp ? 0 : sinceMs,
  }
}

async function lagBytes(
  role: LeaderRole,
  { logEndOffset, lagRecords }: Omit<ReplicaLag, 'lagBytes'>,
): Promise<number | null> {
  if (logEndOffset === null) return null
  return lagRecords === 0 ? 0 : bytesFrom(role, logEndOffset)
}

async function bytesFrom(role: LeaderRole, offset: Offset): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await role.options.log.retained.bytesFrom(offset)
    } catch (error) {
      if (!(error instanceof SegmentRetiredError) || attempt === ATTEMPTS) throw error
    }
  }
}
