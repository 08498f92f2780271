// Which records of a log go, by age and by size. Whole segments go, from the first one on, and nothing that is not
// committed. It errs towards keeping: an age needs a time that can be believed, or else this process must have known the
// segment for so long itself.
import type { Offset } from '../model/ids.ts'

/** What retention knows of one segment. */
export interface RetainedSegment {
  readonly baseOffset: Offset
  /** Exclusive. */
  readonly endOffset: Offset
  readonly sizeBytes: number
  /** The largest time of a record, milliseconds since 1970; -1: its records have none; null: not looked at. */
  readonly maxTimestampMs: number | null
  /** Monotonic milliseconds since when this process knows of it. */
  readonly knownSinceMs: number
}

export interface RetentionLimits {
  /** `retention.ms`; null: no limit. */
  readonly retentionMs: number | null
  /** `retention.bytes`; null: no limit. */
  readonly retentionBytes: number | null
}

export interface RetentionTime {
  /** Milliseconds since 1970. */
  readonly wallMs: number
  readonly monotonicMs: number
  /** Whether the wall clock can be believed. */
  readonly isTrusted: boolean
}

export interface RetentionPlan {
  /** Where the log should start. */
  readonly logStartOffset: Offset
  readonly cause: 'retention.ms' | 'retention.bytes'
  /** Segments that go, and their bytes; the last of them may be the active one. */
  readonly segments: number
  readonly sizeBytes: number
}

/** So far ahead of the broker's clock a record may be and still be believed; beyond, its producer's clock is wrong. */
export const FUTURE_MAX_MS = 60 * 60 * 1000

/**
 * Whether a segment is older than `retention.ms`. Its latest record says how old it is. Where that cannot be believed (the
 * clock of the broker or the one of the producer is wrong, or there is no time), it counts from when this process first saw
 * the segment: nothing goes too early, and nothing stays for ever because of one time in the year 2100.
 */
export function isExpired(
  segment: RetainedSegment,
  { retentionMs, time }: { readonly retentionMs: number | null; readonly time: RetentionTime },
): boolean {
  const { maxTimestampMs, baseOffset, endOffset } = segment
  if (retentionMs === null || maxTimestampMs === null || baseOffset === endOffset) return false
  const isCredible = time.isTrusted && maxTimestampMs >= 0 && maxTimestampMs <= time.wallMs + FUTURE_MAX_MS
  const ageMs = isCredible ? time.wallMs - maxTimestampMs : time.monotonicMs - segment.knownSinceMs
  return ageMs > retentionMs
}

/**
 * @param log `segments` from the first one on; the last one is the active one, which goes as the others do when all of it
 *   may: the log then begins a new one.
 * @returns null when nothing has to go.
 */
export function planRetention(
  log: {
    readonly segments: readonly RetainedSegment[]
    readonly logStartOffset: Offset
    readonly highWatermark: Offset
  },
  limits: RetentionLimits & { readonly time: RetentionTime },
): RetentionPlan | null {
  const { segments, highWatermark, logStartOffset } = log
  const { retentionBytes } = limits
  let leftBytes = segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  let plan: RetentionPlan | null = null
  let goneBytes = 0
  for (const [i, segment] of segments.entries()) {
    const { baseOffset, endOffset, sizeBytes } = segment
    if (endOffset > highWatermark || baseOffset === endOffset) break
    leftBytes -= sizeBytes
    const isOld = isExpired(segment, { retentionMs: limits.retentionMs, time: limits.time })
    const isTooMuch = retentionBytes !== null && leftBytes >= retentionBytes
    if (!isOld && !isTooMuch) break
    goneBytes += sizeBytes
    if (endOffset <= logStartOffset) continue
    const cause = isOld ? 'retention.ms' : 'retention.bytes'
    plan = { logStartOffset: endOffset, cause, segments: i + 1, sizeBytes: goneBytes }
  }
  return plan
}
