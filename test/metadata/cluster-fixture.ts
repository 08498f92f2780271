// Builds images by applying records, so that every fixture is a state the cluster can be in.

import {
  type ClusterImage,
  EMPTY_IMAGE,
  isActive,
  type PartitionImage,
} from '../../src/metadata/cluster-image.ts'
import type { Decision, DecisionContext } from '../../src/metadata/decision.ts'
import { awaitedOf } from '../../src/metadata/dropped-tails.ts'
import { minIsrOf } from '../../src/metadata/eligible-replicas.ts'
import { applyBatch } from '../../src/metadata/image-apply.ts'
import type { Cause, MetadataRecord } from '../../src/metadata/metadata-records.ts'
import type { BrokerEpoch, DirectoryId, IncarnationId, NodeId, TopicId } from '../../src/model/ids.ts'

export const CONTROLLER = 100
export const CAUSE: Cause = { kind: 'operator', observerId: CONTROLLER, observedAtMs: 5, detail: 'test' }
export const TOPIC: TopicId = id128('topic')

/** A readable 128-bit id in base64url. */
export function id128(label: string): string {
  return label.padEnd(22, '0')
}

export function incarnation(brokerId: NodeId, run = 1): IncarnationId {
  return id128(`incarnation-${brokerId}-${run}`)
}

export function directory(brokerId: NodeId): DirectoryId {
  return id128(`directory-${brokerId}`)
}

export function contextOf(image: ClusterImage): DecisionContext {
  return { image, nextOffset: image.metadataOffset + 1, observerId: CONTROLLER, wallMs: 1_700_000_000_000 }
}

export function apply(image: ClusterImage, records: readonly MetadataRecord[]): ClusterImage {
  return applyBatch(image, records, image.metadataOffset + 1)
}

/** The image after a decision; the same image when it has no records, as nothing is proposed then. */
export function decided(image: ClusterImage, decision: Decision<unknown>): ClusterImage {
  return decision.records.length === 0 ? image : apply(image, decision.records)
}

export function registered(
  image: ClusterImage,
  brokerId: NodeId,
  { run = 1, rack = null }: { readonly run?: number; readonly rack?: string | null } = {},
): ClusterImage {
  return apply(image, [
    {
      type: 'broker-registered',
      brokerId,
      brokerEpoch: image.metadataOffset + 1,
      incarnationId: incarnation(brokerId, run),
      directoryId: directory(brokerId),
      url: `ws://broker-${brokerId}:9092`,
      cause: CAUSE,
      rack,
    },
  ])
}

export interface FencingState {
  readonly fenced?: boolean
  readonly shuttingDown?: boolean
}

/** Only the broker's own record: for brokers that are in no ISR. */
export function withFencing(image: ClusterImage, brokerId: NodeId, state: FencingState): ClusterImage {
  const broker = image.brokers.get(brokerId)!
  const { fenced = broker.fenced, shuttingDown = broker.shuttingDown } = state
  return apply(image, [
    {
      type: 'broker-fencing-changed',
      brokerId,
      brokerEpoch: broker.brokerEpoch,
      fenced,
      shuttingDown,
      cause: CAUSE,
    },
  ])
}

/** A cluster of these brokers, all alive. @param racks of those that name one. */
export function clusterOf(
  brokers: readonly NodeId[],
  racks: Readonly<Record<number, string>> = {},
): ClusterImage {
  let image: ClusterImage = EMPTY_IMAGE
  for (const brokerId of brokers) {
    const rack = racks[brokerId] ?? null
    image = withFencing(registered(image, brokerId, { rack }), brokerId, { fenced: false })
  }
  return image
}

export interface PartitionFixture {
  readonly replicas: readonly NodeId[]
  readonly isr?: readonly NodeId[]
  readonly leader?: NodeId | null
  /** Default true. */
  readonly synced?: boolean
  /** Default none. */
  readonly observers?: readonly NodeId[]
}

/** Adds a topic; the leader of a partition is by default the first of its ISR, the ISR all replicas. */
export function withTopic(
  image: ClusterImage,
  partitions: readonly PartitionFixture[],
  topicId: TopicId = TOPIC,
  configs: Readonly<Record<string, string>> = {},
): ClusterImage {
  const records: MetadataRecord[] = [
    {
      type: 'topic-created',
      topicId,
      name: `name-of-${topicId}`,
      configs: Object.entries(configs).map(([name, value]) => ({ name, value })),
    },
  ]
  for (const [partition, fixture] of partitions.entries()) {
    const { replicas, synced = true, observers = [] } = fixture
    const { isr = replicas.filter((replica) => !observers.includes(replica)) } = fixture
    const { leader = isr[0] ?? null } = fixture
    records.push({
      type: 'partition-created',
      topicId,
      partition,
      replicas,
      isr,
      leader,
      cause: CAUSE,
      synced,
      observers,
    })
  }
  return apply(image, records)
}

