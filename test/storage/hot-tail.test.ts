import { describe, expect, it } from 'vitest'
import { HotTail, TailBudget } from '../../src/storage/hot-tail.ts'
import { joined, recordsOf, stamped } from './fixtures.ts'

/** One batch of two records in a buffer of its own, unless one to put it into is given. */
function part(offset: number, text = `${offset}`) {
  const bytes = stamped({ text, records: 2, offset, leaderEpoch: 0 }).slice()
  return { bytes, baseOffset: offset, endOffset: offset + 2 }
}

const SIZE = part(0).bytes.length

function read(
  tail: HotTail,
  offset: number,
  rest: { endOffset?: number; maxBytes?: number; one?: boolean } = {},
) {
  const { endOffset = 1000, maxBytes = 10_000, one = false } = rest
  const views = tail.read({ offset, endOffset, maxBytes, atLeastOneBatch: one })
  return views === null ? null : recordsOf(views).map((record) => record.offset)
}

describe('hot tail', () => {
  it('empty, or an offset before it -> null: the files know', () => {
    const tail = new HotTail(new TailBudget(10_000))
    expect(read(tail, 0)).toBeNull()
    tail.add(part(4))
    expect(read(tail, 3)).toBeNull()
    expect(read(tail, 4)).toEqual([4, 5])
  })

  it('the same buffers -> served as they came', () => {
    const tail = new HotTail(new TailBudget(10_000))
    const parts = [part(0), part(2)]
    for (const one of parts) tail.add(one)
    const views = tail.read({ offset: 0, endOffset: 4, maxBytes: 10_000, atLeastOneBatch: false })
    expect(views).toHaveLength(2)
    expect(views![0]).toBe(parts[0]!.bytes)
    expect(views![1]).toBe(parts[1]!.bytes)
  })

  it('a part of several batches -> cut where the range says', () => {
    const tail = new HotTail(new TailBudget(10_000))
    tail.add({ bytes: joined([0, 2, 4].map((offset) => part(offset).bytes)), baseOffset: 0, endOffset: 6 })
    tail.add(part(6))
    expect(read(tail, 3)).toEqual([2, 3, 4, 5, 6, 7])
    expect(read(tail, 2, { endOffset: 5 })).toEqual([2, 3])
    expect(read(tail, 0, { endOffset: 6 })).toEqual([0, 1, 2, 3, 4, 5])
    expect(read(tail, 0, { maxBytes: 2 * SIZE })).toEqual([0, 1, 2, 3])
    expect(read(tail, 0, { maxBytes: 3 * SIZE })).toEqual([0, 1, 2, 3, 4, 5])
    expect(read(tail, 0, { maxBytes: SIZE - 1 })).toEqual([])
    expect(read(tail, 4, { maxBytes: 1, one: true })).toEqual([4, 5])
  })

  it('more than the budget -> the oldest go, whichever log they are of', () => {
    const budget = new TailBudget(3 * SIZE)
    const [a, b] = [new HotTail(budget), new HotTail(budget)]
    a.add(part(0))
    b.add(part(0))
    a.add(part(2))
    expect(budget.usedBytes).toBe(3 * SIZE)
    b.add(part(2))
    expect(read(a, 0)).toBeNull()
    expect(read(a, 2)).toEqual([2, 3])
    expect(read(b, 0)).toEqual([0, 1, 2, 3])
    expect(budget.usedBytes).toBe(3 * SIZE)
  })

  it('views of one buffer -> it counts once, as a whole, until the last is gone', () => {
    const budget = new TailBudget(4 * SIZE)
    const [a, b] = [new HotTail(budget), new HotTail(budget)]
    const both = joined([part(0).bytes, part(0).bytes])
    a.add({ bytes: both.subarray(0, SIZE), baseOffset: 0, endOffset: 2 })
    expect(budget.usedBytes).toBe(2 * SIZE)
    b.add({ bytes: both.subarray(SIZE), baseOffset: 0, endOffset: 2 })
    expect(budget.usedBytes).toBe(2 * SIZE)
    a.truncate(0)
    expect(budget.usedBytes).toBe(2 * SIZE)
    b.truncate(0)
    expect(budget.usedBytes).toBe(0)
  })

  it('a small view of a large buffer -> copied, so that it does not keep the buffer', () => {
    const budget = new TailBudget(100 * SIZE)
    const tail = new HotTail(budget)
    const message = new Uint8Array(5 * SIZE)
    message.set(part(0).bytes, SIZE)
    tail.add({ bytes: message.subarray(SIZE, 2 * SIZE), baseOffset: 0, endOffset: 2 })
    expect(budget.usedBytes).toBe(SIZE)
    expect(read(tail, 0)).toEqual([0, 1])
  })

  it('a budget of 0 -> keeps nothing', () => {
    const budget = new TailBudget(0)
    const tail = new HotTail(budget)
    tail.add(part(0))
    expect(read(tail, 0)).toBeNull()
    expect(budget.usedBytes).toBe(0)
  })

  it('truncated -> what lies beyond is gone; a part that spans the place goes whole and leaves no gap', () => {
    const budget = new TailBudget(100 * SIZE)
    const tail = new HotTail(budget)
    tail.add(part(0))
    tail.add({ bytes: joined([part(2).bytes, part(4).bytes]), baseOffset: 2, endOffset: 6 })
    tail.truncate(4)
    expect(read(tail, 0)).toEqual([0, 1])
    tail.add(part(4, 'new'))
    expect(read(tail, 0)).toBeNull()
    expect(read(tail, 4)).toEqual([4, 5])
    expect(budget.usedBytes).toBe(part(4, 'new').bytes.length)
  })

  it('many parts over a long time -> the budget holds, and the newest are there', () => {
    const budget = new TailBudget(10 * SIZE)
    const tails = [new HotTail(budget), new HotTail(budget), new HotTail(budget)]
    for (let i = 0; i < 6000; i++) {
      const tail = tails[i % 3]!
      const offset = 2 * Math.floor(i / 3)
      tail.add({ bytes: part(0).bytes, baseOffset: offset, endOffset: offset + 2 })
      if (i % 97 === 0) tail.truncate(offset + 1)
      if (i % 97 === 0) tail.add({ bytes: part(0).bytes, baseOffset: offset, endOffset: offset + 2 })
      expect(budget.usedBytes).toBeLessThanOrEqual(10 * SIZE)
    }
    expect(budget.usedBytes).toBe(10 * SIZE)
  })
})
