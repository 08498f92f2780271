// The records of a metadata snapshot: each is a piece of the image as it stands, not a change. The shapes are those of
// the image, and the compiler compares them: a field that is new in the image has to be appended here, with a fallback.
import {
  brokerEpochSchema,
  clusterIdSchema,
  directoryIdSchema,
  incarnationIdSchema,
  leaderEpochSchema,
  metadataOffsetSchema,
  nodeIdSchema,
  partitionEpochSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import type { BrokerEpoch } from '../model/ids.ts'
import { REPLICAS_MAX, TOPIC_NAME_MAX_CHARACTERS, VOTERS_MAX } from '../model/limits.ts'
import { rackSchema } from '../model/rack.ts'
import {
  boolean,
  type Infer,
  integer,
  list,
  nullable,
  type Schema,
  struct,
  text,
  union,
  withFallback,
  withUnwrittenFallback,
} from '../schema/schema.ts'
import type { BrokerImage, PartitionImage, VoterImage } from './cluster-image.ts'
import { droppedTailsSchema } from './metadata-records.ts'

type FieldsOf<T> = { readonly [Field in keyof T]-?: Schema<T[Field]> }

const replicas = list(nodeIdSchema, REPLICAS_MAX)

const voterFields: FieldsOf<VoterImage> = {
  nodeId: nodeIdSchema,
  directoryId: directoryIdSchema,
  url: withFallback(nullable(text(500)), null),
}

const brokerFields: FieldsOf<BrokerImage> = {
  brokerId: nodeIdSchema,
  brokerEpoch: brokerEpochSchema,
  incarnationId: incarnationIdSchema,
  directoryId: directoryIdSchema,
  url: text(500),
  fenced: boolean(),
  shuttingDown: boolean(),
  /** -1 for never. */
  unfencedEpoch: integer<BrokerEpoch>(-1, Number.MAX_SAFE_INTEGER),
  stateOffset: metadataOffsetSchema,
  rack: rackSchema,
  cordoned: withUnwrittenFallback(boolean(), false),
}

const partitionFields: FieldsOf<PartitionImage> = {
  partition: partitionIndexSchema,
  replicas,
  isr: replicas,
  leader: nullable(nodeIdSchema),
  leaderEpoch: leaderEpochSchema,
  partitionEpoch: partitionEpochSchema,
  elr: withFallback(replicas, []),
  lastKnownElr: withFallback(replicas, []),
  synced: withFallback(boolean(), true),
  droppedTails: withFallback(droppedTailsSchema, []),
  observers: withFallback(replicas, []),
  reassignment: withFallback(nullable(struct({ original: replicas, target: replicas })), null),
}

export const snapshotRecordSchema = union({
  /** The first record: what was applied, and what there is once. */
  snapshot: struct({
    metadataOffset: metadataOffsetSchema,
    clusterId: nullable(clusterIdSchema),
    voters: list(struct(voterFields), VOTERS_MAX),
  }),
  broker: struct(brokerFields),
  /** Its partitions follow it, in order. */
  topic: struct({
    topicId: topicIdSchema,
    name: text(TOPIC_NAME_MAX_CHARACTERS),
    configs: list(struct({ name: text(200), value: text(1_000) }), 100),
  }),
  partition: struct(partitionFields),
  'deleted-topic': struct({ topicId: topicIdSchema, metadataOffset: metadataOffsetSchema }),
  /** The last record, without which a snapshot is not whole. */
  end: struct({
    /** Those before this one. */
    recordsCount: integer(1, Number.MAX_SAFE_INTEGER),
  }),
  /** What is set for a node, or with null for all nodes, to count without a restart. */
  'broker-configs': struct({
    brokerId: nullable(nodeIdSchema),
    configs: list(struct({ name: text(200), value: text(1_000) }), 100),
  }),
})

export type SnapshotRecord = Infer<typeof snapshotRecordSchema>
