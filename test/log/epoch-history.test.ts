import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { type EpochEntry, EpochHistory } from '../../src/log/epoch-history.ts'

/** [epoch, start offset] pairs as a history. */
function historyOf(...pairs: readonly (readonly [epoch: number, startOffset: number])[]): EpochHistory {
  return new EpochHistory(pairs.map(([epoch, startOffset]) => ({ epoch, startOffset })))
}

function pairsOf(history: EpochHistory): number[][] {
  return history.entries.map((entry) => [entry.epoch, entry.startOffset])
}

describe('endOffsetFor', () => {
  const history = historyOf([2, 0], [4, 10], [7, 20])

  it.each([
    { asked: 7, expected: { epoch: 7, endOffset: 25 }, rule: 'the latest ends at the log end' },
    { asked: 8, expected: null, rule: 'a newer one is unknown' },
    { asked: 4, expected: { epoch: 4, endOffset: 20 }, rule: 'an older one ends where the next starts' },
    { asked: 5, expected: { epoch: 4, endOffset: 20 }, rule: 'a gap is answered with the epoch before it' },
    { asked: 2, expected: { epoch: 2, endOffset: 10 }, rule: 'the first ends where the second starts' },
    { asked: 1, expected: { epoch: 1, endOffset: 0 }, rule: 'below the first it ends where the log starts' },
    { asked: -1, expected: null, rule: 'no epoch is no question' },
  ])('endOffsetFor: epoch $asked -> $rule', ({ asked, expected }) => {
    expect(history.endOffsetFor(asked, 25)).toEqual(expected)
  })

  it('endOffsetFor: empty history -> null', () => {
    expect(new EpochHistory([]).endOffsetFor(0, 0)).toBeNull()
  })

  it('endOffsetFor: latest epoch without records -> the log end', () => {
    expect(historyOf([1, 0], [5, 10]).endOffsetFor(5, 10)).toEqual({ epoch: 5, endOffset: 10 })
    expect(historyOf([1, 0], [5, 10]).endOffsetFor(4, 10)).toEqual({ epoch: 1, endOffset: 10 })
  })
})

describe('epochAt', () => {
  it.each([
    [4, -1],
    [5, 2],
    [9, 2],
    [10, 4],
    [999, 4],
  ])('epochAt: offset %i -> epoch %i', (offset, epoch) => {
    expect(historyOf([2, 5], [4, 10]).epochAt(offset)).toBe(epoch)
  })

  it('epochAt: empty history -> -1', () => {
    expect(new EpochHistory([]).epochAt(0)).toBe(-1)
    expect(new EpochHistory([]).latestEpoch).toBe(-1)
  })
})

describe('assign', () => {
  it('assign: higher epoch and offset -> a new entry', () => {
    const history = historyOf([1, 0])
    expect(history.assign(3, 10)).toBe(true)
    expect(pairsOf(history)).toEqual([
      [1, 0],
      [3, 10],
    ])
    expect(history.latestEpoch).toBe(3)
  })

  it('assign: the latest epoch again -> no change', () => {
    const history = historyOf([1, 0], [3, 10])
    const before = history.entries
    expect(history.assign(3, 15)).toBe(false)
    expect(history.entries).toBe(before)
  })

  it('assign: epoch without records at the same offset -> replaced', () => {
    const history = historyOf([1, 0], [3, 10])
    expect(history.assign(6, 10)).toBe(true)
    expect(pairsOf(history)).toEqual([
      [1, 0],
      [6, 10],
    ])
  })

  it('assign: sole epoch without records -> replaced', () => {
    const history = historyOf([1, 0])
    expect(history.assign(2, 0)).toBe(true)
    expect(pairsOf(history)).toEqual([[2, 0]])
  })

  it.each([
    { epoch: 2, startOffset: 20, what: 'an older epoch' },
    { epoch: 2, startOffset: 10, what: 'an older epoch in place of one without records' },
    { epoch: 4, startOffset: 9, what: 'an offset before the latest' },
    { epoch: 3, startOffset: 9, what: 'the latest epoch before its start' },
    { epoch: 4, startOffset: -1, what: 'a negative offset' },
    { epoch: 4.5, startOffset: 20, what: 'a broken epoch' },
    { epoch: 4, startOffset: 2 ** 53, what: 'an offset that is no safe integer' },
  ])('assign: $what -> assertion, nothing changed', ({ epoch, startOffset }) => {
    const history = historyOf([1, 0], [3, 10])
    expect(() => history.assign(epoch, startOffset)).toThrow(AssertionError)
    expect(pairsOf(history)).toEqual([
      [1, 0],
      [3, 10],
    ])
  })

  it('constructor: entries out of order -> assertion (INV-15)', () => {
    expect(() => historyOf([3, 0], [3, 5])).toThrow(AssertionError)
    expect(() => historyOf([3, 0], [4, 0])).toThrow(AssertionError)
    expect(() => historyOf([-1, 0])).toThrow(AssertionError)
  })

  it('constructor: the array given changes later -> the history does not', () => {
    const entries: EpochEntry[] = [{ epoch: 1, startOffset: 0 }]
    const history = new EpochHistory(entries)
    entries.push({ epoch: 2, startOffset: 5 })
    expect(history.latestEpoch).toBe(1)
  })

  it('entries: a change -> a new array, the one handed out stays as it was', () => {
    const history = historyOf([1, 0])
    const before = history.entries
    history.assign(2, 5)
    expect(before).toEqual([{ epoch: 1, startOffset: 0 }])
  })
})

