// Fetch sessions (KIP-227): the reader tells each partition once and again only when something about it changed, the
// broker answers only about partitions with news. A session lives with its connection, which keeps the order and loses
// nothing, so both ends know what the other one knows.
import { partitionIndexSchema, topicIdSchema } from '../model/id-schemas.ts'
import { FETCH_SESSIONS_PER_CONNECTION_MAX, PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { integer, list, nullable, struct, withFallback } from '../schema/schema.ts'

const sessionIdSchema = integer(1, FETCH_SESSIONS_PER_CONNECTION_MAX)

const partitionsSchema = list(
  struct({ topicId: topicIdSchema, partition: partitionIndexSchema }),
  PARTITIONS_PER_REQUEST_MAX,
)

/** Fields of a fetch request, appended after those that a fetch without a session has. */
export const sessionRequestFields = {
  /** null: without a session, the answer is about the partitions of the request alone. */
  session: withFallback(
    nullable(
      struct({
        /** Chosen by the reader, one for each of its sessions on this connection. */
        id: sessionIdSchema,
        /** 0 begins the session anew, with the partitions of this request alone; each further request adds 1. */
        epoch: integer(0, Number.MAX_SAFE_INTEGER),
      }),
    ),
    null,
  ),
  /** Partitions of the session that are not wanted any more. */
  forgotten: withFallback(partitionsSchema, []),
} as const

/** Fields of its response. */
export const sessionResponseFields = {
  /** The session goes on. Where it is null, the broker keeps none, and this answer is as one without a session. */
  sessionId: withFallback(nullable(sessionIdSchema), null),
  /** With a session: which partitions `partitions` is about, in its order. All others have no news. */
  about: withFallback(partitionsSchema, []),
} as const

/**
 * Whether an answer about a partition ends what its reader said of it: the reader has moved on, or must, and says anew where
 * it stands. Both ends decide by this.
 */
export function endsStatement(answer: {
  readonly error: unknown
  readonly diverging: unknown
  readonly batchesBytes: number
}): boolean {
  return answer.error !== null || answer.diverging !== null || answer.batchesBytes > 0
}
