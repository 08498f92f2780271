import {
  clusterIdSchema,
  leaderEpochSchema,
  metadataOffsetSchema,
  nodeIdSchema,
  partitionEpochSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import {
  NODES_MAX,
  PARTITIONS_PER_TOPIC_MAX,
  REPLICAS_MAX,
  TOPIC_NAME_MAX_CHARACTERS,
  TOPICS_PER_REQUEST_MAX,
} from '../model/limits.ts'
import { rackSchema } from '../model/rack.ts'
import {
  boolean,
  list,
  nullable,
  struct,
  text,
  withFallback,
  withUnwrittenFallback,
} from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

export const nodeListSchema = list(nodeIdSchema, REPLICAS_MAX)

export const partitionMetadataSchema = struct({
  partition: partitionIndexSchema,
  /** null while no eligible replica is alive. */
  leader: nullable(nodeIdSchema),
  leaderEpoch: leaderEpochSchema,
  partitionEpoch: partitionEpochSchema,
  replicas: nodeListSchema,
  isr: nodeListSchema,
  /** Outside of the ISR and known to hold every committed record; elected when no member of the ISR is alive. */
  elr: withFallback(nodeListSchema, []),
  /** Who was in the ISR or the ELR since the ISR became too small, and may lack records since. */
  lastKnownElr: withFallback(nodeListSchema, []),
  /** Members of the ELR whose logs were cut off at an unclean start: they lead only when all members were. */
  cutOff: withFallback(nodeListSchema, []),
  /** Which of the replicas are observers: they get records asynchronously and are in no ISR. */
  observers: withFallback(nodeListSchema, []),
})

export const topicMetadataSchema = struct({
  error: errorOrNoneSchema,
  name: text(TOPIC_NAME_MAX_CHARACTERS),
  /** null where error is set. */
  topicId: nullable(topicIdSchema),
  configs: list(struct({ name: text(200), value: text(1_000) }), 100),
  partitions: list(partitionMetadataSchema, PARTITIONS_PER_TOPIC_MAX),
})

export const clusterMetadata = defineApi({
  key: 3,
  name: 'cluster-metadata',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc: 'The brokers, the controller and the topics as this broker knows them.',
  request: struct({
    /** null: all topics. An empty list: none, only the cluster. */
    topics: nullable(list(text(TOPIC_NAME_MAX_CHARACTERS), TOPICS_PER_REQUEST_MAX)),
  }),
  response: struct({
    clusterId: clusterIdSchema,
    /** The metadata offset this answer shows; answers of a lower one are older. */
    metadataOffset: metadataOffsetSchema,
    controllerId: nullable(nodeIdSchema),
    brokers: list(
      struct({
        brokerId: nodeIdSchema,
        url: text(500),
        fenced: boolean(),
        isController: boolean(),
        /** Its broker.rack; null: none. */
        rack: rackSchema,
        /** Whether an operator keeps new replicas from it. */
        cordoned: withUnwrittenFallback(boolean(), false),
      }),
      NODES_MAX,
    ),
    topics: list(topicMetadataSchema, 100_000),
  }),
  errors: ['BROKER_FENCED'],
})

/** Pushed to every client connection, so that clients fail over without waiting for an error. */
export const metadataChanged = defineApi({
  key: 4,
  name: 'metadata-changed',
  version: 0,
  caller: 'client',
  servedBy: 'client',
  oneWay: true,
  doc: 'A hint from a broker: these partitions changed. A client ignores a partition whose leader epoch is not above the one it knows.',
  request: struct({
    metadataOffset: metadataOffsetSchema,
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        leader: nullable(nodeIdSchema),
        leaderEpoch: leaderEpochSchema,
      }),
      PARTITIONS_PER_TOPIC_MAX,
    ),
  }),
  response: struct({}),
  errors: [],
})
