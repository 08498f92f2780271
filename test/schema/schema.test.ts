import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  boolean,
  bytes,
  type Infer,
  integer,
  list,
  nullable,
  oneOf,
  type Schema,
  SchemaError,
  struct,
  text,
  union,
  withFallback,
  withUnwrittenFallback,
} from '../../src/schema/schema.ts'

function problem(schema: Schema<unknown>, wire: unknown): SchemaError {
  try {
    schema.decode(wire, 'request')
  } catch (error) {
    if (error instanceof SchemaError) return error
    throw error
  }
  throw new Error(`${JSON.stringify(wire)} was accepted`)
}

const partition = struct({ index: integer(0, 100), leader: nullable(integer(0, 10)) })
const request = struct({
  topic: text(5, { regex: /^[a-z]+$/, meaning: 'lower-case letters' }),
  partitions: list(partition, 3),
  data: bytes(1, 4),
  isLast: boolean(),
  acks: oneOf(['none', 'leader', 'all']),
  cause: union({ timeout: struct({ ms: integer(0, 1000) }), fenced: struct({ by: text(10) }) }),
})

const VALUE: Infer<typeof request> = {
  topic: 'ab',
  partitions: [
    { index: 1, leader: null },
    { index: 2, leader: 7 },
  ],
  data: Uint8Array.of(9),
  isLast: true,
  acks: 'all',
  cause: { type: 'fenced', by: 'node 3' },
}

describe('schema', () => {
  it('encode: a value -> positional arrays, names as indexes', () => {
    expect(request.encode(VALUE)).toEqual([
      'ab',
      [
        [1, null],
        [2, 7],
      ],
      Uint8Array.of(9),
      true,
      2,
      [1, ['node 3']],
    ])
  })

  it('decode: what encode made -> the value', () => {
    expect(request.decode(request.encode(VALUE), 'request')).toEqual(VALUE)
  })

  it.each([
    [integer(0, 5), -1, 'must be an integer from 0 to 5, got -1'],
    [integer(0, 5), 6, 'must be an integer from 0 to 5, got 6'],
    [integer(0, 5), 1.5, 'must be an integer from 0 to 5, got 1.5'],
    [integer(0, 2 ** 60), 2 ** 53, 'got 9007199254740992'],
    [integer(0, 5), '1', 'got text of 1 characters'],
    [integer(0, 5), 1n, 'got 1'],
    [boolean(), 1, 'must be true or false, got 1'],
    [text(3), 'abcd', 'must be text of at most 3 characters, got text of 4 characters'],
    [text(3), null, 'got null'],
    [bytes(1, 2), new Uint8Array(3), 'must be 1 to 2 bytes, got 3 bytes'],
    [bytes(1, 2), new Uint8Array(0), 'must be 1 to 2 bytes, got 0 bytes'],
    [bytes(1, 2), [1], 'got a list of 1'],
    [list(boolean(), 1), [true, true], 'must be a list of at most 1, got a list of 2'],
    [list(boolean(), 1), { length: 1 }, 'got [object Object]'],
    [oneOf(['a', 'b']), 2, 'must be the index of one of a, b, got 2'],
    [oneOf(['a', 'b']), -1, 'got -1'],
    [oneOf(['a', 'b']), 'a', 'got text of 1 characters'],
    [struct({}), 'x', 'must be a list of fields'],
    [union({ a: struct({}) }), [1, []], 'must be a variant of a'],
    [union({ a: struct({}) }), [0], 'must be a variant of a'],
    [union({ a: struct({}) }), 0, 'must be a variant of a'],
  ] as const)(
    'decode: %# outside of the schema -> SchemaError that says what is allowed',
    (schema, wire, message) => {
      const error = problem(schema as Schema<unknown>, wire)
      expect(error.path).toBe('request')
      expect(error.message).toContain(message)
    },
  )

  it('decode: a problem deep inside -> its path', () => {
    const wire = [
      'ab',
      [
        [1, null],
        [2, 99],
      ],
      Uint8Array.of(9),
      true,
      2,
      [1, ['node 3']],
    ]
    expect(problem(request, wire).path).toBe('request.partitions[1].leader')
    const badPattern = ['AB', [], Uint8Array.of(9), true, 2, [1, ['x']]]
    expect(problem(request, badPattern).message).toBe('request.topic: must be lower-case letters')
    const badVariant = ['ab', [], Uint8Array.of(9), true, 2, [0, [5000]]]
    expect(problem(request, badVariant).path).toBe('request.cause.timeout.ms')
  })

  it('decode: a required field is missing -> SchemaError with its name', () => {
    expect(problem(partition, [1]).message).toBe('request.leader: is missing')
  })

  it('decode: a longer array of a newer writer -> the unknown fields are ignored', () => {
    expect(partition.decode([1, null, 'new', 'newer'], 'p')).toEqual({ index: 1, leader: null })
  })

  it('decode: a shorter array of an older writer -> the fallback of the appended field', () => {
    const grown = struct({ index: integer(0, 100), rack: withFallback(text(5), '') })
    expect(grown.decode([1], 'p')).toEqual({ index: 1, rack: '' })
    expect(grown.decode([1, 'eu'], 'p')).toEqual({ index: 1, rack: 'eu' })
    expect(problem(grown, [1, 5]).path).toBe('request.rack')
  })

  it('encode: appended fields that are not written -> left out at the end while they have their fallback', () => {
    const grown = struct({
      index: integer(0, 100),
      since: withFallback(integer(0, 9), 0),
      rack: withUnwrittenFallback(nullable(text(5)), null),
      room: withUnwrittenFallback(text(5), ''),
    })
    const value = { index: 1, since: 0, rack: null, room: '' }
    expect(grown.encode(value)).toEqual([1, 0])
    expect(grown.encode({ ...value, rack: 'eu' })).toEqual([1, 0, 'eu'])
    expect(grown.encode({ ...value, room: 'x' })).toEqual([1, 0, null, 'x'])
    for (const change of [{}, { rack: 'eu' }, { room: 'x' }, { rack: 'eu', room: 'x' }])
      expect(grown.decode(grown.encode({ ...value, ...change }), 'p')).toEqual({ ...value, ...change })
    expect(grown.decode([1, 0, null, ''], 'p')).toEqual(value)
  })

  it('encode: an appended field that is written behind one that is not -> both are', () => {
    const grown = struct({
      rack: withUnwrittenFallback(nullable(text(5)), null),
      since: withFallback(integer(0, 9), 0),
    })
    expect(grown.encode({ rack: null, since: 0 })).toEqual([null, 0])
  })

  it('decode: bytes -> a view on the received message, not a copy', () => {
    const received = Uint8Array.of(1, 2)
    expect(bytes(0, 5).decode(received, 'd')).toBe(received)
  })

  it('describe: any schema -> its types and field names', () => {
    expect(partition.describe()).toEqual({
      type: 'struct',
      fields: [
        { name: 'index', doc: { type: 'integer 0..100' } },
        { name: 'leader', doc: { type: 'integer 0..10 or null' } },
      ],
    })
  })

  it('decode: anything at all -> a value of the schema or a SchemaError', () => {
    fc.assert(
      fc.property(fc.anything({ withTypedArray: true, withBigInt: true }), (wire) => {
        try {
          const decoded = request.decode(wire, 'request')
          expect(request.decode(request.encode(decoded), 'request')).toEqual(decoded)
        } catch (error) {
          expect(error).toBeInstanceOf(SchemaError)
        }
      }),
      { seed: 3, numRuns: 500 },
    )
  })
})
