// What is known to be damaged in one log, how it is found, and how reads go around it. Damage never closes a log: its range
// answers CORRUPT_MESSAGE, everything else is read as before, and no offset is taken back.
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { EpochView } from '../log/epoch-history.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { type ScanPoint, scanBatches } from './batch-scan.ts'
import { type Damage, problemOf, type Soundness, verifyBatches } from './batch-verifier.ts'
import type { DamageFile } from './damage-file.ts'
import { type DamagedRange, DamagedRanges } from './damaged-ranges.ts'
import type { ReadRange } from './hot-tail.ts'
import { readFromSegment } from './log-reader.ts'
import type { Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import { SegmentRetiredError } from './segment-retired-error.ts'

/** Reads that find damage are made again once it is known; each attempt can uncover one more place. */
const READ_ATTEMPTS_MAX = 3

export interface LogHealthOptions {
  readonly segments: SegmentList
  readonly epochs: { readonly view: EpochView }
  readonly cpu: Cpu
  readonly log: Log
  readonly file: DamageFile
  /** What was found when the log was opened. */
  readonly ranges: readonly DamagedRange[]
  /** Whether the end of the log was lost and the controller has to hear of it first. */
  readonly endLost: boolean
  /** Whether the end of the log was cut off when it was opened, or before, and the controller has to hear of it. */
  readonly tailDropped: boolean
  /** The first offset that is kept: what is damaged below it does not matter any more. */
  readonly startsAt: () => Offset
  /** Told when a range was found or repaired. */
  readonly observer: { onDamaged?(): void }
}

export class LogHealth {
  readonly #options: LogHealthOptions
  readonly #ranges: DamagedRanges
  readonly #checks = new Map<Segment, Promise<boolean>>()
  /** Counts what takes segments or their ends away, so that a check that overlapped with it is void. */
  #generation = 0
  /** Truncations that go on. */
  #cuts = 0
  #changes = 0
  #endLost: boolean
  #tailDropped: boolean
  #isClosed = false
  #saving: Promise<void> = Promise.resolve()

  constructor(options: LogHealthOptions) {
    this.#options = options
    this.#ranges = new DamagedRanges(options.ranges)
    this.#endLost = options.endLost
    this.#tailDropped = options.tailDropped
    for (const range of options.ranges) if (this.#matters(range)) this.#report(range)
  }

  /** The first offset that is kept. */
  get startOffset(): Offset {
    return this.#options.startsAt()
  }

  /** What is damaged now, in the order of the offsets. What is wholly below the log start is gone, and nobody's loss. */
  get damagedRanges(): readonly DamagedRange[] {
    const { all } = this.#ranges
    return all.every((range) => this.#matters(range)) ? all : all.filter((range) => this.#matters(range))
  }

  /** Counts the changes of `damagedRanges`. */
  get changes(): number {
    return this.#changes
  }

  /** Whether there is damage in a segment. */
  isDamagedIn({ baseOffset }: Segment): boolean {
    return this.#ranges.all.some((range) => range.segmentBase === baseOffset)
  }

  /**
   * Whether records that had been flushed may be missing from the end of the log. The replica must not lead before it has
   * left the in-sync set and come back.
   */
  get isEndLost(): boolean {
    return this.#endLost
  }

  /** The replica has left the in-sync set: whatever its end lacks, it gets from the leader. */
  async endLossReported(): Promise<void> {
    this.#endLost = false
    this.#save()
    await this.#saving
  }

  /**
   * Whether recovery cut off bytes at the end of the log that may have been acknowledged: a flipped bit in the last batch
   * looks as a torn write does. The replica must not be taken for one that has everything.
   */
  get isTailDropped(): boolean {
    return this.#tailDropped
  }

  /** The controller knows of the tail, in committed metadata. */
  async tailReported(): Promise<void> {
    this.#tailDropped = false
    this.#save()
    await this.#saving
  }

  /** Where a segment goes on behind the last damage at or below an offset; null where there is none in it. */
  resumeBefore(segment: Segment, offset: Offset): ScanPoint | null {
    return this.#ranges.resumeBefore(segment.baseOffset, offset)
  }

  /** Whether the range is still there, and nobody else has the files. */
  isDamaged(range: DamagedRange): boolean {
    return !this.#isClosed && this.#ranges.has(range) && this.#matters(range)
  }

  /**
   * Reads from the files. Everything that is returned has been verified.
   * @throws VltavaError CORRUPT_MESSAGE where the first batch is damaged.
   */
  async read(range: ReadRange): Promise<Uint8Array[]> {
    const { segments } = this.#options
    for (let attempt = 1; ; attempt++) {
      const segment = segments.floor(range.offset)
      if (segment === undefined) throw new VltavaError('OFFSET_OUT_OF_RANGE')
      const damaged = this.#ranges.at(range.offset)
      if (damaged !== undefined) throw damagedError(damaged)
      const segmentEnd = segments.next(segment)?.baseOffset ?? Number.POSITIVE_INFINITY
      const endOffset = Math.min(range.endOffset, segmentEnd, this.#ranges.nextAfter(range.offset))
      try {
        return await readFromSegment(segment, {
          range: { ...range, endOffset },
          segmentEndOffset: segmentEnd,
          soundness: this.#soundness(),
          resume: this.resumeBefore(segment, range.offset),
        })
      } catch (error) {
        const isDamage = error instanceof VltavaError && error.code === 'CORRUPT_MESSAGE'
        if (!isDamage || attempt === READ_ATTEMPTS_MAX) throw error
        await this.check(segment)
      }
    }
  }

  /**
   * Verifies a whole segment, of the active one what is written now, and notes what is damaged or is so no more.
   * @returns whether there is damage in it.
   */
  check(segment: Segment): Promise<boolean> {
    let check = this.#checks.get(segment)
    if (check === undefined) {
      check = this.#check(segment).finally(() => this.#checks.delete(segment))
      this.#checks.set(segment, check)
    }
    return check
  }

  /**
   * The log ends here now, and its files will.
   * @returns to be called when they do: whoever looks meanwhile may find files that end before they should.
   */
  cut(endOffset: Offset): () => void {
    this.#generation++
    this.#cuts++
    if (this.#ranges.cut(endOffset)) this.#changed()
    return () => {
      this.#generation++
      this.#cuts--
    }
  }

  /**
   * The log starts here now: what was damaged below is gone. In the segment in which it starts, reads still have to find their
   * way around that.
   */
  trimmed(startOffset: Offset): void {
    this.#generation++
    const before = this.#ranges.all
    this.#ranges.dropBelow(this.#options.segments.floor(startOffset)?.baseOffset ?? startOffset)
    if (before.some((range) => range.offset < startOffset)) this.#changed()
  }

  /** Others have taken the place of segments, none of which was damaged: a check of these says nothing any more. */
  segmentsReplaced(): void {
    this.#generation++
  }

  /**
   * Verifies all segments, step by step, and notes what is damaged.
   * @param pace called with the bytes of each step; the next one begins when it resolves.
   */
  async scrub(pace: (bytes: number) => Promise<void>): Promise<void> {
    const { segments } = this.#options
    for (const segment of [...segments.all]) {
      // Retention or compaction may have been faster.
      if (!segments.all.includes(segment)) continue
      let from: ScanPoint = { position: 0, offset: segment.baseOffset, leaderEpoch: -1 }
      const generation = this.#generation
      while (generation === this.#generation && !this.#isClosed) {
        const step = await unlessRetired(verifyStep(segment, { from, soundness: this.#soundness() }))
        if (step === null) break
        await pace(step.end.position - from.position)
        if (step.isSound && step.isLast) break
        if (!step.isSound) {
          if (!this.#isClosed) await this.check(segment)
          break
        }
        from = step.end
      }
    }
  }

  /** The files belong to somebody else from now on. Resolves when what is known is on disk, as far as the disk takes it. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.#saving
  }

  async #check(segment: Segment): Promise<boolean> {
    const generation = this.#generation
    const all = await unlessRetired(findDamage(segment, this.#soundness()))
    if (all === null) return false
    if (generation !== this.#generation || this.#cuts > 0 || this.#isClosed) return false
    // Removed before the check began, or not even in the log yet.
    if (!this.#options.segments.all.includes(segment)) return false
    const before = this.#ranges.all
    const added = this.#ranges.replaceSegment(segment.baseOffset, all)
    for (const range of added) if (this.#matters(range)) this.#report(range)
    for (const range of before.filter((one) => this.#matters(one))) {
      const isGone = range.segmentBase === segment.baseOffset && !this.#ranges.has(range)
      if (isGone && added.every((one) => one.offset > range.offset || range.offset >= one.endOffset)) {
        const { path, position, offset, endOffset } = range
        this.#options.log.warn('log-repaired', { path, position, offset, endOffset })
      }
    }
    if (before !== this.#ranges.all) this.#changed()
    return all.some((range) => this.#matters(range))
  }

  /** Whether any record that is kept is in it. */
  #matters({ endOffset }: DamagedRange): boolean {
    return endOffset > this.#options.startsAt()
  }

  #soundness(): Soundness {
    return { cpu: this.#options.cpu, epochs: this.#options.epochs.view }
  }

  #report({ path, position, endPosition, offset, endOffset, reason }: DamagedRange): void {
    this.#options.log.error('log-damaged', {
      path,
      position,
      bytes: endPosition - position,
      offset,
      endOffset,
      reason,
      next: 'reads of these offsets fail until they are repaired from another replica; nothing was cut off',
    })
  }

  #changed(): void {
    this.#changes++
    this.#save()
    this.#options.observer.onDamaged?.()
  }

  #save(): void {
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#options.file.write({
          ranges: this.#ranges.all.map(({ offset, endOffset }) => [offset, endOffset]),
          endLost: this.#endLost,
          tailDropped: this.#tailDropped,
        })
      } catch (error) {
        // Without the file a restart has to find the damage again.
        this.#options.log.warn('damaged-ranges-not-saved', { error })
      }
    })
  }
}

