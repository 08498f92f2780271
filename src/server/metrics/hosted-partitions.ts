// The partitions of a broker as the metrics see them: what is led here with its topic, and what it lacks.
import type { LeaderRole } from '../../broker/leader-role.ts'
import type { Partition } from '../../broker/partition.ts'
import { type PartitionImage, type TopicImage, votersOf } from '../../metadata/cluster-image.ts'
import { minIsrOf } from '../../metadata/eligible-replicas.ts'
import { addingReplicas } from '../../metadata/reassignment.ts'
import type { MeteredNode } from './metered-node.ts'

export interface HostedPartition {
  readonly hosted: Partition
  readonly topic: TopicImage
  readonly image: PartitionImage
}

export interface LedPartition extends HostedPartition {
  readonly role: LeaderRole
}

/** Every partition with a replica here whose topic is known. */
export function* hostedPartitions({ broker }: MeteredNode): Iterable<HostedPartition> {
  if (broker === null) return
  for (const hosted of broker.registry.hosted) {
    const topic = broker.image.topics.get(hosted.options.topicId)
    const image = topic?.partitions[hosted.options.partition]
    if (topic !== undefined && image !== undefined) yield { hosted, topic, image }
  }
}

export function* ledPartitions(node: MeteredNode): Iterable<LedPartition> {
  for (const partition of hostedPartitions(node)) {
    const role = partition.hosted.leader
    if (role !== null) yield { ...partition, role }
  }
}

export function isUnderReplicated({ image }: HostedPartition): boolean {
  // Replicas that are being added are behind as they should be.
  return image.isr.length < votersOf(image).length - addingReplicas(image).length
}

/** Members of the in-sync set beyond what `min.insync.replicas` asks for; negative where there are too few. */
export function spareReplicas({ topic, image }: HostedPartition): number {
  return image.isr.length - minIsrOf(topic, image)
}

export function labelsOf({ topic, image }: HostedPartition): { topic: string; partition: number } {
  return { topic: topic.name, partition: image.partition }
}

export function countOf<T>(items: Iterable<T>, counts: (item: T) => boolean): number {
  let count = 0
  for (const item of items) if (counts(item)) count++
  return count
}
