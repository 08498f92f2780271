import type { ClusterImage, TopicImage } from '../metadata/cluster-image.ts'
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { clusterMetadata } from '../protocol/cluster-metadata.ts'
import { wireError } from '../protocol/error-schema.ts'

type Request = RequestOf<typeof clusterMetadata>
type Response = ResponseOf<typeof clusterMetadata>
type TopicMetadata = Response['topics'][number]

function topicMetadataOf(topic: TopicImage): TopicMetadata {
  return {
    error: null,
    name: topic.name,
    topicId: topic.topicId,
    configs: [...topic.configs].map(([name, value]) => ({ name, value })),
    partitions: topic.partitions.map((partition) => ({
      partition: partition.partition,
      leader: partition.leader,
      leaderEpoch: partition.leaderEpoch,
      partitionEpoch: partition.partitionEpoch,
      replicas: partition.replicas,
      isr: partition.isr,
      elr: partition.elr,
      lastKnownElr: partition.lastKnownElr,
      cutOff: partition.droppedTails.map(({ brokerId }) => brokerId),
      observers: partition.observers,
    })),
  }
}

function unknownTopic(name: string): TopicMetadata {
  const error = wireError('UNKNOWN_TOPIC_OR_PARTITION', `The topic ${JSON.stringify(name)} does not exist.`)
  return { error, name, topicId: null, configs: [], partitions: [] }
}

/** Answers cluster-metadata from the image this broker has applied. */
export function describeCluster(
  image: ClusterImage,
  request: Request,
  controllerId: NodeId | null,
): Response {
  if (image.clusterId === null)
    throw new VltavaError('BROKER_FENCED', 'The broker has no cluster metadata yet.')
  const topics =
    request.topics === null
      ? [...image.topics.values()].map(topicMetadataOf)
      : request.topics.map((name) => {
          const topic = image.topics.get(image.topicIds.get(name) ?? '')
          return topic === undefined ? unknownTopic(name) : topicMetadataOf(topic)
        })
  return {
    clusterId: image.clusterId,
    metadataOffset: image.metadataOffset,
    controllerId,
    brokers: [...image.brokers.values()].map(({ brokerId, url, fenced, rack, cordoned }) => ({
      brokerId,
      url,
      fenced,
      isController: image.voters.some(({ nodeId }) => nodeId === brokerId),
      rack,
      cordoned,
    })),
    topics,
  }
}
