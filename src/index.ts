// The package for Node: the client, its errors and its types.
export type {
  Admin,
  ClusterDescription,
  CreatedTopic,
  PartitionDescription,
  PartitionOffsets,
  TopicDescription,
  TopicListing,
} from './client/admin.ts'
export type {
  CreateTopicOptions,
  ListOffsetsOptions,
  OffsetAt,
  TimeoutOptions,
} from './client/admin-options.ts'
export type { Client } from './client/client.ts'
export type { ClientSettings, CreateClientOptions } from './client/client-options.ts'
export type { BrokerView, PartitionView } from './client/cluster-view.ts'
export type { Consumer } from './client/consumer.ts'
export type { ConsumerBatch } from './client/consumer-batch.ts'
export type { ConsumerHealth, PartitionHealth } from './client/consumer-health.ts'
export type { ConsumerOptions, ConsumerProblem } from './client/consumer-options.ts'
export { createClient } from './client/node.ts'
export type { Producer } from './client/producer.ts'
export type { ProducerOptions } from './client/producer-options.ts'
export type { ConsumerRecord, OnSettled, ProducerHeader, ProducerRecord, Receipt } from './client/records.ts'
export type { StartPosition, StartPositions } from './client/start-position.ts'
export { ERRORS, type ErrorName, type ErrorRow } from './model/error-codes.ts'
export { VltavaError, type VltavaErrorOptions } from './model/errors.ts'
export type { ClusterId, LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId } from './model/ids.ts'
export type { RecordHeader } from './record/batch-builder.ts'
