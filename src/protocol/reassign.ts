import { metadataOffsetSchema, nodeIdSchema, partitionIndexSchema } from '../model/id-schemas.ts'
import { PARTITIONS_PER_REQUEST_MAX, REPLICAS_MAX, TOPIC_NAME_MAX_CHARACTERS } from '../model/limits.ts'
import { integer, list, nullable, struct, text } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { nodeListSchema } from './cluster-metadata.ts'
import { errorOrNoneSchema } from './error-schema.ts'

export const alterPartitionReassignments = defineApi({
  key: 45,
  name: 'alter-partition-reassignments',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc:
    'Starts to move the replicas of partitions, or cancels that. Each partition is decided by itself. A broker passes the request ' +
    'on to the active controller.',
  request: struct({
    partitions: list(
      struct({
        /** The name of the topic. */
        topic: text(1_000),
        partition: partitionIndexSchema,
        /** The wanted replicas, the preferred leader first; null goes back to those of before. */
        replicas: nullable(list(nodeIdSchema, REPLICAS_MAX)),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    metadataOffset: metadataOffsetSchema,
    /** In the order of the request. */
    partitions: list(
      struct({
        /** The name of the topic. */
        topic: text(1_000),
        partition: partitionIndexSchema,
        /** Why nothing was changed. */
        error: errorOrNoneSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  errors: [
    'UNKNOWN_TOPIC_OR_PARTITION',
    'INVALID_REPLICA_ASSIGNMENT',
    'REASSIGNMENT_IN_PROGRESS',
    'NO_REASSIGNMENT_IN_PROGRESS',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})

export const listPartitionReassignments = defineApi({
  key: 46,
  name: 'list-partition-reassignments',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'The partitions whose replicas are being moved. A broker passes the request on to the active controller.',
  request: struct({ timeoutMs: integer(0, 300_000) }),
  response: struct({
    metadataOffset: metadataOffsetSchema,
    /** How many there are; the list may be cut off. */
    total: integer(0, Number.MAX_SAFE_INTEGER),
    partitions: list(
      struct({
        /** The name of the topic. */
        topic: text(TOPIC_NAME_MAX_CHARACTERS),
        partition: partitionIndexSchema,
        leader: nullable(nodeIdSchema),
        isr: nodeListSchema,
        /** The replicas before the change, to which cancelling goes back. */
        original: nodeListSchema,
        /** The replicas after it. It is complete when all of them but the observers are in the ISR. */
        target: nodeListSchema,
        /** Which of the replicas are observers. */
        observers: nodeListSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  errors: ['NOT_CONTROLLER', 'REQUEST_TIMED_OUT'],
})
