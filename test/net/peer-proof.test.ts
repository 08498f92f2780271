import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Mac } from '../../src/base/cpu.ts'
import {
  checkClusterSecret,
  type ProofParty,
  type ProofTranscript,
  proofOf,
} from '../../src/net/peer-proof.ts'
import { CLUSTER, incarnationOf, mac, OTHER_CLUSTER, OTHER_SECRET, SECRET } from './test-node.ts'

const party = (nodeId: number, changes: Partial<ProofParty> = {}): ProofParty => ({
  nodeId,
  incarnationId: incarnationOf(nodeId),
  clusterId: CLUSTER,
  nonce: new Uint8Array(32).fill(nodeId),
  ...changes,
})

const transcript: ProofTranscript = { dialer: party(1), acceptor: party(2) }
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const proof = (changes: Partial<Parameters<typeof proofOf>[0]> = {}): string =>
  hex(proofOf({ mac, secret: SECRET, prover: 'dialer', transcript, ...changes }))

/** A MAC that tells what it was asked for. */
const listening = (listen: (key: Uint8Array, data: Uint8Array) => void): Mac => ({
  ...mac,
  hmacSha256(key, data) {
    listen(key, data)
    return mac.hmacSha256(key, data)
  },
})

describe('peer proof', () => {
  it('the same transcript -> the same proof; it is an HMAC over all fields with their lengths', () => {
    expect(proof()).toBe(proof())
    const keyed: Uint8Array[] = []
    proof({ mac: listening((key, data) => keyed.push(key, data)) })
    const text = Buffer.from(keyed[1]!).toString('latin1')
    expect(hex(keyed[0]!)).toBe(hex(SECRET))
    expect(text.startsWith('\x1d\0\0\0vltava.v1 proof of the dialer\x01\0\0\x001')).toBe(true)
    expect(text.length).toBe(9 * 4 + 29 + 2 * (1 + 22 + 22 + 32))
  })

  it('anything that differs -> another proof', () => {
    const others = [
      { secret: OTHER_SECRET },
      { prover: 'acceptor' as const },
      { transcript: { dialer: transcript.acceptor, acceptor: transcript.dialer } },
      ...(['dialer', 'acceptor'] as const).flatMap((side) => {
        const { nodeId } = transcript[side]
        return [
          { incarnationId: incarnationOf(9) },
          { clusterId: OTHER_CLUSTER },
          { clusterId: null },
          { nonce: new Uint8Array(32).fill(99) },
          { nodeId: 9 },
        ].map((changes) => ({ transcript: { ...transcript, [side]: { ...party(nodeId), ...changes } } }))
      }),
    ]
    const proofs = [proof(), ...others.map((changes) => proof(changes))]
    expect(new Set(proofs).size).toBe(proofs.length)
  })

  it('fields moved across their borders -> never the same bytes under the MAC', () => {
    const text = fc.stringMatching(/^[A-Za-z0-9_-]{0,6}$/)
    const parties = fc.record({
      nodeId: fc.nat(2_000),
      incarnationId: text,
      clusterId: fc.option(text.filter((id) => id !== '')),
      nonce: fc.uint8Array({ maxLength: 4 }),
    })
    const transcripts = fc.record({ dialer: parties, acceptor: parties })
    const inputOf = (of: ProofTranscript): string => {
      let input = ''
      const hearing = listening((_, data) => {
        input = hex(data)
      })
      proofOf({ mac: hearing, secret: SECRET, prover: 'dialer', transcript: of })
      return input
    }
    fc.assert(
      fc.property(transcripts, transcripts, (a, b) => {
        const isSame = JSON.stringify(a) === JSON.stringify(b)
        expect(inputOf(a) === inputOf(b)).toBe(isSame)
      }),
      { numRuns: 1_000, seed: 1 },
    )
  })

  it('a secret that could be guessed -> INVALID_ARGUMENT with the length that is needed', () => {
    checkClusterSecret(new Uint8Array(16))
    for (const length of [0, 1, 15]) {
      expect(() => checkClusterSecret(new Uint8Array(length))).toThrow('at least 16 random bytes')
    }
  })
})
