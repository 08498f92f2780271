import { describe, expect, it } from 'vitest'
import { byteSize, columns, count, plural, seconds } from '../../src/cli/output.ts'
import { recordToJson } from '../../src/cli/record-json.ts'

describe('text for people', () => {
  it('columns: rows -> aligned, the last column not padded', () => {
    expect(
      columns([
        ['A', 'LONG', 'X'],
        ['bbb', 'c', 'dd'],
      ]),
    ).toBe('A    LONG  X\nbbb  c     dd')
  })

  it('numbers', () => {
    expect(count(1_234_567.4)).toBe('1,234,567')
    expect(byteSize(0)).toBe('0 B')
    expect(byteSize(1_536)).toBe('1.5 KiB')
    expect(byteSize(5 * 1024 ** 3)).toBe('5.0 GiB')
    expect(seconds(12.4)).toBe('12 ms')
    expect(seconds(61_234)).toBe('61.23 s')
    expect(plural(1, 'record')).toBe('1 record')
    expect(plural(2_000, 'record')).toBe('2,000 records')
  })
})

describe('recordToJson', () => {
  const base = { topic: 't', partition: 1, offset: 2, leaderEpoch: 0, timestampMs: 3 }

  it('text stays text, other bytes become base64, and both give back the same bytes', () => {
    const bytes = Uint8Array.from([0xff, 0xfe])
    const json = recordToJson({
      ...base,
      key: Buffer.from('k\u{1f30a}'),
      value: bytes,
      headers: [{ key: 'h', value: bytes }],
    })
    expect(json).toEqual({
      topic: 't',
      partition: 1,
      offset: 2,
      timestamp: 3,
      key: 'k\u{1f30a}',
      keyEncoding: 'utf8',
      value: '//4=',
      valueEncoding: 'base64',
      headers: [{ key: 'h', value: '//4=', valueEncoding: 'base64' }],
    })
  })

  it('a byte order mark, null and empty are kept apart', () => {
    expect(recordToJson({ ...base, key: null, value: Buffer.from('\ufeffx'), headers: [] })).toMatchObject({
      key: null,
      value: '\ufeffx',
    })
    expect(recordToJson({ ...base, key: Buffer.from(''), value: null, headers: [] })).toMatchObject({
      key: '',
      value: null,
    })
  })
})
