// The ids, offsets and epochs every layer shares. A flavoured type accepts a plain number or string (so arithmetic
// stays readable) but not another flavour: an offset passed as a leader epoch does not compile. Values from outside
// are checked by the schemas in model/id-schemas.ts; inside, they are trusted.

declare const flavour: unique symbol
type Flavoured<T, Name extends string> = T & { readonly [flavour]?: Name }

/** A logical record number, from 0. End offsets are exclusive. Safe integer. */
export type Offset = Flavoured<number, 'Offset'>
/** Counts leaderships of one partition, from 0. */
export type LeaderEpoch = Flavoured<number, 'LeaderEpoch'>
/** Counts committed changes of one partition's leader and ISR state, from 0. */
export type PartitionEpoch = Flavoured<number, 'PartitionEpoch'>
/** The metadata offset of a broker's registration: grows with each, in the whole cluster. */
export type BrokerEpoch = Flavoured<number, 'BrokerEpoch'>
/** A node: broker, controller or both. 0 to 2^31-1. */
export type NodeId = Flavoured<number, 'NodeId'>
/** 0 to 2^31-1. */
export type PartitionIndex = Flavoured<number, 'PartitionIndex'>
/** The index of an entry in the metadata log, from 1. */
export type MetadataOffset = Flavoured<number, 'MetadataOffset'>
/** 128 random bits as 22 characters of base64url. Never re-used, also when a topic of the same name is made again. */
export type TopicId = Flavoured<string, 'TopicId'>
export type TopicName = Flavoured<string, 'TopicName'>
/** 128 random bits as 22 characters of base64url. */
export type ClusterId = Flavoured<string, 'ClusterId'>
/** Identifies one data directory; made when the directory is. */
export type DirectoryId = Flavoured<string, 'DirectoryId'>
/** Identifies one run of one process. */
export type IncarnationId = Flavoured<string, 'IncarnationId'>

/** One partition of one topic. */
export interface TopicPartition {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
}

/** A text key for maps; unique because topic ids have no '/' in them. */
export type PartitionKey = Flavoured<string, 'PartitionKey'>

export function partitionKey(topicId: TopicId, partition: PartitionIndex): PartitionKey {
  return `${topicId}/${partition}`
}

/** What a key that `partitionKey` made stands for. */
export function partitionOfKey(key: PartitionKey): TopicPartition {
  const [topicId, partition] = key.split('/') as [string, string]
  return { topicId, partition: Number(partition) }
}
