import { metadataOffsetSchema, nodeIdSchema } from '../model/id-schemas.ts'
import { boolean, integer, struct } from '../schema/schema.ts'
import { defineApi } from './api.ts'

const timeoutMs = integer(0, 300_000)

/** What the request asks for is committed here. */
const changed = struct({ metadataOffset: metadataOffsetSchema })

export const cordonBroker = defineApi({
  key: 84,
  name: 'cordon-broker',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc:
    'Keeps new replicas from a broker, or takes that back. What it hosts stays. A broker passes the request on to the active ' +
    'controller.',
  request: struct({
    brokerId: nodeIdSchema,
    /** false takes it back. */
    cordoned: boolean(),
    timeoutMs,
  }),
  response: changed,
  errors: ['BROKER_ID_NOT_REGISTERED', 'SERVER_BUSY', 'NOT_CONTROLLER', 'REQUEST_TIMED_OUT'],
})

export const unregisterBroker = defineApi({
  key: 64,
  name: 'unregister-broker',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc:
    'Forgets a broker that has stopped and hosts nothing. One that comes back registers as a new one; a process of it that runs, ' +
    'unheard, ends when it reaches the controller. A broker passes the request on to the active controller.',
  request: struct({ brokerId: nodeIdSchema, timeoutMs }),
  response: changed,
  errors: [
    'BROKER_ID_NOT_REGISTERED',
    'INVALID_REQUEST',
    'SERVER_BUSY',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})
