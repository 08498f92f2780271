import { metadataOffsetSchema, topicIdSchema } from '../model/id-schemas.ts'
import { PARTITIONS_PER_TOPIC_MAX, REPLICAS_MAX } from '../model/limits.ts'
import { integer, list, nullable, struct, text, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'

/** Text from a user, longer than any legal name so that the error can say what was wrong with it. */
const nameFromUser = text(1_000)

export const createTopic = defineApi({
  key: 19,
  name: 'create-topic',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Creates a topic. A broker passes the request on to the active controller.',
  request: struct({
    name: nameFromUser,
    partitions: integer(-2_147_483_648, 2_147_483_647),
    /** Without observers. null: min(3, brokers that are not needed for observers). */
    replicationFactor: nullable(integer(-2_147_483_648, 2_147_483_647)),
    configs: list(struct({ name: text(200), value: text(1_000) }), 100),
    timeoutMs: integer(0, 300_000),
    /** Asynchronous replicas of each partition, beside those of the replication factor. */
    observers: withFallback(integer(-2_147_483_648, 2_147_483_647), 0),
  }),
  response: struct({
    topicId: topicIdSchema,
    partitions: integer(1, PARTITIONS_PER_TOPIC_MAX),
    replicationFactor: integer(1, REPLICAS_MAX),
    /** Committed here; a broker that has applied it knows the topic. */
    metadataOffset: metadataOffsetSchema,
  }),
  errors: [
    'INVALID_TOPIC',
    'TOPIC_ALREADY_EXISTS',
    'INVALID_PARTITIONS',
    'INVALID_REPLICATION_FACTOR',
    'INVALID_CONFIG',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})

export const createPartitions = defineApi({
  key: 47,
  name: 'create-partitions',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Gives a topic more partitions. A broker passes the request on to the active controller.',
  request: struct({
    /** The name of the topic. */
    topic: nameFromUser,
    /** How many there are to be in all; where there are so many already, nothing changes. */
    partitions: integer(-2_147_483_648, 2_147_483_647),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    partitions: integer(1, PARTITIONS_PER_TOPIC_MAX),
    /** Committed here; a broker that has applied it knows the partitions. */
    metadataOffset: metadataOffsetSchema,
  }),
  errors: [
    'INVALID_TOPIC',
    'UNKNOWN_TOPIC_OR_PARTITION',
    'INVALID_PARTITIONS',
    'INVALID_REPLICATION_FACTOR',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})

export const deleteTopic = defineApi({
  key: 20,
  name: 'delete-topic',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Deletes a topic and, on every replica, its data. A broker passes the request on to the active controller.',
  request: struct({ name: nameFromUser, timeoutMs: integer(0, 300_000) }),
  response: struct({ topicId: topicIdSchema, metadataOffset: metadataOffsetSchema }),
  errors: ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC', 'NOT_CONTROLLER', 'REQUEST_TIMED_OUT'],
})
