// Decides what of a log may be compacted and whether it is worth it. Pure: segments as numbers in, a plan out.
import type { Offset } from '../model/ids.ts'

/** What the plan needs to know of a segment that is not written to any more. */
export interface PlanSegment {
  readonly baseOffset: Offset
  /** Exclusive: the base offset of the next one. */
  readonly endOffset: Offset
  readonly sizeBytes: number
  /** The time of its first batch and the largest of all; -1 where it holds none. Milliseconds since 1970. */
  readonly firstTimestampMs: number
  readonly maxTimestampMs: number
}

export interface PlanInput<S extends PlanSegment> {
  /** In the order of offsets, without the active one. */
  readonly segments: readonly S[]
  /** Exclusive: nothing at or beyond it is touched, because it may still be truncated. */
  readonly highWatermark: Offset
  /** Exclusive: up to where earlier compactions have come. */
  readonly cleanedBelow: Offset
  readonly nowMs: number
  readonly settings: {
    readonly minCleanableDirtyRatio: number
    readonly minCompactionLagMs: number
    readonly maxCompactionLagMs: number
  }
}

export interface CompactionPlan<S extends PlanSegment> {
  /** What would be rewritten: clean segments and dirty ones behind them, in order. */
  readonly segments: readonly S[]
  /** Those with records that no compaction has looked at; the last of `segments`. */
  readonly dirty: readonly S[]
  readonly cleanBytes: number
  readonly dirtyBytes: number
  /** Dirty bytes among all that could be compacted, 0 to 1. */
  readonly dirtyRatio: number
  /** Whether to compact now. */
  readonly isDue: boolean
}

/**
 * Only whole sealed segments below the high watermark are compacted, as far as their records are older than
 * min.compaction.lag.ms. That is due when more than min.cleanable.dirty.ratio of it is dirty, or when a dirty record
 * is older than max.compaction.lag.ms.
 */
export function planCompaction<S extends PlanSegment>(input: PlanInput<S>): CompactionPlan<S> {
  const { cleanedBelow, nowMs, settings } = input
  const segments = cleanableOf(input)
  const dirty = segments.filter(({ endOffset }) => endOffset > cleanedBelow)
  const dirtyBytes = bytesOf(dirty)
  const cleanBytes = bytesOf(segments) - dirtyBytes
  const dirtyRatio = dirtyBytes === 0 ? 0 : dirtyBytes / (cleanBytes + dirtyBytes)
  const isLate = dirty.some(
    ({ firstTimestampMs }) => firstTimestampMs >= 0 && nowMs - firstTimestampMs > settings.maxCompactionLagMs,
  )
  const isDue = dirtyBytes > 0 && (dirtyRatio > settings.minCleanableDirtyRatio || isLate)
  return { segments, dirty, cleanBytes, dirtyBytes, dirtyRatio, isDue }
}

/** The segments up to the first that must stay as it is. */
function cleanableOf<S extends PlanSegment>({ segments, highWatermark, nowMs, settings }: PlanInput<S>): S[] {
  const { minCompactionLagMs } = settings
  const end = segments.findIndex(
    ({ endOffset, maxTimestampMs }) =>
      endOffset > highWatermark || (minCompactionLagMs > 0 && nowMs - maxTimestampMs < minCompactionLagMs),
  )
  return end === -1 ? [...segments] : segments.slice(0, end)
}

/**
 * Puts neighbours together that become one segment. They count with their bytes of now: that what is left is smaller is
 * not known yet.
 * @param limits `segmentBytes` of one segment; `offsetsMax` between its base offset and its end.
 */
export function groupSegments<S extends PlanSegment>(
  segments: readonly S[],
  limits: { readonly segmentBytes: number; readonly offsetsMax: number },
): S[][] {
  const groups: S[][] = []
  let groupBytes = 0
  for (const segment of segments) {
    const group = groups.at(-1)
    const joins =
      group !== undefined &&
      groupBytes + segment.sizeBytes <= limits.segmentBytes &&
      segment.endOffset - group[0]!.baseOffset <= limits.offsetsMax
    if (joins) group.push(segment)
    else groups.push([segment])
    groupBytes = joins ? groupBytes + segment.sizeBytes : segment.sizeBytes
  }
  return groups
}

function bytesOf(segments: readonly PlanSegment[]): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
