import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  FUTURE_MAX_MS,
  isExpired,
  planRetention,
  type RetainedSegment,
  type RetentionLimits,
  type RetentionTime,
} from '../../src/log/retention-plan.ts'

const NOW: RetentionTime = { wallMs: 1_000_000_000_000, monotonicMs: 5_000_000, isTrusted: true }
const NO_LIMITS: RetentionLimits = { retentionMs: null, retentionBytes: null }

/** Segments of ten records and 100 bytes each; `ages` of their latest records, the last one is the active. */
function segmentsOf(ages: readonly number[]): RetainedSegment[] {
  return ages.map((ageMs, i) => ({
    baseOffset: 10 * i,
    endOffset: 10 * (i + 1),
    sizeBytes: 100,
    maxTimestampMs: NOW.wallMs - ageMs,
    knownSinceMs: NOW.monotonicMs,
  }))
}

function plan(
  segments: readonly RetainedSegment[],
  limits: Partial<RetentionLimits> & {
    readonly highWatermark?: number
    readonly logStartOffset?: number
    readonly time?: RetentionTime
  },
) {
  const { highWatermark = 1_000, logStartOffset = 0, time = NOW, ...rest } = limits
  return planRetention({ segments, logStartOffset, highWatermark }, { ...NO_LIMITS, ...rest, time })
}

describe('retention plan: by time', () => {
  it('segments older than retention.ms at the start -> all of them go', () => {
    expect(plan(segmentsOf([900, 800, 300, 10]), { retentionMs: 500 })).toEqual({
      logStartOffset: 20,
      cause: 'retention.ms',
      segments: 2,
      sizeBytes: 200,
    })
  })

  it('an old segment behind a younger one -> stays, the log has no holes', () => {
    expect(plan(segmentsOf([100, 900, 10]), { retentionMs: 500 })).toBeNull()
  })

  it('exactly as old as retention.ms -> stays', () => {
    expect(plan(segmentsOf([500, 10]), { retentionMs: 500 })).toBeNull()
    expect(plan(segmentsOf([501, 10]), { retentionMs: 500 })?.logStartOffset).toBe(10)
  })

  it('no limit -> nothing goes', () => {
    expect(plan(segmentsOf([1e9, 1e9]), {})).toBeNull()
  })

  it('everything is old -> the active one goes as well', () => {
    expect(plan(segmentsOf([900, 900]), { retentionMs: 500 })?.logStartOffset).toBe(20)
  })

  it('STO-29: a segment that reaches beyond the high watermark -> stays, however old', () => {
    expect(plan(segmentsOf([900, 900, 900]), { retentionMs: 500, highWatermark: 19 })?.logStartOffset).toBe(
      10,
    )
    expect(plan(segmentsOf([900]), { retentionMs: 500, highWatermark: 9 })).toBeNull()
  })

  it('STO-39: a record later than now -> its age is negative and it stays', () => {
    expect(plan(segmentsOf([-1_000, 10]), { retentionMs: 0 })).toBeNull()
  })

  it('STO-25: a record of the year 2100 -> counts from when the segment was first seen, and goes in the end', () => {
    const segment = { ...segmentsOf([0])[0]!, maxTimestampMs: 4_102_444_800_000 }
    const at = (knownForMs: number) => [{ ...segment, knownSinceMs: NOW.monotonicMs - knownForMs }]
    expect(plan(at(500), { retentionMs: 500 })).toBeNull()
    expect(plan(at(501), { retentionMs: 500 })?.logStartOffset).toBe(10)
  })

  it('records without a time -> count from when the segment was first seen', () => {
    const [segment] = segmentsOf([0])
    const known = { ...segment!, maxTimestampMs: -1, knownSinceMs: NOW.monotonicMs - 600 }
    expect(plan([known], { retentionMs: 500 })?.logStartOffset).toBe(10)
    expect(plan([known], { retentionMs: 700 })).toBeNull()
  })

  it('STO-25: a clock in doubt -> only what this process has known for so long goes', () => {
    const time = { ...NOW, wallMs: 4_102_444_800_000, isTrusted: false }
    expect(plan(segmentsOf([900, 900, 10]), { retentionMs: 500, time })).toBeNull()
    const later = { ...time, monotonicMs: NOW.monotonicMs + 501 }
    expect(plan(segmentsOf([900, 900, 10]), { retentionMs: 500, time: later })?.logStartOffset).toBe(30)
  })

  it('STO-25: a clock in 1970 -> every record is in the future, and nothing goes early', () => {
    const time = { ...NOW, wallMs: 0 }
    expect(plan(segmentsOf([900, 10]), { retentionMs: 500, time })).toBeNull()
  })

  it('a time not looked at -> stays', () => {
    const [segment] = segmentsOf([900])
    expect(isExpired({ ...segment!, maxTimestampMs: null }, { retentionMs: 500, time: NOW })).toBe(false)
  })
})

