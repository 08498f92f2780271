// Compacts one log: leaves of each key the latest record below a mark, with its offset, and takes the others away.
//
// Two walks, as Kafka's cleaner makes them. The first notes the latest offset of each key of the dirty segments; the
// second copies what survives, from the log start on, several small segments into one, and puts each new segment in the
// place of the old ones before it goes on. So at any time the log holds, for each key, its latest record and maybe older
// ones. Only sealed segments below the high watermark are looked at, and the log goes on meanwhile: a new segment takes
// its place in a task of the writer, which no append and no truncation overlaps, and only if the old ones are still there.
import {
  type CompactionPlan,
  groupSegments,
  type PlanSegment,
  planCompaction,
} from '../log/compaction-plan.ts'
import type { EpochView } from '../log/epoch-history.ts'
import { KeyMap } from '../log/key-map.ts'
import { RecordSurvival, tombstonesGoBelow } from '../log/record-survival.ts'
import type { Offset } from '../model/ids.ts'
import { scanBatches } from './batch-scan.ts'
import type { CompactionState } from './compaction-state.ts'
import { mapKeys, type SegmentWalk } from './compaction-walk.ts'
import { CorruptLogError } from './corrupt-log-error.ts'
import type { HotTail } from './hot-tail.ts'
import type { LogHealth } from './log-health.ts'
import type { LogWriter } from './log-writer.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'
import type { Segment, SegmentContext } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import { SegmentRetiredError } from './segment-retired-error.ts'
import { SegmentRewrite } from './segment-rewrite.ts'
import type { StorageFailure } from './storage-failure.ts'

export interface LogCompactionOptions {
  readonly segments: SegmentList
  readonly segmentContext: SegmentContext
  readonly marks: CompactionState
  readonly tail: HotTail
  readonly writer: LogWriter
  readonly health: LogHealth
  readonly epochs: { readonly view: EpochView }
  readonly failure: StorageFailure
  /** Called right before segments are replaced: reads that are under way have to be made again. */
  readonly onReplace: () => void
}

export interface CompactionRun {
  /** Exclusive: nothing at or beyond it is touched. */
  readonly highWatermark: Offset
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** Bytes for the keys, 1 MiB or more. What does not fit is left for the next run. */
  readonly keyMapBytes: number
  /** Two random int32; see KeyMap. */
  readonly seed: readonly [number, number]
  /** Called after each piece of work with the bytes read and written, so that others get their turn. */
  readonly pause: (bytes: number) => Promise<void>
  /** Whether to give up; what is done by then stays. */
  readonly isStopped: () => boolean
}

export interface CompactionOutcome {
  /** Bytes of the segments before and after. */
  readonly bytesBefore: number
  readonly bytesAfter: number
  readonly keys: number
  /** Exclusive: up to where the log is clean now. */
  readonly cleanedBelow: Offset
}

interface SealedSegment extends PlanSegment {
  readonly segment: Segment
}

/** Thrown inside of a run whose segments were truncated, deleted, repaired or closed meanwhile, or found to be damaged. */
class AbandonedError extends Error {
  override readonly name = 'AbandonedError'
}

export class LogCompaction {
  readonly #options: LogCompactionOptions
  /** Sealed segments do not change. */
  readonly #known = new WeakMap<Segment, SealedSegment>()
  #isRunning = false
  /** What was known of damage when the run began: a repair moves batches to other places. */
  #damageSeen = 0

  constructor(options: LogCompactionOptions) {
    this.#options = options
  }

  /** Exclusive: below it records may have been taken away, here or where this log was copied from. */
  get compactedBelow(): Offset {
    return this.#options.marks.compactedBelow
  }

  /** Whether `cleanup.policy` names `compact`. */
  get isWanted(): boolean {
    return this.#options.writer.settings.cleanupCompacts
  }

  /** Notes that, durably when it resolves: before batches are appended that a leader has compacted. */
  async noteCompactedBelow(offset: Offset): Promise<void> {
    if (offset <= this.compactedBelow) return
    await this.#options.writer.run(() => this.#options.marks.noteCompactedBelow(offset))
  }

