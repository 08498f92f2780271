import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import {
  attributesOf,
  type BatchFields,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchSizeOf,
  compressionOf,
  crcOf,
  HEADER_BYTES,
  hasDeleteHorizon,
  isControl,
  isLogAppendTime,
  isTransactional,
  LOG_OVERHEAD_BYTES,
  lastOffsetDeltaOf,
  leaderEpochOf,
  magicOf,
  maxTimestampOf,
  nextOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordsCountOf,
  stampBatch,
  withCompression,
  writeAttributes,
  writeBatchSize,
  writeCrc,
  writeFields,
  writeProducer,
} from '../../src/record/batch-format.ts'
import { validateBatch } from '../../src/record/batch-validation.ts'
import { batchOf, cpu, errorOf, record } from './batches.ts'

// Every byte of every field differs from its neighbours, so that a wrong position or order of bytes shows.
const FIELDS: BatchFields = {
  baseOffset: 0x0001020304050607,
  leaderEpoch: 0x11121314,
  attributes: 0x2122,
  lastOffsetDelta: 0x31323334,
  baseTimestampMs: 0x0009_4142_4344_4546,
  maxTimestampMs: 0x000a_5152_5354_5556,
  producerId: 0x000b_6162_6364_6566,
  producerEpoch: 0x7172,
  baseSequence: 0x41424344,
  recordsCount: 0x51525354,
}
const HEADER_HEX = [
  '0001020304050607', // base offset
  '01020304', // batch length
  '11121314', // leader epoch
  '02', // magic
  'f1f2f3f4', // crc
  '2122', // attributes
  '31323334', // last offset delta
  '0009414243444546', // base timestamp
  '000a515253545556', // max timestamp
  '000b616263646566', // producer id
  '7172', // producer epoch
  '41424344', // base sequence
  '51525354', // records count
].join('')

function header(fields: Partial<BatchFields> = {}): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES)
  writeFields(bytes, 0, { ...FIELDS, ...fields })
  return bytes
}

