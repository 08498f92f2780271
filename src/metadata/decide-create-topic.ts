// Creating a topic. What is drawn at random, its id and the placement, is drawn here and stands in the records, so
// that every node that applies them gets the same topic (RAFT-33).
import { toBase64Url } from '../base/bytes.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, NodeId, TopicId } from '../model/ids.ts'
import { PARTITIONS_PER_TOPIC_MAX, REPLICAS_MAX, REPLICAS_PER_BROKER_MAX } from '../model/limits.ts'
import { checkTopicName } from '../model/topic-name.ts'
import { type BrokerImage, type ClusterImage, mayTakeReplicas } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import type { MetadataRecord, MetadataRecordOf } from './metadata-records.ts'
import { partitionsOf } from './partition-change.ts'
import { type PlacementBroker, placeReplicas } from './placement.ts'
import { checkTopicConfigs, topicConfigOf } from './topic-configs.ts'

const TOPIC_ID_BYTES = 16
const REPLICATION_FACTOR_DEFAULT = 3

export interface CreateTopic {
  readonly name: string
  readonly partitions: number
  /** Without the observers; null: min(3, brokers that may take replicas, and are not needed for observers). */
  readonly replicationFactor: number | null
  readonly configs: readonly { readonly name: string; readonly value: string }[]
  /** Asynchronous replicas of each partition beside those of the replication factor. Default 0. */
  readonly observers?: number
}

export interface TopicCreated {
  readonly topicId: TopicId
  readonly partitions: number
  readonly replicationFactor: number
  readonly metadataOffset: MetadataOffset
}

/**
 * @throws VltavaError INVALID_TOPIC, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
 * INVALID_CONFIG
 */
export function decideCreateTopic(
  context: DecisionContext & { readonly random: Random },
  request: CreateTopic,
): Decision<TopicCreated> {
  const { image, random } = context
  const name = checkTopicName(request.name)
  if (image.topicIds.has(name)) {
    throw new VltavaError('TOPIC_ALREADY_EXISTS', `A topic ${JSON.stringify(name)} exists already.`)
  }
  const { partitions } = request
  if (partitions < 1 || partitions > PARTITIONS_PER_TOPIC_MAX) {
    throw new VltavaError(
      'INVALID_PARTITIONS',
      `A topic must have 1 to ${PARTITIONS_PER_TOPIC_MAX} partitions, got ${partitions}.`,
    )
  }
  const brokers = [...image.brokers.values()].filter(mayTakeReplicas)
  const observersCount = request.observers ?? 0
  const replicationFactor = checkedReplicationFactor(image, { ...request, observersCount }, brokers)
  const configs = checkTopicConfigs(request.configs)
  const placed = placeReplicas(
    { brokers, partitions, replicationFactor: replicationFactor + observersCount },
    random,
  )
  checkBrokerLoad(image, placed)
  const topicId = newTopicId(image, random)
  const cause = causeOf(context, 'topic-created', `topic ${name} was created`)
  const synced = topicConfigOf(configs).flushMessages === 1
  const records: MetadataRecord[] = [
    {
      type: 'topic-created',
      topicId,
      name,
      configs: [...configs].map(([setting, value]) => ({ name: setting, value })),
    },
  ]
  for (const [partition, replicas] of placed.entries()) {
    records.push(partitionCreated({ topicId, partition, cause, synced }, { replicas, replicationFactor }))
  }
  return {
    records,
    response: { topicId, partitions, replicationFactor, metadataOffset: context.nextOffset },
  }
}

/** A new partition: the replicas behind those of the replication factor are its observers. */
export function partitionCreated(
  of: Pick<MetadataRecordOf<'partition-created'>, 'topicId' | 'partition' | 'cause' | 'synced'>,
  {
    replicas,
    replicationFactor,
  }: { readonly replicas: readonly NodeId[]; readonly replicationFactor: number },
): MetadataRecord {
  return {
    type: 'partition-created',
    ...of,
    replicas,
    isr: replicas.slice(0, replicationFactor),
    leader: replicas[0]!,
    observers: replicas.slice(replicationFactor),
  }
}

/** @throws VltavaError INVALID_REPLICATION_FACTOR */
export function checkedReplicationFactor(
  image: ClusterImage,
  request: { readonly replicationFactor: number | null; readonly observersCount: number },
  brokers: readonly PlacementBroker[],
): number {
  const { observersCount } = request
  if (observersCount < 0 || observersCount > REPLICAS_MAX) {
    throw new VltavaError(
      'INVALID_REPLICATION_FACTOR',
      `There can be 0 to ${REPLICAS_MAX} observers, got ${observersCount}.`,
    )
  }
  const replicationFactor =
    request.replicationFactor ??
    Math.max(1, Math.min(REPLICATION_FACTOR_DEFAULT, brokers.length - observersCount))
  if (replicationFactor < 1 || replicationFactor > REPLICAS_MAX) {
    throw new VltavaError(
      'INVALID_REPLICATION_FACTOR',
      `The replication factor must be 1 to ${REPLICAS_MAX}, got ${replicationFactor}.`,
    )
  }
  const needed = replicationFactor + observersCount
  if (needed > Math.min(brokers.length, REPLICAS_MAX)) {
    const known = [...image.brokers.values()]
      .toSorted((a, b) => a.brokerId - b.brokerId)
      .map((broker) => `${broker.brokerId} (${stateOf(broker)})`)
    throw new VltavaError(
      'INVALID_REPLICATION_FACTOR',
      `Replication factor ${replicationFactor}${observersCount === 0 ? '' : ` and ${observersCount} observers`} ` +
        `needs ${needed} live brokers that are not cordoned, but there are ${brokers.length}. ` +
        `Known brokers: ${known.join(', ') || 'none'}.`,
    )
  }
  return replicationFactor
}

function stateOf({ fenced, shuttingDown, cordoned }: BrokerImage): string {
  const state = fenced ? 'fenced' : shuttingDown ? 'stopping' : 'alive'
  return cordoned ? `${state}, cordoned` : state
}

/** @throws VltavaError INVALID_PARTITIONS when a broker would host too many replicas with those that are placed. */
export function checkBrokerLoad(image: ClusterImage, placed: readonly (readonly NodeId[])[]): void {
  const replicasOf = new Map<NodeId, number>()
  const count = (replicas: readonly NodeId[]): void => {
    for (const brokerId of replicas) replicasOf.set(brokerId, (replicasOf.get(brokerId) ?? 0) + 1)
  }
  for (const replicas of placed) count(replicas)
  for (const { partition } of partitionsOf(image)) count(partition.replicas)
  for (const [brokerId, replicas] of replicasOf) {
    if (replicas <= REPLICAS_PER_BROKER_MAX) continue
    throw new VltavaError(
      'INVALID_PARTITIONS',
      `Broker ${brokerId} would host ${replicas} replicas, at most ${REPLICAS_PER_BROKER_MAX} are allowed. ` +
        'Ask for fewer partitions, delete topics or add brokers.',
    )
  }
}

function newTopicId(image: ClusterImage, random: Random): TopicId {
  const id = new Uint8Array(TOPIC_ID_BYTES)
  for (;;) {
    random.fill(id)
    const topicId = toBase64Url(id)
    // One that starts with '-' would read as an option where a command or a directory listing shows it.
    if (!topicId.startsWith('-') && !image.topics.has(topicId)) return topicId
  }
}