/** Verifies a whole segment. Of a sealed one the list says where it ends, which is not where the file ends when one is missing. */
export async function findDamage(segment: Segment, soundness: Soundness): Promise<readonly DamagedRange[]> {
  const { damages } = await segment.use((open) =>
    verifyBatches({
      ...soundness,
      open,
      from: { position: 0, offset: segment.baseOffset, leaderEpoch: -1 },
      // Taken together: appends go on meanwhile.
      endOffset: segment.endOffset,
      endPosition: open.sizeBytes,
      endsThere: true,
    }),
  )
  return damages.map((damage) => rangeOf(segment, damage))
}

/** @returns null where the segment has left the log: what is wrong with it is nobody's any more. */
async function unlessRetired<T>(look: Promise<T>): Promise<T | null> {
  try {
    return await look
  } catch (error) {
    if (error instanceof SegmentRetiredError) return null
    throw error
  }
}

/** Bytes that the scrub verifies before it looks up. */
const STEP_BYTES = 256 * 1024

async function verifyStep(
  segment: Segment,
  { from, soundness }: { readonly from: ScanPoint; readonly soundness: Soundness },
): Promise<{ readonly end: ScanPoint; readonly isSound: boolean; readonly isLast: boolean }> {
  return segment.use(async (open) => {
    const { endOffset } = segment
    const { sizeBytes } = open
    const { end, damage } = await scanBatches({
      handle: open.handle,
      from,
      endPosition: sizeBytes,
      wholeBatches: true,
      visit(batch) {
        if (batch.baseOffset >= endOffset || batch.position - from.position >= STEP_BYTES) return 'stop'
        const problem = problemOf(batch, soundness)
        return problem === null ? undefined : { damage: problem }
      },
    })
    const isLast = end.offset >= endOffset
    return { end, isLast, isSound: isLast || (damage === null && end.position > from.position) }
  })
}

export function rangeOf(segment: Segment, damage: Damage): DamagedRange {
  const endOffset = segment.isActive ? damage.endOffset : Math.min(damage.endOffset, segment.endOffset)
  return { ...damage, endOffset, segmentBase: segment.baseOffset, path: segment.files.log }
}

function damagedError({ path, position, offset, endOffset, reason }: DamagedRange): VltavaError {
  return new VltavaError(
    'CORRUPT_MESSAGE',
    `Offsets ${offset} to ${endOffset} (exclusive) are damaged on this replica (${path} at position ${position}: ` +
      `${reason}). They can be read again once another replica leads or the damage is repaired.`,
  )
}
