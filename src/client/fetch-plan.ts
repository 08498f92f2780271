// Which partitions a consumer can ask of which leader, and how many bytes it may ask for. Pure, but for what it notes
// in the partitions: that a question to a leader which was replaced is void, and that a new leader may be asked at once.
import type { NodeId } from '../model/ids.ts'
import { type BrokerView, type ClusterView, leaderOf, type TopicView } from './cluster-view.ts'
import type { PartitionState } from './subscription-state.ts'

/** What can be asked of one leader now. */
export interface LeaderPlan {
  readonly broker: BrokerView
  readonly locate: PartitionState[]
  readonly fetch: PartitionState[]
}

export interface FetchPlan {
  readonly byLeader: ReadonlyMap<NodeId, LeaderPlan>
  /** Due, but without a leader that could be asked. */
  readonly leaderless: readonly PartitionState[]
  /** Due, but the only leader that is known was replaced before what was read last was written. */
  readonly outdated: readonly PartitionState[]
  /** When the next partition that has to wait may be asked; infinite when none waits for time. */
  readonly dueMs: number
  /** Leaders of all partitions that are being read. */
  readonly leadersCount: number
}

export function planFetches(
  partitions: Iterable<PartitionState>,
  now: { readonly view: ClusterView; readonly topic: TopicView; readonly nowMs: number },
): FetchPlan {
  const { view, topic, nowMs } = now
  const byLeader = new Map<NodeId, LeaderPlan>()
  const leaders = new Set<NodeId>()
  const leaderless: PartitionState[] = []
  const outdated: PartitionState[] = []
  let dueMs = Number.POSITIVE_INFINITY
  for (const state of partitions) {
    if (state.phase === 'failed' || (state.phase === 'fetching' && state.isPaused)) continue
    const epoch = topic.partitions[state.partition]?.leaderEpoch ?? -1
    if (epoch > state.triedEpoch) state.notBeforeMs = Math.min(state.notBeforeMs, nowMs)
    if (state.underWay !== null && epoch > state.underWay.leaderEpoch) state.underWay = null
    const broker = leaderOf(view, topic, state.partition)
    if (broker !== null) leaders.add(broker.brokerId)
    if (state.underWay !== null) continue
    if (state.notBeforeMs > nowMs) {
      dueMs = Math.min(dueMs, state.notBeforeMs)
    } else if (broker === null) {
      leaderless.push(state)
    } else if (state.phase === 'fetching' && epoch < state.fetchEpoch) {
      outdated.push(state)
    } else {
      const plan = byLeader.get(broker.brokerId) ?? { broker, locate: [], fetch: [] }
      byLeader.set(broker.brokerId, plan)
      plan[state.phase === 'locating' ? 'locate' : 'fetch'].push(state)
    }
  }
  return { byLeader, leaderless, outdated, dueMs, leadersCount: leaders.size }
}

/**
 * How many bytes the next fetch may bring. The buffer is shared out among the leaders, so that a quiet one whose fetch
 * is parked cannot keep the others from fetching.
 * @returns null when there is no room worth a fetch.
 */
export function fetchBytes(room: {
  readonly maxBufferedBytes: number
  /** Held in the buffer, and asked for already. */
  readonly takenBytes: number
  readonly leadersCount: number
  readonly maxBytes: number
  readonly maxPartitionBytes: number
}): number | null {
  const { maxBufferedBytes, takenBytes, leadersCount, maxBytes, maxPartitionBytes } = room
  const shareBytes = Math.max(1, Math.floor(maxBufferedBytes / Math.max(1, leadersCount)))
  const freeBytes = Math.min(shareBytes, maxBufferedBytes - takenBytes)
  // Less than a partition may bring is not worth the round trip: wait until the user has taken more.
  return freeBytes < Math.min(maxPartitionBytes, shareBytes) ? null : Math.min(freeBytes, maxBytes)
}
