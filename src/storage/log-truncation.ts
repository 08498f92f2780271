// Cuts a log off at its end. The order of the steps is what makes a crash between any two of them harmless: the stored
// recovery point goes down first (or the shorter log would look damaged), then whole segments from the last one back
// (so that what is left is always the beginning of the log), then the end of the segment, then the epochs (recovery
// drops those beyond the end of the log), and last the mark that a log which is empty now was compacted.
import { assert } from '../base/assert.ts'
import { deferred } from '../base/async/deferred.ts'
import type { Offset } from '../model/ids.ts'
import { scanBatches } from './batch-scan.ts'
import type { CompactionState } from './compaction-state.ts'
import { CorruptLogError } from './corrupt-log-error.ts'
import { isPassing } from './file-system.ts'
import type { Flusher } from './flusher.ts'
import type { HotTail } from './hot-tail.ts'
import type { LeaderEpochsFile } from './leader-epochs-file.ts'
import type { LogHealth } from './log-health.ts'
import type { LogTrim } from './log-trim.ts'
import type { LogWriter } from './log-writer.ts'
import type { OffsetPosition } from './offset-index.ts'
import type { OpenSegment } from './open-segment.ts'
import { noteBatches, Segment, type SegmentContext } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import type { StorageFailure } from './storage-failure.ts'

/** The parts of a log that a truncation changes. Nothing is written or flushed meanwhile. */
export interface TruncatedLog {
  readonly segments: SegmentList
  readonly segmentContext: SegmentContext
  readonly writer: LogWriter
  readonly flusher: Flusher
  readonly tail: HotTail
  readonly epochs: LeaderEpochsFile
  readonly trim: LogTrim
  readonly failure: StorageFailure
  readonly health: LogHealth
  readonly marks: CompactionState
  /** Makes durable that nothing at or beyond the offset counts as flushed. */
  readonly lowerRecoveryPoint: (offset: Offset) => Promise<void>
}

/**
 * Drops every batch with an offset at or beyond the one given; a batch that spans it goes whole, and where the log starts in
 * that one, all goes: a log does not end before it starts. Where the log was compacted beyond the offset, all goes as well:
 * what compaction took away there had later records, and these would go now.
 * @param onCut called when the place is found, before anything of the log changes.
 */
export async function truncateEnd(
  log: TruncatedLog,
  { offset, onCut }: { readonly offset: Offset; readonly onCut: () => void },
): Promise<void> {
  const { segments, writer, epochs, failure, marks, trim } = log
  if (offset < marks.compactedBelow && offset < writer.endOffset) {
    await truncateFully(log, { startOffset: trim.startOffset, onCut })
    return
  }
  if (offset < writer.endOffset) {
    const segment = segments.floor(offset)
    assert(segment !== undefined, `offset ${offset} is below the start of the log`)
    const cut = await findCut(log, segment, offset)
    // The batch in which the log starts goes, and what is left of the log must not end before it starts.
    if (cut.offset < trim.startOffset) {
      await truncateFully(log, { startOffset: trim.startOffset, onCut })
      return
    }
    await lowerRecoveryPoint(log, cut.offset)
    onCut()
    const isCut = log.health.cut(cut.offset)
    lowerEnd(log, cut.offset)
    try {
      await removeFromEnd(log, segment)
      await cutSegment(segment, cut)
    } catch (error) {
      // Memory and files may differ now.
      failure.trip(error)
      throw error
    } finally {
      isCut()
    }
    log.flusher.reset(cut.offset)
  }
  await epochs.truncateFromEnd(Math.min(offset, writer.endOffset))
  writer.epochsChanged()
}

/**
 * Drops everything; the log is empty and begins at the offset given.
 * @param cut `keepsStart`: the log start stays beyond the offset, durably, also when nothing comes to be written behind it.
 *   `onCut` is called before anything of the log changes.
 */
