import {
  brokerEpochSchema,
  leaderEpochSchema,
  nodeIdSchema,
  partitionEpochSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { PARTITIONS_PER_REQUEST_MAX, REPLICAS_MAX } from '../model/limits.ts'
import { boolean, integer, list, nullable, struct, text, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { nodeListSchema } from './cluster-metadata.ts'
import { errorOrNoneSchema } from './error-schema.ts'

export const alterPartition = defineApi({
  key: 53,
  name: 'alter-partition',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'A leader proposes the in-sync set of partitions it leads. Only the committed answer counts.',
  request: struct({
    brokerEpoch: brokerEpochSchema,
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        leaderEpoch: leaderEpochSchema,
        partitionEpoch: partitionEpochSchema,
        /** The wanted ISR, each member with the broker epoch under which the leader saw it fetch. */
        isr: list(struct({ brokerId: nodeIdSchema, brokerEpoch: brokerEpochSchema }), REPLICAS_MAX),
        /** What the leader saw, for the cause in the metadata log. */
        reason: text(300),
        observedAtMs: integer(0, Number.MAX_SAFE_INTEGER),
        /** Whether every member has fsynced all that is committed, and whatever counts from now on is fsynced first. */
        synced: withFallback(boolean(), false),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  response: struct({
    partitions: list(
      struct({
        error: errorOrNoneSchema,
        /** The committed state; meaningless where error is set. */
        leader: nullable(nodeIdSchema),
        leaderEpoch: leaderEpochSchema,
        partitionEpoch: partitionEpochSchema,
        isr: nodeListSchema,
        /** Whether metadata has it that every record that counts is fsynced where it counts. */
        synced: withFallback(boolean(), true),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  errors: [
    'NOT_CONTROLLER',
    'STALE_BROKER_EPOCH',
    'UNKNOWN_TOPIC_ID',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'FENCED_LEADER_EPOCH',
    'INVALID_UPDATE_VERSION',
    'INVALID_REQUEST',
    'INELIGIBLE_REPLICA',
    'OPERATION_NOT_ATTEMPTED',
    'NEW_LEADER_ELECTED',
  ],
})
