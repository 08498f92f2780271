import {
  leaderEpochSchema,
  metadataOffsetSchema,
  nodeIdSchema,
  partitionIndexSchema,
} from '../model/id-schemas.ts'
import { PARTITIONS_PER_TOPIC_MAX } from '../model/limits.ts'
import { boolean, integer, list, nullable, oneOf, struct, text } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

export const electLeaders = defineApi({
  key: 43,
  name: 'elect-leaders',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Chooses the leader of partitions of a topic. A broker passes the request on to the active controller.',
  request: struct({
    topic: text(1_000),
    /** null: all partitions of the topic. */
    partitions: nullable(list(partitionIndexSchema, PARTITIONS_PER_TOPIC_MAX)),
    /**
     * `preferred`: the first replica of each. `replica`: the named one. Both must be in the ISR. `unclean`: for a partition without
     * a leader, a replica that may lack acknowledged records, which then are lost.
     */
    election: oneOf(['preferred', 'replica', 'unclean']),
    /** Whom to elect. null with `preferred`, and with `unclean` to take the first replica that is alive. */
    replica: nullable(nodeIdSchema),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    metadataOffset: metadataOffsetSchema,
    partitions: list(
      struct({
        partition: partitionIndexSchema,
        /** Why nothing was changed; none when the wanted replica leads. */
        error: errorOrNoneSchema,
        leader: nullable(nodeIdSchema),
        leaderEpoch: leaderEpochSchema,
        /** Whether the leader may lack acknowledged records. */
        unclean: boolean(),
      }),
      PARTITIONS_PER_TOPIC_MAX,
    ),
  }),
  errors: [
    'UNKNOWN_TOPIC_OR_PARTITION',
    'INVALID_TOPIC',
    'INVALID_REQUEST',
    'PREFERRED_LEADER_NOT_AVAILABLE',
    'ELIGIBLE_LEADERS_NOT_AVAILABLE',
    'ELECTION_NOT_NEEDED',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})
