import {
  leaderEpochOrNoneSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { integer, list, nullable, struct } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

export const deleteRecords = defineApi({
  key: 21,
  name: 'delete-records',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc:
    'Deletes the records below an offset in partitions this broker leads. It is answered when no in-sync replica holds ' +
    'them any more; after REQUEST_TIMED_OUT the leader has deleted them, and the others will.',
  request: struct({
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        currentLeaderEpoch: leaderEpochOrNoneSchema,
        /** The first offset to keep, at most the high watermark; null: all that is committed goes. */
        beforeOffset: nullable(offsetSchema),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    /** In the order of the request. */
    partitions: list(
      struct({
        error: errorOrNoneSchema,
        /** Where the log starts now; beyond the offset asked for when more was deleted already. */
        logStartOffset: offsetSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  errors: [
    'UNKNOWN_TOPIC_ID',
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'OFFSET_OUT_OF_RANGE',
    'OFFSET_NOT_AVAILABLE',
    'POLICY_VIOLATION',
    'REQUEST_TIMED_OUT',
    'STORAGE_ERROR',
    'BROKER_FENCED',
  ],
})
