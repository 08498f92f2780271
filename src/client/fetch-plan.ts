// Which partitions a consumer can ask of which broker, and how many bytes it may ask for. Pure, but for what it notes
// in the partitions: that a question to a leader which was replaced is void, and that a new leader may be asked at once.
import type { LeaderEpoch, NodeId, PartitionIndex } from '../model/ids.ts'
import { type BrokerView, type ClusterView, leaderOf, type TopicView } from './cluster-view.ts'
import { lacksReplica, type ReadSourceContext, readableReplicas, readSourceOf } from './read-source.ts'
import type { PartitionState, UnderWay } from './subscription-state.ts'

/** What can be asked of one broker now. */
export interface BrokerPlan {
  readonly broker: BrokerView
  /** Only of leaders: they alone know where a log ends. */
  readonly locate: PartitionState[]
  readonly fetch: PartitionState[]
}

export interface FetchPlan {
  readonly byBroker: ReadonlyMap<NodeId, BrokerPlan>
  /** Due, but without a leader that could be asked. */
  readonly leaderless: readonly PartitionState[]
  /** Due, but the only leader that is known was replaced before what was read last was written. */
  readonly outdated: readonly PartitionState[]
  /** When the next partition that has to wait may be asked; infinite when none waits for time. */
  readonly dueMs: number
  /** Whether fresh metadata may know of a replica to read from in place of a leader. */
  readonly lacksReplica: boolean
  /** Brokers from which all partitions are being read. */
  readonly brokersCount: number
}

export function planFetches(partitions: Iterable<PartitionState>, now: ReadSourceContext): FetchPlan {
  const { view, topic, nowMs } = now
  const byBroker = new Map<NodeId, BrokerPlan>()
  const brokers = new Set<NodeId>()
  const leaderless: PartitionState[] = []
  const outdated: PartitionState[] = []
  let isReplicaLacking = false
  let dueMs = Number.POSITIVE_INFINITY
  for (const state of partitions) {
    if (state.phase === 'failed' || (state.phase === 'fetching' && state.isPaused)) continue
    const epoch = topic.partitions[state.partition]?.leaderEpoch ?? -1
    if (epoch > state.triedEpoch) state.notBeforeMs = Math.min(state.notBeforeMs, nowMs)
    if (state.underWay !== null && isVoid(state.underWay, state.partition, { ...now, epoch }))
      state.underWay = null
    if (state.underWay !== null) {
      brokers.add(state.underWay.brokerId)
      continue
    }
    const broker =
      state.phase === 'locating' ? leaderOf(view, topic, state.partition) : readSourceOf(state, now)
    if (broker !== null) brokers.add(broker.brokerId)
    if (state.notBeforeMs > nowMs) {
      dueMs = Math.min(dueMs, state.notBeforeMs)
    } else if (broker === null) {
      leaderless.push(state)
    } else if (state.phase === 'fetching' && epoch < state.fetchEpoch) {
      outdated.push(state)
    } else {
      const plan = byBroker.get(broker.brokerId) ?? { broker, locate: [], fetch: [] }
      byBroker.set(broker.brokerId, plan)
      state.brokerId = broker.brokerId
      plan[state.phase === 'locating' ? 'locate' : 'fetch'].push(state)
      if (state.phase === 'fetching' && lacksReplica(state, now)) isReplicaLacking = true
    }
  }
  const lacking = { lacksReplica: isReplicaLacking, brokersCount: brokers.size }
  return { byBroker, leaderless, outdated, dueMs, ...lacking }
}

/** Whether nobody may answer the question any more: the leader was replaced, or the replica fell behind. */
function isVoid(
  underWay: UnderWay,
  partition: PartitionIndex,
  now: { readonly view: ClusterView; readonly topic: TopicView; readonly epoch: LeaderEpoch },
): boolean {
  if (now.epoch > underWay.leaderEpoch) return true
  const { brokerId, fromReplica } = underWay
  return fromReplica && !readableReplicas(now, partition).some((broker) => broker.brokerId === brokerId)
}

/**
 * How many bytes the next fetch may bring. The buffer is shared out among the brokers, so that a quiet one whose fetch
 * is parked cannot keep the others from fetching.
 * @returns null when there is no room worth a fetch.
 */
export function fetchBytes(room: {
  readonly maxBufferedBytes: number
  /** Held in the buffer, and asked for already. */
  readonly takenBytes: number
  readonly brokersCount: number
  readonly maxBytes: number
  readonly maxPartitionBytes: number
}): number | null {
  const { maxBufferedBytes, takenBytes, brokersCount, maxBytes, maxPartitionBytes } = room
  const shareBytes = Math.max(1, Math.floor(maxBufferedBytes / Math.max(1, brokersCount)))
  const freeBytes = Math.min(shareBytes, maxBufferedBytes - takenBytes)
  // Less than a partition may bring is not worth the round trip: wait until the user has taken more.
  return freeBytes < Math.min(maxPartitionBytes, shareBytes) ? null : Math.min(freeBytes, maxBytes)
}
