import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  readVarint,
  readVarlong,
  type VarintCursor,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from '../../src/record/varint.ts'
import { varintOfKafkajs, varlongOfKafkajs } from './kafkajs.ts'

const INT32 = [
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [63, '7e'],
  [-64, '7f'],
  [64, '8001'],
  [-65, '8101'],
  [8191, 'fe7f'],
  [8192, '808001'],
  [-8193, '818001'],
  [1_048_575, 'feff7f'],
  [1_048_576, '80808001'],
  [134_217_727, 'feffff7f'],
  [134_217_728, '8080808001'],
  [2 ** 31 - 1, 'feffffff0f'],
  [-(2 ** 31), 'ffffffff0f'],
] as const

const BEYOND_INT32 = [
  [2 ** 31, '8080808010'],
  [-(2 ** 31) - 1, '8180808010'],
  [2 ** 34 - 1, 'feffffff7f'],
  [2 ** 34, '808080808001'],
  [Number.MAX_SAFE_INTEGER, 'feffffffffffff1f'],
  [Number.MIN_SAFE_INTEGER, 'fdffffffffffff1f'],
] as const

function write(writer: typeof writeVarint, value: number): string {
  const target = new Uint8Array(16).fill(0xee)
  const end = writer(target, 3, value)
  expect(target[end]).toBe(0xee)
  return Buffer.from(target.subarray(3, end)).toString('hex')
}

/** What is read, and where the reader stands then; null when it refuses. */
function read(
  reader: typeof readVarint,
  hex: string,
  end = hex.length / 2,
): { value: number; position: number } | null {
  const cursor: VarintCursor = { position: 0, value: -7 }
  const isRead = reader(Uint8Array.from(Buffer.from(hex, 'hex')), cursor, end)
  if (!isRead) {
    expect(cursor).toEqual({ position: 0, value: -7 })
    return null
  }
  return { value: cursor.value, position: cursor.position }
}

describe('varint', () => {
  it.each(INT32)('%d -> %s and back', (value, hex) => {
    expect(write(writeVarint, value)).toBe(hex)
    expect(varintBytes(value)).toBe(hex.length / 2)
    expect(read(readVarint, hex)).toEqual({ value, position: hex.length / 2 })
  })

  it('any int32 -> the bytes of kafkajs, the size foretold, and back', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const hex = write(writeVarint, value)
        expect(hex).toBe(Buffer.from(varintOfKafkajs(value)).toString('hex'))
        expect(varintBytes(value)).toBe(hex.length / 2)
        expect(read(readVarint, hex)?.value).toBe(value)
      }),
      { seed: 1, numRuns: 1000 },
    )
  })

  it('a needlessly long form -> is read as Kafka reads it', () => {
    expect(read(readVarint, '8200')).toEqual({ value: 1, position: 2 })
  })

  it.each(['', '80', 'ffffffff', '808080808001', 'ffffffff10', 'ffffffff7f', 'ffffffffff0f'])(
    '%s, cut off or beyond 32 bits -> refused, the cursor stays',
    (hex) => {
      expect(read(readVarint, hex)).toBe(null)
    },
  )

  it('bytes that go on behind the end -> refused', () => {
    expect(read(readVarint, '8001', 1)).toBe(null)
    expect(read(readVarint, '00', 0)).toBe(null)
  })
})

describe('varlong', () => {
  it.each([...INT32, ...BEYOND_INT32])('%d -> %s and back', (value, hex) => {
    expect(write(writeVarlong, value)).toBe(hex)
    expect(varlongBytes(value)).toBe(hex.length / 2)
    expect(read(readVarlong, hex)).toEqual({ value, position: hex.length / 2 })
  })

  it('any safe integer -> the bytes of kafkajs, the size foretold, and back', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat(53), (large, shift) => {
        // Small numbers as often as large ones; adding 0 makes 0 of -0.
        const value = Math.trunc(large / 2 ** shift) + 0
        const hex = write(writeVarlong, value)
        expect(hex).toBe(Buffer.from(varlongOfKafkajs(value)).toString('hex'))
        expect(varlongBytes(value)).toBe(hex.length / 2)
        expect(read(readVarlong, hex)?.value).toBe(value)
      }),
      { seed: 2, numRuns: 1000 },
    )
  })

  it.each([
    ['', 'nothing'],
    ['80', 'cut off'],
    ['ffffffffffffff', 'cut off'],
    ['feffffffffffff3f', '2^54 - 1'],
    ['80808080808080' + '20', '2^53'],
    ['ffffffffffffff1f', '-2^53'],
    ['ffffffffffffffffff01', 'the lowest int64'],
    ['808080808080808080' + '8000', 'eleven bytes'],
  ])('%s, %s -> refused, the cursor stays', (hex) => {
    expect(read(readVarlong, hex)).toBe(null)
  })

  it('bytes that go on behind the end -> refused', () => {
    expect(read(readVarlong, '8001', 1)).toBe(null)
    expect(read(readVarlong, '00', 0)).toBe(null)
  })
})
