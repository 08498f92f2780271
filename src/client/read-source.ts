// From which replica a consumer reads a partition. Pure, but for the choice that it notes in the partition: it holds until
// the replica fails, so that a partition does not wander from broker to broker.
import type { Random } from '../base/random.ts'
import type { NodeId, PartitionIndex } from '../model/ids.ts'
import { type BrokerView, type ClusterView, leaderOf, type TopicView } from './cluster-view.ts'
import type { PartitionState } from './subscription-state.ts'

/**
 * `'leader'`: the leader. `'any'`: one of the other replicas that are in sync, or an observer, chosen by chance for each
 * partition. A number: the broker of this id, where it is one of these.
 */
export type ReadFrom = 'leader' | 'any' | NodeId

/** How long the leader is read in place of a replica: around 5 s, so that not all consumers look elsewhere together. */
const FROM_LEADER_MIN_MS = 4_000
const FROM_LEADER_JITTER_MS = 2_000

export function fromLeaderMs(random: Random): number {
  return FROM_LEADER_MIN_MS + random.below(FROM_LEADER_JITTER_MS)
}

export interface ReadSourceContext {
  readonly view: ClusterView
  readonly topic: TopicView
  readonly nowMs: number
  readonly readFrom: ReadFrom
  readonly random: Random
}

/**
 * The broker to fetch the partition from: the leader where no other replica may be read, or where one has just failed.
 * @returns null while there is no leader that could be asked: then no replica serves either.
 */
export function readSourceOf(state: PartitionState, context: ReadSourceContext): BrokerView | null {
  const { view, topic, nowMs, readFrom, random } = context
  const leader = leaderOf(view, topic, state.partition)
  if (leader === null || readFrom === 'leader' || nowMs < state.leaderUntilMs) return leader
  const readable = readableReplicas({ view, topic }, state.partition)
  if (readFrom !== 'any') return readable.find(({ brokerId }) => brokerId === readFrom) ?? leader
  const chosen = readable.find(({ brokerId }) => brokerId === state.replicaId)
  if (chosen !== undefined) return chosen
  const others = readable.filter(({ brokerId }) => brokerId !== state.failedReplicaId)
  const from = others.length > 0 ? others : readable
  if (from.length === 0) return leader
  const source = from[random.below(from.length)]!
  state.replicaId = source.brokerId
  return source
}

/**
 * Whether the leader is read only because no replica that is wanted is known to be in sync: fresh metadata may know of one.
 * Says so once in the time for which the leader is read then.
 */
export function lacksReplica(state: PartitionState, context: ReadSourceContext): boolean {
  const { topic, nowMs, readFrom, random } = context
  const known = topic.partitions[state.partition]
  if (known === undefined || readFrom === 'leader' || nowMs < state.leaderUntilMs) return false
  const isWanted = (id: NodeId): boolean => id !== known.leader && (readFrom === 'any' || id === readFrom)
  const { view } = context
  const isReadable = readableReplicas({ view, topic }, state.partition).some(({ brokerId }) =>
    isWanted(brokerId),
  )
  if (isReadable || !known.replicas.some(isWanted)) return false
  state.leaderUntilMs = nowMs + fromLeaderMs(random)
  return true
}

/** The replicas beside the leader that serve consumers: those in sync, and observers, as far as they are known to be alive. */
export function readableReplicas(
  of: { readonly view: ClusterView; readonly topic: TopicView },
  partition: PartitionIndex,
): readonly BrokerView[] {
  const known = of.topic.partitions[partition]
  if (known === undefined) return []
  return known.replicas
    .filter((id) => id !== known.leader && (known.isr.includes(id) || known.observers.includes(id)))
    .map((id) => of.view.broker(id))
    .filter((broker) => broker !== null)
    .filter(({ fenced }) => !fenced)
}