describe('truncateFromEnd', () => {
  it.each([
    { endOffset: 25, kept: 3, what: 'beyond all' },
    { endOffset: 21, kept: 3, what: 'inside of the last' },
    { endOffset: 20, kept: 2, what: 'at the start of the last' },
    { endOffset: 10, kept: 1, what: 'at the start of an earlier one' },
    { endOffset: 0, kept: 0, what: 'at zero' },
  ])('truncateFromEnd: $what -> $kept entries', ({ endOffset, kept }) => {
    const history = historyOf([2, 0], [4, 10], [7, 20])
    expect(history.truncateFromEnd(endOffset)).toBe(kept < 3)
    expect(history.entries).toHaveLength(kept)
  })

  it('truncateFromEnd: an epoch without records at the log end -> dropped, though no record goes', () => {
    const history = historyOf([3, 0], [5, 10])
    expect(history.truncateFromEnd(10)).toBe(true)
    expect(history.latestEpoch).toBe(3)
  })
})

describe('truncateFromStart', () => {
  it.each([
    {
      startOffset: 0,
      changed: false,
      expected: [
        [2, 0],
        [4, 10],
        [7, 20],
      ],
    },
    {
      startOffset: 5,
      changed: true,
      expected: [
        [2, 5],
        [4, 10],
        [7, 20],
      ],
    },
    {
      startOffset: 10,
      changed: true,
      expected: [
        [4, 10],
        [7, 20],
      ],
    },
    {
      startOffset: 15,
      changed: true,
      expected: [
        [4, 15],
        [7, 20],
      ],
    },
    { startOffset: 99, changed: true, expected: [[7, 99]] },
  ])('truncateFromStart: $startOffset -> $expected', ({ startOffset, changed, expected }) => {
    const history = historyOf([2, 0], [4, 10], [7, 20])
    expect(history.truncateFromStart(startOffset)).toBe(changed)
    expect(pairsOf(history)).toEqual(expected)
  })

  it('truncateFromStart: before the first entry, or empty -> no change', () => {
    expect(historyOf([2, 5]).truncateFromStart(3)).toBe(false)
    expect(new EpochHistory([]).truncateFromStart(3)).toBe(false)
  })
})

/** The epoch of each record, from offset 0: what a history is an index of. */
interface NaiveLog {
  startOffset: number
  readonly epochs: number[]
}

type Operation =
  | { readonly kind: 'append'; readonly epochStep: number; readonly records: number }
  | { readonly kind: 'truncate-end' | 'truncate-start'; readonly permille: number }

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    kind: fc.constant('append' as const),
    epochStep: fc.integer({ min: 0, max: 3 }),
    records: fc.integer({ min: 1, max: 5 }),
  }),
  fc.record({
    kind: fc.constantFrom('truncate-end' as const, 'truncate-start' as const),
    permille: fc.integer({ min: 0, max: 1000 }),
  }),
)

function run(operations: readonly Operation[]): { history: EpochHistory; log: NaiveLog } {
  const history = new EpochHistory([])
  const log: NaiveLog = { startOffset: 0, epochs: [] }
  for (const step of operations) {
    const span = log.epochs.length - log.startOffset
    if (step.kind === 'append') {
      const epoch = Math.max(0, history.latestEpoch) + step.epochStep
      history.assign(epoch, log.epochs.length)
      for (let i = 0; i < step.records; i++) log.epochs.push(epoch)
    } else if (step.kind === 'truncate-end') {
      log.epochs.length = log.startOffset + Math.floor((span * step.permille) / 1000)
      history.truncateFromEnd(log.epochs.length)
    } else {
      log.startOffset += Math.floor((span * step.permille) / 1000)
      history.truncateFromStart(log.startOffset)
    }
  }
  return { history, log }
}

describe('EpochHistory beside a naive log', () => {
  it('INV-15: any appends and truncations -> each record has the epoch of the entry that covers it', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const { history, log } = run(operations)
        for (let offset = log.startOffset; offset < log.epochs.length; offset++) {
          expect(history.epochAt(offset)).toBe(log.epochs[offset])
        }
        for (let i = 1; i < history.entries.length; i++) {
          expect(history.entries[i]!.epoch).toBeGreaterThan(history.entries[i - 1]!.epoch)
          expect(history.entries[i]!.startOffset).toBeGreaterThan(history.entries[i - 1]!.startOffset)
        }
      }),
    )
  })

  it('endOffsetFor: any log -> no record of a later epoch below the end, none of this or an older one beyond it', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), fc.nat({ max: 40 }), (operations, asked) => {
        const { history, log } = run(operations)
        const end = history.endOffsetFor(asked, log.epochs.length)
        if (end === null) {
          expect(asked).toBeGreaterThan(history.latestEpoch)
          return
        }
        expect(end.epoch).toBeLessThanOrEqual(asked)
        for (let offset = log.startOffset; offset < log.epochs.length; offset++) {
          expect(log.epochs[offset]! <= asked).toBe(offset < end.endOffset)
        }
      }),
    )
  })
})
