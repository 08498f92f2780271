// What moves when the replicas of a partition change (KIP-455). First the partition has the replicas of before and those of
// after together; once all of the latter are in the ISR, the others go. So at no time fewer copies exist than before or after.
import type { NodeId, PartitionIndex, TopicName } from '../model/ids.ts'
import type { ClusterImage, PartitionImage, Reassignment } from './cluster-image.ts'

/** A partition whose replicas are being moved. */
export interface MovingPartition extends Reassignment {
  readonly topic: TopicName
  readonly partition: PartitionIndex
  readonly leader: NodeId | null
  readonly isr: readonly NodeId[]
  readonly observers: readonly NodeId[]
}

/** The replicas that a reassignment adds; none without one. */
export function addingReplicas({ reassignment }: PartitionImage): readonly NodeId[] {
  if (reassignment === null) return []
  return reassignment.target.filter((brokerId) => !reassignment.original.includes(brokerId))
}

/** Whether a replica is copied because a reassignment adds it, and has not caught up yet: nobody waits for it. */
export function isMovingIn(partition: PartitionImage, brokerId: NodeId): boolean {
  return addingReplicas(partition).includes(brokerId) && !partition.isr.includes(brokerId)
}

/** The replicas that go at the end of a reassignment; none without one. */
export function removingReplicas({ reassignment }: PartitionImage): readonly NodeId[] {
  if (reassignment === null) return []
  return reassignment.original.filter((brokerId) => !reassignment.target.includes(brokerId))
}

/** All replicas while the change lasts. Those before come first: the preferred leader stays until the end. */
export function replicasDuring(original: readonly NodeId[], target: readonly NodeId[]): readonly NodeId[] {
  return [...original, ...target.filter((brokerId) => !original.includes(brokerId))]
}

/** The partitions whose replicas are being moved. */
export function* reassignmentsOf(image: ClusterImage): Iterable<MovingPartition> {
  for (const topic of image.topics.values()) {
    for (const { partition, leader, isr, observers, reassignment } of topic.partitions) {
      if (reassignment !== null)
        yield { topic: topic.name, partition, leader, isr, observers, ...reassignment }
    }
  }
}
