import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { type BatchFields, HEADER_BYTES } from '../../src/record/batch-format.ts'
import {
  type BatchValidationOptions,
  deepValidateRecords,
  validateBatch,
  validateBatches,
} from '../../src/record/batch-validation.ts'
import { batchOf, cpu, errorOf, rawBatch, record, TIME_MS, utf8 } from './batches.ts'

const PRODUCER: BatchValidationOptions = { cpu, maxBytes: 100_000, origin: 'producer' }
const LOG: BatchValidationOptions = { cpu, maxBytes: 100_000, origin: 'log' }
/** One record of seven bytes: length 6, attributes, deltas 0, key and value null, no headers. */
const SMALLEST = [12, 0, 0, 0, 1, 1, 0]
const STAMPED = { baseOffset: 100, leaderEpoch: 4 }

const valid = batchOf([
  record('first', { key: utf8('key'), headers: [{ key: 'name', value: utf8('value') }] }),
  record('second', { timestampMs: TIME_MS + 70 }),
  record(null),
])
const stamped = batchOf([record('first'), record('second')], STAMPED)

function problemOf(bytes: Uint8Array, options: BatchValidationOptions): string {
  const error = errorOf(() => validateBatch(bytes, 0, options))
  return `${error.code}: ${error.message}`
}

