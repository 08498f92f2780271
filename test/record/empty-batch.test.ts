import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { baseOffsetOf, leaderEpochOf, maxTimestampOf, nextOffsetOf } from '../../src/record/batch-format.ts'
import { deepValidateRecords, validateBatches } from '../../src/record/batch-validation.ts'
import {
  beginningAt,
  EMPTY_BATCH_OFFSETS_MAX,
  emptyBatch,
  emptyBatchWithin,
  isEmptyBatch,
} from '../../src/record/empty-batch.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'
import { stamped } from '../storage/fixtures.ts'

const cpu = createNodeCpu(null)
const empty = (baseOffset: number, nextOffset: number, leaderEpoch = 3) =>
  emptyBatch({ baseOffset, nextOffset, leaderEpoch }, cpu)
const shown = (batch: Uint8Array) => [
  ...[baseOffsetOf(batch, 0), nextOffsetOf(batch, 0), leaderEpochOf(batch, 0)],
]
const inLog = { cpu, maxBytes: 1_000, origin: 'log' } as const

describe('an empty batch', () => {
  it('any range -> a valid batch of a log with these offsets, no record and no time', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 40),
        fc.integer({ min: 1, max: EMPTY_BATCH_OFFSETS_MAX }),
        fc.nat(2 ** 31 - 1),
        (baseOffset, offsets, leaderEpoch) => {
          const batch = empty(baseOffset, baseOffset + offsets, leaderEpoch)
          validateBatches(batch, inLog)
          deepValidateRecords(batch)
          expect(shown(batch)).toEqual([baseOffset, baseOffset + offsets, leaderEpoch])
          expect([isEmptyBatch(batch, 0), maxTimestampOf(batch, 0)]).toEqual([true, -1])
          expect(new RecordCursor(batch).next()).toBe(false)
        },
      ),
    )
    expect(isEmptyBatch(stamped({ text: 'a', records: 1, offset: 0, leaderEpoch: 0 }), 0)).toBe(false)
  })

  it('of no offset, or of too many -> an assertion', () => {
    expect(() => empty(5, 5)).toThrow('an empty batch has 1 to 2147483647 offsets, not 0')
    expect(() => empty(0, 2 ** 31)).toThrow('not 2147483648')
  })

  it('from a producer -> INVALID_RECORD', () => {
    const batch = emptyBatch({ baseOffset: 0, nextOffset: 1, leaderEpoch: 0 }, cpu)
    expect(() => validateBatches(batch, { ...inLog, origin: 'producer' })).toThrow(
      'says it has 0 records; 1 or more are allowed',
    )
  })
})

describe('emptyBatchWithin', () => {
  it('a range of offsets -> the part of the batch that lies in it; the very batch where that is all', () => {
    const batch = empty(10, 20)
    const within = (fromOffset: number, endOffset: number) =>
      emptyBatchWithin(batch, { fromOffset, endOffset }, cpu)
    expect(shown(within(12, 15))).toEqual([12, 15, 3])
    expect(shown(within(0, 15))).toEqual([10, 15, 3])
    expect(shown(within(12, 90))).toEqual([12, 20, 3])
    expect(within(10, 20)).toBe(batch)
  })
})

describe('beginningAt', () => {
  const next = stamped({ text: 'a', records: 2, offset: 20, leaderEpoch: 3 })

  it('an empty batch that spans the offset -> a shorter one and the rest, and what came stays as it is', () => {
    const bytes = concatBytes([empty(10, 20), next])
    const before = bytes.slice()
    const [first, rest] = beginningAt(bytes, 14, cpu)
    expect(shown(first!)).toEqual([14, 20, 3])
    expect(rest).toEqual(next)
    expect(bytes).toEqual(before)
    expect(beginningAt(empty(10, 20), 19, cpu).map(shown)).toEqual([[19, 20, 3]])
  })

  it('anything else -> the bytes as they came', () => {
    const whole = stamped({ text: 'a', records: 10, offset: 10, leaderEpoch: 3 })
    for (const [bytes, offset] of [
      [empty(10, 20), 10],
      [empty(10, 20), 20],
      [empty(10, 20), 9],
      [whole, 14],
      [new Uint8Array(0), 14],
    ] as const) {
      const begun = beginningAt(bytes, offset, cpu)
      expect(begun).toHaveLength(1)
      expect(begun[0]).toBe(bytes)
    }
  })
})
