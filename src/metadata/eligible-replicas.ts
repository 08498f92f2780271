// Who holds every committed record although it left the ISR (KIP-966). While the ISR is smaller than min.insync.replicas
// the high watermark stands still, so whoever left since then lacks nothing that is committed.
import type { NodeId } from '../model/ids.ts'
import { type PartitionImage, type TopicImage, votersOf } from './cluster-image.ts'
import { effectiveMinInsyncReplicas, topicConfigOf } from './topic-configs.ts'

export interface Eligible {
  readonly elr: readonly NodeId[]
  readonly lastKnownElr: readonly NodeId[]
}

/**
 * How many members an ISR of the partition needs for anything to be committed. While its replicas change, the voters of before
 * count: a partition of one replica that gets two more must not wait for them.
 */
export function minIsrOf(topic: TopicImage, partition: PartitionImage): number {
  const replicas = partition.reassignment?.original ?? partition.replicas
  const voters = votersOf({ replicas, observers: partition.observers })
  return effectiveMinInsyncReplicas(topicConfigOf(topic.configs), voters.length)
}

/**
 * ELR and last known ELR once the ISR has changed. With a large enough ISR both are empty: what is committed from then on, only
 * the ISR surely holds. Below that, members of the ISR that leave stay eligible, unless their log cannot be trusted.
 * @param change.isr the ISR after the change
 * @param change.distrusted whose log may lack committed records
 */
export function eligibleAfter(
  partition: PartitionImage,
  change: {
    readonly isr: readonly NodeId[]
    readonly minIsr: number
    readonly distrusted: readonly NodeId[]
  },
): Eligible {
  const { isr, minIsr, distrusted } = change
  if (isr.length >= minIsr) return { elr: [], lastKnownElr: [] }
  const wereEligible = (brokerId: NodeId): boolean =>
    partition.isr.includes(brokerId) || partition.elr.includes(brokerId)
  const elr = partition.replicas.filter(
    (brokerId) => wereEligible(brokerId) && !isr.includes(brokerId) && !distrusted.includes(brokerId),
  )
  const lastKnownElr = partition.replicas.filter(
    (brokerId) =>
      (wereEligible(brokerId) || partition.lastKnownElr.includes(brokerId)) &&
      !isr.includes(brokerId) &&
      !elr.includes(brokerId),
  )
  return { elr, lastKnownElr }
}
