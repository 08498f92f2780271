// What operators ask of the controller quorum. A broker passes these on to the active controller.
import { directoryIdSchema, metadataOffsetSchema, nodeIdSchema } from '../model/id-schemas.ts'
import { QUORUM_MEMBERS_MAX, VOTERS_MAX } from '../model/limits.ts'
import { boolean, integer, list, nullable, struct, text } from '../schema/schema.ts'
import { defineApi } from './api.ts'

const term = integer(0, Number.MAX_SAFE_INTEGER)
const url = nullable(text(500))
const timeoutMs = integer(0, 300_000)

export const describeQuorum = defineApi({
  key: 80,
  name: 'describe-quorum',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Tells who votes in the controller quorum, who follows it without a vote, and how far each of them is.',
  request: struct({ timeoutMs }),
  response: struct({
    /** The active controller; a majority confirmed that after the request came in. */
    leaderId: nodeIdSchema,
    /** The Raft term that it leads. */
    term,
    /** The last metadata offset that is committed. */
    committedOffset: metadataOffsetSchema,
    /** Voters and followers without a vote, the voters first. */
    members: list(
      struct({
        nodeId: nodeIdSchema,
        directoryId: directoryIdSchema,
        /** Where it says that it is reached; null where only the configured address is known. */
        url,
        /** Whether it votes, with this directory. */
        isVoter: boolean(),
        /** The last metadata offset that its disk is known to hold. */
        endOffset: metadataOffsetSchema,
        /** Milliseconds since it last answered; 0 for the leader, null for a voter whose disk was never heard. */
        silentMs: nullable(integer(0, Number.MAX_SAFE_INTEGER)),
        /** Whether it follows closely: such a node can be made a voter. */
        isCaughtUp: boolean(),
      }),
      QUORUM_MEMBERS_MAX,
    ),
  }),
  errors: ['NOT_CONTROLLER', 'REQUEST_TIMED_OUT', 'SERVER_BUSY'],
})

const change = {
  nodeId: nodeIdSchema,
  /** The disk that gets the vote or loses it. null: the one that the node has now, to add; the one that votes, to remove. */
  directoryId: nullable(directoryIdSchema),
  timeoutMs,
} as const

const changed = struct({
  metadataOffset: metadataOffsetSchema,
  /** Who votes now. */
  voters: list(struct({ nodeId: nodeIdSchema, directoryId: directoryIdSchema, url }), VOTERS_MAX),
})

export const addVoter = defineApi({
  key: 81,
  name: 'add-voter',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Makes a node that follows the controller quorum a voter. One change of the voters at a time.',
  request: struct(change),
  response: changed,
  errors: [
    'DUPLICATE_VOTER',
    'VOTER_NOT_READY',
    'INVALID_REQUEST',
    'SERVER_BUSY',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})

export const removeVoter = defineApi({
  key: 82,
  name: 'remove-voter',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Takes the vote of a member of the controller quorum. It goes on to follow for as long as it runs.',
  request: struct(change),
  response: changed,
  errors: [
    'VOTER_NOT_FOUND',
    'QUORUM_AT_RISK',
    'INVALID_REQUEST',
    'SERVER_BUSY',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})

export const transferController = defineApi({
  key: 83,
  name: 'transfer-controller',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc: 'Makes another voter the active controller. Where that fails, the present one goes on.',
  request: struct({
    /** Who is to be active. */
    nodeId: nodeIdSchema,
    timeoutMs,
  }),
  response: struct({
    /** Who is active now. */
    controllerId: nodeIdSchema,
    term,
  }),
  errors: [
    'VOTER_NOT_FOUND',
    'VOTER_NOT_READY',
    'ELECTION_NOT_NEEDED',
    'SERVER_BUSY',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})
