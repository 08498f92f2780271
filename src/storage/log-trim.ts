// Where a log starts, and how records leave it at that end. The order of the steps makes a crash between any two of them
// harmless, and lets retention work on a full disk:
//
//   1. Whole segments below the new start are renamed to `.deleted`, the first one first, and the directory is synced.
//      What is left never has a gap, and its first name says durably where the log starts, without a byte written.
//   2. A start inside of a segment is written to the checkpoint of the data directory.
//   3. Only now others are told; the files go after `file.delete.delay.ms`, and a start removes those that are left.
//
// Between 1 and 3 a read below the new start is refused already: it gets OFFSET_OUT_OF_RANGE or all of its data.
import type { Log } from '../base/log.ts'
import type { Offset } from '../model/ids.ts'
import type { DelayedRemovals } from './delayed-removals.ts'
import { removeIfPresent } from './file-io.ts'
import type { LeaderEpochsFile } from './leader-epochs-file.ts'
import type { LogWriter } from './log-writer.ts'
import type { Segment, SegmentContext } from './segment.ts'
import { DELETED_SUFFIX } from './segment-files.ts'
import type { SegmentList } from './segment-list.ts'

/** The place of one log in the file of log start offsets of its data directory. */
export interface LogStartCheckpoint {
  /** 0 where nothing is known but the first segment. */
  readonly offset: Offset
  /** Durable when it resolves; as before when it rejects. */
  save(offset: Offset): Promise<void>
}

/** A log that keeps no start of its own: it starts where its first segment does. */
export const NO_LOG_START: LogStartCheckpoint = { offset: 0, save: () => Promise.resolve() }

export interface LogTrimOptions {
  readonly segments: SegmentList
  readonly segmentContext: SegmentContext
  readonly writer: LogWriter
  readonly epochs: LeaderEpochsFile
  readonly checkpoint: LogStartCheckpoint
  readonly removals: DelayedRemovals
  readonly log: Log
  /** Where the log was found to start when it was opened. */
  readonly startOffset: Offset
  /** Called when a segment has left the log: a read that overlapped with this is made again. */
  readonly onRemoved: () => void
  readonly onMoved: (startOffset: Offset) => void
}

export class LogTrim {
  readonly #options: LogTrimOptions
  #startOffset: Offset

  constructor(options: LogTrimOptions) {
    this.#options = options
    this.#startOffset = options.startOffset
  }

  /** The first offset that is kept; durable. */
  get startOffset(): Offset {
    return this.#startOffset
  }

  /** Below it nothing is read any more; for a moment beyond the start, while that becomes durable. */
  get readableFrom(): Offset {
    return Math.max(this.#startOffset, this.#options.segments.first.baseOffset)
  }

  /**
   * Lets the log start at an offset, as far as it reaches. To be called while nothing is written.
   * @throws what the file system throws. Segments that went before that are gone; the start is where they end.
   */
  async trimTo(offset: Offset): Promise<void> {
    const { segments, writer, checkpoint, onMoved } = this.#options
    const startOffset = Math.min(offset, writer.endOffset)
    if (startOffset <= this.#startOffset) return
    const before = this.#startOffset
    try {
      await this.#removeBelow(startOffset)
      if (startOffset >= segments.active.endOffset) {
        await writer.roll()
        await this.#removeBelow(startOffset)
      }
      if (startOffset > this.#startOffset) {
        await checkpoint.save(startOffset)
        this.#startOffset = startOffset
      }
    } finally {
      if (this.#startOffset > before) {
        await this.#trimEpochs()
        onMoved(this.#startOffset)
      }
    }
  }

  /**
   * The log is about to be dropped and to begin anew at an offset. A stored start beyond that must not outlive it: the
   * records that come would count as deleted.
   */
  async restartAt(offset: Offset): Promise<void> {
    const { checkpoint } = this.#options
    if (checkpoint.offset > offset) await checkpoint.save(offset)
    this.#startOffset = offset
  }

  /** The names of segments are about to say less than that the log starts where it does. @throws what the file system throws. */
  async keepStart(): Promise<void> {
    const { checkpoint } = this.#options
    if (checkpoint.offset < this.#startOffset) await checkpoint.save(this.#startOffset)
  }

  async #removeBelow(startOffset: Offset): Promise<void> {
    const { segments, segmentContext, removals, writer } = this.#options
    const { fileSystem, directory } = segmentContext
    const removed: Segment[] = []
    try {
      while (segments.first !== segments.active && segments.first.endOffset <= startOffset) {
        removed.push(await this.#setDeleted(segments.shift()))
      }
    } finally {
      if (removed.length > 0) {
        await fileSystem.syncDirectory(directory)
        this.#startOffset = Math.max(this.#startOffset, segments.first.baseOffset)
        for (const segment of removed) this.#dispose(segment)
        removals.add(
          { path: directory, run: () => this.#removeLogs(removed) },
          writer.settings.fileDeleteDelayMs,
        )
      }
    }
  }

  async #setDeleted(segment: Segment): Promise<Segment> {
    const { segments, segmentContext, onRemoved } = this.#options
    onRemoved()
    try {
      await segment.retire()
      await segmentContext.fileSystem.rename(segment.files.log, segment.files.log + DELETED_SUFFIX)
      return segment
    } catch (error) {
      segment.reinstate()
      segments.unshift(segment)
      throw error
    }
  }

  /** Without their log the indexes are of no use; reads under way have them in memory, and the file open. */
  #dispose(segment: Segment): void {
    const { segmentContext, removals } = this.#options
    const { fileSystem } = segmentContext
    const { offsetIndex, timeIndex, log } = segment.files
    const run = async (): Promise<void> => {
      await segment.close()
      await removeIfPresent(fileSystem, offsetIndex)
      await removeIfPresent(fileSystem, timeIndex)
    }
    removals.add({ path: log, run }, 0)
  }

  async #removeLogs(removed: readonly Segment[]): Promise<void> {
    const { fileSystem } = this.#options.segmentContext
    for (const { files } of removed) await removeIfPresent(fileSystem, files.log + DELETED_SUFFIX)
  }

  /** Entries of records that are gone do no harm, and opening the log drops them as well. */
  async #trimEpochs(): Promise<void> {
    const { epochs, log } = this.#options
    try {
      await epochs.truncateFromStart(this.#startOffset)
    } catch (error) {
      log.warn('leader-epochs-not-written', { startOffset: this.#startOffset, error })
    }
  }
}
