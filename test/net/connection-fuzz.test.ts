// SEC-17: whatever comes in, in whatever order, the state of a connection stays one of the few that are meant.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { ERRORS } from '../../src/model/error-codes.ts'
import { APIS } from '../../src/protocol/api-table.ts'
import { encodeBody } from '../../src/protocol/codec.ts'
import { encodeFrame } from '../../src/protocol/frame.ts'
import { hello } from '../../src/protocol/hello.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { wireValues } from '../protocol/wire-values.ts'
import { FakeChannel } from './fake-channel.ts'
import { CLUSTER, incarnationOf, testNode } from './test-node.ts'

const helloBody = (isPeer: boolean) =>
  encodeBody(hello.request, {
    software: 'x',
    clusterId: CLUSTER,
    peer: isPeer
      ? { nodeId: 7, incarnationId: incarnationOf(7), expectedNodeId: 1, nonce: new Uint8Array(32) }
      : null,
  })

const frames = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(0 as const, 1 as const, 2 as const),
      apiKey: fc.constantFrom(...APIS.map(({ key }) => key), 999),
      apiVersion: fc.constantFrom(0, 0, 0, 1),
      correlationId: fc.constantFrom(0, 1, 1, 2, 2 ** 32 - 1),
      body: wireValues,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.boolean().map((isPeer) => ({
      kind: 0 as const,
      apiKey: hello.key,
      apiVersion: 0,
      correlationId: 1,
      body: helloBody(isPeer),
    })),
  },
)

const messages = fc.oneof(
  { weight: 9, arbitrary: frames.map((frame) => ({ frame, bytes: encode(frame) })) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ frame: null, bytes })) },
)

function encode(frame: Omit<Parameters<typeof encodeFrame>[0], 'errorCode'>): Uint8Array {
  return new Uint8Array(concatBytes(encodeFrame({ ...frame, errorCode: 0 })))
}

describe('connection: any sequence of messages', () => {
  it('SEC-17: random messages to a node -> no exception, no peer, one answer per request until it closes', () => {
    fc.assert(
      fc.property(fc.array(messages, { maxLength: 30 }), (sequence) => {
        const node = testNode({ clock: new ManualClock(), nodeId: 1 })
        const served: string[] = []
        for (const api of APIS) {
          if (api.name === 'hello' || api.name === 'authenticate') continue
          node.router.handle(api, ({ connection }) => {
            served.push(api.caller)
            expect(connection.session).not.toBe('new')
            return null
          })
        }
        const channel = new FakeChannel()
        node.onChannel(channel)
        const [connection] = node.connections
        for (const { frame, bytes } of sequence) {
          const wasOpen = connection!.isOpen
          const before = connection!.session
          channel.deliverBytes(bytes)
          const answers = channel.takeFrames()
          if (!wasOpen) expect(answers).toEqual([])
          else if (frame?.kind === 0) {
            expect(answers.map(({ correlationId }) => correlationId)).toEqual([frame.correlationId])
            const isGreeting = frame.apiKey === hello.key && answers[0]!.errorCode === 0
            expect(connection!.session).toBe(isGreeting ? 'client' : before)
            if (before === 'new' && !isGreeting) expect(connection!.isOpen).toBe(false)
          } else expect(answers).toEqual([])
          for (const { kind, errorCode } of answers) {
            expect(kind).toBe(1)
            expect(errorCode).not.toBe(ERRORS.UNKNOWN_SERVER_ERROR.code)
          }
        }
        // Nobody here has the secret.
        expect(connection!.identity).toBeNull()
        expect(served).not.toContain('peer')
        expect(channel.endings.length).toBeLessThanOrEqual(1)
      }),
      { numRuns: 500, seed: 17 },
    )
  })
})
