import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, viewOf } from '../../src/base/bytes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import {
  HEADER_MAX_BYTES,
  HEADER_UNAUTHENTICATED_MAX_BYTES,
  MESSAGE_MAX_BYTES,
  MESSAGE_UNAUTHENTICATED_MAX_BYTES,
} from '../../src/model/limits.ts'
import { decodeWire, pack } from '../../src/protocol/codec.ts'
import { decodeFrame, encodeFrame, FRAME_KIND, type OutgoingFrame } from '../../src/protocol/frame.ts'
import { type Wire, wire } from '../../src/schema/schema.ts'
import { violationOf } from './violation.ts'
import { wireValues } from './wire-values.ts'

const request: OutgoingFrame = {
  kind: FRAME_KIND.request,
  apiKey: 1,
  apiVersion: 0,
  correlationId: 7,
  errorCode: 0,
  body: [],
}

const encoded = (frame: Partial<OutgoingFrame>, payload?: readonly Uint8Array[]): Uint8Array =>
  // A copy: on the wire nothing is around a message.
  new Uint8Array(concatBytes([...encodeFrame({ ...request, ...frame }, payload)]))

/** A message of any header, with the length it has or another one. */
const raw = (header: Wire | Uint8Array, length?: number): Uint8Array => {
  const bytes = header instanceof Uint8Array ? header : pack(header)
  const message = new Uint8Array(4 + bytes.length)
  viewOf(message).setUint32(0, length ?? bytes.length, true)
  message.set(bytes, 4)
  return message
}

const decoded = (message: Uint8Array): ReturnType<typeof decodeFrame> =>
  decodeFrame(message, HEADER_MAX_BYTES)
const bodyOf = (message: Uint8Array): unknown => decodeWire(wire(), decoded(message).body)

describe('frame', () => {
  it('any fields, body and payload -> come back equal', () => {
    const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
    const frames = fc.record({
      kind: fc.constantFrom(...Object.values(FRAME_KIND)),
      apiKey: fc.nat(1_000),
      apiVersion: fc.nat(1_000),
      correlationId: u32,
      errorCode: fc.integer({ min: -1, max: 2_000 }),
      body: wireValues,
    })
    const payloads = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 4 })
    fc.assert(
      fc.property(frames, payloads, (fields, payload) => {
        const errorCode = fields.kind === FRAME_KIND.response ? fields.errorCode : 0
        const message = encoded({ ...fields, errorCode }, payload)
        const { body, payload: received, ...rest } = decoded(message)
        expect({ ...rest, body: decodeWire(wire(), body) }).toEqual({ ...fields, errorCode })
        expect(new Uint8Array(received)).toEqual(concatBytes([...payload]))
      }),
      { numRuns: 500, seed: 1 },
    )
  })

  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1])(
    'correlation id %i -> comes back',
    (correlationId) => {
      expect(decoded(encoded({ correlationId })).correlationId).toBe(correlationId)
    },
  )

  it.each([-1, -32, -33, -128, -129, -32_768, -32_769, -(2 ** 31), 0, 1, 74, 1_000])(
    'error code %i of a response -> comes back',
    (errorCode) => {
      expect(decoded(encoded({ kind: FRAME_KIND.response, errorCode })).errorCode).toBe(errorCode)
    },
  )

  it('the layout -> is what PROTOCOL.md says: u32 LE length, header, payload', () => {
    const message = encoded({ kind: 2, apiKey: 3, apiVersion: 1, correlationId: 5, body: ['a'] }, [
      Uint8Array.of(9, 8),
    ])
    expect([...message]).toEqual([9, 0, 0, 0, 0x96, 2, 3, 1, 5, 0, 0x91, 0xa1, 0x61, 9, 8])
  })

  it('payload parts -> are handed on as they are, not copied', () => {
    const payload = [new Uint8Array(3), new Uint8Array(5)]
    const parts = encodeFrame(request, payload)
    expect(parts.slice(1)).toEqual(payload)
    expect(parts[1]).toBe(payload[0])
    expect(parts[2]).toBe(payload[1])
    expect(encodeFrame(request).length).toBe(1)
  })

  it('earlier frames -> are not changed by later ones', () => {
    const first = encodeFrame({ ...request, body: ['first'] })[0]!
    const before = first.slice()
    for (let i = 0; i < 1_000; i++) encodeFrame({ ...request, body: ['x'.repeat(i)] })
    expect(first).toEqual(before)
  })

  it('body and payload -> are views on the message', () => {
    const message = encoded({ body: ['abc'] }, [new Uint8Array(10)])
    const { body, payload } = decoded(message)
    expect(body.buffer).toBe(message.buffer)
    expect(payload.buffer).toBe(message.buffer)
    expect(payload.byteOffset).toBe(message.length - 10)
  })

  it('a header with more fields than this version knows -> the known ones are read', () => {
    const message = raw([1, 2, 0, 4, 0, ['body'], 'later', [1, [2]], null])
    expect(decoded(message)).toMatchObject({ kind: 1, apiKey: 2, correlationId: 4 })
    expect(bodyOf(message)).toEqual(['body'])
    expect(bodyOf(raw([1, 2, 0, 4, 0, 'x', ...Array.from({ length: 9 }, () => 0)]))).toBe('x')
  })

  it('a header or message above its limit -> MESSAGE_TOO_LARGE, definite, when it is encoded', () => {
    const tooLarge = (action: () => unknown): void => {
      expect(action).toThrow(expect.objectContaining({ code: 'MESSAGE_TOO_LARGE', definite: true }))
    }
    const text = 'x'.repeat(HEADER_MAX_BYTES - 11)
    expect(decoded(encoded({ body: text })).body.length).toBe(HEADER_MAX_BYTES - 6)
    tooLarge(() => encodeFrame({ ...request, body: `${text}x` }))
    const head = encodeFrame(request)[0]!.length
    const payload = new Uint8Array(MESSAGE_MAX_BYTES - head)
    encodeFrame(request, [payload])
    tooLarge(() => encodeFrame(request, [payload, new Uint8Array(1)]))
  })
})

