import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/cli/terminal.ts'
import {
  parseDelimiter,
  parseFrom,
  parseInteger,
  parsePair,
  parseReadFrom,
} from '../../src/cli/text-options.ts'

describe('parseDelimiter', () => {
  it.each([
    ['\\n', [10]],
    ['\\t', [9]],
    ['\\r\\n', [13, 10]],
    ['\\0', [0]],
    ['\\\\', [92]],
    ['\\x1f', [31]],
    [':', [58]],
    [' -> ', [32, 45, 62, 32]],
    ['é', [0xc3, 0xa9]],
    ['\u{1f30a}', [0xf0, 0x9f, 0x8c, 0x8a]],
  ])('%j -> %j', (text, bytes) => {
    expect([...parseDelimiter(text, '--delimiter')]).toEqual(bytes)
  })

  it.each(['', '\\q', '\\', '\\x1', '\\xzz'])('%j -> an error that names the option', (text) => {
    expect(() => parseDelimiter(text, '--delimiter')).toThrow(UsageError)
    expect(() => parseDelimiter(text, '--delimiter')).toThrow('--delimiter')
  })
})

describe('parseFrom', () => {
  it.each([
    ['beginning', 'beginning'],
    ['end', 'end'],
    ['0', { offset: 0 }],
    ['42', { offset: 42 }],
    ['-5', { last: 5 }],
    ['@0', { timestampMs: 0 }],
    ['@1700000000000', { timestampMs: 1_700_000_000_000 }],
    ['@2024-02-29T12:00:00Z', { timestampMs: Date.UTC(2024, 1, 29, 12) }],
  ])('%s', (text, position) => {
    expect(parseFrom(text)).toEqual(position)
  })

  it.each(['', 'start', '1.5', '-0', '--5', '@', '@yesterday', '@-5', '99999999999999999999'])(
    '%j -> an error that says what is allowed',
    (text) => {
      expect(() => parseFrom(text)).toThrow(/beginning, end, an offset/)
    },
  )
})

describe('parseInteger and parsePair', () => {
  it('a number in the range -> the number', () => {
    expect(parseInteger('7', { option: '-p', min: 0, max: 9 })).toBe(7)
  })

  it.each(['10', '-1', '1e1', '', 'x', '0x5'])(
    '%j of 0 to 9 -> an error with option, range and value',
    (text) => {
      expect(() => parseInteger(text, { option: '-p', min: 0, max: 9 })).toThrow(
        `-p: must be an integer from 0 to 9, got ${JSON.stringify(text)}`,
      )
    },
  )

  it('name=value -> both, the value may hold further signs', () => {
    expect(parsePair('a=b=c', '--config')).toEqual({ name: 'a', value: 'b=c' })
    expect(parsePair('a=', '--config')).toEqual({ name: 'a', value: '' })
    expect(() => parsePair('a', '--config')).toThrow(UsageError)
    expect(() => parsePair('=b', '--config')).toThrow(UsageError)
  })
})

describe('parseReadFrom', () => {
  it.each([
    ['leader', 'leader'],
    ['any', 'any'],
    ['0', 0],
    ['2147483647', 2_147_483_647],
  ])('%j -> %j', (text, expected) => {
    expect(parseReadFrom(text)).toBe(expected)
  })

  it.each(['', 'follower', '-1', '1.5', '2147483648', 'ANY'])(
    '%j -> an error that says what is allowed',
    (text) => {
      expect(() => parseReadFrom(text)).toThrow(
        `--read-from: must be leader, any or a broker id, got ${JSON.stringify(text)}`,
      )
    },
  )
})
