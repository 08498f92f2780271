import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { resolveCreateTopic, resolveListOffsets } from '../../src/client/admin-options.ts'
import { createClient as createBrowserClient } from '../../src/client/browser.ts'
import { CLIENT_SOFTWARE } from '../../src/client/client.ts'
import { resolveClientSettings, resolveEntryOptions } from '../../src/client/client-options.ts'
import { resolveConsumerOptions } from '../../src/client/consumer-options.ts'
import { createClient } from '../../src/client/node.ts'
import { showValue } from '../../src/client/options.ts'
import { resolveProducerOptions } from '../../src/client/producer-options.ts'
import { VltavaError } from '../../src/model/errors.ts'

function errorOf(call: () => unknown): VltavaError {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(VltavaError)
    return error as VltavaError
  }
  throw new Error('it did not throw')
}

describe('producer options', () => {
  it('nothing given: the documented defaults', () => {
    expect(resolveProducerOptions({})).toEqual({
      acks: 'all',
      lingerMs: 0,
      batchBytes: 262_144,
      maxRequestBytes: 8_388_608,
      bufferBytes: 33_554_432,
      maxBlockMs: 60_000,
      deliveryTimeoutMs: 120_000,
      requestTimeoutMs: 30_000,
      retryBackoffMs: 50,
      retryBackoffMaxMs: 1_000,
    })
  })

  it.each<[string, unknown, string]>([
    ['acks', 2, 'one of "all", 1, 0, got 2'],
    ['acks', 'ALL', 'one of "all", 1, 0, got "ALL"'],
    ['lingerMs', -1, 'an integer from 0 to 60000, got -1'],
    ['batchBytes', 100, 'an integer from 512 to 8388608, got 100'],
    ['batchBytes', 1_000.5, 'an integer from 512 to 8388608, got 1000.5'],
    ['bufferBytes', Number.NaN, 'an integer from 65536 to 4294967296, got NaN'],
    ['deliveryTimeoutMs', '1000', 'an integer from 100 to 86400000, got "1000"'],
    ['requestTimeoutMs', 4_000_000, 'an integer from 100 to 3600000, got 4000000'],
    ['retryBackoffMs', null, 'an integer from 1 to 60000, got null'],
  ])('%s %s: INVALID_ARGUMENT with the option, the range and the value', (name, value, text) => {
    const error = errorOf(() => resolveProducerOptions({ [name]: value }))
    expect([error.code, error.message]).toEqual([
      'INVALID_ARGUMENT',
      `producer: option "${name}" must be ${text}.`,
    ])
  })

  it('an unknown option: named, with those there are', () => {
    const error = errorOf(() => resolveProducerOptions({ linger: 5 } as never))
    expect(error.message).toMatch(/^producer: there is no option "linger"; there are acks, lingerMs, /)
  })

  it('undefined: counts as not given', () => {
    expect(resolveProducerOptions({ lingerMs: undefined }).lingerMs).toBe(0)
  })
})

describe('consumer options', () => {
  it('nothing given but the topic: the documented defaults', () => {
    expect(resolveConsumerOptions({ topic: 't' })).toEqual({
      topic: 't',
      partitions: null,
      readFrom: 'leader',
      from: 'end',
      autoOffsetReset: 'none',
      maxBufferedBytes: 16_777_216,
      maxBytes: 16_777_216,
      maxPartitionBytes: 1_048_576,
      minBytes: 1,
      maxWaitMs: 500,
      requestTimeoutMs: 30_000,
      retryBackoffMs: 50,
      retryBackoffMaxMs: 1_000,
      problemAfterMs: 10_000,
      onProblem: null,
      signal: null,
      verifyOutOfRangeMs: 5_000,
    })
  })

  it.each<[string, unknown]>([
    ['partitions', []],
    ['partitions', [1, 1]],
    ['partitions', [-1]],
    ['partitions', 'all'],
    ['from', 'start'],
    ['from', -1],
    ['from', {}],
    ['from', { last: -1 }],
    ['from', { last: 1, timestampMs: 2 }],
    ['from', { 0: 'nowhere' }],
    ['from', { zero: 'end' }],
    ['from', new Map()],
    ['from', null],
    ['readFrom', 'follower'],
    ['readFrom', -1],
    ['readFrom', 1.5],
    ['autoOffsetReset', 'newest'],
    ['maxBufferedBytes', 1_000],
    ['onProblem', 'tell me'],
    ['signal', {}],
  ])('%s %j: INVALID_ARGUMENT that names the option', (name, value) => {
    const error = errorOf(() => resolveConsumerOptions({ topic: 't', [name]: value }))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain(`consumer: option "${name}" must be `)
    expect(error.message).toContain(`, got ${showValue(value)}.`)
  })

  it.each<[unknown]>([
    [0],
    ['beginning'],
    [{ last: 5 }],
    [{ timestampMs: 0 }],
    [{ 0: 5, 3: 'end' }],
    [new Map([[1, { last: 2 }]])],
  ])('from %j: taken as it is', (from) => {
    expect(resolveConsumerOptions({ topic: 't', from: from as never }).from).toBe(from)
  })

  it.each([[5], [''], [undefined], ['a b'], ['.']])('topic %j: refused', (topic) => {
    const { code } = errorOf(() => resolveConsumerOptions({ topic: topic as never }))
    expect(['INVALID_ARGUMENT', 'INVALID_TOPIC']).toContain(code)
  })
})

