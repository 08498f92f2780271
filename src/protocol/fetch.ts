import {
  leaderEpochOrNoneSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { FETCH_RESPONSE_MAX_BYTES, PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import {
  boolean,
  integer,
  list,
  nullable,
  struct,
  withFallback,
  withUnwrittenFallback,
} from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'
import { sessionRequestFields, sessionResponseFields } from './fetch-session.ts'

/** A client's read, from the leader or from another replica. It never sees records at or above the high watermark. */
export const fetch = defineApi({
  key: 1,
  name: 'fetch',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc: 'Reads committed record batches. Parks up to maxWaitMs until minBytes are there.',
  request: struct({
    maxWaitMs: integer(0, 300_000),
    minBytes: integer(0, FETCH_RESPONSE_MAX_BYTES),
    maxBytes: integer(1, FETCH_RESPONSE_MAX_BYTES),
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        /** -1 skips the check. */
        currentLeaderEpoch: leaderEpochOrNoneSchema,
        fetchOffset: offsetSchema,
        maxBytes: integer(1, FETCH_RESPONSE_MAX_BYTES),
        /** The leader epoch of the record before fetchOffset; -1 where the reader does not know it. */
        lastFetchedEpoch: withFallback(leaderEpochOrNoneSchema, -1),
        /** Whether a follower or an observer may answer, with what it knows to be committed. */
        fromReplica: withUnwrittenFallback(boolean(), false),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
    ...sessionRequestFields,
  }),
  response: struct({
    /** In the order of the request; with a session, in the order of `about`. */
    partitions: list(
      struct({
        error: errorOrNoneSchema,
        highWatermark: offsetSchema,
        logStartOffset: offsetSchema,
        /** Bytes of this partition's batches in the payload. The first batch may begin below fetchOffset. */
        batchesBytes: integer(0, FETCH_RESPONSE_MAX_BYTES),
        /**
         * The log does not hold what the reader has read: it lost its end. The largest epoch of this log that is not above
         * lastFetchedEpoch, and its end; no records come.
         */
        diverging: withFallback(
          nullable(struct({ epoch: leaderEpochOrNoneSchema, endOffset: offsetSchema })),
          null,
        ),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
    ...sessionResponseFields,
  }),
  payload: { response: 'the record batches of the partitions, one after the other' },
  errors: [
    'UNKNOWN_TOPIC_ID',
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'OFFSET_OUT_OF_RANGE',
    'OFFSET_NOT_AVAILABLE',
    'CORRUPT_MESSAGE',
    'STORAGE_ERROR',
    'BROKER_FENCED',
    'INVALID_REQUEST',
    'FETCH_SESSION_ID_NOT_FOUND',
    'INVALID_FETCH_SESSION_EPOCH',
  ],
})
