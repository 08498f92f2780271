// The proof of the cluster secret. Both nodes send an HMAC-SHA256 under the secret over everything that makes this
// connection this one: who dialled, who accepted, which run of each, what each knows of its cluster, and a fresh nonce
// of each. So a proof that was recorded is worth nothing later (the nonces differ), one that was made for another node
// or another run is worth nothing here, and a label per direction keeps a proof from being sent back to its maker. The
// secret itself never travels. Whoever sits between the two and passes everything on unchanged is not noticed, and
// can then change what follows: only TLS prevents that.
import { assert } from '../base/assert.ts'
import { concatBytes, viewOf } from '../base/bytes.ts'
import type { Mac } from '../base/cpu.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import type { ClusterId, IncarnationId, NodeId } from '../model/ids.ts'
import { CLUSTER_SECRET_MIN_BYTES } from '../model/limits.ts'
import { NONCE_BYTES } from '../protocol/hello.ts'

/** What one side of a connection contributes to both proofs. */
export interface ProofParty {
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  /** As it said in its hello; null before its cluster was formed. */
  readonly clusterId: ClusterId | null
  readonly nonce: Uint8Array
}

export interface ProofTranscript {
  readonly dialer: ProofParty
  readonly acceptor: ProofParty
}

export type Prover = keyof ProofTranscript

const LABELS: Readonly<Record<Prover, string>> = {
  dialer: 'vltava.v1 proof of the dialer',
  acceptor: 'vltava.v1 proof of the acceptor',
}

/** The proof of one of the two sides. */
export function proofOf(options: {
  readonly mac: Mac
  readonly secret: Uint8Array
  readonly prover: Prover
  readonly transcript: ProofTranscript
}): Uint8Array {
  const { mac, secret, prover, transcript } = options
  const fields = [
    ascii(LABELS[prover]),
    ...partyFields(transcript.dialer),
    ...partyFields(transcript.acceptor),
  ]
  // Each field behind its length: no other list of fields gives the same bytes.
  return mac.hmacSha256(secret, concatBytes(fields.flatMap((field) => [lengthOf(field), field])))
}

/** @throws VltavaError INVALID_ARGUMENT for a secret that could be guessed. */
export function checkClusterSecret(secret: Uint8Array): void {
  if (secret.length >= CLUSTER_SECRET_MIN_BYTES) return
  throw new VltavaError(
    'INVALID_ARGUMENT',
    `The cluster secret has ${secret.length} bytes; at least ${CLUSTER_SECRET_MIN_BYTES} random bytes are needed.`,
  )
}

/** Unpredictable bytes that make a handshake a new one. */
export function freshNonce(random: Random): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  random.fill(nonce)
  return nonce
}

function partyFields(party: ProofParty): readonly Uint8Array[] {
  const { nodeId, incarnationId, clusterId, nonce } = party
  return [ascii(String(nodeId)), ascii(incarnationId), ascii(clusterId ?? ''), nonce]
}

function lengthOf(field: Uint8Array): Uint8Array {
  const length = new Uint8Array(4)
  viewOf(length).setUint32(0, field.length, true)
  return length
}

function ascii(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    assert(unit < 0x80, 'ids and labels are ASCII')
    bytes[i] = unit
  }
  return bytes
}
