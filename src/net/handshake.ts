// How a connection begins, on the side that accepts (net/open-connection.ts is the other one). The dialer says hello; a
// node that wants to speak as a peer adds a claim (who it is, whom it believes to have dialled, a nonce). The acceptor
// answers with its own nonce and proof, the dialer checks it and sends its own proof. Only then is the identity of each
// fixed at the other end (net/peer-proof.ts has what is proved).
import { setTimerAfterIo } from '../base/async/timer-after-io.ts'
import type { Clock } from '../base/clock.ts'
import type { Mac } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import type { ClusterId, IncarnationId, NodeId } from '../model/ids.ts'
import { HELLO_TIMEOUT_MS } from '../model/limits.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import { APIS } from '../protocol/api-table.ts'
import { authenticate, hello } from '../protocol/hello.ts'
import { checkClusterId } from './cluster-id-check.ts'
import { Connection } from './connection.ts'
import { checkClusterSecret, freshNonce, type ProofTranscript, proofOf } from './peer-proof.ts'
import type { Call, Router } from './router.ts'
import type { Channel } from './transport.ts'

type HelloResponse = ResponseOf<typeof hello>

type PeerClaim = NonNullable<RequestOf<typeof hello>['peer']>

export interface AcceptorOptions {
  readonly router: Router
  readonly clock: Clock
  readonly log: Log
  /** Draws the nonces; cryptographically strong outside of tests. */
  readonly random: Random
  readonly mac: Mac
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  readonly isBroker: boolean
  readonly isController: boolean
  /** Software and version, for the logs of the other end; at most 100 characters. */
  readonly software: string
  /** The cluster this node belongs to by now; null before it was formed. */
  readonly clusterId: () => ClusterId | null
  /**
   * The cluster secret, at least CLUSTER_SECRET_MIN_BYTES. Without one every claim to be a peer is refused; there is no
   * way to let peers in unproved. A node that is alone draws a secret of its own at each start.
   */
  readonly secret: Uint8Array | null
}

/** Accepts channels as connections that must say hello. */
export type Acceptor = (channel: Channel) => Connection

/**
 * Registers the handlers of hello and authenticate.
 * @returns what makes a connection of each accepted channel; it closes those that are silent for HELLO_TIMEOUT_MS.
 * @throws VltavaError INVALID_ARGUMENT for a secret that is too short.
 */
export function registerHandshake(options: AcceptorOptions): Acceptor {
  const { router, clock, log, secret } = options
  if (secret !== null) checkClusterSecret(secret)
  /** Claims that were answered and wait for the dialer's proof. */
  const claims = new WeakMap<Connection, ProofTranscript>()
  router.handle(hello, (call) => ({ body: answerHello({ options, claims, call }) }), {
    closeAfterError: 'REFUSED',
  })
  router.handle(authenticate, (call) => ({ body: checkProof({ options, claims, call }) }), {
    closeAfterError: 'REFUSED',
  })
  return (channel) => {
    const connection = new Connection({ channel, router, clock, log, side: 'accepted' })
    const timer = setTimerAfterIo(clock, HELLO_TIMEOUT_MS, () => {
      if (connection.session === 'new' || claims.has(connection)) connection.close('HELLO_TIMEOUT')
    })
    connection.onClose(() => timer.cancel())
    return connection
  }
}

interface Acceptance<A extends typeof hello | typeof authenticate> {
  readonly options: AcceptorOptions
  readonly claims: WeakMap<Connection, ProofTranscript>
  readonly call: Call<A>
}

function answerHello(acceptance: Acceptance<typeof hello>): HelloResponse {
  const { options, claims, call } = acceptance
  const { connection, body: request } = call
  if (connection.session !== 'new') {
    throw new VltavaError('INVALID_REQUEST', 'A connection says hello once.')
  }
  const clusterId = options.clusterId()
  checkClusterId({ own: clusterId, other: request.clusterId, address: connection.remoteAddress })
  const proof = request.peer === null ? null : answerClaim({ acceptance, claim: request.peer, clusterId })
  connection.admit()
  if (proof !== null) claims.set(connection, proof.transcript)
  return {
    software: options.software,
    clusterId,
    nodeId: options.nodeId,
    incarnationId: options.incarnationId,
    isBroker: options.isBroker,
    isController: options.isController,
    proof: proof === null ? null : { nonce: proof.transcript.acceptor.nonce, mac: proof.mac },
    apiVersions: APIS.map(({ key, version }) => ({ key, version })),
  }
}

function answerClaim(input: {
  readonly acceptance: Acceptance<typeof hello>
  readonly claim: PeerClaim
  readonly clusterId: ClusterId | null
}): { readonly transcript: ProofTranscript; readonly mac: Uint8Array } {
  const { claim, clusterId } = input
  const { options, call } = input.acceptance
  const { nodeId, incarnationId, mac, secret } = options
  if (claim.expectedNodeId !== nodeId) {
    const detail = `The caller expected node ${claim.expectedNodeId} at this address, but this is node ${nodeId}.`
    throw new VltavaError('INVALID_REQUEST', detail)
  }
  if (claim.nodeId === nodeId && claim.incarnationId !== incarnationId) {
    const detail = `The caller says it is node ${nodeId}, and so does this node. Each node needs an id of its own.`
    throw new VltavaError('INVALID_REQUEST', detail)
  }
  if (secret === null) {
    const detail = `Node ${nodeId} has no cluster secret, so it takes no peers. Start it with --cluster-secret-file.`
    throw new VltavaError('AUTHENTICATION_FAILED', detail)
  }
  const transcript = {
    dialer: {
      nodeId: claim.nodeId,
      incarnationId: claim.incarnationId,
      clusterId: call.body.clusterId,
      // A copy: the claim outlives the message it is a view on.
      nonce: new Uint8Array(claim.nonce),
    },
    acceptor: { nodeId, incarnationId, clusterId, nonce: freshNonce(options.random) },
  }
  return { transcript, mac: proofOf({ mac, secret, prover: 'acceptor', transcript }) }
}

function checkProof(acceptance: Acceptance<typeof authenticate>): ResponseOf<typeof authenticate> {
  const { options, claims, call } = acceptance
  const { connection, body } = call
  const transcript = claims.get(connection)
  // One try for each claim.
  claims.delete(connection)
  if (transcript === undefined || options.secret === null) {
    throw new VltavaError(
      'INVALID_REQUEST',
      'A proof without a claim: only a hello that claims a node id has one.',
    )
  }
  const { mac, secret } = options
  if (!mac.equal(body.mac, proofOf({ mac, secret, prover: 'dialer', transcript }))) {
    const { remoteAddress } = connection
    options.log.warn('peer-proof-wrong', { remoteAddress, claimedNodeId: transcript.dialer.nodeId })
    const detail = `Node ${transcript.dialer.nodeId} does not have the cluster secret of node ${options.nodeId}.`
    throw new VltavaError('AUTHENTICATION_FAILED', detail)
  }
  const { nodeId, incarnationId } = transcript.dialer
  connection.proveIdentity({ nodeId, incarnationId })
  return {}
}
