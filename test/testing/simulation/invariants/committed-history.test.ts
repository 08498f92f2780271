import { beforeEach, describe, expect, it } from 'vitest'
import { CommittedHistory } from '../../../../src/testing/simulation/invariants/committed-history.ts'
import type { StoredBatch } from '../../../../src/testing/simulation/invariants/replica-log.ts'
import { violationOf } from './fixtures.ts'

function stored(baseOffset: number, change: Partial<StoredBatch> = {}): StoredBatch {
  const endOffset = baseOffset + 10
  return { baseOffset, endOffset, leaderEpoch: 1, crc: 1_000 + baseOffset, isEmpty: false, ...change }
}

const LOG = [0, 10, 20, 30].map((baseOffset) => stored(baseOffset))
let history: CommittedHistory

beforeEach(() => {
  history = new CommittedHistory('orders/0')
})

function compare(batches: readonly StoredBatch[], from = 0, to = 40): string | null {
  return violationOf(() => history.compare(batches, { from, to, invariant: 'INV-7', who: 'node 2' }))
}

describe('CommittedHistory extend', () => {
  it('a high watermark goes on -> the history goes on with it, by whole batches', () => {
    expect(history.endOffset).toBe(0)
    history.extend(LOG, 10, 'node 1')
    expect(history.endOffset).toBe(10)
    history.extend(LOG, 30, 'node 2')
    expect(history.endOffset).toBe(30)
    // A high watermark inside of a batch: the whole of it was committed.
    history.extend(LOG, 31, 'node 1')
    expect(history.endOffset).toBe(40)
    history.extend(LOG.slice(2), 40, 'node 3')
    expect(history.endOffset).toBe(40)
  })

  it('INV-25: a high watermark above what the files hold -> violation', () => {
    expect(violationOf(() => history.extend(LOG, 41, 'node 1'))).toBe('INV-25')
    expect(violationOf(() => new CommittedHistory('k').extend([], 1, 'node 1'))).toBe('INV-25')
  })

  it('INV-25: a log with a hole, or that begins behind the history -> violation', () => {
    history.extend(LOG, 10, 'node 1')
    expect(violationOf(() => history.extend([LOG[0]!, LOG[2]!], 30, 'node 1'))).toBe('INV-25')
    expect(violationOf(() => history.extend(LOG.slice(2), 40, 'node 1'))).toBe('INV-25')
  })

  it('INV-25: a batch that reaches over the end of the history -> violation', () => {
    history.extend(LOG, 10, 'node 1')
    expect(violationOf(() => history.extend([LOG[0]!, stored(5), stored(15)], 25, 'node 1'))).toBe('INV-25')
  })
})

describe('CommittedHistory compare', () => {
  beforeEach(() => history.extend(LOG, 40, 'node 1'))

  it('INV-7: a log was compacted below an offset -> empty batches and fewer records there, and nowhere else', () => {
    const empty = (from: number, to: number) => stored(from, { endOffset: to, crc: 3, isEmpty: true })
    const rest = [empty(0, 10), stored(10, { crc: 7 }), ...LOG.slice(2)]
    const gone = [empty(0, 20), ...LOG.slice(2)]
    for (const batches of [rest, gone]) expect(compare(batches)).toBe('INV-7')
    history.compactedBelow = 20
    for (const batches of [rest, gone, LOG]) expect(compare(batches)).toBe(null)
    for (const from of [10, 20]) expect(compare(gone, from)).toBe(null)
    for (const wrong of [
      // Of another leadership, of other offsets, or changed or gone where nothing was compacted.
      [LOG[0]!, stored(10, { leaderEpoch: 2 }), ...LOG.slice(2)],
      [LOG[0]!, stored(10, { endOffset: 19 }), ...LOG.slice(2)],
      [stored(5, { endOffset: 20 }), ...LOG.slice(2)],
      [...LOG.slice(0, 2), stored(20, { crc: 7 }), LOG[3]!],
      [...LOG.slice(0, 2), empty(20, 30), LOG[3]!],
      [stored(0, { endOffset: 20, crc: 3, isEmpty: true, leaderEpoch: 2 }), ...LOG.slice(2)],
      [stored(0, { endOffset: 20, crc: 3 }), ...LOG.slice(2)],
      [empty(0, 30), LOG[3]!],
      LOG.slice(1),
      [LOG[0]!, LOG[3]!],
    ])
      expect(compare(wrong)).toBe('INV-7')
  })

  it('INV-7: the same batches, also in part or with more behind -> fine, up to where it was compared', () => {
    expect(compare(LOG)).toBe(null)
    expect(compare(LOG.slice(0, 2), 0, 20)).toBe(null)
    expect(compare(LOG.slice(1), 10)).toBe(null)
    expect(compare([...LOG, stored(40)], 0, 50)).toBe(null)
    const compared = history.compare([...LOG, stored(40)], { from: 0, to: 50, invariant: 'INV-7', who: 'x' })
    expect(compared).toBe(40)
    expect(history.compare(LOG, { from: 10, to: 20, invariant: 'INV-7', who: 'x' })).toBe(20)
  })

  it('INV-7: one batch differs in offset, length, epoch or checksum -> violation, named as asked', () => {
    const changes: readonly Partial<StoredBatch>[] = [
      { crc: 5 },
      { leaderEpoch: 2 },
      { endOffset: 19 },
      { baseOffset: 11 },
    ]
    for (const change of changes) {
      const wrong = LOG.map((batch, i) => (i === 1 ? { ...batch, ...change } : batch))
      expect([change, compare(wrong)]).toEqual([change, 'INV-7'])
      expect([change, compare(wrong, 0, 10)]).toEqual([change, null])
    }
    const wrong = [stored(0, { crc: 255 }), ...LOG.slice(1)]
    expect(() => history.compare(wrong, { from: 0, to: 40, invariant: 'INV-1', who: 'node 2' })).toThrow(
      'INV-1: orders/0: node 2 holds offsets 0 to 9 of leader epoch 1 (CRC ff) where offsets 0 to 9 of leader epoch 1 (CRC 3e8) was committed',
    )
  })

  it('INV-7: a batch is missing in the middle or at the end of the range -> violation', () => {
    expect(compare([LOG[0]!, LOG[2]!, LOG[3]!])).toBe('INV-7')
    expect(compare(LOG.slice(0, 3))).toBe('INV-7')
    expect(compare([])).toBe('INV-7')
    expect(compare([], 0, 0)).toBe(null)
  })

  it('INV-7: what differs outside of the range -> not looked at', () => {
    const wrong = [stored(0, { crc: 5 }), LOG[1]!, LOG[2]!, stored(30, { crc: 5 })]
    expect(compare(wrong, 10, 30)).toBe(null)
    expect(compare(wrong, 10, 31)).toBe('INV-7')
    expect(compare(wrong, 0, 10)).toBe('INV-7')
  })
})
