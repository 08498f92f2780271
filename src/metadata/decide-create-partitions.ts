// A topic gets more partitions. It never gets fewer: the records of those that went would be lost.
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, NodeId } from '../model/ids.ts'
import { PARTITIONS_PER_TOPIC_MAX } from '../model/limits.ts'
import { checkTopicName } from '../model/topic-name.ts'
import { mayTakeReplicas, type TopicImage } from './cluster-image.ts'
import { checkBrokerLoad, checkedReplicationFactor, partitionCreated } from './decide-create-topic.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { type PlacementStart, placeReplicas, startAfter } from './placement.ts'
import { topicConfigOf } from './topic-configs.ts'
import { topicNamed } from './topic-named.ts'

export interface CreatePartitions {
  readonly topic: string
  /** How many partitions the topic is to have in all. */
  readonly partitions: number
}

export interface PartitionsCreated {
  readonly partitions: number
  readonly metadataOffset: MetadataOffset
}

/**
 * Adds what is missing to the number asked for; nothing where the topic has so many already. The new ones have as many replicas and
 * observers as the first partition, and go on where its placement would have gone on.
 * @throws VltavaError INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR
 */
export function decideCreatePartitions(
  context: DecisionContext & { readonly random: Random },
  request: CreatePartitions,
): Decision<PartitionsCreated> {
  const { image, random } = context
  const { partitions } = request
  const topic = topicNamed(image, checkTopicName(request.topic))
  const existing = topic.partitions.length
  checkCount(topic, partitions)
  if (partitions === existing) {
    return { records: [], response: { partitions, metadataOffset: image.metadataOffset } }
  }
  const brokers = [...image.brokers.values()].filter(mayTakeReplicas)
  const first = replicasOfFirst(topic)
  const observersCount = topic.partitions[0]!.observers.filter((brokerId) => first.includes(brokerId)).length
  const wanted = { replicationFactor: first.length - observersCount, observersCount }
  const replicationFactor = checkedReplicationFactor(image, wanted, brokers)
  const start: PlacementStart | null = startAfter(first, brokers)
  const placement = { brokers, partitions, replicationFactor: first.length, start }
  const placed = placeReplicas(placement, random).slice(existing)
  checkBrokerLoad(image, placed)
  const cause = causeOf(
    context,
    'operator',
    `an operator raised the partitions of ${topic.name} from ${existing} to ${partitions}`,
  )
  const synced = topicConfigOf(topic.configs).flushMessages === 1
  const { topicId } = topic
  const records = placed.map((replicas, i) =>
    partitionCreated({ topicId, partition: existing + i, cause, synced }, { replicas, replicationFactor }),
  )
  return { records, response: { partitions, metadataOffset: context.nextOffset } }
}

function checkCount({ name, partitions: { length: existing } }: TopicImage, wanted: number): void {
  if (wanted < existing) {
    throw new VltavaError(
      'INVALID_PARTITIONS',
      `Topic ${name} has ${existing} partitions and cannot have fewer: their records would be lost. ` +
        `Ask for ${existing} to ${PARTITIONS_PER_TOPIC_MAX}, got ${wanted}.`,
    )
  }
  if (wanted > PARTITIONS_PER_TOPIC_MAX) {
    throw new VltavaError(
      'INVALID_PARTITIONS',
      `A topic can have up to ${PARTITIONS_PER_TOPIC_MAX} partitions, got ${wanted}.`,
    )
  }
}

/** Where the replicas of the first partition are, or will be once their move ends. */
function replicasOfFirst({ partitions }: TopicImage): readonly NodeId[] {
  const { replicas, reassignment } = partitions[0]!
  return reassignment?.target ?? replicas
}