describe('retention plan: by size', () => {
  it.each([
    [-1, 40],
    [0, 40],
    [1, 30],
    [100, 30],
    [101, 20],
    [200, 20],
    [300, 10],
    [301, null],
    [400, null],
  ])('four segments of 100 bytes, retention.bytes %d -> the log starts at %s', (retentionBytes, start) => {
    const limits = { retentionBytes }
    expect(plan(segmentsOf([0, 0, 0, 0]), limits)?.logStartOffset ?? null).toBe(start)
  })

  it('STO-29: above the high watermark -> stays, however large', () => {
    expect(plan(segmentsOf([0, 0, 0]), { retentionBytes: 1, highWatermark: 10 })?.logStartOffset).toBe(10)
  })

  it('both limits -> what either of them takes goes', () => {
    const segments = segmentsOf([900, 0, 0, 0])
    expect(plan(segments, { retentionMs: 500, retentionBytes: 200 })?.logStartOffset).toBe(20)
    expect(plan(segments, { retentionMs: 500, retentionBytes: 1_000 })?.logStartOffset).toBe(10)
  })

  it('the log starts beyond it already -> no plan', () => {
    expect(plan(segmentsOf([900, 0]), { retentionMs: 500, logStartOffset: 10 })).toBeNull()
  })

  it('an empty active segment -> is no reason to begin another', () => {
    const empty = { ...segmentsOf([0])[0]!, endOffset: 0, sizeBytes: 0, maxTimestampMs: -1, knownSinceMs: 0 }
    expect(plan([empty], { retentionMs: 1, retentionBytes: 0 })).toBeNull()
  })
})

it('STO-29: any segments and limits -> a start at a segment end, committed, never back, and with enough bytes left', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ age: fc.integer({ min: -FUTURE_MAX_MS, max: 2_000 }), size: fc.nat(200) }), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.record({
        retentionMs: fc.option(fc.nat(1_500)),
        retentionBytes: fc.option(fc.nat(1_000)),
        highWatermark: fc.nat(130),
        logStartOffset: fc.nat(120),
      }),
      (drawn, limits) => {
        const segments = segmentsOf(drawn.map(({ age }) => age)).map((segment, i) => ({
          ...segment,
          sizeBytes: drawn[i]!.size,
        }))
        const made = plan(segments, limits)
        if (made === null) return
        expect(segments.map(({ endOffset }) => endOffset)).toContain(made.logStartOffset)
        expect(made.logStartOffset).toBeLessThanOrEqual(limits.highWatermark)
        expect(made.logStartOffset).toBeGreaterThan(limits.logStartOffset)
        const gone = segments.filter(({ endOffset }) => endOffset <= made.logStartOffset)
        const kept = segments.slice(gone.length).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
        if (limits.retentionMs === null) expect(kept).toBeGreaterThanOrEqual(limits.retentionBytes!)
        if (limits.retentionBytes === null)
          for (const { maxTimestampMs } of gone)
            expect(NOW.wallMs - maxTimestampMs!).toBeGreaterThan(limits.retentionMs!)
      },
    ),
  )
})