describe('client options', () => {
  afterEach(() => vi.unstubAllGlobals())

  it('nothing given: the documented defaults', () => {
    expect(resolveClientSettings({})).toEqual({
      connectTimeoutMs: 5_000,
      bootstrapTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      retryBackoffMs: 50,
      retryBackoffMaxMs: 1_000,
      metadataMaxAgeMs: 300_000,
    })
  })

  it('log: only an object that can log', () => {
    const error = errorOf(() => resolveEntryOptions({ bootstrap: 'a:1', log: console as never }))
    expect(error.message).toMatch(/option "log" must be an object with debug, info, warn, error and child/)
  })

  it.each([createClient, createBrowserClient])(
    'createClient: wrong options -> INVALID_ARGUMENT',
    (create) => {
      vi.stubGlobal('WebSocket', class {})
      expect(errorOf(() => create({ bootstrap: 'nonsense' })).message).toContain('"nonsense" is not allowed')
      expect(errorOf(() => create({ bootstrap: 'a:1', timeout: 5 } as never)).message).toContain(
        'no option "timeout"',
      )
      expect(errorOf(() => create({} as never)).message).toContain('bootstrap: undefined is not allowed')
    },
  )

  it('the software in the hello: the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      readonly version: string
    }
    expect(CLIENT_SOFTWARE).toBe(`vltava-client/${version}`)
  })
})

describe('admin options', () => {
  it('createTopic: defaults and refusals', () => {
    expect(resolveCreateTopic({ name: 't' })).toEqual({
      name: 't',
      partitions: 1,
      replicationFactor: null,
      observers: 0,
      configs: {},
      timeoutMs: 30_000,
    })
    expect(errorOf(() => resolveCreateTopic({ name: 't', partitions: 1.5 })).message).toContain(
      '"partitions"',
    )
    expect(errorOf(() => resolveCreateTopic({ name: 't', configs: { a: 1 } as never })).message).toContain(
      '"configs"',
    )
    expect(errorOf(() => resolveCreateTopic({ name: 5 as never })).message).toContain('name must be text')
  })

  it('listOffsets: defaults and refusals', () => {
    expect(resolveListOffsets({ topic: 't' })).toEqual({
      topic: 't',
      at: 'end',
      partitions: null,
      timeoutMs: 30_000,
    })
    expect(errorOf(() => resolveListOffsets({ topic: 't', at: 5 as never })).message).toContain('"at"')
    expect(errorOf(() => resolveListOffsets({ topic: 5 as never })).message).toContain('topic must be text')
  })
})

describe('showing a value', () => {
  it.each<[unknown, string]>([
    ['x'.repeat(100), `"${'x'.repeat(79)}...`],
    [new Uint8Array(3), '3 bytes'],
    [undefined, 'undefined'],
    [() => 1, 'a function'],
    [10n, '10'],
  ])('%s: short and safe', (value, shown) => {
    expect(showValue(value)).toBe(shown)
  })

  it('a cycle: does not throw', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(showValue(cycle)).toBe('a value with a cycle')
  })
})
