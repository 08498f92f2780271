import { describe, expect, it } from 'vitest'
import { equalBytes } from '../../src/base/bytes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { HEADER_DEPTH_MAX } from '../../src/model/limits.ts'
import { APIS } from '../../src/protocol/api-table.ts'
import {
  decodeDetail,
  decodeRequestBody,
  decodeResponseBody,
  decodeWire,
  encodeBody,
  encodeWire,
  pack,
} from '../../src/protocol/codec.ts'
import { hello } from '../../src/protocol/hello.ts'
import { listOffsets } from '../../src/protocol/list-offsets.ts'
import { produce } from '../../src/protocol/produce.ts'
import {
  bytes,
  integer,
  list,
  nullable,
  type SchemaDoc,
  struct,
  text,
  type Wire,
} from '../../src/schema/schema.ts'

const TOPIC = 'A'.repeat(22)
const bodyBytes = (body: Wire): Uint8Array => new Uint8Array(pack(body))

const failureOf = (action: () => unknown): VltavaError => {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(VltavaError)
    return error as VltavaError
  }
  expect.fail('expected a VltavaError')
}

describe('codec', () => {
  it('request and response bodies -> come back equal', () => {
    const request = {
      acks: -1 as const,
      timeoutMs: 30_000,
      partitions: [{ topicId: TOPIC, partition: 3, currentLeaderEpoch: -1, batchesBytes: 262_144 }],
    }
    const requestBytes = bodyBytes(encodeBody(produce.request, request))
    expect(decodeRequestBody(produce, requestBytes)).toEqual(request)
    const response = {
      partitions: [
        { error: null, baseOffset: 2 ** 40, leaderEpoch: 5, logStartOffset: 0 },
        { error: { code: 6, detail: 'moved' }, baseOffset: 0, leaderEpoch: 0, logStartOffset: 0 },
      ],
    }
    const responseBytes = bodyBytes(encodeBody(produce.response, response))
    expect(decodeResponseBody(produce, responseBytes)).toEqual(response)
  })

  it('safe integers of any size -> come back exactly', () => {
    const schema = integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    for (let bit = 0; bit <= 53; bit++) {
      for (const value of [2 ** bit - 1, 2 ** bit, -(2 ** bit) + 1, -(2 ** bit)]) {
        if (Number.isSafeInteger(value)) expect(decodeWire(schema, encodeWire(schema, value))).toBe(value)
      }
    }
  })

  it('texts of all kinds -> come back; lone surrogates become U+FFFD', () => {
    const schema = text(100_000)
    for (const value of [
      '',
      'a',
      'é',
      '漢字',
      '\u{1F600}',
      '\0\r\n\x1b[31m',
      'x'.repeat(70_000),
      'ž'.repeat(300),
    ]) {
      expect(decodeWire(schema, encodeWire(schema, value))).toBe(value)
    }
    // How many of them depends on the encoder msgpackr takes for the length.
    expect(decodeWire(schema, encodeWire(schema, 'a\ud800b'))).toMatch(/^a\ufffd+b$/)
  })

  it('decoded bytes -> are views on what was received; encodeWire makes bytes of their own', () => {
    const schema = struct({ data: bytes(0, 100) })
    const packed = encodeWire(schema, { data: Uint8Array.of(1, 2, 3) })
    expect(packed.byteLength).toBe(packed.buffer.byteLength)
    const { data } = decodeWire(schema, packed)
    expect(data.buffer).toBe(packed.buffer)
    expect(equalBytes(data, Uint8Array.of(1, 2, 3))).toBe(true)
  })

  it('reserved bytes -> stand before the value', () => {
    for (const reserved of [0, 4, 255]) {
      const packed = pack(['x'], reserved)
      expect(packed.length).toBe(reserved + 3)
      expect([...packed.subarray(reserved)]).toEqual([0x91, 0xa1, 0x78])
    }
  })

  it('undefined inside of a list -> travels as null', () => {
    const packed = new Uint8Array(pack([undefined as unknown as Wire]))
    expect([...packed]).toEqual([0x91, 0xc0])
  })

  it('every API -> its messages stay within HEADER_DEPTH_MAX, header and free bodies included', () => {
    const depth = (doc: SchemaDoc): number =>
      doc.fields === undefined ? 0 : 1 + Math.max(0, ...doc.fields.map(({ doc: inner }) => depth(inner)))
    for (const { name, request, response } of APIS) {
      const deepest = 1 + Math.max(depth(request.describe()), depth(response.describe()))
      expect(deepest, name).toBeLessThanOrEqual(HEADER_DEPTH_MAX / 2)
    }
  })
})