  /**
   * What could be compacted now: nothing from the first damaged segment on. What is damaged is neither copied nor left out,
   * and a tombstone further on may be all that hides an older record in it.
   * @throws where a segment cannot be read.
   */
  async plan(at: {
    readonly highWatermark: Offset
    readonly nowMs: number
  }): Promise<CompactionPlan<SealedSegment>> {
    const { segments, marks, writer, health } = this.#options
    const sealed: SealedSegment[] = []
    for (const segment of segments.all.slice(0, -1)) {
      if (segment.endOffset > at.highWatermark || !segments.active.isActive) break
      if (health.isDamagedIn(segment)) break
      const known = this.#known.get(segment) ?? (await this.#look(segment))
      // It has left the log just now. What is left can wait until somebody looks again.
      if (known === null) break
      sealed.push(known)
    }
    // While others were looked at, some may have gone.
    const present = new Set(segments.all)
    return planCompaction({
      ...at,
      segments: sealed.filter(({ segment }) => present.has(segment)),
      cleanedBelow: marks.cleanedBelow,
      settings: writer.settings,
    })
  }

  /**
   * Compacts all that can be, whether it is due or not. Calls must not overlap.
   * @returns null where there was nothing to do, or the log was cut or closed meanwhile.
   * @throws CorruptLogError where a segment is damaged, VltavaError STORAGE_ERROR, errors of the file system.
   */
  async run(run: CompactionRun): Promise<CompactionOutcome | null> {
    if (this.#isRunning) return null
    this.#isRunning = true
    this.#damageSeen = this.#options.health.changes
    let plan: CompactionPlan<SealedSegment> | null = null
    try {
      plan = await this.plan({ highWatermark: run.highWatermark, nowMs: run.nowMs() })
      return plan.dirtyBytes === 0 ? null : await this.#compact(plan, run)
    } catch (error) {
      // A segment that was taken away under the walk reads as an error of the file.
      const isGone = plan?.segments.some(({ segment }) => !this.#isThere(segment)) ?? false
      if (error instanceof AbandonedError || error instanceof SegmentRetiredError || run.isStopped())
        return null
      if (isGone && !this.#options.failure.isTripped) return null
      if (error instanceof CorruptLogError) await this.#noteDamage(error)
      throw error
    } finally {
      this.#isRunning = false
    }
  }

  /** Makes known what the walk has found, so that it is repaired. */
  async #noteDamage({ damage }: CorruptLogError): Promise<void> {
    const { segments, health } = this.#options
    const damaged = segments.all.find((segment) => segment.path === damage.path)
    if (damaged !== undefined) await health.check(damaged)
  }

  async #compact(plan: CompactionPlan<SealedSegment>, run: CompactionRun): Promise<CompactionOutcome> {
    const { marks, writer } = this.#options
    const walk = this.#walkOf(run)
    const { deleteRetentionMs, segmentBytes } = writer.settings
    const keys = new KeyMap({
      maxBytes: run.keyMapBytes,
      keysMax: plan.dirtyBytes / RECORD_MIN_BYTES,
      seed: run.seed,
    })
    const mappedBelow = await mapKeys(keys, { segments: plan.dirty, from: marks.cleanedBelow, walk })
    const goBelow = tombstonesGoBelow(marks.cleanings, { nowMs: run.nowMs(), deleteRetentionMs })
    const survival = new RecordSurvival({
      keys,
      mappedBelow,
      // Of what earlier compactions have looked at: the older records of these keys are gone already.
      tombstonesGoBelow: Math.min(goBelow, marks.cleanedBelow),
    })
    const mapped = plan.segments.filter(({ baseOffset }) => baseOffset < mappedBelow)
    const last = mapped.at(-1)!
    const groups = groupSegments(mapped, { segmentBytes, offsetsMax: RELATIVE_OFFSET_MAX })
    await this.#inTurn(run, () => marks.noteCompactedBelow(last.endOffset))
    const outcome = { bytesBefore: 0, bytesAfter: 0, keys: keys.count, cleanedBelow: mappedBelow }
    for (const group of groups) {
      const sizes = await this.#rewrite(group, { survival, walk, run })
      outcome.bytesBefore += sizes.bytesBefore
      outcome.bytesAfter += sizes.bytesAfter
    }
    await this.#inTurn(run, () => marks.cleaned({ below: mappedBelow, atMs: run.nowMs() }, deleteRetentionMs))
    return outcome
  }

  async #rewrite(
    group: readonly SealedSegment[],
    of: {
      readonly survival: RecordSurvival
      readonly walk: SegmentWalk
      readonly run: CompactionRun
    },
  ): Promise<{ readonly bytesBefore: number; readonly bytesAfter: number }> {
    const { survival, walk, run } = of
    const { segmentContext, segments, failure, onReplace } = this.#options
    const old = group.map(({ segment }) => segment)
    const bytesBefore = group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const rewrite = new SegmentRewrite({
      segmentContext,
      segments,
      failure,
      onReplace,
      old,
      survival,
      walk,
    })
    try {
      await rewrite.write()
      // A segment that lost nothing stays as it is.
      if (old.length === 1 && rewrite.bytesWritten === bytesBefore)
        return { bytesBefore, bytesAfter: bytesBefore }
      await this.#inTurn(run, async () => {
        this.#checkThere(old, run)
        await rewrite.swap()
        // Whoever reads should not be given for long what was compacted away.
        this.#options.tail.dropBelow(old.at(-1)!.endOffset)
      })
      await rewrite.removeReplaced()
    } finally {
      await rewrite.end()
    }
    return { bytesBefore, bytesAfter: rewrite.bytesWritten }
  }

  /** Runs a change of the files between two writes of the log, unless the log is gone by then. */
  async #inTurn(run: CompactionRun, change: () => Promise<void>): Promise<void> {
    await this.#options.writer.run(async () => {
      if (run.isStopped() || !this.#options.segments.active.isActive)
        throw new AbandonedError('the log is closed')
      this.#options.failure.check()
      await change()
    })
  }

  #checkThere(old: readonly Segment[], run: CompactionRun): void {
    const isSame = this.#options.health.changes === this.#damageSeen
    if (run.isStopped() || !isSame || !old.every((segment) => this.#isThere(segment))) {
      throw new AbandonedError('its segments are gone')
    }
  }

  /** Whether the segment is a sealed one of a log that is open. */
  #isThere(segment: Segment): boolean {
    const { all, active } = this.#options.segments
    return active.isActive && segment !== active && all.includes(segment)
  }

  #walkOf(run: CompactionRun): SegmentWalk {
    return {
      soundness: { cpu: this.#options.segmentContext.cpu, epochs: this.#options.epochs.view },
      pause: run.pause,
      check: (segment) => this.#checkThere([segment], run),
    }
  }

  /** @returns null where the segment is not in the log any more. */
  async #look(segment: Segment): Promise<SealedSegment | null> {
    try {
      const { baseOffset, endOffset } = segment
      const looked = { ...(await this.#measure(segment)), baseOffset, endOffset, segment }
      this.#known.set(segment, looked)
      return looked
    } catch (error) {
      if (error instanceof SegmentRetiredError) return null
      throw error
    }
  }

  #measure(segment: Segment): Promise<Omit<SealedSegment, 'baseOffset' | 'endOffset' | 'segment'>> {
    return segment.use(async (open) => {
      let firstTimestampMs = -1
      await scanBatches({
        handle: open.handle,
        from: { position: 0, offset: segment.baseOffset, leaderEpoch: -1 },
        endPosition: open.sizeBytes,
        wholeBatches: false,
        visit(batch) {
          firstTimestampMs = batch.maxTimestampMs
          // Of a batch that another compaction has emptied nobody knows the time.
          return firstTimestampMs < 0 ? undefined : 'stop'
        },
      })
      return { firstTimestampMs, maxTimestampMs: open.maxTimestampMs, sizeBytes: open.sizeBytes }
    })
  }
}

/** A record takes at least so many bytes, which bounds how many keys there can be. */
const RECORD_MIN_BYTES = 7
