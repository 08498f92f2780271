import { offsetSchema, partitionIndexSchema, topicIdSchema } from '../model/id-schemas.ts'
import { FETCH_RESPONSE_MAX_BYTES } from '../model/limits.ts'
import { integer, struct, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

/** Served by every replica, whoever leads: of one offset and leader epoch there is only one batch. */
export const replicaRead = defineApi({
  key: 70,
  name: 'replica-read',
  version: 0,
  caller: 'peer',
  servedBy: 'broker',
  oneWay: false,
  doc: 'Reads record batches that a replica with a damaged log needs for its repair. Says nothing about who holds what.',
  request: struct({
    topicId: topicIdSchema,
    partition: partitionIndexSchema,
    /** The first batch that comes contains it. */
    offset: offsetSchema,
    /** Exclusive: batches that reach beyond do not come, but for the first. */
    endOffset: offsetSchema,
    /** One batch comes even when it is larger. */
    maxBytes: integer(1, FETCH_RESPONSE_MAX_BYTES),
  }),
  response: struct({
    error: errorOrNoneSchema,
    batchesBytes: integer(0, FETCH_RESPONSE_MAX_BYTES),
    /** Exclusive: below it compaction may have taken records away. */
    compactedBelow: withFallback(offsetSchema, 0),
  }),
  payload: { response: 'the record batches' },
  errors: [
    'UNKNOWN_TOPIC_ID',
    'NOT_LEADER_OR_FOLLOWER',
    'OFFSET_OUT_OF_RANGE',
    'CORRUPT_MESSAGE',
    'STORAGE_ERROR',
  ],
})
