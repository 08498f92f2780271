// Where all brokers that may take replicas have racks, a partition begins in as many of them as it can. By what two
// pictures of the metadata show, not by how the controller places.
import { type ClusterImage, isActive, type PartitionImage } from '../../../metadata/cluster-image.ts'
import type { NodeId } from '../../../model/ids.ts'
import { demand } from './violation.ts'

export class RackSpread {
  #spread = 0

  /** Partitions that were seen to begin in as many racks as they could, and could have begun in fewer. */
  get spread(): number {
    return this.#spread
  }

  /** @param before what the same broker had when it was looked at last. @throws InvariantViolation */
  check(before: ClusterImage, after: ClusterImage, who: string): void {
    if (before.topics === after.topics) return
    const racks = racksBetween(before, after)
    if (racks === null) return
    const racksCount = new Set(racks.values()).size
    for (const topic of after.topics.values()) {
      const known = before.topics.get(topic.topicId)?.partitions.length ?? 0
      for (const partition of topic.partitions.slice(known)) {
        if (!isAsPlaced(partition)) continue
        const { replicas } = partition
        const used = new Set(replicas.map((id) => racks.get(id)))
        const possible = Math.min(replicas.length, racksCount)
        demand(
          used.size === possible,
          'RACKS',
          () =>
            `${who}: ${topic.name}/${partition.partition} was placed on ${replicas.join(',')} in ${used.size} racks of ${possible}`,
        )
        if (replicas.length > 1 && racksCount < racks.size && replicas.length < racks.size) this.#spread++
      }
    }
  }
}

/**
 * The rack of each broker that could take replicas all the time between the two pictures; null where that has changed meanwhile, or
 * one of them has no rack.
 */
function racksBetween(before: ClusterImage, after: ClusterImage): ReadonlyMap<NodeId, string> | null {
  const racks = new Map<NodeId, string>()
  for (const broker of after.brokers.values()) {
    if (broker.stateOffset > before.metadataOffset) return null
    if (!isActive(broker)) continue
    if (broker.rack === null) return null
    racks.set(broker.brokerId, broker.rack)
  }
  return racks
}

/** Replicas change only with the leader epoch, or while they move. */
function isAsPlaced({ leaderEpoch, reassignment }: PartitionImage): boolean {
  return leaderEpoch === 0 && reassignment === null
}
