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