describe('batch format', () => {
  it("constants -> Kafka's", () => {
    expect([HEADER_BYTES, LOG_OVERHEAD_BYTES]).toEqual([61, 12])
    expect(HEADER_HEX.length / 2).toBe(HEADER_BYTES)
  })

  it('all setters at a place in a buffer -> exactly the drawn layout, nothing beside it', () => {
    const bytes = new Uint8Array(5 + HEADER_BYTES + 5).fill(0xee)
    writeFields(bytes, 5, FIELDS)
    writeBatchSize(bytes, 5, 0x01020304 + LOG_OVERHEAD_BYTES)
    writeCrc(bytes, 5, 0xf1f2f3f4)
    expect(Buffer.from(bytes).toString('hex')).toBe(`eeeeeeeeee${HEADER_HEX}eeeeeeeeee`)
  })

  it('all getters at a place in a buffer -> the drawn layout', () => {
    const bytes = Uint8Array.from(Buffer.from(`eeeeeeeeee${HEADER_HEX}`, 'hex'))
    expect({
      baseOffset: baseOffsetOf(bytes, 5),
      leaderEpoch: leaderEpochOf(bytes, 5),
      attributes: attributesOf(bytes, 5),
      lastOffsetDelta: lastOffsetDeltaOf(bytes, 5),
      baseTimestampMs: baseTimestampOf(bytes, 5),
      maxTimestampMs: maxTimestampOf(bytes, 5),
      producerId: producerIdOf(bytes, 5),
      producerEpoch: producerEpochOf(bytes, 5),
      baseSequence: baseSequenceOf(bytes, 5),
      recordsCount: recordsCountOf(bytes, 5),
    }).toEqual(FIELDS)
    expect(batchSizeOf(bytes, 5)).toBe(0x01020304 + 12)
    expect(magicOf(bytes, 5)).toBe(2)
    expect(crcOf(bytes, 5)).toBe(0xf1f2f3f4)
    expect(nextOffsetOf(bytes, 5)).toBe(FIELDS.baseOffset + FIELDS.lastOffsetDelta + 1)
  })

  it('negative values -> are read as negative', () => {
    const bytes = header({ leaderEpoch: -1, producerId: -1, producerEpoch: -1, baseSequence: -1 })
    writeBatchSize(bytes, 0, 0)
    expect([leaderEpochOf(bytes, 0), producerIdOf(bytes, 0)]).toEqual([-1, -1])
    expect([producerEpochOf(bytes, 0), baseSequenceOf(bytes, 0)]).toEqual([-1, -1])
    expect(batchSizeOf(bytes, 0)).toBe(0)
    bytes.fill(0xff)
    expect([lastOffsetDeltaOf(bytes, 0), recordsCountOf(bytes, 0)]).toEqual([-1, -1])
    expect([baseOffsetOf(bytes, 0), baseTimestampOf(bytes, 0), maxTimestampOf(bytes, 0)]).toEqual([
      -1, -1, -1,
    ])
    expect([magicOf(bytes, 0), attributesOf(bytes, 0)]).toEqual([0xff, 0xffff])
  })

  it('STO-37: offsets around 2^31, 2^32 and 2^53 -> are kept', () => {
    const bytes = header()
    for (const baseOffset of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1]) {
      stampBatch(bytes, 0, { baseOffset, leaderEpoch: 3 })
      expect(baseOffsetOf(bytes, 0)).toBe(baseOffset)
    }
  })

  it.each(['0020000000000000', '7fffffffffffffff', '8000000000000000', 'ffdfffffffffffff'])(
    'STO-37: an int64 of %s, beyond 2^53 -> CORRUPT_MESSAGE that names the field',
    (hex) => {
      const bytes = new Uint8Array(HEADER_BYTES)
      for (const [position, getter, what] of [
        [0, baseOffsetOf, 'base offset'],
        [27, baseTimestampOf, 'base timestamp'],
        [35, maxTimestampOf, 'max timestamp'],
        [43, producerIdOf, 'producer id'],
      ] as const) {
        bytes.set(Buffer.from(hex, 'hex'), position)
        const error = errorOf(() => getter(bytes, 0))
        expect(error.code).toBe('CORRUPT_MESSAGE')
        expect(error.message).toContain(what)
      }
    },
  )

  it('stampBatch: base offset and leader epoch -> the checksum stays right, nothing else changes', () => {
    const batch = batchOf([record('a'), record('b')])
    const before = batch.slice()
    stampBatch(batch, 0, { baseOffset: 2 ** 40, leaderEpoch: 7 })
    expect(validateBatch(batch, 0, { cpu, maxBytes: 1000, origin: 'log' })).toBe(batch.length)
    expect([baseOffsetOf(batch, 0), leaderEpochOf(batch, 0), nextOffsetOf(batch, 0)]).toEqual([
      2 ** 40,
      7,
      2 ** 40 + 2,
    ])
    stampBatch(batch, 0, { baseOffset: 0, leaderEpoch: -1 })
    expect(batch).toEqual(before)
  })

  it.each([
    { baseOffset: -1, leaderEpoch: 0 },
    { baseOffset: 2 ** 53, leaderEpoch: 0 },
    { baseOffset: 0.5, leaderEpoch: 0 },
    { baseOffset: 0, leaderEpoch: -2 },
    { baseOffset: 0, leaderEpoch: 2 ** 31 },
    { baseOffset: 0, leaderEpoch: Number.NaN },
  ])('stampBatch: %j -> assertion', (stamp) => {
    expect(() => stampBatch(header(), 0, stamp)).toThrow(AssertionError)
  })

  it.each([
    { producerId: -2, producerEpoch: 0, baseSequence: 0 },
    { producerId: 2 ** 53, producerEpoch: 0, baseSequence: 0 },
    { producerId: 0, producerEpoch: 2 ** 15, baseSequence: 0 },
    { producerId: 0, producerEpoch: -2, baseSequence: 0 },
    { producerId: 0, producerEpoch: 0, baseSequence: 2 ** 31 },
  ])('writeProducer: %j -> assertion', (producer) => {
    expect(() => writeProducer(header(), 0, producer)).toThrow(AssertionError)
  })

  it('attributes: each bit -> its meaning and no other', () => {
    const bytes = header()
    const meanings = (attributes: number): boolean[] => {
      writeAttributes(bytes, 0, attributes)
      return [isLogAppendTime, isTransactional, isControl, hasDeleteHorizon].map((is) => is(bytes, 0))
    }
    expect(meanings(0)).toEqual([false, false, false, false])
    expect(meanings(0x08)).toEqual([true, false, false, false])
    expect(meanings(0x10)).toEqual([false, true, false, false])
    expect(meanings(0x20)).toEqual([false, false, true, false])
    expect(meanings(0x40)).toEqual([false, false, false, true])
    expect(meanings(0xff87)).toEqual([false, false, false, false])
  })

  it("compression: each number -> Kafka's type, other bits left alone", () => {
    const bytes = header()
    for (const [i, type] of (['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const).entries()) {
      writeAttributes(bytes, 0, 0x7f78 | i)
      expect(compressionOf(bytes, 0)).toBe(type)
      expect(withCompression(0x7f7f, type)).toBe(0x7f78 | i)
    }
  })

  it.each([5, 6, 7])('compression: the number %d -> INVALID_RECORD', (id) => {
    const error = errorOf(() => compressionOf(header({ attributes: id }), 0))
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.message).toContain(`is ${id}; 0 to 4`)
  })
})
