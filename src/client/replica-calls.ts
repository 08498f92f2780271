// How far the replicas of a topic are, asked of the leaders.
import type { NodeId, Offset, PartitionIndex } from '../model/ids.ts'
import { describeReplicas } from '../protocol/describe-replicas.ts'
import type { TopicSnapshot } from './cluster-calls.ts'
import { type BrokerView, leaderOf } from './cluster-view.ts'
import type { Connections } from './connections.ts'

/** One broker may take this long. */
const TIMEOUT_MS = 5_000

/** One replica, by what its leader knows. Fields are null before its first fetch in this leader epoch. */
export interface ReplicaState {
  readonly brokerId: NodeId
  readonly isInSync: boolean
  readonly logEndOffset: Offset | null
  /** What it has fsynced. */
  readonly flushedOffset: Offset | null
  /** Records of the leader that it lacks. */
  readonly lagRecords: number | null
  /** Bytes of the batches that it lacks, at most an index interval (4 KiB by default) and a batch too many. */
  readonly lagBytes: number | null
  /** Milliseconds since it had all that counts; 0 while it does; null also when it never had in this leader epoch. */
  readonly lagMs: number | null
}

export type ReplicaStates = ReadonlyMap<PartitionIndex, readonly ReplicaState[]>

/**
 * Asks each leader once, the leader first in each list. Never rejects: a partition whose leader does not answer, or does not know
 * the question, is left out.
 * @param of `isAnswered`: whether the leader of a partition has just answered another question: one that did not is not waited for again.
 */
export async function replicaStates(
  connections: Connections,
  of: TopicSnapshot & { readonly isAnswered: (partition: PartitionIndex) => boolean },
): Promise<ReplicaStates> {
  const { view, topic, isAnswered } = of
  const byLeader = new Map<BrokerView, PartitionIndex[]>()
  for (const { partition } of topic.partitions) {
    const leader = leaderOf(view, topic, partition)
    if (leader !== null && isAnswered(partition))
      byLeader.set(leader, [...(byLeader.get(leader) ?? []), partition])
  }
  const states = new Map<PartitionIndex, readonly ReplicaState[]>()
  await Promise.all(
    [...byLeader].map(async ([leader, partitions]) => {
      const asked = partitions.map((partition) => ({
        topicId: topic.topicId,
        partition,
        currentLeaderEpoch: topic.partitions[partition]!.leaderEpoch,
      }))
      try {
        const connection = await connections.dial(leader)
        const { body } = await connection.request(
          describeReplicas,
          { partitions: asked },
          { timeoutMs: TIMEOUT_MS },
        )
        for (const [i, { error, replicas }] of body.partitions.entries())
          if (error === null && partitions[i] !== undefined) states.set(partitions[i], replicas)
      } catch {
        // What a broker does not tell is not shown; the offsets of the partition say why.
      }
    }),
  )
  return states
}
