import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { compressionOf, HEADER_BYTES } from '../../src/record/batch-format.ts'
import { readBatchHeader, readRecords } from '../../src/record/batch-reader.ts'
import { recordsOf, withProducer, withRecords } from '../../src/record/batch-rewrite.ts'
import { deepValidateRecords, validateBatch } from '../../src/record/batch-validation.ts'
import { batchOf, cpu, record } from './batches.ts'

const plain = batchOf(
  Array.from({ length: 20 }, (_, i) => record(`a value that repeats ${i % 3}`)),
  { producerId: 5, producerEpoch: 1, baseSequence: 40 },
)
const PRODUCER = { cpu, maxBytes: 10_000, origin: 'producer' } as const

describe('recordsOf', () => {
  it('a batch -> a view on what follows the header', () => {
    expect(recordsOf(plain).length).toBe(plain.length - HEADER_BYTES)
    expect(recordsOf(plain).buffer).toBe(plain.buffer)
  })
})

describe('withRecords', () => {
  it('compressed records -> a valid batch that says so, from which the same records are read', () => {
    const before = plain.slice()
    const compressed = withRecords(plain, { records: gzipSync(recordsOf(plain)), compression: 'gzip', cpu })
    expect(plain).toEqual(before)
    expect(compressed.length).toBeLessThan(plain.length)
    expect(validateBatch(compressed, 0, PRODUCER)).toBe(compressed.length)
    expect(compressionOf(compressed, 0)).toBe('gzip')
    const decompressed = gunzipSync(recordsOf(compressed))
    deepValidateRecords(compressed, decompressed)
    expect(readRecords(compressed, { cpu, decompressed }).map((read) => [...read.value!])).toEqual(
      readRecords(plain, { cpu }).map((read) => [...read.value!]),
    )
  })

  it('compressed and back -> the same bytes', () => {
    const compressed = withRecords(plain, { records: gzipSync(recordsOf(plain)), compression: 'gzip', cpu })
    const records = gunzipSync(recordsOf(compressed))
    expect(withRecords(compressed, { records, compression: 'none', cpu })).toEqual(plain)
  })
})

describe('withProducer', () => {
  it('other producer numbers -> a valid copy with them, the original unchanged', () => {
    const before = plain.slice()
    const producer = { producerId: 2 ** 40, producerEpoch: 2 ** 15 - 1, baseSequence: 0 }
    const copy = withProducer(plain, { ...producer, cpu })
    expect(plain).toEqual(before)
    expect(validateBatch(copy, 0, PRODUCER)).toBe(copy.length)
    const { crc: _crcBefore, ...fieldsBefore } = readBatchHeader(plain, 0)
    const { crc: _crc, ...fields } = readBatchHeader(copy, 0)
    expect(fields).toEqual({ ...fieldsBefore, ...producer })
    expect(recordsOf(copy)).toEqual(recordsOf(plain))
  })

  it('a batch in a Buffer, whose slice would be a view -> the original unchanged', () => {
    const buffer = Buffer.from(plain)
    withProducer(buffer, { producerId: 9, producerEpoch: 9, baseSequence: 9, cpu })
    expect(Buffer.compare(buffer, plain)).toBe(0)
  })
})