describe('validateBatch', () => {
  it('a sound batch anywhere in a buffer -> its size', () => {
    const bytes = concatBytes([utf8('before'), valid, stamped])
    expect(validateBatch(bytes, 6, PRODUCER)).toBe(valid.length)
    expect(validateBatch(bytes, 6 + valid.length, LOG)).toBe(stamped.length)
  })

  it('STO-01: cut at every byte -> CORRUPT_MESSAGE', () => {
    for (let length = 0; length < valid.length; length++) {
      expect(errorOf(() => validateBatch(valid.subarray(0, length), 0, PRODUCER)).code).toBe(
        'CORRUPT_MESSAGE',
      )
    }
  })

  it('STO-05: any one bit flipped -> refused, but for the leader epoch, which the leader overwrites', () => {
    const undetected = new Set<number>()
    for (let bit = 0; bit < valid.length * 8; bit++) {
      const flipped = valid.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      try {
        validateBatch(flipped, 0, PRODUCER)
        undetected.add(bit >> 3)
      } catch (error) {
        expect(error).toMatchObject({ name: 'VltavaError' })
      }
    }
    expect([...undetected]).toEqual([12, 13, 14, 15])
  })

  it('STO-05: any one bit of a stamped batch flipped -> refused, or found by continuity and leader epochs', () => {
    const undetected = new Set<number>()
    for (let bit = 0; bit < stamped.length * 8; bit++) {
      const flipped = stamped.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      try {
        validateBatch(flipped, 0, LOG)
        undetected.add(bit >> 3)
      } catch (error) {
        expect(error).toMatchObject({ name: 'VltavaError' })
      }
    }
    // Base offset and leader epoch only. The first byte of an offset up to 2^53 is 0, so that a flip there shows.
    expect([...undetected]).toEqual([1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15])
  })

  it('STO-05: any one bit flipped while another batch follows -> refused as well', () => {
    const two = concatBytes([valid, valid])
    for (let bit = 0; bit < valid.length * 8; bit++) {
      if (bit >> 3 >= 12 && bit >> 3 < 16) continue
      const flipped = two.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => validateBatch(flipped, 0, PRODUCER)).toThrow()
    }
  })

  it('STO-38: a batch of max - 1, max and max + 1 bytes -> accepted, accepted, MESSAGE_TOO_LARGE', () => {
    expect(validateBatch(valid, 0, { ...PRODUCER, maxBytes: valid.length + 1 })).toBe(valid.length)
    expect(validateBatch(valid, 0, { ...PRODUCER, maxBytes: valid.length })).toBe(valid.length)
    const problem = problemOf(valid, { ...PRODUCER, maxBytes: valid.length - 1 })
    expect(problem).toContain('MESSAGE_TOO_LARGE: ')
    expect(problem).toContain(`has ${valid.length} bytes; max.message.bytes allows ${valid.length - 1}`)
  })

  it.each([0, 1, 3, 255])('magic %d -> CORRUPT_MESSAGE', (magic) => {
    const batch = valid.slice()
    batch[16] = magic
    expect(problemOf(batch, PRODUCER)).toContain(
      `CORRUPT_MESSAGE: The record batch at position 0 has magic ${magic};`,
    )
  })

  it('a wrong checksum -> CORRUPT_MESSAGE that shows both', () => {
    const batch = rawBatch(SMALLEST)
    batch.set([0, 0, 0, 1], 17)
    expect(problemOf(batch, PRODUCER)).toMatch(
      /^CORRUPT_MESSAGE: .* has the CRC-32C 0x0001 in .* give 0x[0-9a-f]{4,8}\.$/,
    )
  })

  it.each<[string, Partial<BatchFields>, string]>([
    ['a negative count', { recordsCount: -5, lastOffsetDelta: -6 }, 'says it has -5 records'],
    [
      'SEC-15: more records than offsets',
      { recordsCount: 2, lastOffsetDelta: 0 },
      'last offset delta 0 with 2 records; it must be 1',
    ],
    ['SEC-15: a negative last offset delta', { lastOffsetDelta: -1 }, 'last offset delta -1'],
    ['SEC-15: a reserved attribute bit', { attributes: 0x80 }, 'reserved attribute bits set: 0x0080'],
    ['SEC-15: the highest attribute bit', { attributes: 0x8000 }, 'reserved attribute bits set: 0x8000'],
    ['SEC-15: an unknown compression type', { attributes: 7 }, 'compression type of a record batch is 7'],
    ['SEC-15: a negative base timestamp', { baseTimestampMs: -1 }, 'base timestamp -1'],
    ['SEC-15: a negative max timestamp', { maxTimestampMs: -2 }, 'max timestamp -2'],
    ['SEC-15: a producer id without epoch', { producerId: 5, baseSequence: 0 }, 'producer epoch -1'],
    ['SEC-15: a producer id without sequence', { producerId: 5, producerEpoch: 0 }, 'base sequence -1'],
  ])('%s -> INVALID_RECORD, from a producer and from a log', (_what, fields, text) => {
    expect(problemOf(rawBatch(SMALLEST, fields), PRODUCER)).toContain('INVALID_RECORD: ')
    expect(problemOf(rawBatch(SMALLEST, fields), PRODUCER)).toContain(text)
    expect(problemOf(rawBatch(SMALLEST, { ...STAMPED, ...fields }), LOG)).toContain(text)
  })

  it('STO-38: no records -> INVALID_RECORD from a producer; a log may have been compacted', () => {
    expect(problemOf(rawBatch(SMALLEST, { recordsCount: 0 }), PRODUCER)).toContain(
      'says it has 0 records; 1 or more are allowed',
    )
    const compacted = rawBatch(SMALLEST, { ...STAMPED, recordsCount: 0 })
    expect(validateBatch(compacted, 0, LOG)).toBe(compacted.length)
  })

  it('SEC-15: more offsets than records -> INVALID_RECORD from a producer; a log may have been compacted', () => {
    const fields = { lastOffsetDelta: 5 }
    const problem = problemOf(rawBatch(SMALLEST, fields), PRODUCER)
    expect(problem).toContain('INVALID_RECORD: ')
    expect(problem).toContain('last offset delta 5 with 1 records; it must be 0')
    const compacted = rawBatch(SMALLEST, { ...STAMPED, ...fields })
    expect(validateBatch(compacted, 0, LOG)).toBe(compacted.length)
  })

  it.each([
    ['base timestamp', 27],
    ['max timestamp', 35],
    ['producer id', 43],
  ])('SEC-15: a %s at the ends of int64 -> refused', (what, position) => {
    for (const bytes of ['7fffffffffffffff', '8000000000000000']) {
      const batch = rawBatch(SMALLEST)
      batch.set(Buffer.from(bytes, 'hex'), position)
      const crc = cpu.crc32c(batch.subarray(21))
      new DataView(batch.buffer).setUint32(17, crc)
      expect(problemOf(batch, PRODUCER)).toContain(`CORRUPT_MESSAGE: The ${what} of a record batch is beyond`)
    }
  })

  it('SEC-15: a producer id below -1 -> INVALID_RECORD', () => {
    const batch = rawBatch(SMALLEST)
    const view = new DataView(batch.buffer)
    view.setBigInt64(43, -2n)
    view.setUint32(17, cpu.crc32c(batch.subarray(21)))
    expect(problemOf(batch, PRODUCER)).toContain(
      'INVALID_RECORD: The record batch at position 0 has the producer id -2',
    )
  })

  it('no producer id but epoch and sequence 0, as kafkajs sends -> accepted', () => {
    const batch = rawBatch(SMALLEST, { producerEpoch: 0, baseSequence: 0 })
    expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
  })

  it.each<[string, Partial<BatchFields>, string]>([
    ['SEC-15: a base offset', { baseOffset: 1 }, 'base offset 1; a producer leaves it 0'],
    ['a control batch', { attributes: 0x20 }, 'is a control batch'],
    ['a transactional batch', { attributes: 0x10 }, 'is part of a transaction'],
    ['log append time', { attributes: 0x08 }, 'sets the log append time or delete horizon'],
    ['a delete horizon', { attributes: 0x40 }, 'sets the log append time or delete horizon'],
  ])('%s from a producer -> INVALID_RECORD; from a log -> accepted', (_what, fields, text) => {
    expect(problemOf(rawBatch(SMALLEST, fields), PRODUCER)).toContain('INVALID_RECORD: ')
    expect(problemOf(rawBatch(SMALLEST, fields), PRODUCER)).toContain(text)
    const fromLog = rawBatch(SMALLEST, { ...STAMPED, ...fields })
    expect(validateBatch(fromLog, 0, LOG)).toBe(fromLog.length)
  })

  it('any leader epoch from a producer -> accepted, the leader overwrites it', () => {
    for (const leaderEpoch of [-1, 0, 9]) {
      expect(validateBatch(rawBatch(SMALLEST, { leaderEpoch }), 0, PRODUCER)).toBe(HEADER_BYTES + 7)
    }
  })

  it('no leader epoch, or an offset beyond 2^53, from a log -> CORRUPT_MESSAGE', () => {
    expect(problemOf(rawBatch(SMALLEST, { leaderEpoch: -1 }), LOG)).toContain(
      'CORRUPT_MESSAGE: The record batch at position 0 has the leader epoch -1',
    )
    const last = { leaderEpoch: 1, baseOffset: 2 ** 53 - 2 }
    expect(validateBatch(rawBatch(SMALLEST, last), 0, LOG)).toBe(HEADER_BYTES + 7)
    const beyond = { leaderEpoch: 1, baseOffset: 2 ** 53 - 1 }
    expect(problemOf(rawBatch(SMALLEST, beyond), LOG)).toContain(
      'CORRUPT_MESSAGE: The record batch at position 0 has the base offset 9007199254740991',
    )
  })

  it('compressed records -> are not looked into', () => {
    for (const attributes of [1, 2, 3, 4]) {
      const batch = rawBatch([0xff, 0xff], { attributes, recordsCount: 1000 })
      expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
    }
  })
})

