import {
  brokerEpochSchema,
  leaderEpochOrNoneSchema,
  leaderEpochSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { FETCH_RESPONSE_MAX_BYTES, PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { boolean, integer, list, nullable, struct, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'
import { sessionRequestFields, sessionResponseFields } from './fetch-session.ts'

const partitionOf = { topicId: topicIdSchema, partition: partitionIndexSchema } as const

/** A follower's read. Who reads is known from the connection, never from the message (SEC-30). */
export const replicaFetch = defineApi({
  key: 50,
  name: 'replica-fetch',
  version: 0,
  caller: 'peer',
  servedBy: 'broker',
  oneWay: false,
  doc: 'Reads record batches up to the log end as a follower; its offsets tell the leader what the follower holds.',
  request: struct({
    brokerEpoch: brokerEpochSchema,
    maxWaitMs: integer(0, 60_000),
    maxBytes: integer(1, FETCH_RESPONSE_MAX_BYTES),
    partitions: list(
      struct({
        ...partitionOf,
        currentLeaderEpoch: leaderEpochSchema,
        /** The follower's log end offset. */
        fetchOffset: offsetSchema,
        /** What an fdatasync of the follower covers, exclusive. */
        flushedOffset: offsetSchema,
        /** The leader epoch of the follower's last record; -1 while its log is empty. */
        lastFetchedEpoch: leaderEpochOrNoneSchema,
        maxBytes: integer(1, FETCH_RESPONSE_MAX_BYTES),
        /** The follower's log start offset; null where it does not say. Below the leader's, the fetch does not park. */
        logStartOffset: withFallback(nullable(offsetSchema), null),
        /** A part of the follower's log is damaged: it must not join the ISR before that is repaired. */
        damaged: withFallback(boolean(), false),
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
        /** The logs differ: truncate to the end of this epoch. Both numbers are needed (REP-05); no records come. */
        diverging: nullable(struct({ epoch: leaderEpochOrNoneSchema, endOffset: offsetSchema })),
        highWatermark: offsetSchema,
        logStartOffset: offsetSchema,
        batchesBytes: integer(0, FETCH_RESPONSE_MAX_BYTES),
        /** Exclusive: below it compaction may have taken records away. The follower notes it durably before it appends. */
        compactedBelow: withFallback(offsetSchema, 0),
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
    'STALE_BROKER_EPOCH',
    'OFFSET_OUT_OF_RANGE',
    'CORRUPT_MESSAGE',
    'STORAGE_ERROR',
    'INVALID_REQUEST',
    'FETCH_SESSION_ID_NOT_FOUND',
    'INVALID_FETCH_SESSION_EPOCH',
  ],
})

const noResponse = struct({})

/** A follower whose fetch is parked reports an fsync. */
export const flushedNote = defineApi({
  key: 51,
  name: 'flushed-note',
  version: 0,
  caller: 'peer',
  servedBy: 'broker',
  oneWay: true,
  doc: 'Tells the leader that an fdatasync of this follower now covers its log up to the offset.',
  request: struct({
    brokerEpoch: brokerEpochSchema,
    partitions: list(
      struct({ ...partitionOf, leaderEpoch: leaderEpochSchema, flushedOffset: offsetSchema }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  response: noResponse,
  errors: [],
})

/** A leader tells a follower whose fetch is parked, on the connection of that fetch. */
export const highWatermarkNote = defineApi({
  key: 52,
  name: 'high-watermark-note',
  version: 0,
  caller: 'peer',
  servedBy: 'broker',
  oneWay: true,
  doc: 'Tells followers of a new high watermark at once, so that idle followers do not lag a fetch behind.',
  request: struct({
    partitions: list(
      struct({ ...partitionOf, leaderEpoch: leaderEpochSchema, highWatermark: offsetSchema }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  response: noResponse,
  errors: [],
})
