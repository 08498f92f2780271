import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createWebCpu } from '../../src/platform/web/web-cpu.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { withoutRecords } from '../../src/record/batch-compaction.ts'
import { stampBatch, writeBatchSize } from '../../src/record/batch-format.ts'
import { readBatchHeader, readRecords } from '../../src/record/batch-reader.ts'
import { deepValidateRecords, validateBatch } from '../../src/record/batch-validation.ts'
import { errorOf } from './batches.ts'

const cpu = createWebCpu()
const BASE_OFFSET = 1_000

function batchOf(records: readonly { readonly text: string; readonly timestampMs: number }[]): Uint8Array {
  const builder = new BatchBuilder({ cpu, maxBytes: 1024 * 1024 })
  for (const { text, timestampMs } of records) {
    const value = cpu.encodeUtf8(text)
    builder.tryAppend({ key: value.subarray(0, 1), value, timestampMs, headers: [{ key: 'h', value }] })
  }
  const batch = builder.build()
  stampBatch(batch, 0, { baseOffset: BASE_OFFSET, leaderEpoch: 3 })
  return batch
}

function shown(batch: Uint8Array) {
  return readRecords(batch, { cpu }).map(({ offset, timestampMs, value }) => ({
    offset,
    timestampMs,
    text: cpu.decodeUtf8(value!),
  }))
}

describe('withoutRecords', () => {
  it('STO-33: any records kept -> the same offsets, times and bytes, and a batch that is valid in a log', () => {
    const record = fc.record({ text: fc.string({ maxLength: 40 }), timestampMs: fc.nat({ max: 10 ** 12 }) })
    fc.assert(
      fc.property(fc.array(fc.tuple(record, fc.boolean()), { minLength: 1, maxLength: 30 }), (drawn) => {
        const batch = batchOf(drawn.map(([one]) => one))
        const expected = shown(batch).filter((_, i) => drawn[i]![1])
        const keeps = ({ offset }: { readonly offset: number }) => drawn[offset - BASE_OFFSET]![1]
        const kept = withoutRecords(batch, { cpu, keeps })
        if (kept === null || kept === batch) {
          expect(expected).toHaveLength(kept === null ? 0 : drawn.length)
          return
        }
        validateBatch(kept, 0, { cpu, maxBytes: 1024 * 1024, origin: 'log' })
        deepValidateRecords(kept)
        expect(shown(kept)).toEqual(expected)
        const { sizeBytes, crc, recordsCount, maxTimestampMs, ...same } = readBatchHeader(kept, 0)
        expect(readBatchHeader(batch, 0)).toMatchObject(same)
        expect([sizeBytes, recordsCount]).toEqual([kept.length, expected.length])
        expect(maxTimestampMs).toBe(Math.max(...expected.map(({ timestampMs }) => timestampMs)))
        expect(crc).toBeGreaterThanOrEqual(0)
      }),
    )
  })

  it('a compacted batch compacted again -> as if done at once', () => {
    const batch = batchOf(['a', 'b', 'c', 'd', 'e'].map((text) => ({ text, timestampMs: 5 })))
    const without = (from: Uint8Array, offsets: readonly number[]) =>
      withoutRecords(from, { cpu, keeps: ({ offset }) => !offsets.includes(offset - BASE_OFFSET) })!
    expect(without(without(batch, [1, 4]), [2])).toEqual(without(batch, [1, 2, 4]))
  })
})

describe('the records of a compacted batch', () => {
  const compacted = () =>
    withoutRecords(batchOf(['aa', 'bb', 'cc', 'dd'].map((text) => ({ text, timestampMs: 5 }))), {
      cpu,
      keeps: ({ offset }) => offset === BASE_OFFSET + 1 || offset === BASE_OFFSET + 3,
    })!

  it('offset deltas that do not ascend -> INVALID_RECORD', () => {
    const batch = compacted()
    // The first record: length, attributes, time delta, and then its offset delta, 1 as a zig-zag varint.
    expect(batch[64]).toBe(2)
    for (const [delta, text] of [
      [3, 'its offset delta is 3; more than 3'],
      [4, 'its offset delta is 4; more than -1 and up to 3'],
    ] as const) {
      batch[64] = 2 * delta
      expect(errorOf(() => deepValidateRecords(batch)).message).toContain(text)
    }
  })

  it('bytes behind the last one -> INVALID_RECORD', () => {
    const batch = compacted()
    const longer = new Uint8Array(batch.length + 3)
    longer.set(batch)
    writeBatchSize(longer, 0, longer.length)
    expect(errorOf(() => deepValidateRecords(longer)).message).toContain('3 bytes follow')
  })
})
