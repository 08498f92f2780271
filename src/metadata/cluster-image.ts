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

export interface VoterImage {
  readonly nodeId: NodeId
  readonly directoryId: DirectoryId
}

export interface BrokerImage {
  readonly brokerId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly incarnationId: IncarnationId
  readonly directoryId: DirectoryId
  readonly url: string
  /** A fenced broker may not lead, may be in an ISR only as its last member, and serves no client. */
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
}

export interface PartitionImage {
  readonly partition: PartitionIndex
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
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
}

export const EMPTY_IMAGE: ClusterImage = {
  metadataOffset: 0,
  clusterId: null,
  voters: [],
  brokers: new Map(),
  topics: new Map(),
  topicIds: new Map(),
}

/** Whether a broker may be elected and may join an ISR. */
export function isActive(broker: BrokerImage | undefined): boolean {
  return broker !== undefined && !broker.fenced && !broker.shuttingDown
}

/** The partition, or null when the topic or the partition does not exist. */
export function partitionOf(
  image: ClusterImage,
  { topicId, partition }: TopicPartition,
): PartitionImage | null {
  return image.topics.get(topicId)?.partitions[partition] ?? null
}