export async function truncateFully(
  log: TruncatedLog,
  cut: { readonly startOffset: Offset; readonly keepsStart?: boolean; readonly onCut: () => void },
): Promise<void> {
  const { startOffset, keepsStart = false, onCut } = cut
  const { segments, segmentContext, failure } = log
  if (keepsStart) await log.trim.keepStart()
  await lowerRecoveryPoint(log, 0)
  onCut()
  const isCut = log.health.cut(0)
  lowerEnd(log, startOffset)
  log.tail.truncate(0)
  log.flusher.lower(0)
  const old = [...segments.all]
  const inPlace = deferred<void>()
  // Whoever reads now finds the log as it will be, and waits until it is so.
  const segment = new Segment(segmentContext, { baseOffset: startOffset, endOffset: startOffset })
  segment.holdUntil(inPlace.promise)
  segments.replaceAll(segment)
  try {
    if (!keepsStart) await log.trim.restartAt(startOffset)
    while (old.length > 0) await old.pop()!.remove()
    await segment.activate({ emptied: true })
    await log.epochs.truncateFromEnd(0)
  } catch (error) {
    failure.trip(error)
    await Promise.allSettled(old.map((one) => one.close()))
    throw error
  } finally {
    inPlace.resolve()
    isCut()
  }
  log.flusher.reset(startOffset)
  log.writer.epochsChanged()
  await log.marks.reset()
}

/** Where that fails (the disk may be full), the log is as it was, and the truncation can be tried again. */
async function lowerRecoveryPoint(log: TruncatedLog, offset: Offset): Promise<void> {
  const { flusher, writer } = log
  const before = { writtenOffset: writer.endOffset, flushedOffset: flusher.flushedOffset }
  // Checkpoints ask the flusher, also one that others save at the same time.
  flusher.lower(offset)
  try {
    await log.lowerRecoveryPoint(offset)
  } catch (error) {
    flusher.restore(before)
    throw error
  }
}

function lowerEnd(log: TruncatedLog, endOffset: Offset): void {
  log.writer.rebase(endOffset)
  log.flusher.lower(endOffset)
  log.tail.truncate(endOffset)
}

/**
 * Removes the segments behind one, the last first; their names become durable in this order. The next segment that is
 * activated syncs the directory, before anything in it changes. It finds a free descriptor: that of the active segment.
 */
async function removeFromEnd({ segments }: TruncatedLog, kept: Segment): Promise<void> {
  while (segments.active !== kept) await segments.pop().remove()
}

async function cutSegment(segment: Segment, cut: OffsetPosition): Promise<void> {
  const open = segment.isActive ? segment.active : await segment.activate({ emptied: false })
  try {
    if (open.offsetIndex.count === 0) await open.loadIndexes(cut.offset)
  } catch (error) {
    // Without them the walk below is longer.
    if (!isPassing(error)) throw error
  }
  const from = open.cutIndexes(cut.offset)
  // The file of the time index would say something wrong about the records that come to these offsets.
  await open.removeIndexFiles()
  await open.truncate(cut.position)
  await noteBatches(open, { ...from, leaderEpoch: -1 })
  segment.endOffset = cut.offset
}

/** Where the batch that contains the offset starts. What is damaged there goes as a whole. */
async function findCut({ health }: TruncatedLog, segment: Segment, offset: Offset): Promise<OffsetPosition> {
  for (let isChecked = false; ; isChecked = true) {
    const damaged = health.damagedRanges.find((range) => range.offset <= offset && offset < range.endOffset)
    if (damaged !== undefined && damaged.segmentBase === segment.baseOffset) return damaged
    const resume = health.resumeBefore(segment, offset)
    try {
      const cut = await segment.use((open) => findBatchStart(open, { offset, resume }))
      // Leaders cut between batches, so one that spans the offset is most likely a header that lies about its end.
      if (cut.offset === offset || isChecked) return cut
    } catch (error) {
      if (isChecked || !(error instanceof CorruptLogError)) throw error
    }
    await health.check(segment)
  }
}

/** Where the batch that contains the offset starts. */
async function findBatchStart(
  open: OpenSegment,
  { offset, resume }: { readonly offset: Offset; readonly resume: OffsetPosition | null },
): Promise<OffsetPosition> {
  const find = (from: OffsetPosition) =>
    scanBatches({
      handle: open.handle,
      from: { ...from, leaderEpoch: -1 },
      endPosition: open.sizeBytes,
      wholeBatches: false,
      visit: (batch) => (batch.nextOffset > offset ? 'stop' : undefined),
    })
  const floor = open.offsetIndex.floor(offset)
  const from = resume !== null && resume.offset > floor.offset ? resume : floor
  let { end, damage } = await find(from)
  if (damage !== null && end.position === from.position && from === floor) {
    await open.dropOffsetIndex()
    ;({ end, damage } = await find(resume ?? { position: 0, offset: open.baseOffset }))
  }
  if (damage === null) return end
  throw new CorruptLogError({
    path: open.files.log,
    position: end.position,
    offset: end.offset,
    reason: damage,
  })
}
