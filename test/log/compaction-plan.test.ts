import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { groupSegments, type PlanSegment, planCompaction } from '../../src/log/compaction-plan.ts'

const SETTINGS = {
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
}

/** Segments of 10 offsets each, with so many bytes; the records of the i-th are of the time 1000 * i. */
function segmentsOf(...bytes: readonly number[]): PlanSegment[] {
  return bytes.map((sizeBytes, i) => ({
    baseOffset: 10 * i,
    endOffset: 10 * i + 10,
    sizeBytes,
    firstTimestampMs: 1_000 * i,
    maxTimestampMs: 1_000 * i + 500,
  }))
}

const basesOf = (segments: readonly PlanSegment[]): number[] => segments.map(({ baseOffset }) => baseOffset)

describe('planCompaction', () => {
  const base = { segments: segmentsOf(100, 100, 100), highWatermark: 30, cleanedBelow: 0, nowMs: 10_000 }

  it.each([
    ['all below the high watermark', {}, [0, 10, 20]],
    ['STO-33: the high watermark inside of a segment', { highWatermark: 29 }, [0, 10]],
    ['a high watermark of 0', { highWatermark: 0 }, []],
    ['min.compaction.lag.ms not over', { settings: { ...SETTINGS, minCompactionLagMs: 8_000 } }, [0, 10]],
    [
      'min.compaction.lag.ms just over',
      { settings: { ...SETTINGS, minCompactionLagMs: 7_500 } },
      [0, 10, 20],
    ],
    ['no segments', { segments: [] }, []],
  ])('%s -> these segments may be compacted', (_what, change, bases) => {
    const plan = planCompaction({ ...base, settings: SETTINGS, ...change })
    expect(basesOf(plan.segments)).toEqual(bases)
  })

  it.each([
    ['nothing compacted yet', { cleanedBelow: 0 }, { dirtyRatio: 1, isDue: true }],
    ['exactly the ratio dirty', { segments: segmentsOf(100, 60, 40), cleanedBelow: 10 }, { isDue: false }],
    ['a byte more than the ratio', { segments: segmentsOf(100, 60, 41), cleanedBelow: 10 }, { isDue: true }],
    ['all compacted', { cleanedBelow: 30 }, { dirtyBytes: 0, dirtyRatio: 0, isDue: false }],
    ['the mark inside of a segment', { cleanedBelow: 15 }, { dirtyBytes: 200, cleanBytes: 100, isDue: true }],
    ['empty segments only', { segments: segmentsOf(0, 0) }, { isDue: false }],
    [
      'little dirty, but older than max.compaction.lag.ms',
      { cleanedBelow: 20, settings: { ...SETTINGS, maxCompactionLagMs: 7_999 } },
      { isDue: true },
    ],
    [
      'little dirty, and just as old as max.compaction.lag.ms',
      { cleanedBelow: 20, settings: { ...SETTINGS, maxCompactionLagMs: 8_000 } },
      { isDue: false },
    ],
    [
      'the clock went back',
      { cleanedBelow: 20, nowMs: 0, settings: { ...SETTINGS, maxCompactionLagMs: 1 } },
      { isDue: false },
    ],
  ])('%s -> this is due', (_what, change, expected) => {
    expect(planCompaction({ ...base, settings: SETTINGS, ...change })).toMatchObject(expected)
  })
})

describe('groupSegments', () => {
  it.each([
    ['all fit into one', [10, 20, 30], 60, [[0, 10, 20]]],
    ['one byte too much', [10, 20, 31], 60, [[0, 10], [20]]],
    ['one is larger than a segment may be', [100, 1, 1], 60, [[0], [10, 20]]],
    ['empty ones join', [60, 0, 0, 1], 60, [[0, 10, 20], [30]]],
  ])('%s -> these groups', (_what, bytes, segmentBytes, expected) => {
    const groups = groupSegments(segmentsOf(...bytes), { segmentBytes, offsetsMax: 2 ** 31 - 1 })
    expect(groups.map(basesOf)).toEqual(expected)
  })

  it('STO-37: offsets that lie too far apart for one index -> apart', () => {
    const groups = groupSegments(segmentsOf(1, 1, 1), { segmentBytes: 100, offsetsMax: 20 })
    expect(groups.map(basesOf)).toEqual([[0, 10], [20]])
  })

  it('any segments -> all of them once and in order, none too large unless it was', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 })), fc.integer({ min: 1, max: 100 }), (bytes, segmentBytes) => {
        const segments = segmentsOf(...bytes)
        const groups = groupSegments(segments, { segmentBytes, offsetsMax: 10_000 })
        expect(groups.flat()).toEqual(segments)
        for (const group of groups) {
          const total = group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
          expect(group.length === 1 || total <= segmentBytes).toBe(true)
        }
      }),
    )
  })
})
