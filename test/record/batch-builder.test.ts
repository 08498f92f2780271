import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { seededRandom } from '../../src/base/random.ts'
import { BatchBuilder, type RecordInput, recordSizeBytes } from '../../src/record/batch-builder.ts'
import { batchSizeOf, HEADER_BYTES, maxTimestampOf, recordsCountOf } from '../../src/record/batch-format.ts'
import { readBatchHeader, readRecords } from '../../src/record/batch-reader.ts'
import { deepValidateRecords, validateBatch } from '../../src/record/batch-validation.ts'
import { recordLists } from './arbitraries.ts'
import { batchOf, cpu, errorOf, record, TIME_MS, utf8 } from './batches.ts'

function builderOf(maxBytes: number, singleRecordMaxBytes?: number): BatchBuilder {
  return singleRecordMaxBytes === undefined
    ? new BatchBuilder({ cpu, maxBytes })
    : new BatchBuilder({ cpu, maxBytes, singleRecordMaxBytes })
}

/** A record whose batch of one has exactly so many bytes; 200 or more, so that its lengths take two bytes. */
function recordOfBatchBytes(sizeBytes: number): RecordInput {
  const overhead = batchOf([record('x'.repeat(200))]).length - 200
  return record('x'.repeat(sizeBytes - overhead))
}

