import { metadataOffsetSchema, nodeIdSchema, partitionIndexSchema } from '../model/id-schemas.ts'
import { integer, oneOf, struct, text } from '../schema/schema.ts'
import { defineApi } from './api.ts'

export const changeReplicaRole = defineApi({
  key: 35,
  name: 'change-replica-role',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc:
    'Makes a replica of a partition a voter or an observer. A broker passes the request on to the active controller. Asking for ' +
    'the role it has changes nothing.',
  request: struct({
    /** The name of the topic. */
    topic: text(1_000),
    partition: partitionIndexSchema,
    /** Which replica. */
    brokerId: nodeIdSchema,
    /**
     * `voter`: it may join the ISR once it has caught up. `observer`: it leaves the ISR, and gets records later than they are
     * acknowledged.
     */
    role: oneOf(['voter', 'observer']),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    /** Committed here. */
    metadataOffset: metadataOffsetSchema,
  }),
  errors: [
    'UNKNOWN_TOPIC_OR_PARTITION',
    'INVALID_TOPIC',
    'INVALID_REQUEST',
    'POLICY_VIOLATION',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})
