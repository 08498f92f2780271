// How one partition changes: who is elected, which epochs grow. All decisions build their partition records here.
import type { NodeId } from '../model/ids.ts'
import type { ClusterImage, PartitionImage, TopicImage } from './cluster-image.ts'
import type { Cause, MetadataRecordOf } from './metadata-records.ts'

export type PartitionChanged = MetadataRecordOf<'partition-changed'>

/** What a change is made for. */
export interface PartitionTarget {
  readonly topic: TopicImage
  readonly partition: PartitionImage
}

export interface PartitionChange extends PartitionTarget {
  /** The ISR after the change. */
  readonly isr: readonly NodeId[]
  /** Whether a broker may lead once the whole batch is applied. */
  readonly mayLead: (brokerId: NodeId) => boolean
  readonly cause: Cause
}

/**
 * The record for a partition whose ISR or whose set of live brokers changes, or null when nothing changes. The leader
 * stays while it is in the ISR and may lead. Otherwise the first replica, in the order of the replica list, that is in
 * the ISR and may lead is elected; with none the partition is without a leader, and its ISR stays to say who holds all
 * acknowledged records. The leader epoch grows with each change of leader, the partition epoch with each change.
 */
export function changePartition(change: PartitionChange): PartitionChanged | null {
  const { topic, partition, isr, mayLead, cause } = change
  const stays = partition.leader !== null && isr.includes(partition.leader) && mayLead(partition.leader)
  const leader = stays ? partition.leader : elect(partition.replicas, isr, mayLead)
  if (leader === partition.leader && sameMembers(isr, partition.isr)) return null
  return {
    type: 'partition-changed',
    topicId: topic.topicId,
    partition: partition.partition,
    isr,
    leader,
    leaderEpoch: partition.leaderEpoch + (leader === partition.leader ? 0 : 1),
    partitionEpoch: partition.partitionEpoch + 1,
    cause,
  }
}

function elect(
  replicas: readonly NodeId[],
  isr: readonly NodeId[],
  mayLead: (brokerId: NodeId) => boolean,
): NodeId | null {
  return replicas.find((brokerId) => isr.includes(brokerId) && mayLead(brokerId)) ?? null
}

/**
 * The ISR without a broker that stops to serve. Its last member stays: it alone is known to hold every acknowledged
 * record, and it is elected again when it comes back.
 */
export function isrWithout(isr: readonly NodeId[], brokerId: NodeId): readonly NodeId[] {
  return isr.length === 1 ? isr : isrWithoutEvenLast(isr, brokerId)
}

/** The ISR without a broker whose log can no longer be trusted to hold every acknowledged record. */
export function isrWithoutEvenLast(isr: readonly NodeId[], brokerId: NodeId): readonly NodeId[] {
  return isr.includes(brokerId) ? isr.filter((member) => member !== brokerId) : isr
}

/** Every partition of the cluster, in the order the topics were created. */
export function* partitionsOf(image: ClusterImage): Iterable<PartitionTarget> {
  for (const topic of image.topics.values()) {
    for (const partition of topic.partitions) yield { topic, partition }
  }
}

/** Whether two lists without duplicates hold the same brokers, in any order. */
export function sameMembers(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a === b || (a.length === b.length && a.every((brokerId) => b.includes(brokerId)))
}