describe('BatchBuilder', () => {
  it('any records -> they are read back as they were, and the batch is valid', () => {
    fc.assert(
      fc.property(recordLists, (records) => {
        const batch = batchOf(records)
        expect(validateBatch(batch, 0, { cpu, maxBytes: batch.length, origin: 'producer' })).toBe(
          batch.length,
        )
        deepValidateRecords(batch)
        expect(readRecords(batch, { cpu })).toEqual(
          records.map((input, offset) => ({ ...input, offset, headers: input.headers ?? [] })),
        )
        expect(maxTimestampOf(batch, 0)).toBe(Math.max(...records.map((input) => input.timestampMs)))
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it('records one by one -> sizeBytes is at any time what the batch would have', () => {
    fc.assert(
      fc.property(recordLists, (records) => {
        const builder = builderOf(2 ** 20)
        expect([builder.sizeBytes, builder.recordsCount]).toEqual([HEADER_BYTES, 0])
        records.forEach((input, i) => {
          expect(builder.tryAppend(input)).toBe(true)
          const sizeBytes = batchOf(records.slice(0, i + 1)).length
          expect([builder.sizeBytes, builder.recordsCount]).toEqual([sizeBytes, i + 1])
        })
      }),
      { seed: 2, numRuns: 100 },
    )
  })

  it('no stamp -> the header of a batch that is not idempotent and that no leader has seen', () => {
    expect(
      readBatchHeader(batchOf([record('a'), record('b', { timestampMs: TIME_MS + 5 })]), 0),
    ).toMatchObject({
      baseOffset: 0,
      leaderEpoch: -1,
      magic: 2,
      attributes: 0,
      lastOffsetDelta: 1,
      baseTimestampMs: TIME_MS,
      maxTimestampMs: TIME_MS + 5,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      recordsCount: 2,
    })
  })

  it('a stamp -> its numbers stand in the header', () => {
    const stamp = {
      baseOffset: 2 ** 33,
      leaderEpoch: 5,
      producerId: 2 ** 34,
      producerEpoch: 6,
      baseSequence: 7,
    }
    expect(readBatchHeader(batchOf([record('a')], stamp), 0)).toMatchObject(stamp)
  })

  it('a later record with an earlier time -> negative delta, the max timestamp stays', () => {
    const batch = batchOf([record('a', { timestampMs: 5000 }), record('b', { timestampMs: 1000 })])
    expect(readRecords(batch, { cpu }).map((read) => read.timestampMs)).toEqual([5000, 1000])
    expect(readBatchHeader(batch, 0)).toMatchObject({ baseTimestampMs: 5000, maxTimestampMs: 5000 })
  })

  it('STO-38: empty and null key and value, header value, no headers -> are told apart', () => {
    const empty = new Uint8Array(0)
    const inputs: RecordInput[] = [
      { key: null, value: empty, timestampMs: TIME_MS },
      { key: empty, value: null, timestampMs: TIME_MS, headers: [] },
      {
        key: empty,
        value: empty,
        timestampMs: TIME_MS,
        headers: [
          { key: '', value: null },
          { key: '', value: empty },
        ],
      },
    ]
    expect(readRecords(batchOf(inputs), { cpu })).toEqual(
      inputs.map((input, offset) => ({ ...input, offset, headers: input.headers ?? [] })),
    )
  })

  it('STO-38: records that fill the batch to max - 1, max and max + 1 bytes -> in, in, not in', () => {
    const first = record('first')
    const fullBytes = batchOf([first, record('x'.repeat(300))]).length
    for (const [maxBytes, fits] of [
      [fullBytes + 1, true],
      [fullBytes, true],
      [fullBytes - 1, false],
    ] as const) {
      const builder = builderOf(maxBytes)
      builder.tryAppend(first)
      const before = builder.sizeBytes
      expect(builder.tryAppend(record('x'.repeat(300)))).toBe(fits)
      expect(builder.recordsCount).toBe(fits ? 2 : 1)
      expect(builder.sizeBytes).toBe(fits ? fullBytes : before)
      expect(readRecords(builder.build(), { cpu })).toHaveLength(fits ? 2 : 1)
    }
  })

  it('STO-38: a first record of limit - 1, limit and limit + 1 bytes -> in, in, RECORD_TOO_LARGE', () => {
    for (const sizeBytes of [999, 1000]) {
      const builder = builderOf(500, 1000)
      expect(builder.tryAppend(recordOfBatchBytes(sizeBytes))).toBe(true)
      expect(builder.tryAppend(record('next'))).toBe(false)
      expect(builder.build()).toHaveLength(sizeBytes)
    }
    const builder = builderOf(500, 1000)
    const error = errorOf(() => builder.tryAppend(recordOfBatchBytes(1001)))
    expect(error.code).toBe('RECORD_TOO_LARGE')
    expect(error.message).toContain('1001 bytes; at most 1000 bytes are allowed')
    // The batch goes on as if nothing had happened.
    expect(builder.tryAppend(record('small'))).toBe(true)
    expect(readRecords(builder.build(), { cpu })[0]!.value).toEqual(utf8('small'))
  })

  it('a record too large for any batch behind others -> RECORD_TOO_LARGE at once, not "next batch"', () => {
    const builder = builderOf(500, 1000)
    builder.tryAppend(record('first'))
    expect(errorOf(() => builder.tryAppend(recordOfBatchBytes(5000))).code).toBe('RECORD_TOO_LARGE')
    expect(builder.tryAppend(recordOfBatchBytes(1000))).toBe(false)
    expect(builder.recordsCount).toBe(1)
  })

  it('no hard limit given -> maxBytes is the limit of a first record too', () => {
    expect(builderOf(500).tryAppend(recordOfBatchBytes(500))).toBe(true)
    expect(errorOf(() => builderOf(500).tryAppend(recordOfBatchBytes(501))).message).toContain(
      'at most 500 bytes',
    )
  })

  it.each([-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])(
    'a timestamp of %d -> INVALID_ARGUMENT that shows it, the batch is unchanged',
    (timestampMs) => {
      const builder = builderOf(500)
      const error = errorOf(() => builder.tryAppend(record('a', { timestampMs })))
      expect(error.code).toBe('INVALID_ARGUMENT')
      expect(error.message).toContain(String(timestampMs))
      expect(builder.recordsCount).toBe(0)
    },
  )

  it('the bytes of a record change after tryAppend -> the batch keeps what they were', () => {
    const value = utf8('before')
    const builder = builderOf(500)
    builder.tryAppend({ key: value, value, timestampMs: 0 })
    value.fill(0)
    expect(readRecords(builder.build(), { cpu })[0]).toMatchObject({
      key: utf8('before'),
      value: utf8('before'),
    })
  })

  it('many records, growing from any expectedBytes -> the same batch', () => {
    const random = seededRandom(5)
    const records = Array.from({ length: 3000 }, (_, i) => {
      const value = new Uint8Array(random.below(200))
      random.fill(value)
      return { key: i % 3 === 0 ? null : utf8(`key-${i}`), value, timestampMs: TIME_MS + i }
    })
    const build = (expectedBytes: number): Uint8Array => {
      const builder = new BatchBuilder({ cpu, maxBytes: 2 ** 20, expectedBytes })
      for (const one of records) expect(builder.tryAppend(one)).toBe(true)
      return builder.build()
    }
    const batch = build(2 ** 20)
    expect(recordsCountOf(batch, 0)).toBe(3000)
    expect(batchSizeOf(batch, 0)).toBe(batch.length)
    for (const expectedBytes of [0, 61, 62, 1000, 100_000, 2 ** 30]) {
      expect(Buffer.compare(build(expectedBytes), batch)).toBe(0)
    }
  })

  it('build without records, build twice, append after build -> assertion', () => {
    expect(() => builderOf(500).build()).toThrow(AssertionError)
    const builder = builderOf(500)
    builder.tryAppend(record('a'))
    builder.build()
    expect(() => builder.build()).toThrow(AssertionError)
    expect(() => builder.tryAppend(record('b'))).toThrow(AssertionError)
  })

  it('limits that contradict each other -> assertion', () => {
    expect(() => builderOf(HEADER_BYTES - 1)).toThrow(AssertionError)
    expect(() => builderOf(1000, 999)).toThrow(AssertionError)
  })
})

describe('recordSizeBytes', () => {
  it('any records -> never less than what tryAppend writes', () => {
    fc.assert(
      fc.property(recordLists, (records) => {
        const builder = builderOf(2 ** 20)
        for (const one of records) {
          const before = builder.sizeBytes
          builder.tryAppend(one)
          expect(recordSizeBytes(one)).toBeGreaterThanOrEqual(builder.sizeBytes - before)
        }
      }),
      { seed: 3, numRuns: 200 },
    )
  })

  it('without headers -> at most 17 bytes too high', () => {
    for (const length of [0, 1, 63, 64, 8191, 8192, 100_000]) {
      const one = record('x'.repeat(length), { key: utf8('key') })
      expect(recordSizeBytes(one) - (batchOf([one]).length - HEADER_BYTES)).toBeLessThanOrEqual(17)
    }
  })
})
