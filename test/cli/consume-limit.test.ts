import { describe, expect, it } from 'vitest'
import { ConsumeLimit } from '../../src/cli/consume-limit.ts'
import type { ConsumerRecord } from '../../src/client/records.ts'

/** A batch with the records of these offsets, exclusive of the second. */
function batchOf(partition: number, from: number, to: number) {
  const records = Array.from(
    { length: to - from },
    (_, i): ConsumerRecord => ({
      ...{ topic: 't', partition, offset: from + i, leaderEpoch: 0, timestampMs: 0 },
      ...{ key: null, value: null, headers: [] },
    }),
  )
  return { partition, nextOffset: to, records }
}

const FOR_EVER = Number.POSITIVE_INFINITY
const offsetsOf = (records: readonly ConsumerRecord[]): readonly number[] =>
  records.map(({ offset }) => offset)

describe('where vltava consume stops', () => {
  it('no end -> everything counts, of partitions that are added as well', () => {
    const limit = new ConsumeLimit({ ends: null, positions: new Map(), maxRecords: FOR_EVER })
    expect(offsetsOf(limit.take(batchOf(0, 0, 2)))).toEqual([0, 1])
    expect(offsetsOf(limit.take(batchOf(7, 0, 1)))).toEqual([0])
    expect(limit.isReached).toBe(false)
  })

  it('the ends of the start -> reached once each partition is read up to its own; what lies behind does not count', () => {
    const ends = new Map([
      [0, 3],
      [1, 5],
      [2, 4],
    ])
    const positions = new Map([
      [0, 0],
      [1, 2],
      [2, 4],
    ])
    const limit = new ConsumeLimit({ ends, positions, maxRecords: FOR_EVER })
    expect(offsetsOf(limit.take(batchOf(0, 0, 4)))).toEqual([0, 1, 2])
    expect(limit.isReached).toBe(false)
    expect(offsetsOf(limit.take(batchOf(2, 4, 6)))).toEqual([])
    expect(offsetsOf(limit.take(batchOf(1, 2, 5)))).toEqual([2, 3, 4])
    expect(limit.isReached).toBe(true)
  })

  it('the ends of the start, and a partition is added -> nothing of it counts, nor does it keep anybody waiting', () => {
    const limit = new ConsumeLimit({ ends: new Map([[0, 1]]), positions: new Map([[0, 0]]), maxRecords: 1 })
    expect(limit.take(batchOf(1, 0, 9))).toEqual([])
    expect(limit.isReached).toBe(false)
    expect(offsetsOf(limit.take(batchOf(0, 0, 1)))).toEqual([0])
    expect(limit.isReached).toBe(true)
  })

  it('an end of a partition that the consumer has not heard of yet -> waited for', () => {
    const ends = new Map([
      [0, 1],
      [1, 2],
    ])
    const limit = new ConsumeLimit({ ends, positions: new Map([[0, 1]]), maxRecords: FOR_EVER })
    expect(limit.isReached).toBe(false)
    expect(offsetsOf(limit.take(batchOf(1, 0, 2)))).toEqual([0, 1])
    expect(limit.isReached).toBe(true)
  })

  it('empty, or read already -> reached before anything comes', () => {
    const ends = new Map([[0, 2]])
    const reached = new ConsumeLimit({ ends, positions: new Map([[0, 2]]), maxRecords: FOR_EVER })
    expect(reached.isReached).toBe(true)
  })

  it('so many records -> no more, and none of the batch behind the last', () => {
    const limit = new ConsumeLimit({ ends: null, positions: new Map(), maxRecords: 3 })
    expect(offsetsOf(limit.take(batchOf(0, 0, 2)))).toEqual([0, 1])
    expect(offsetsOf(limit.take(batchOf(0, 2, 9)))).toEqual([2])
    expect(limit.isReached).toBe(true)
  })
})
