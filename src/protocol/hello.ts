import { clusterIdSchema, incarnationIdSchema, nodeIdSchema } from '../model/id-schemas.ts'
import { boolean, bytes, integer, list, nullable, struct, text } from '../schema/schema.ts'
import { defineApi } from './api.ts'

export const NONCE_BYTES = 32
export const PROOF_BYTES = 32

/** What a node says of itself when it wants to speak as a peer. */
export const peerClaimSchema = struct({
  nodeId: nodeIdSchema,
  incarnationId: incarnationIdSchema,
  /** The node it believes to have dialled; the proof covers it, so that an answer cannot be relayed to another node. */
  expectedNodeId: nodeIdSchema,
  nonce: bytes(NONCE_BYTES, NONCE_BYTES),
})

/** The first request of every connection. Anything else before it closes the connection. */
export const hello = defineApi({
  key: 18,
  name: 'hello',
  version: 0,
  caller: 'anyone',
  servedBy: 'node',
  oneWay: false,
  doc: 'Opens a connection: versions, cluster and node ids and, for a node that wants to speak as a peer, its claim.',
  request: struct({
    /** Software and version of the caller, for logs. */
    software: text(100),
    /** null: the caller does not know its cluster (a client, or a node before its cluster was formed). */
    clusterId: nullable(clusterIdSchema),
    peer: nullable(peerClaimSchema),
  }),
  response: struct({
    software: text(100),
    clusterId: nullable(clusterIdSchema),
    nodeId: nodeIdSchema,
    incarnationId: incarnationIdSchema,
    isBroker: boolean(),
    isController: boolean(),
    /** The server's own nonce and its proof; null unless the caller made a claim. */
    proof: nullable(struct({ nonce: bytes(NONCE_BYTES, NONCE_BYTES), mac: bytes(PROOF_BYTES, PROOF_BYTES) })),
    apiVersions: list(struct({ key: integer(0, 1_000), version: integer(0, 1_000) }), 200),
  }),
  errors: ['INCONSISTENT_CLUSTER_ID', 'AUTHENTICATION_FAILED', 'INVALID_REQUEST'],
})

/** The second step of a peer's connection: its own proof. After it the connection's identity is fixed. */
export const authenticate = defineApi({
  key: 36,
  name: 'authenticate',
  version: 0,
  caller: 'client',
  servedBy: 'node',
  oneWay: false,
  doc: 'Proves the cluster secret: HMAC-SHA256 over both nonces, the cluster id, both node ids and incarnations.',
  request: struct({ mac: bytes(PROOF_BYTES, PROOF_BYTES) }),
  response: struct({}),
  errors: ['AUTHENTICATION_FAILED', 'INVALID_REQUEST'],
})
