// The log of one partition: the one place that others read from and append to. It only routes between its parts: the
// writer (appends, rolls), the flusher (fsync), the hot tail and the segments (reads), truncation, the epochs.
import { assert } from '../base/assert.ts'
import type { EpochView } from '../log/epoch-history.ts'
import type { LeaderEpoch, Offset, PartitionIndex, TopicId } from '../model/ids.ts'
import type { Append, Appended } from './append-queue.ts'
import { checkContinues, stampBatches } from './batch-checks.ts'
import type { Flusher } from './flusher.ts'
import type { ReadRange } from './hot-tail.ts'
import type { LeaderEpochsFile } from './leader-epochs-file.ts'
import type { LogCompaction } from './log-compaction.ts'
import type { LogHealth } from './log-health.ts'
import { wireParts } from './log-parts.ts'
import { type LogReads, logClosedError } from './log-reads.ts'
import type { LogRepair } from './log-repair.ts'
import type { LogSettings } from './log-settings.ts'
import type { LogTrim } from './log-trim.ts'
import { type TruncatedLog, truncateEnd, truncateFully } from './log-truncation.ts'
import type { LogWriter } from './log-writer.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'
import type { PartitionLogOptions } from './partition-log-options.ts'
import type { RetainedSegments } from './retained-segments.ts'
import type { SegmentList } from './segment-list.ts'
import type { DroppedTail } from './segment-recovery.ts'
import { type StorageFailure, storageError } from './storage-failure.ts'
import type { TimestampAndOffset, TimestampSearch } from './timestamp-lookup.ts'

export class PartitionLog {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
  /** The tail that recovery cut off when the log was opened; null when nothing was missing. */
  readonly droppedTail: DroppedTail | null
  readonly compaction: LogCompaction
  readonly retained: RetainedSegments
  readonly health: LogHealth
  readonly repair: LogRepair
  readonly #segments: SegmentList
  readonly #epochs: LeaderEpochsFile
  readonly #failure: StorageFailure
  readonly #flusher: Flusher
  readonly #writer: LogWriter
  readonly #trim: LogTrim
  readonly #truncated: TruncatedLog
  readonly #reads: LogReads
  readonly #unsubscribe: () => void
  #isTruncating = false
  #isClosed = false

