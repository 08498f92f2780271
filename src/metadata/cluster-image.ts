// The immutable picture of the cluster. The controller decides on a speculative one; brokers act on committed ones.
import type {
  BrokerEpoch,
  ClusterId,
  DirectoryId,
  IncarnationId,
  LeaderEpoch,
  MetadataOffset,
  NodeId,
  PartitionEpoch,
  PartitionIndex,
  TopicId,
  TopicName,
  TopicPartition,
} from '../model/ids.ts'
import type { DroppedTail } from './dropped-tails.ts'

export interface VoterImage {
  readonly nodeId: NodeId
  readonly directoryId: DirectoryId
  /** Where it says that it is reached; null for the first voters, whose addresses every node was given. */
  readonly url: string | null
}

export interface BrokerImage {
  readonly brokerId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly incarnationId: IncarnationId
  readonly directoryId: DirectoryId
  readonly url: string
  /** A fenced broker leads nothing, is in no ISR, and serves no client. */
  readonly fenced: boolean
  /** It asked for leave to stop: it is elected nowhere and joins no ISR. Lasts until its next registration. */
  readonly shuttingDown: boolean
  /**
   * The last broker epoch in which it was unfenced; -1 for never. Under a later one it has counted for nothing, because
   * a fenced broker is in no ISR that has a leader.
   */
  readonly unfencedEpoch: BrokerEpoch
  /** The batch that last changed `fenced` or `shuttingDown`: who has applied it knows which leaderships moved. */
  readonly stateOffset: MetadataOffset
  /** What it shares with others that fail together (broker.rack); null: it names none. */
  readonly rack: string | null
  /** An operator wants no new replicas on it. Lasts over its registrations, until it is taken back. */
  readonly cordoned: boolean
}

/** A change of the replicas under way. While it lasts, the partition has those of both lists. */
export interface Reassignment {
  /** The replicas before it, in their order; cancelling goes back to them. */
  readonly original: readonly NodeId[]
  /** The replicas after it; the first one is the preferred leader then. */
  readonly target: readonly NodeId[]
}

export interface PartitionImage {
  readonly partition: PartitionIndex
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  /**
   * Eligible leader replicas (KIP-966): they left the ISR while it was, or fell, below min.insync.replicas. Since then nothing
   * was committed, so they still hold every committed record. Empty while the ISR is large enough. One of them is elected
   * when no member of the ISR is left.
   */
  readonly elr: readonly NodeId[]
  /** Who was in the ISR or the ELR since the ISR fell below min.insync.replicas, and lost its place. For the operator. */
  readonly lastKnownElr: readonly NodeId[]
  /**
   * Whether every record that counted was fsynced by the replica that counted it. Then a crash loses nothing that counted, and
   * a replica keeps its place over an unclean stop.
   */
  readonly synced: boolean
  /** Members of the ELR that cut off the end of their logs at an unclean start: they lead only when nobody else can. */
  readonly droppedTails: readonly DroppedTail[]
  /**
   * Which of the replicas are observers: they get every record, but later than it is acknowledged, are in no ISR or ELR, and do not
   * count as replicas for min.insync.replicas. The other replicas are voters; there is always one.
   */
  readonly observers: readonly NodeId[]
  /** null while the replicas are to stay as they are. */
  readonly reassignment: Reassignment | null
}

export interface TopicImage {
  readonly topicId: TopicId
  readonly name: TopicName
  /** What was set for this topic; absent names have their defaults (metadata/topic-configs.ts). */
  readonly configs: ReadonlyMap<string, string>
  /** By partition index, without gaps. */
  readonly partitions: readonly PartitionImage[]
}

export interface ClusterImage {
  /** The offset of the last metadata batch applied; 0 before the first. */
  readonly metadataOffset: MetadataOffset
  readonly clusterId: ClusterId | null
  readonly voters: readonly VoterImage[]
  readonly brokers: ReadonlyMap<NodeId, BrokerImage>
  readonly topics: ReadonlyMap<TopicId, TopicImage>
  readonly topicIds: ReadonlyMap<TopicName, TopicId>
  /**
   * Topics that were deleted, with the offset of the batch that did it, in that order; the oldest are dropped beyond
   * DELETED_TOPICS_MAX. A broker deletes data only because of a committed deletion, and one that comes back after a
   * snapshot has taken the place of the record finds it here.
   */
  readonly deletedTopics: ReadonlyMap<TopicId, MetadataOffset>
  /**
   * Settings of nodes that count without a restart (metadata/broker-settings.ts), by node; null: for all that have none of their own.
   * Nodes for which nothing is set are absent.
   */
  readonly brokerConfigs: ReadonlyMap<NodeId | null, ReadonlyMap<string, string>>
}

export const EMPTY_IMAGE: ClusterImage = {
  metadataOffset: 0,
  clusterId: null,
  voters: [],
  brokers: new Map(),
  topics: new Map(),
  topicIds: new Map(),
  deletedTopics: new Map(),
  brokerConfigs: new Map(),
}

/** Whether a broker may be elected and may join an ISR. */
export function isActive(broker: BrokerImage | undefined): boolean {
  return broker !== undefined && !broker.fenced && !broker.shuttingDown
}

/** Whether a broker is registered and not fenced. It may be about to stop. */
export function isServing(broker: BrokerImage | undefined): boolean {
  return broker?.fenced === false
}

/** Whether new replicas may be placed on a broker. */
export function mayTakeReplicas(broker: BrokerImage): boolean {
  return isActive(broker) && !broker.cordoned
}

/** The replicas that may join the ISR, in the order of the assignment. */
export function votersOf({
  replicas,
  observers,
}: Pick<PartitionImage, 'replicas' | 'observers'>): readonly NodeId[] {
  return observers.length === 0 ? replicas : replicas.filter((brokerId) => !observers.includes(brokerId))
}

/** Whether a replica may be elected without losing a committed record: a member of the ISR or the ELR. */
export function isEligible({ isr, elr }: PartitionImage, brokerId: NodeId): boolean {
  return isr.includes(brokerId) || elr.includes(brokerId)
}

/** The partition, or null when the topic or the partition does not exist. */
export function partitionOf(
  image: ClusterImage,
  { topicId, partition }: TopicPartition,
): PartitionImage | null {
  return image.topics.get(topicId)?.partitions[partition] ?? null
}