export function partition(image: ClusterImage, index = 0, topicId: TopicId = TOPIC): PartitionImage {
  return image.topics.get(topicId)!.partitions[index]!
}

/**
 * Leader, ISR, ELR, last known ELR, logs that were cut off (broker@leader epoch:end) and epochs in one short line, such as
 * "leader 1 isr 1 elr 2 lost 3 cut 2@0:7 epochs 0/3"; without what is empty.
 */
export function show(state: PartitionImage): string {
  const { leader, isr, elr, lastKnownElr, droppedTails, leaderEpoch, partitionEpoch } = state
  const eligible = elr.length === 0 ? '' : ` elr ${elr.join(',')}`
  const lost = lastKnownElr.length === 0 ? '' : ` lost ${lastKnownElr.join(',')}`
  const tails = droppedTails.map((tail) => `${tail.brokerId}@${tail.leaderEpoch}:${tail.endOffset}`)
  const cut = tails.length === 0 ? '' : ` cut ${tails.join(',')}`
  return `leader ${leader ?? 'none'} isr ${isr.join(',') || 'empty'}${eligible}${lost}${cut} epochs ${leaderEpoch}/${partitionEpoch}`
}

export function epochOf(image: ClusterImage, brokerId: NodeId): BrokerEpoch {
  return image.brokers.get(brokerId)!.brokerEpoch
}

/** The rules that hold in every reachable image (INV-3, INV-11, INV-12); what breaks one of them, in words. */
export function violations(image: ClusterImage): readonly string[] {
  const found: string[] = []
  for (const topic of image.topics.values()) {
    for (const state of topic.partitions) {
      const { partition: index, replicas, isr, elr, lastKnownElr, leader, observers } = state
      const minIsr = minIsrOf(topic, state)
      const broken = (rule: string): void => {
        found.push(`${topic.name}/${index}: ${rule} (${show(state)})`)
      }
      if (leader !== null && !isr.includes(leader)) broken('INV-3: the leader is not in the ISR')
      if (!isr.every((brokerId) => replicas.includes(brokerId)))
        broken('INV-11: the ISR is not within the replicas')
      if (observers.some((brokerId) => isr.includes(brokerId) || elr.includes(brokerId)))
        broken('INV-11: an observer is in the ISR or the ELR')
      if (!observers.every((brokerId) => replicas.includes(brokerId)) || observers.length === replicas.length)
        broken('INV-11: an observer is no replica, or all are observers')
      if (new Set(isr).size < isr.length) broken('a broker is in the ISR twice')
      if (leader !== null && image.brokers.get(leader)?.fenced !== false) broken('a fenced broker leads')
      const inactive = isr.filter((brokerId) => !isActive(image.brokers.get(brokerId)))
      if (isr.some((brokerId) => image.brokers.get(brokerId)?.fenced !== false))
        broken('INV-11: a fenced broker is in the ISR')
      if (inactive.length > 0 && isr.length > 1)
        broken('INV-11: a stopping broker is not the last in the ISR')
      if (!elr.every((brokerId) => replicas.includes(brokerId) && !isr.includes(brokerId)))
        broken('INV-11: the ELR overlaps the ISR or leaves the replicas')
      if (isr.length >= minIsr && elr.length > 0) broken('INV-11: an ELR beside a large enough ISR')
      // With another min.insync.replicas those who were eligible under the old one are not known any more.
      if (isr.length + elr.length === 0 && lastKnownElr.length === 0)
        broken('INV-12: nobody is eligible, and nobody is known that was')
      const awaited = awaitedOf({ elr, tails: state.droppedTails })
      const electable = [...isr, ...awaited].filter((brokerId) => isActive(image.brokers.get(brokerId)))
      if (!state.droppedTails.every(({ brokerId }) => elr.includes(brokerId)))
        broken('a tail of a broker that is not in the ELR')
      if (leader === null && electable.length > 0) broken('nobody leads although a live broker could')
    }
  }
  return found
}