describe('codec: what is refused', () => {
  it('a request that breaks its schema -> INVALID_REQUEST naming the path', () => {
    const body = bodyBytes([
      -1,
      0,
      [
        ['A'.repeat(22), 0, 0, 0],
        ['short', 0, 0, 0],
      ],
    ])
    const error = failureOf(() => decodeRequestBody(produce, body))
    expect(error.code).toBe('INVALID_REQUEST')
    expect(error.message).toContain('produce.partitions[1].topicId')
  })

  it('a response that breaks its schema -> PROTOCOL_VIOLATION naming the path', () => {
    const error = failureOf(() => decodeResponseBody(produce, bodyBytes([[[null, -5, 0, 0]]])))
    expect(error.code).toBe('PROTOCOL_VIOLATION')
    expect(error.message).toContain('produce.partitions[0].baseOffset')
  })

  it('bytes from elsewhere -> PROTOCOL_VIOLATION by structure or by schema', () => {
    const schema = struct({ name: text(10), ids: list(integer(0, 9), 3), more: nullable(text(1)) })
    expect(decodeWire(schema, bodyBytes(['a', [1], null]))).toEqual({ name: 'a', ids: [1], more: null })
    for (const bad of [
      new Uint8Array(0),
      Uint8Array.of(0x81, 0, 0),
      Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
      bodyBytes(['a', [1, 2, 3, 4], null]),
      bodyBytes(['a']),
      bodyBytes('a'),
      bodyBytes(['a', [10], null]),
    ]) {
      expect(failureOf(() => decodeWire(schema, bad)).code).toBe('PROTOCOL_VIOLATION')
    }
  })

  it.each<[string, unknown]>([
    ['-2', -2],
    ['2', 2],
    ['2^31', 2 ** 31],
    ['2^53', 2 ** 53],
    ['2^63', 2 ** 63],
    ['-2^63', -(2 ** 63)],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['0.5', 0.5],
    ['text', '0'],
    ['true', true],
    ['null', null],
    ['a list', [0]],
    ['bytes', Uint8Array.of(0)],
    ['bigint', 2n ** 60n],
  ])('SEC-16: acks of %s -> INVALID_REQUEST', (_, acks) => {
    const body = bodyBytes([acks as Wire, 1_000, []])
    const error = failureOf(() => decodeRequestBody(produce, body))
    expect(error.code).toBe('INVALID_REQUEST')
    expect(error.message).toContain('produce.acks')
  })

  it('SEC-16: int64 on the wire -> a number where that is exact, refused where it is not', () => {
    const timeoutOf = (...int64: number[]): number =>
      decodeRequestBody(produce, Uint8Array.from([0x93, 0xff, 0xd3, ...int64, 0x90])).timeoutMs
    expect(timeoutOf(0, 0, 0, 0, 0, 0, 0, 100)).toBe(100)
    for (const int64 of [
      [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0x80, 0, 0, 0, 0, 0, 0, 0],
    ]) {
      expect(failureOf(() => timeoutOf(...int64)).code).toBe('INVALID_REQUEST')
    }
  })

  it('SEC-16: tags of unions beyond their variants -> INVALID_REQUEST', () => {
    for (const tag of [-1, 3, 0.5, 2 ** 40, Number.NaN, '0', null]) {
      const body = bodyBytes([[[TOPIC, 0, 0, [tag, []]]]])
      expect(failureOf(() => decodeRequestBody(listOffsets, body)).code).toBe('INVALID_REQUEST')
    }
  })

  it('text with malformed UTF-8 -> a value or an error of ours, never another exception', () => {
    for (const malformed of [
      [0xff],
      [0xc3],
      [0xe2, 0x82],
      [0xf0, 0x9f, 0x98],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xc0, 0x80],
    ]) {
      for (const padding of [0, 20, 200]) {
        const bytesOfText = [...malformed, ...Array.from({ length: padding }, () => 0x61)]
        const wireBytes = Uint8Array.from([0xd9, bytesOfText.length, ...bytesOfText])
        expect(typeof decodeWire(text(300), wireBytes)).toBe('string')
      }
    }
  })

  it('the detail of an error response that is no text -> empty', () => {
    expect(decodeDetail(bodyBytes('why'))).toBe('why')
    for (const other of [null, 5, [], ['why'], Uint8Array.of(1)])
      expect(decodeDetail(bodyBytes(other))).toBe('')
  })

  it('a newer writer with more fields -> is understood; an older one that lacks a required field -> is not', () => {
    const request = { software: 'x', clusterId: null, peer: null }
    const wireBody = encodeBody(hello.request, request) as readonly Wire[]
    expect(decodeRequestBody(hello, bodyBytes([...wireBody, 'later', [1]]))).toEqual(request)
    const error = failureOf(() => decodeRequestBody(hello, bodyBytes(wireBody.slice(0, 2))))
    expect(error.message).toContain('hello.peer: is missing')
  })
})
