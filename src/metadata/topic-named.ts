import { VltavaError } from '../model/errors.ts'
import type { PartitionIndex } from '../model/ids.ts'
import type { ClusterImage, TopicImage } from './cluster-image.ts'

/** @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION */
export function topicNamed(image: ClusterImage, name: string): TopicImage {
  const topic = image.topics.get(image.topicIds.get(name) ?? '')
  if (topic !== undefined) return topic
  throw new VltavaError('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${JSON.stringify(name)}.`)
}

/** That a topic has no partition with an index, in words. */
export function noSuchPartition(topic: TopicImage, index: PartitionIndex): string {
  return `Topic ${topic.name} has ${topic.partitions.length} partitions, none with index ${index}.`
}