  /** Logs are opened by `openLog`. */
  constructor(options: PartitionLogOptions) {
    const { segments, epochs, failure } = options
    const { flusher, writer, trim, health, reads, repair, compaction, retained, truncated } =
      wireParts(options)
    this.#trim = trim
    this.#writer = writer
    this.health = health
    this.#reads = reads
    this.repair = repair
    this.#truncated = truncated
    this.compaction = compaction
    this.retained = retained
    this.topicId = options.topicId
    this.partition = options.partition
    this.droppedTail = options.droppedTail
    this.#segments = segments
    this.#epochs = epochs
    this.#failure = failure
    this.#flusher = flusher
    this.#unsubscribe = failure.onTrip(() => {
      this.#writer.fail()
      this.#flusher.fail()
    })
  }

  /** The first offset that is kept; durable. */
  get logStartOffset(): Offset {
    return this.#trim.startOffset
  }

  /** The first offset that can be read: for a moment beyond the log start, while that is made durable. */
  get readableFrom(): Offset {
    return this.#trim.readableFrom
  }

  get settings(): LogSettings {
    return this.#writer.settings
  }

  /** Exclusive: the end of what is written, which is what may be read. */
  get logEndOffset(): Offset {
    return this.#writer.endOffset
  }

  /** Exclusive: an fdatasync that started after the write had returned covers all below it. */
  get flushedOffset(): Offset {
    return this.#flusher.flushedOffset
  }

  /** The leader epochs of this log; always shows the present state. */
  get epochs(): EpochView {
    return this.#epochs.view
  }

  /**
   * Appends as the leader: the batches get their offsets and the epoch now, in the order of calls, and are written
   * soon.
   * @param batches whole validated batches of 1 byte or more. The log takes them over: they are stamped in place and
   *   must not be changed or used for anything else from now on, because they are written and served from this buffer.
   * @param leaderEpoch the latest epoch, or a later one, which then begins with these batches.
   * @throws VltavaError SERVER_BUSY when too much waits for the disk, DISK_FULL when it is too full, STORAGE_ERROR when
   *   the directory has failed. Then nothing was changed.
   */
  appendAsLeader(batches: Uint8Array, leaderEpoch: LeaderEpoch): Appended {
    this.#checkAppend(batches)
    const { assignedEndOffset, assignedEpoch } = this.#writer
    assert(
      leaderEpoch >= assignedEpoch && leaderEpoch >= 0,
      `leader epoch ${leaderEpoch} after ${assignedEpoch}`,
    )
    const endOffset = stampBatches(batches, { baseOffset: assignedEndOffset, leaderEpoch })
    const newEpochs =
      leaderEpoch > assignedEpoch ? [{ epoch: leaderEpoch, startOffset: assignedEndOffset }] : []
    return this.#append({ bytes: batches, baseOffset: assignedEndOffset, endOffset, newEpochs })
  }

  /**
   * Appends as a follower: the batches keep their offsets and epochs, and must continue the log. Behind 2^31 offsets what
   * follows is left out; it is to be fetched again.
   * @param batches whole validated batches; taken over as by `appendAsLeader`.
   * @throws VltavaError as `appendAsLeader`; CORRUPT_MESSAGE when they do not continue the log. Then nothing was changed.
   */
  appendAsFollower(batches: Uint8Array): Appended {
    this.#checkAppend(batches)
    const { assignedEndOffset, assignedEpoch } = this.#writer
    const { takenBytes, ...append } = checkContinues(batches, {
      offset: assignedEndOffset,
      leaderEpoch: assignedEpoch,
    })
    return this.#append({ ...append, bytes: batches.subarray(0, takenBytes) })
  }

  /**
   * Notes that a leader epoch begins at the end of the log. A new leader does so before it serves anything. It becomes
   * durable with the first append, before its records.
   * @throws VltavaError STORAGE_ERROR when the directory has failed.
   */
  async beginEpoch(leaderEpoch: LeaderEpoch): Promise<void> {
    this.#failure.check()
    await this.#writer.run(async () => {
      this.#epochs.begin({ epoch: leaderEpoch, startOffset: this.logEndOffset })
      this.#writer.epochsChanged()
    })
  }

  /**
   * Reads whole batches: the first contains `offset`, none reaches beyond `endOffset`. The views must not be changed.
   * @param range `endOffset` at most the log end offset.
   * @returns batches at once when they are in memory; else a promise, which rejects with CORRUPT_MESSAGE where the files
   *   are damaged, STORAGE_ERROR where they cannot be read and NOT_LEADER_OR_FOLLOWER where the log was closed. Empty when
   *   there is none that may be returned.
   * @throws VltavaError OFFSET_OUT_OF_RANGE below the log start or above the log end.
   */
  read(range: ReadRange): Uint8Array[] | Promise<Uint8Array[]> {
    this.#reads.checkOffset(range.offset)
    assert(range.endOffset <= this.logEndOffset, 'a read must not reach beyond the log end')
    if (range.offset >= range.endOffset) return []
    return this.#reads.read(range)
  }

  /**
   * The first record with this time or a later one. The records of a compressed batch are not looked at: its first one
   * stands for them.
   * @param search `endOffset` at most the log end offset; records at or beyond it do not count.
   * @returns null when there is none.
   * @throws VltavaError CORRUPT_MESSAGE, STORAGE_ERROR
   */
  offsetForTimestamp(search: TimestampSearch): Promise<TimestampAndOffset | null> {
    return this.#reads.offsetForTimestamp(search)
  }

  /**
   * Resolves when all that was appended before is flushed, also with `flush.messages` above 1.
   * @throws VltavaError STORAGE_ERROR
   */
  async flush(): Promise<void> {
    await this.#writer.run(async () => {})
    await this.#flusher.flush()
  }

  /**
   * Drops every batch that has an offset at or beyond this one (a batch that spans it goes whole; all of them where the
   * log was compacted beyond it) and the epochs that begin there. Durable when it resolves. Appends are refused meanwhile.
   * @param offset the log start offset or more; beyond the log end only epochs go.
   */
  truncateTo(offset: Offset): Promise<void> {
    assert(offset >= this.logStartOffset, `a truncation to ${offset}, below the log start`)
    return this.#truncate(() => truncateEnd(this.#truncated, { offset, onCut: () => this.#reads.changed() }))
  }

  /**
   * Drops everything; the log begins and ends at the offset given. Durable when it resolves.
   * @param options `keepsStart`: the log start stays where it is, in the batch that is to come at the offset.
   */
  truncateFullyAndStartAt(offset: Offset, { keepsStart = false } = {}): Promise<void> {
    const onCut = (): void => this.#reads.changed()
    return this.#truncate(() => truncateFully(this.#truncated, { startOffset: offset, keepsStart, onCut }))
  }

  /**
   * Deletes what lies below an offset, as far as the log reaches; below the present start nothing. Durable when it
   * resolves. Whole segments go even where nothing can be written.
   * @param offset at most the high watermark, which is the caller's to know.
   */
  trimTo(offset: Offset): Promise<void> {
    return this.#exclusively(() => this.#trim.trimTo(offset))
  }

  /** Begins a new segment where the active one is older than `segment.ms`. */
  rollIfOld(): Promise<void> {
    return this.#exclusively(() => this.#writer.rollIfOld())
  }

  /** As `trimTo`, but only whole segments go: the log starts at the offset or, as a rule, before it. */
  trimSegmentsTo(offset: Offset): Promise<void> {
    return this.#exclusively(() => this.#trim.trimTo(this.#segments.floor(offset)?.baseOffset ?? 0))
  }

  /** Takes effect at once, but for `indexIntervalBytes`, which does when the log is opened the next time. */
  updateSettings(settings: LogSettings): void {
    this.#writer.settings = settings
  }

  /** Adds to the index files what they lack; an unclean start then has less to walk over. */
  writeIndexes(): Promise<void> {
    return this.#writer.run(async () => {
      // A checkpoint may ask while the log is being closed; nothing is open for writing then.
      if (!this.#isClosed) await this.#segments.active.active.writeIndexes()
    })
  }

  /**
   * Writes and flushes what was appended, then closes the files. Later calls do nothing.
   * @param options `flush` false leaves out the flush, for a log that is deleted or whose directory has failed.
   * @throws VltavaError STORAGE_ERROR when not everything could be flushed; the files are closed all the same.
   */
  async close(options: { readonly flush: boolean } = { flush: true }): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#writer.run(async () => {
      this.#writer.stop()
      try {
        if (options.flush) {
          await this.#flusher.flush()
          await this.#segments.active.active.writeIndexes()
        }
      } finally {
        await this.#flusher.hold()
        this.#unsubscribe()
        await this.health.close()
        // Of all at first: who reads on from one to the next must not open what was closed.
        await Promise.all(this.#segments.all.map((segment) => segment.retire()))
        for (const segment of this.#segments.all) await segment.close()
      }
    })
  }

  #checkAppend(batches: Uint8Array): void {
    assert(batches.length > 0, 'an append has at least one batch')
    assert(!this.#isTruncating, 'an append during a truncation')
    if (this.#isClosed) throw logClosedError(this)
    this.#writer.checkRoom(batches.length)
  }

  #append(append: Append): Appended {
    const { baseOffset, endOffset } = append
    // One segment could not index more.
    assert(endOffset - baseOffset <= RELATIVE_OFFSET_MAX, 'an append spans too many offsets')
    return { baseOffset, endOffset, written: this.#writer.append(append) }
  }

  /** Runs a change of the segments while nothing is written; nothing once the log is closed. */
  async #exclusively(change: () => Promise<void>): Promise<void> {
    await this.#writer.run(async () => {
      if (this.#isClosed) return
      this.#failure.check()
      try {
        await change()
      } catch (error) {
        throw storageError(error)
      }
    })
  }

  async #truncate(cut: () => Promise<void>): Promise<void> {
    assert(!this.#isTruncating, 'a truncation during another')
    this.#failure.check()
    this.#isTruncating = true
    try {
      await this.#writer.run(async () => {
        await this.#flusher.hold()
        try {
          await cut()
        } catch (error) {
          throw storageError(error)
        } finally {
          this.#flusher.release()
        }
      })
    } finally {
      this.#isTruncating = false
    }
  }
}
