import {
  leaderEpochOrNoneSchema,
  leaderEpochSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { integer, list, nullable, struct, union } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

/** Where to look: the log start, the high watermark, or the first record at or after a time. */
export const offsetSpecSchema = union({
  earliest: struct({}),
  latest: struct({}),
  timestamp: struct({ timestampMs: integer(0, Number.MAX_SAFE_INTEGER) }),
})

export const listOffsets = defineApi({
  key: 2,
  name: 'list-offsets',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc: 'Finds offsets in partitions this broker leads, and tells the bounds of their logs.',
  request: struct({
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        currentLeaderEpoch: leaderEpochOrNoneSchema,
        spec: offsetSpecSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  response: struct({
    /** In the order of the request. */
    partitions: list(
      struct({
        error: errorOrNoneSchema,
        /** null: no committed record is at or after the time. */
        offset: nullable(offsetSchema),
        leaderEpoch: leaderEpochSchema,
        logStartOffset: offsetSchema,
        highWatermark: offsetSchema,
        logEndOffset: offsetSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  errors: [
    'UNKNOWN_TOPIC_ID',
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'OFFSET_NOT_AVAILABLE',
    'BROKER_FENCED',
  ],
})
