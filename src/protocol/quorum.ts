import { clusterIdSchema, directoryIdSchema, nodeIdSchema } from '../model/id-schemas.ts'
import { VOTERS_MAX } from '../model/limits.ts'
import { integer, list, nullable, struct, text, wire, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'

/** What fixes a cluster for ever: its id and its first voters, each bound to a data directory (RAFT-23). */
export const formationSchema = struct({
  clusterId: clusterIdSchema,
  voters: list(struct({ nodeId: nodeIdSchema, directoryId: directoryIdSchema }), VOTERS_MAX),
})

/** Asked by a node whose directory is empty. An empty directory never votes. */
export const quorumProbe = defineApi({
  key: 57,
  name: 'quorum-probe',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'Tells whether a controller belongs to a cluster already; a cluster forms only when all listed voters are empty.',
  request: struct({
    directoryId: directoryIdSchema,
    /** The voters the asking node was told of; nodes with different lists must not form a cluster. */
    voters: list(nodeIdSchema, VOTERS_MAX),
  }),
  response: struct({
    directoryId: directoryIdSchema,
    voters: list(nodeIdSchema, VOTERS_MAX),
    formation: nullable(formationSchema),
  }),
  errors: [],
})

/** A message of the consensus; its own schema is raft/messages.ts, which knows nothing of the wire. */
export const raftMessage = defineApi({
  key: 60,
  name: 'raft-message',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: true,
  doc: 'Carries one Raft message. The sender must be the node that the connection proved.',
  request: struct({
    message: wire(),
    /** Of the sender: a vote or an acknowledgement counts for a node with this disk only. */
    directoryId: withFallback(nullable(directoryIdSchema), null),
    /** Where the sender says that it is reached, in messages of nodes that the receiver may not know; else null. */
    url: withFallback(nullable(text(500)), null),
  }),
  response: struct({}),
  errors: [],
})

/** Answers with the controller this node believes to be active. */
export const findController = defineApi({
  key: 58,
  name: 'find-controller',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'Tells which node leads the controller quorum, as far as this one knows.',
  request: struct({}),
  response: struct({ controllerId: nullable(nodeIdSchema), term: integer(0, Number.MAX_SAFE_INTEGER) }),
  errors: [],
})
