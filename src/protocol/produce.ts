import {
  leaderEpochOrNoneSchema,
  leaderEpochSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { BATCH_ABSOLUTE_MAX_BYTES, PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { integer, list, struct } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

/** acks: 0 no response at all, 1 written by the leader, -1 (all) covered by the high watermark. */
export const produce = defineApi({
  key: 0,
  name: 'produce',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc: 'Appends record batches to partitions this broker leads. The batches of each partition follow in the payload.',
  request: struct({
    acks: integer<-1 | 0 | 1>(-1, 1),
    /** How long the broker may wait for the in-sync replicas (acks -1), in milliseconds. */
    timeoutMs: integer(0, 3_600_000),
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        /**
         * The epoch in which the client believes the broker leads; -1 skips the check. A broker that has not heard of it yet waits
         * for metadata, at most for half a second, before it refuses.
         */
        currentLeaderEpoch: leaderEpochOrNoneSchema,
        /** Bytes of this partition's batches in the payload. */
        batchesBytes: integer(0, 2 * BATCH_ABSOLUTE_MAX_BYTES),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  response: struct({
    /** In the order of the request. */
    partitions: list(
      struct({
        error: errorOrNoneSchema,
        /** The offset of the first record; 0 where error is set. */
        baseOffset: offsetSchema,
        /** The leader epoch stamped on the batches. */
        leaderEpoch: leaderEpochSchema,
        logStartOffset: offsetSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  payload: { request: 'the record batches of the partitions, one after the other' },
  errors: [
    'UNKNOWN_TOPIC_ID',
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'CORRUPT_MESSAGE',
    'INVALID_RECORD',
    'MESSAGE_TOO_LARGE',
    'NOT_ENOUGH_REPLICAS',
    'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
    'REQUEST_TIMED_OUT',
    'STORAGE_ERROR',
    'SERVER_BUSY',
    'BROKER_FENCED',
  ],
})
