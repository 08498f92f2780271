// STO-44: stored samples of the format. They were written by kafkajs 2.2.4, so they pin our files to Kafka's format, not
// to what our code happens to write.
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readBatchHeader, readRecords } from '../../src/record/batch-reader.ts'
import { recordsOf } from '../../src/record/batch-rewrite.ts'
import { deepValidateRecords, validateBatch } from '../../src/record/batch-validation.ts'
import { batchOf, cpu, TIME_MS, utf8 } from './batches.ts'

const bytesOf = (hex: readonly string[]): Uint8Array => Uint8Array.from(Buffer.from(hex.join(''), 'hex'))

const ONE_RECORD = [
  '0000000000000000', // base offset 0
  '0000003d', // batch length 61
  'ffffffff', // leader epoch -1
  '02', // magic
  '32e29338', // CRC-32C
  '0000', // attributes
  '00000000', // last offset delta
  '0000019b76daa800', // base timestamp
  '0000019b76daa800', // max timestamp
  'ffffffffffffffff', // producer id -1
  'ffff', // producer epoch -1
  'ffffffff', // base sequence -1
  '00000001', // records count
  '16', // record of 11 bytes
  '00', // attributes
  '00', // timestamp delta
  '00', // offset delta
  '01', // key null
  '0a68656c6c6f', // value "hello"
  '00', // no headers
]

const FOUR_RECORDS = [
  '0000010000000001', // base offset 2^40 + 1
  '000000be', // batch length 190
  '0000004d', // leader epoch 77
  '02',
  '03c8edef', // CRC-32C
  '0000',
  '00000003', // last offset delta
  '0000019b76daa800',
  '0000019ca0e09a00', // max timestamp 5,000,000,000 ms later
  '0000020000000003', // producer id 2^41 + 3
  '000c', // producer epoch 12
  '0000000d', // base sequence 13
  '00000004', // records count
  '54000000', // 42 bytes
  '066b6579', // key "key"
  '0a6669727374', // value "first"
  '04', // two headers
  '0a7472616365', // "trace"
  '0400ff', // 00 ff
  '0c6a6dc3a96e6f', // "jméno"
  '16c5bd6f66696520f09f9880', // "Žofie 😀"
  '0c00', // 6 bytes
  '01', // timestamp delta -1
  '02', // offset delta 1
  '00', // key empty
  '01', // value null
  '00',
  '1400', // 10 bytes
  '80c8afa025', // timestamp delta 5,000,000,000
  '04', // offset delta 2
  '01', // key null
  '00', // value empty
  '00',
  '9c0100', // 78 bytes
  'd804', // timestamp delta 300
  '06', // offset delta 3
  '01', // key null
  '8c01', // 70 bytes
  '78'.repeat(70),
  '00',
]

const COMPRESSED_WITH_GZIP = [
  '0000000000000000',
  '00000068',
  '00000000',
  '02',
  '4893b02c',
  '0001', // attributes: gzip
  '00000002',
  '0000019b76daa800',
  '0000019b76daa802',
  'ffffffffffffffff',
  '0000',
  '00000000',
  '00000003',
  '1f8b080000000000000353616060609448cecf2d284a2d2e4e4d5130605061606242113264506160614111326200005eaa4c9c39000000',
]

describe('golden batches', () => {
  it('STO-44: one record -> we write these bytes and read them', () => {
    const batch = bytesOf(ONE_RECORD)
    const records = [{ key: null, value: utf8('hello'), headers: [], timestampMs: TIME_MS }]
    expect(Buffer.from(batchOf(records)).toString('hex')).toBe(ONE_RECORD.join(''))
    expect(validateBatch(batch, 0, { cpu, maxBytes: 1000, origin: 'producer' })).toBe(batch.length)
    expect(readRecords(batch, { cpu })).toEqual([{ ...records[0], offset: 0 }])
  })

  it('STO-44: four records with all that a batch can hold -> we write these bytes and read them', () => {
    const batch = bytesOf(FOUR_RECORDS)
    const records = [
      {
        key: utf8('key'),
        value: utf8('first'),
        timestampMs: TIME_MS,
        headers: [
          { key: 'trace', value: Uint8Array.of(0, 255) },
          { key: 'jméno', value: utf8('Žofie 😀') },
        ],
      },
      { key: utf8(''), value: null, headers: [], timestampMs: TIME_MS - 1 },
      { key: null, value: utf8(''), headers: [], timestampMs: TIME_MS + 5_000_000_000 },
      { key: null, value: utf8('x'.repeat(70)), headers: [], timestampMs: TIME_MS + 300 },
    ]
    const stamp = {
      baseOffset: 2 ** 40 + 1,
      leaderEpoch: 77,
      producerId: 2 ** 41 + 3,
      producerEpoch: 12,
      baseSequence: 13,
    }
    expect(Buffer.from(batchOf(records, stamp)).toString('hex')).toBe(FOUR_RECORDS.join(''))
    expect(validateBatch(batch, 0, { cpu, maxBytes: 1000, origin: 'log' })).toBe(batch.length)
    expect(readBatchHeader(batch, 0)).toMatchObject({ ...stamp, recordsCount: 4, lastOffsetDelta: 3 })
    expect(readRecords(batch, { cpu })).toEqual(
      records.map((one, i) => ({ ...one, offset: stamp.baseOffset + i })),
    )
  })

  it('STO-44: records compressed with gzip -> valid, and read once decompressed', () => {
    const batch = bytesOf(COMPRESSED_WITH_GZIP)
    expect(validateBatch(batch, 0, { cpu, maxBytes: 1000, origin: 'producer' })).toBe(batch.length)
    expect(readBatchHeader(batch, 0).compression).toBe('gzip')
    const decompressed = Uint8Array.from(gunzipSync(recordsOf(batch)))
    deepValidateRecords(batch, decompressed)
    expect(readRecords(batch, { cpu, decompressed })).toEqual(
      [0, 1, 2].map((i) => ({
        offset: i,
        timestampMs: TIME_MS + i,
        key: null,
        value: utf8(`compressed ${i}`),
        headers: [],
      })),
    )
  })
})