describe('frame: what is refused', () => {
  it('SEC-10: a header length beyond the message -> refused before anything is read', () => {
    for (const length of [3, 4, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      expect(violationOf(() => decoded(raw(Uint8Array.of(0xc0, 0xc0), length)))).toContain(
        `a header of ${length} bytes is announced`,
      )
    }
    for (const length of [0, 1, 2, 3]) violationOf(() => decoded(new Uint8Array(length)))
  })

  it('a header above the limit of this stage -> refused although the bytes are there', () => {
    const header = (bytes: number): Uint8Array => encoded({ body: 'x'.repeat(bytes - 9) })
    const message = header(HEADER_UNAUTHENTICATED_MAX_BYTES)
    expect(message.length).toBe(MESSAGE_UNAUTHENTICATED_MAX_BYTES)
    decodeFrame(message, HEADER_UNAUTHENTICATED_MAX_BYTES)
    const larger = header(HEADER_UNAUTHENTICATED_MAX_BYTES + 1)
    violationOf(() => decodeFrame(larger, HEADER_UNAUTHENTICATED_MAX_BYTES))
    decoded(larger)
    violationOf(() => decoded(raw(new Uint8Array(HEADER_MAX_BYTES + 1).fill(0xc0))))
  })

  it.each<[string, Wire]>([
    ['no array', 5],
    ['too few fields', [0, 1, 0, 7, 0]],
    ['no fields', []],
    ['kind 3', [3, 1, 0, 7, 0, null]],
    ['kind -1', [-1, 1, 0, 7, 0, null]],
    ['kind null', [null, 1, 0, 7, 0, null]],
    ['kind true', [true, 1, 0, 7, 0, null]],
    ['apiKey as text', [0, '1', 0, 7, 0, null]],
    ['apiKey negative', [0, -1, 0, 7, 0, null]],
    ['apiKey -128', [0, -128, 0, 7, 0, null]],
    ['apiVersion as float', [0, 1, 0.5, 7, 0, null]],
    ['apiVersion negative', [0, 1, -40_000, 7, 0, null]],
    ['correlationId as array', [0, 1, 0, [7], 0, null]],
    ['correlationId 2^32', [0, 1, 0, 2 ** 32, 0, null]],
    ['correlationId negative', [0, 1, 0, -2, 0, null]],
    ['correlationId as bytes', [0, 1, 0, Uint8Array.of(7), 0, null]],
    ['errorCode null', [1, 1, 0, 7, null, null]],
    ['an error in a request', [0, 1, 0, 7, 42, null]],
    ['an error in a one-way message', [2, 1, 0, 0, -1, null]],
    ['array16 for a header', Array.from({ length: 16 }, () => 0)],
  ])('SEC-17: %s -> PROTOCOL_VIOLATION', (_, header) => {
    violationOf(() => decoded(raw(header)))
  })

  it('SEC-16: 64-bit integers, also small ones -> refused in the fields of the frame', () => {
    const long = [0xcf, 0, 0, 0, 0, 0, 0, 0, 7]
    violationOf(() => decoded(raw(Uint8Array.from([0x96, 0, 1, 0, ...long, 0, 0xc0]))))
  })

  it('the header is not exactly one value -> refused', () => {
    violationOf(() => decoded(raw(new Uint8Array(0))))
    violationOf(() => decoded(raw(concatBytes([pack([0, 1, 0, 7, 0, null]), Uint8Array.of(0)]))))
    violationOf(() => decoded(raw(pack([0, 1, 0, 7, 0, 'body']).slice(0, -1))))
  })

  it('SEC-18: frames with changed bytes -> decode or are a PROTOCOL_VIOLATION, nothing else', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(wireValues, changes, (body, edits) => {
        const message = encoded({ body }, [new Uint8Array(8)])
        for (const [at, byte] of edits) message[at % message.length] = byte
        try {
          decodeWire(wire(), decoded(message).body)
        } catch (error) {
          expect(error).toBeInstanceOf(VltavaError)
          expect((error as VltavaError).code).toBe('PROTOCOL_VIOLATION')
        }
      }),
      { numRuns: 3_000, seed: 2 },
    )
  })
})
