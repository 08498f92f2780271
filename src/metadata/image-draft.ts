// An image under change. Everything that is not touched is shared with the image it started from; a map or list is
// copied when it is first changed, so that a batch of 10,000 partition changes copies each list once.
import { assert } from '../base/assert.ts'
import type { MetadataOffset, NodeId, TopicId, TopicName, TopicPartition } from '../model/ids.ts'
import { DELETED_TOPICS_MAX } from '../model/limits.ts'
import type { BrokerImage, ClusterImage, PartitionImage, TopicImage } from './cluster-image.ts'

type Mutable<T> = { -readonly [Field in keyof T]: T[Field] }

export class ImageDraft {
  readonly #base: ClusterImage
  readonly #header: Pick<Mutable<ClusterImage>, 'clusterId' | 'voters'>
  #brokers: Map<NodeId, BrokerImage> | null = null
  #topics: Map<TopicId, TopicImage> | null = null
  #topicIds: Map<TopicName, TopicId> | null = null
  #deletedTopics: Map<TopicId, MetadataOffset> | null = null
  #brokerConfigs: Map<NodeId | null, ReadonlyMap<string, string>> | null = null
  /** The partition lists that are copies of this draft already. */
  readonly #ownPartitions = new Map<TopicId, PartitionImage[]>()
  readonly #touched = new Map<TopicId, Set<number>>()

  constructor(base: ClusterImage) {
    this.#base = base
    this.#header = { clusterId: base.clusterId, voters: base.voters }
  }

  get voters(): ClusterImage['voters'] {
    return this.#header.voters
  }

  get clusterId(): ClusterImage['clusterId'] {
    return this.#header.clusterId
  }

  form(header: Pick<ClusterImage, 'clusterId' | 'voters'>): void {
    this.#header.clusterId = header.clusterId
    this.#header.voters = header.voters
  }

  setVoters(voters: ClusterImage['voters']): void {
    this.#header.voters = voters
  }

  broker(brokerId: NodeId): BrokerImage | undefined {
    return (this.#brokers ?? this.#base.brokers).get(brokerId)
  }

  setBroker(broker: BrokerImage): void {
    this.#brokers ??= new Map(this.#base.brokers)
    this.#brokers.set(broker.brokerId, broker)
  }

  removeBroker(brokerId: NodeId): void {
    this.#brokers ??= new Map(this.#base.brokers)
    this.#brokers.delete(brokerId)
  }

  topic(topicId: TopicId): TopicImage | undefined {
    return (this.#topics ?? this.#base.topics).get(topicId)
  }

  topicIdOf(name: TopicName): TopicId | undefined {
    return (this.#topicIds ?? this.#base.topicIds).get(name)
  }

  addTopic(topic: Omit<TopicImage, 'partitions'>): void {
    const partitions: PartitionImage[] = []
    this.#ownPartitions.set(topic.topicId, partitions)
    this.#touched.set(topic.topicId, new Set())
    this.#writableTopics().set(topic.topicId, { ...topic, partitions })
    this.#writableTopicIds().set(topic.name, topic.topicId)
  }

  /** Replaces what is set for a topic. All its partitions count as touched: the settings say which states are sound. */
  setConfigs(topicId: TopicId, configs: TopicImage['configs']): void {
    const topic = this.topic(topicId)
    assert(topic !== undefined, `settings of unknown topic ${topicId}`)
    const partitions = this.#partitionsToChange(topic)
    this.#writableTopics().set(topicId, { ...topic, configs, partitions })
    for (const { partition } of partitions) this.#touched.get(topicId)!.add(partition)
  }

  /** Replaces what is set for a node, or with null for all nodes. */
  setBrokerConfigs(brokerId: NodeId | null, configs: ReadonlyMap<string, string>): void {
    this.#brokerConfigs ??= new Map(this.#base.brokerConfigs)
    if (configs.size === 0) this.#brokerConfigs.delete(brokerId)
    else this.#brokerConfigs.set(brokerId, configs)
  }

  removeTopic(topic: TopicImage, metadataOffset: MetadataOffset): void {
    this.#deletedTopics ??= new Map(this.#base.deletedTopics)
    this.#deletedTopics.set(topic.topicId, metadataOffset)
    if (this.#deletedTopics.size > DELETED_TOPICS_MAX) {
      const [oldest] = this.#deletedTopics.keys()
      this.#deletedTopics.delete(oldest!)
    }
    this.#ownPartitions.delete(topic.topicId)
    this.#touched.delete(topic.topicId)
    this.#writableTopics().delete(topic.topicId)
    this.#writableTopicIds().delete(topic.name)
  }

  partition({ topicId, partition }: TopicPartition): PartitionImage | undefined {
    return this.topic(topicId)?.partitions[partition]
  }

  /** Replaces a partition or appends the next one. */
  setPartition(topicId: TopicId, partition: PartitionImage): void {
    const topic = this.topic(topicId)
    assert(topic !== undefined, `partition of unknown topic ${topicId}`)
    const partitions = this.#partitionsToChange(topic)
    assert(partition.partition <= partitions.length, `partition ${partition.partition} leaves a gap`)
    partitions[partition.partition] = partition
    this.#touched.get(topicId)!.add(partition.partition)
  }

  /** All topics, as they are now. */
  topics(): Iterable<TopicImage> {
    return (this.#topics ?? this.#base.topics).values()
  }

  /** The topics that this draft added or changed, with the partitions it set in each. */
  *touched(): Iterable<{ readonly topic: TopicImage; readonly partitions: readonly PartitionImage[] }> {
    for (const [topicId, indexes] of this.#touched) {
      const topic = this.topic(topicId)!
      yield { topic, partitions: [...indexes].map((index) => topic.partitions[index]!) }
    }
  }

  /** The image after the changes. The draft must not be used any more. */
  finish(metadataOffset: MetadataOffset): ClusterImage {
    return {
      metadataOffset,
      clusterId: this.#header.clusterId,
      voters: this.#header.voters,
      brokers: this.#brokers ?? this.#base.brokers,
      topics: this.#topics ?? this.#base.topics,
      topicIds: this.#topicIds ?? this.#base.topicIds,
      deletedTopics: this.#deletedTopics ?? this.#base.deletedTopics,
      brokerConfigs: this.#brokerConfigs ?? this.#base.brokerConfigs,
    }
  }

  #partitionsToChange(topic: TopicImage): PartitionImage[] {
    const { topicId } = topic
    let partitions = this.#ownPartitions.get(topicId)
    if (partitions === undefined) {
      partitions = [...topic.partitions]
      this.#ownPartitions.set(topicId, partitions)
      this.#touched.set(topicId, new Set())
      this.#writableTopics().set(topicId, { ...topic, partitions })
    }
    return partitions
  }

  #writableTopics(): Map<TopicId, TopicImage> {
    this.#topics ??= new Map(this.#base.topics)
    return this.#topics
  }

  #writableTopicIds(): Map<TopicName, TopicId> {
    this.#topicIds ??= new Map(this.#base.topicIds)
    return this.#topicIds
  }
}
