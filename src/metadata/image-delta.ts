// What changed between two images, as one broker sees it. The images share what did not change, so whole topics are
// skipped by identity. A broker may compare any two images: applying the difference over several batches at once ends
// in the same state as applying them one by one (REP-42).
import type { NodeId, TopicId } from '../model/ids.ts'
import type { ClusterImage, PartitionImage, TopicImage } from './cluster-image.ts'

export interface PartitionDelta {
  readonly topic: TopicImage
  /** null: the partition is new. */
  readonly before: PartitionImage | null
  readonly after: PartitionImage
}

export interface RemovedPartition {
  readonly topic: TopicImage
  readonly before: PartitionImage
}

export interface ImageDelta {
  /** Partitions that changed in any way and that this broker leads now; its leader epoch says whether it did before. */
  readonly lead: readonly PartitionDelta[]
  /** Partitions that changed in any way, of which this broker is a replica, and which it does not lead. */
  readonly follow: readonly PartitionDelta[]
  /** Partitions of topics that stay, of which this broker is no replica any more. */
  readonly stop: readonly RemovedPartition[]
  /** Topics that are gone, whoever hosted them. */
  readonly deletedTopics: readonly TopicImage[]
  /** Every partition that is new or changed, whoever hosts it. */
  readonly changed: readonly PartitionDelta[]
  /** Partitions hosted by this broker that are as they were, but of a topic whose settings are not. */
  readonly configured: readonly PartitionDelta[]
  /** Brokers whose registration, URL or fencing changed. */
  readonly brokers: readonly NodeId[]
}

export function deltaFor(brokerId: NodeId, before: ClusterImage, after: ClusterImage): ImageDelta {
  const lead: PartitionDelta[] = []
  const follow: PartitionDelta[] = []
  const stop: RemovedPartition[] = []
  const changed = changedPartitions(before, after)
  for (const delta of changed) {
    if (delta.after.leader === brokerId) lead.push(delta)
    else if (delta.after.replicas.includes(brokerId)) follow.push(delta)
    else if (delta.before?.replicas.includes(brokerId) === true) {
      stop.push({ topic: delta.topic, before: delta.before })
    }
  }
  return {
    lead,
    follow,
    stop,
    deletedTopics: deletedTopics(before, after),
    changed,
    configured: configuredPartitions(brokerId, before, after),
    brokers: changedBrokers(before, after),
  }
}

function changedPartitions(before: ClusterImage, after: ClusterImage): readonly PartitionDelta[] {
  if (before.topics === after.topics) return []
  const changed: PartitionDelta[] = []
  for (const [topicId, topic] of after.topics) {
    const previous = before.topics.get(topicId)
    if (previous === topic) continue
    for (const partition of topic.partitions) {
      const old = previous?.partitions[partition.partition] ?? null
      if (old !== partition) changed.push({ topic, before: old, after: partition })
    }
  }
  return changed
}

function configuredPartitions(
  brokerId: NodeId,
  before: ClusterImage,
  after: ClusterImage,
): readonly PartitionDelta[] {
  if (before.topics === after.topics) return []
  const configured: PartitionDelta[] = []
  for (const [topicId, topic] of after.topics) {
    const previous = before.topics.get(topicId)
    if (previous === undefined || previous.configs === topic.configs) continue
    for (const partition of topic.partitions) {
      const isSame = previous.partitions[partition.partition] === partition
      if (isSame && partition.replicas.includes(brokerId))
        configured.push({ topic, before: partition, after: partition })
    }
  }
  return configured
}

function deletedTopics(before: ClusterImage, after: ClusterImage): readonly TopicImage[] {
  if (before.topics === after.topics) return []
  const isGone = ({ topicId }: { readonly topicId: TopicId }): boolean => !after.topics.has(topicId)
  return [...before.topics.values()].filter(isGone)
}

function changedBrokers(before: ClusterImage, after: ClusterImage): readonly NodeId[] {
  if (before.brokers === after.brokers) return []
  return [...after.brokers.values()]
    .filter((broker) => before.brokers.get(broker.brokerId) !== broker)
    .map(({ brokerId }) => brokerId)
}