describe('deepValidateRecords', () => {
  it('sound records -> nothing', () => {
    deepValidateRecords(valid)
    deepValidateRecords(stamped)
  })

  const VARINT_OF_2_31 = [0xfe, 0xff, 0xff, 0xff, 0x0f]
  it.each<[string, readonly number[], string]>([
    ['a length of 0', [0, 0, 0, 0, 0, 0, 0], 'its length is 0'],
    ['a negative length', [1, 0, 0, 0, 1, 1, 0], 'its length is -1'],
    ['a length beyond the batch', [14, 0, 0, 0, 1, 1, 0], 'its length is 7, with 6 bytes left'],
    ['a length that ends too early', [12, 0, 0, 0, 1, 2, 9, 0], 'its headers count is malformed'],
    ['a length that ends too late', [14, 0, 0, 0, 1, 1, 0, 0], 'its length is 7, but it ends 1 bytes before'],
    ['a length of six bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0, 0], 'its length is malformed'],
    [
      'a timestamp delta of eleven bytes',
      [32, 0, ...new Array<number>(10).fill(0x80), 0, 0, 1, 1, 0],
      'its timestamp delta is malformed',
    ],
    [
      'a timestamp delta beyond 2^53',
      [28, 0, 254, 255, 255, 255, 255, 255, 255, 63, 0, 1, 1, 0, 0],
      'its timestamp delta is malformed',
    ],
    [
      'an offset delta of 1 in the first record',
      [12, 0, 0, 2, 1, 1, 0],
      'its offset delta is 1 instead of 0',
    ],
    ['a negative offset delta', [12, 0, 0, 1, 1, 1, 0], 'its offset delta is -1 instead of 0'],
    ['a key length of -2', [12, 0, 0, 0, 3, 1, 0], 'its key length is -2; -1 (null) to 2 is possible'],
    ['a key length beyond the record', [12, 0, 0, 0, 6, 1, 0], 'its key length is 3'],
    ['a key length of 2^31 - 1', [20, 0, 0, 0, ...VARINT_OF_2_31, 1, 0], 'its key length is 2147483647'],
    ['a value length of -2', [12, 0, 0, 0, 1, 3, 0], 'its value length is -2'],
    ['a value length beyond the record', [12, 0, 0, 0, 1, 4, 0], 'its value length is 2; -1 (null) to 1'],
    ['no headers count', [12, 0, 0, 0, 1, 2, 0], 'its headers count is malformed'],
    ['a headers count of -1', [12, 0, 0, 0, 1, 1, 1], 'its headers count is -1'],
    [
      'a headers count of 2^31 - 1',
      [20, 0, 0, 0, 1, 1, ...VARINT_OF_2_31],
      'its header key length is malformed',
    ],
    ['a null header key', [16, 0, 0, 0, 1, 1, 2, 1, 1], 'a header key is null'],
    ['a header key beyond the record', [16, 0, 0, 0, 1, 1, 2, 4, 1], 'its header key length is 2'],
    ['a header value length of -2', [16, 0, 0, 0, 1, 1, 2, 0, 3], 'its header value length is -2'],
    ['a header less than counted', [16, 0, 0, 0, 1, 1, 4, 0, 1], 'its header key length is malformed'],
    ['a header more than counted', [20, 0, 0, 0, 1, 1, 2, 0, 1, 0, 1], 'but it ends 2 bytes before'],
    ['bytes behind the last record', [...SMALLEST, 0], '1 bytes follow the last record'],
  ])('SEC-15: %s, with a right checksum -> INVALID_RECORD', (_what, records, text) => {
    const batch = rawBatch(records)
    expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
    const error = errorOf(() => deepValidateRecords(batch))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.message).toContain(text)
    expect(error.message).toContain('with base offset 0')
  })

  it('SEC-15: one record more or less than counted -> INVALID_RECORD', () => {
    const records = [...SMALLEST, 12, 0, 0, 2, 1, 1, 0]
    deepValidateRecords(rawBatch(records, { recordsCount: 2 }))
    expect(errorOf(() => deepValidateRecords(rawBatch(records, { recordsCount: 1 }))).message).toContain(
      '7 bytes follow',
    )
    expect(errorOf(() => deepValidateRecords(rawBatch(records, { recordsCount: 3 }))).code).toBe(
      'INVALID_RECORD',
    )
  })

  it('SEC-15: two records with the same offset delta -> INVALID_RECORD', () => {
    const batch = rawBatch([...SMALLEST, ...SMALLEST], { recordsCount: 2 })
    expect(errorOf(() => deepValidateRecords(batch)).message).toContain('Record 1 of the 2')
  })

  it('STO-11: decompressed records that lie about their count -> INVALID_RECORD', () => {
    const batch = rawBatch([1, 2, 3], { attributes: 1, recordsCount: 2 })
    const sound = batchOf([record('a'), record('b')]).subarray(HEADER_BYTES)
    deepValidateRecords(batch, sound)
    expect(errorOf(() => deepValidateRecords(batch, sound.subarray(0, -1))).code).toBe('INVALID_RECORD')
    expect(
      errorOf(() => deepValidateRecords(batch, concatBytes([sound, new Uint8Array(1)]))).message,
    ).toContain('1 bytes follow')
    expect(errorOf(() => deepValidateRecords(batch)).code).toBe('UNSUPPORTED_COMPRESSION_TYPE')
  })
})

describe('validateBatches', () => {
  const unsound = rawBatch([12, 0, 0, 0, 3, 1, 0])

  it('several sound batches, or none -> nothing', () => {
    validateBatches(concatBytes([valid, valid]), PRODUCER)
    validateBatches(new Uint8Array(0), PRODUCER)
  })

  it('the last one has a wrong checksum -> CORRUPT_MESSAGE with its position', () => {
    const damaged = valid.slice()
    damaged[valid.length - 1]! ^= 1
    const error = errorOf(() => validateBatches(concatBytes([valid, damaged]), PRODUCER))
    expect(error.code).toBe('CORRUPT_MESSAGE')
    expect(error.message).toContain(`at position ${valid.length} `)
  })

  it('SEC-15: the records of one are malformed -> INVALID_RECORD, unless told to leave them out', () => {
    const bytes = concatBytes([valid, unsound])
    expect(errorOf(() => validateBatches(bytes, PRODUCER)).code).toBe('INVALID_RECORD')
    validateBatches(bytes, { ...PRODUCER, checkRecords: false })
  })

  it('a compressed one -> its records are left to the consumers', () => {
    validateBatches(concatBytes([valid, rawBatch([1, 2, 3], { attributes: 2 })]), PRODUCER)
  })
})
