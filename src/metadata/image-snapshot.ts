// An image as records, and back. Both ends keep the order of maps: what is decided by looking through them must not
// depend on whether a node has read the whole log or began with a snapshot (RAFT-33).
import { unreachable } from '../base/assert.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, NodeId, TopicId, TopicName } from '../model/ids.ts'
import type { BrokerImage, ClusterImage, PartitionImage, TopicImage } from './cluster-image.ts'
import type { SnapshotRecord } from './snapshot-records.ts'

/** The records of a snapshot, in order. The image must not be EMPTY_IMAGE. */
export function* recordsOfImage(image: ClusterImage): Generator<SnapshotRecord> {
  let recordsCount = 0
  for (const record of statesOf(image)) {
    recordsCount++
    yield record
  }
  yield { type: 'end', recordsCount }
}

function* statesOf(image: ClusterImage): Generator<SnapshotRecord> {
  const { metadataOffset, clusterId, voters } = image
  yield { type: 'snapshot', metadataOffset, clusterId, voters }
  for (const broker of image.brokers.values()) yield { type: 'broker', ...broker }
  for (const { topicId, name, configs, partitions } of image.topics.values()) {
    yield {
      type: 'topic',
      topicId,
      name,
      configs: [...configs].map(([key, value]) => ({ name: key, value })),
    }
    for (const partition of partitions) yield { type: 'partition', ...partition }
  }
  for (const [topicId, deletedAt] of image.deletedTopics) {
    yield { type: 'deleted-topic', topicId, metadataOffset: deletedAt }
  }
  for (const [brokerId, configs] of image.brokerConfigs) {
    yield {
      type: 'broker-configs',
      brokerId,
      configs: [...configs].map(([key, value]) => ({ name: key, value })),
    }
  }
}

/**
 * The image of these records.
 * @throws VltavaError CORRUPT_MESSAGE when they are not a whole snapshot
 */
export function imageOfRecords(records: Iterable<SnapshotRecord>): ClusterImage {
  const assembly = new ImageAssembly()
  for (const record of records) assembly.add(record)
  return assembly.finish()
}

class ImageAssembly {
  #header: Extract<SnapshotRecord, { readonly type: 'snapshot' }> | null = null
  readonly #brokers = new Map<NodeId, BrokerImage>()
  readonly #topics = new Map<TopicId, TopicImage>()
  readonly #topicIds = new Map<TopicName, TopicId>()
  readonly #deletedTopics = new Map<TopicId, MetadataOffset>()
  readonly #brokerConfigs = new Map<NodeId | null, ReadonlyMap<string, string>>()
  /** The partitions of the last topic. */
  #partitions: PartitionImage[] = []
  #recordsCount = 0
  #hasEnded = false

  add(record: SnapshotRecord): void {
    demand(!this.#hasEnded, 'has records behind its end')
    demand((this.#header === null) === (record.type === 'snapshot'), 'does not begin with one header')
    switch (record.type) {
      case 'snapshot':
        this.#header = record
        break
      case 'broker': {
        const { type: _, ...broker } = record
        this.#brokers.set(broker.brokerId, broker)
        break
      }
      case 'topic': {
        const { topicId, name } = record
        demand(!this.#topics.has(topicId) && !this.#topicIds.has(name), `has topic ${name} twice`)
        this.#partitions = []
        const configs = new Map(record.configs.map((config) => [config.name, config.value]))
        this.#topics.set(topicId, { topicId, name, configs, partitions: this.#partitions })
        this.#topicIds.set(name, topicId)
        break
      }
      case 'partition': {
        const { type: _, ...partition } = record
        demand(
          this.#topics.size > 0 && partition.partition === this.#partitions.length,
          `has partition ${partition.partition} in the wrong place`,
        )
        this.#partitions.push(partition)
        break
      }
      case 'deleted-topic':
        this.#deletedTopics.set(record.topicId, record.metadataOffset)
        break
      case 'broker-configs':
        this.#brokerConfigs.set(
          record.brokerId,
          new Map(record.configs.map((config) => [config.name, config.value])),
        )
        break
      case 'end':
        demand(record.recordsCount === this.#recordsCount, `lacks records: there are ${this.#recordsCount}`)
        this.#hasEnded = true
        break
      default:
        unreachable(record)
    }
    this.#recordsCount++
  }

  finish(): ClusterImage {
    const header = this.#header
    demand(header !== null && this.#hasEnded, 'has no end')
    const { metadataOffset, clusterId, voters } = header
    return {
      metadataOffset,
      clusterId,
      voters,
      brokers: this.#brokers,
      topics: this.#topics,
      topicIds: this.#topicIds,
      deletedTopics: this.#deletedTopics,
      brokerConfigs: this.#brokerConfigs,
    }
  }
}

function demand(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new VltavaError('CORRUPT_MESSAGE', `The metadata snapshot ${problem}.`)
}
