// What retention has to know of the segments of a log. Sizes and times of sealed segments never change, so each file is
// asked once; and times only of those from the first one on that may go, so that a long log is not opened as a whole.

import type { Clock } from '../base/clock.ts'
import type { RetainedSegment } from '../log/retention-plan.ts'
import type { Offset } from '../model/ids.ts'
import type { Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'

interface Facts {
  sizeBytes: number | null
  maxTimestampMs: number | null
  readonly knownSinceMs: number
}

export class RetainedSegments {
  readonly #segments: SegmentList
  readonly #clock: Clock
  readonly #facts = new WeakMap<Segment, Facts>()

  constructor(options: { readonly segments: SegmentList; readonly clock: Clock }) {
    this.#segments = options.segments
    this.#clock = options.clock
  }

  /** The largest time of a record at the end of the log: in the active segment, or the one before it. -1: there is none. */
  async newestTimestampMs(): Promise<number> {
    const { active } = this.#segments
    const isEmpty = active.baseOffset === active.endOffset
    const last = isEmpty ? (this.#segments.all.at(-2) ?? active) : active
    return (await this.#look(last, { size: false, time: true })).maxTimestampMs ?? -1
  }

  /**
   * The segments, the first one first.
   * @param options `sizes`: whether the sizes are needed. `goesOn` is asked with the time of each segment whether the time
   *   of the next one matters too; it is null for those behind.
   */
  async list(options: {
    readonly sizes: boolean
    readonly goesOn: (segment: RetainedSegment) => boolean
  }): Promise<RetainedSegment[]> {
    const listed: RetainedSegment[] = []
    let wantsTime = true
    for (const segment of [...this.#segments.all]) {
      const retained = await this.#look(segment, { size: options.sizes, time: wantsTime })
      listed.push(retained)
      wantsTime &&= options.goesOn(retained)
    }
    return listed
  }

  /**
   * Bytes of the record batches from an offset to the end of the log: at most `index.interval.bytes` and one batch too many, never
   * too few. Reads no records.
   */
  async bytesFrom(offset: Offset): Promise<number> {
    let bytes = 0
    for (const segment of [...this.#segments.all]) {
      if (segment.endOffset <= offset) continue
      const { sizeBytes } = await this.#look(segment, { size: true, time: false })
      const isPart = segment.baseOffset < offset
      const before = isPart
        ? await segment.use(async ({ offsetIndex }) => offsetIndex.floor(offset).position)
        : 0
      bytes += Math.max(0, sizeBytes - before)
    }
    return bytes
  }

  async #look(
    segment: Segment,
    wanted: { readonly size: boolean; readonly time: boolean },
  ): Promise<RetainedSegment> {
    const { baseOffset } = segment
    const facts = this.#factsOf(segment)
    if (segment.isActive) {
      const { sizeBytes, maxTimestampMs } = segment.active
      const { endOffset } = segment
      return { baseOffset, endOffset, sizeBytes, maxTimestampMs, knownSinceMs: facts.knownSinceMs }
    }
    if ((wanted.time && facts.maxTimestampMs === null) || (wanted.size && facts.sizeBytes === null)) {
      await segment.use(async ({ sizeBytes, maxTimestampMs }) => {
        facts.sizeBytes = sizeBytes
        facts.maxTimestampMs = maxTimestampMs
      })
    }
    const { sizeBytes, maxTimestampMs, knownSinceMs } = facts
    return {
      baseOffset,
      endOffset: segment.endOffset,
      sizeBytes: sizeBytes ?? 0,
      maxTimestampMs,
      knownSinceMs,
    }
  }

  #factsOf(segment: Segment): Facts {
    let facts = this.#facts.get(segment)
    if (facts === undefined) {
      facts = { sizeBytes: null, maxTimestampMs: null, knownSinceMs: this.#clock.monotonicMs() }
      this.#facts.set(segment, facts)
    }
    return facts
  }
}
