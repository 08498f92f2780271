// A leader of one partition, and what its followers tell it.
import { EpochHistory } from '../../src/log/epoch-history.ts'
import type { BrokerState } from '../../src/replication/join-eligibility.ts'
import type { FollowerFetchResult, PartitionLeaderOptions } from '../../src/replication/leader-messages.ts'
import { PartitionLeader } from '../../src/replication/partition-leader.ts'

export const LAG_MS = 30_000

export const up = (brokerEpoch: number): BrokerState => ({ brokerEpoch, fenced: false, shuttingDown: false })

export function brokers(
  changes: Readonly<Record<number, BrokerState>> = {},
): ReadonlyMap<number, BrokerState> {
  const states = { 1: up(11), 2: up(12), 3: up(13), ...changes }
  return new Map(Object.entries(states).map(([id, state]) => [Number(id), state]))
}

/** Broker 1 leads in epoch 4, with an empty log unless the options say otherwise. */
export function leaderWith(options: Partial<PartitionLeaderOptions> = {}): PartitionLeader {
  const logEndOffset = options.logEndOffset ?? 0
  return new PartitionLeader({
    brokerId: 1,
    brokerEpoch: 11,
    leaderEpoch: 4,
    partitionEpoch: 7,
    replicas: [1, 2, 3],
    isr: [1, 2, 3],
    brokers: brokers(),
    minInsyncReplicas: 1,
    flushMessages: 1,
    logStartOffset: 0,
    logEndOffset,
    flushedOffset: logEndOffset,
    highWatermark: 0,
    epochs: new EpochHistory([{ epoch: 4, startOffset: logEndOffset }]),
    lagTimeMaxMs: LAG_MS,
    nowMs: 0,
    ...options,
  })
}

/** A fetch of a follower that has all up to an offset and flushed it, or less. */
export function fetch(
  leader: PartitionLeader,
  replicaId: number,
  at: { readonly offset: number; readonly flushed?: number; readonly nowMs?: number },
): FollowerFetchResult {
  return leader.followerFetched({
    replicaId,
    brokerEpoch: 10 + replicaId,
    currentLeaderEpoch: 4,
    fetchOffset: at.offset,
    lastFetchedEpoch: at.offset > leader.leaderEpochStartOffset ? 4 : -1,
    flushedOffset: at.flushed ?? at.offset,
    nowMs: at.nowMs ?? leader.nowMs,
  })
}

export function append(leader: PartitionLeader, logEndOffset: number, nowMs: number = leader.nowMs): void {
  leader.written(logEndOffset, nowMs)
  leader.flushed(logEndOffset)
}
