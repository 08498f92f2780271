// How a connection begins, on the side that dials (net/handshake.ts is the other one).
import type { Clock } from '../base/clock.ts'
import type { Mac } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import type { ClusterId, IncarnationId, NodeId } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import { authenticate, hello } from '../protocol/hello.ts'
import { checkClusterId } from './cluster-id-check.ts'
import { Connection } from './connection.ts'
import { checkClusterSecret, freshNonce, type ProofTranscript, proofOf } from './peer-proof.ts'
import type { Router } from './router.ts'
import type { Transport } from './transport.ts'

type PeerClaim = NonNullable<RequestOf<typeof hello>['peer']>

/** What the acceptor said of itself. */
export type HelloResponse = ResponseOf<typeof hello>

/** What a node needs to speak as a peer. */
export interface PeerCredentials {
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  /** The node that must be at the other end. */
  readonly expectedNodeId: NodeId
  /** At least CLUSTER_SECRET_MIN_BYTES. */
  readonly secret: Uint8Array
  readonly mac: Mac
  /** Draws the nonce; cryptographically strong outside of tests. */
  readonly random: Random
}

export interface OpenOptions {
  readonly transport: Transport
  /** ws://host:port or wss://host:port. */
  readonly url: string
  /** Answers what the other end pushes. */
  readonly router: Router
  readonly clock: Clock
  readonly log: Log
  readonly software: string
  /** null: not known. */
  readonly clusterId: ClusterId | null
  /** null: as a client. */
  readonly asPeer: PeerCredentials | null
  /** Milliseconds until the connection is ready, hello and proofs included. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

export interface OpenedConnection {
  readonly connection: Connection
  readonly server: HelloResponse
}

/**
 * Dials, says hello and, as a peer, proves the secret to the other end and has it proved.
 * @throws VltavaError CONNECTION_FAILED (nothing there, no answer in time, no Vltava node); INCONSISTENT_CLUSTER_ID;
 *   INVALID_REQUEST (another node than expected); AUTHENTICATION_FAILED (either side lacks the secret);
 *   INVALID_ARGUMENT (the URL, a short secret).
 */
export async function openConnection(options: OpenOptions): Promise<OpenedConnection> {
  const { transport, url, router, clock, log, asPeer, timeoutMs, signal } = options
  if (asPeer !== null) checkClusterSecret(asPeer.secret)
  const deadlineMs = clock.monotonicMs() + timeoutMs
  const channel = await transport.connect(url, {
    timeoutMs,
    isPeer: asPeer !== null,
    ...(signal === undefined ? {} : { signal }),
  })
  const connection = new Connection({ channel, router, clock, log, side: 'dialed' })
  const onAbort = (): void => connection.abort('NORMAL', 'the caller gave up')
  signal?.addEventListener('abort', onAbort)
  try {
    if (signal?.aborted === true) onAbort()
    const server = await greet({ options, connection, deadlineMs })
    return { connection, server }
  } catch (error) {
    connection.close('REFUSED', 'the handshake failed')
    throw handshakeError(error, options)
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

async function greet(greeting: {
  readonly options: OpenOptions
  readonly connection: Connection
  readonly deadlineMs: number
}): Promise<HelloResponse> {
  const { options, connection, deadlineMs } = greeting
  const { clock, software, clusterId, asPeer, url } = options
  const remainingMs = (): number => Math.max(0, deadlineMs - clock.monotonicMs())
  const claim = asPeer === null ? null : claimOf(asPeer)
  const request = { software, clusterId, peer: claim }
  const { body: server } = await connection.request(hello, request, { timeoutMs: remainingMs() })
  checkClusterId({ own: clusterId, other: server.clusterId, address: url })
  connection.learnVersions(new Map(server.apiVersions.map(({ key, version }) => [key, version])))
  if (asPeer === null || claim === null) return server
  const transcript = verifiedTranscript({ options, asPeer, claim, server })
  // Known before the other end can know this one: its first notes may follow its answer in the same read.
  const { nodeId, incarnationId } = transcript.acceptor
  connection.proveIdentity({ nodeId, incarnationId })
  const { mac, secret } = asPeer
  const proof = { mac: proofOf({ mac, secret, prover: 'dialer', transcript }) }
  await connection.request(authenticate, proof, { timeoutMs: remainingMs() })
  return server
}

function claimOf(asPeer: PeerCredentials): PeerClaim {
  const { nodeId, incarnationId, expectedNodeId, random } = asPeer
  return { nodeId, incarnationId, expectedNodeId, nonce: freshNonce(random) }
}

function verifiedTranscript(input: {
  readonly options: OpenOptions
  readonly asPeer: PeerCredentials
  readonly claim: PeerClaim
  readonly server: HelloResponse
}): ProofTranscript {
  const { options, asPeer, claim, server } = input
  const { mac, secret } = asPeer
  const { nodeId, incarnationId, clusterId, proof } = server
  if (nodeId !== claim.expectedNodeId) {
    const detail = `Expected node ${claim.expectedNodeId} at ${options.url}, but node ${nodeId} answered.`
    throw new VltavaError('INVALID_REQUEST', detail)
  }
  const transcript = {
    dialer: {
      nodeId: claim.nodeId,
      incarnationId: claim.incarnationId,
      clusterId: options.clusterId,
      nonce: claim.nonce,
    },
    acceptor: { nodeId, incarnationId, clusterId, nonce: proof?.nonce ?? new Uint8Array(0) },
  }
  if (proof === null || !mac.equal(proof.mac, proofOf({ mac, secret, prover: 'acceptor', transcript }))) {
    const detail = `Node ${nodeId} at ${options.url} does not have the cluster secret of node ${claim.nodeId}.`
    throw new VltavaError('AUTHENTICATION_FAILED', detail)
  }
  return transcript
}

/** Nothing but the handshake was asked, so whatever stopped it half way is a connection that was not made. */
function handshakeError(error: unknown, options: OpenOptions): unknown {
  if (!(error instanceof VltavaError)) return error
  const { url, timeoutMs } = options
  switch (error.code) {
    case 'REQUEST_TIMED_OUT':
      return new VltavaError(
        'CONNECTION_FAILED',
        `${url} accepted the connection but did not answer the hello within ${timeoutMs} ms.`,
        { cause: error },
      )
    case 'CONNECTION_LOST':
    case 'PROTOCOL_VIOLATION':
      return new VltavaError('CONNECTION_FAILED', `No connection to ${url}: ${error.message}`, {
        cause: error,
      })
    default:
      return error
  }
}
