// Writes the appends of one log to its active segment: one writev at a time of all that waits, while the fsync of what
// was written before may still run. Rolls segments. Memory says that something is written only after it is.
import { AssertionError, assert } from '../base/assert.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { baseOffsetOf, batchSizeOf, maxTimestampOf, nextOffsetOf } from '../record/batch-format.ts'
import { type Append, AppendQueue, type Round } from './append-queue.ts'
import type { RecordRoom } from './disk-room.ts'
import { removeIfPresent, writeFully } from './file-io.ts'
import { fileErrorCodeOf, isOutOfSpace } from './file-system.ts'
import { FlushTimer } from './flush-timer.ts'
import type { Flusher } from './flusher.ts'
import type { HotTail } from './hot-tail.ts'
import type { LeaderEpochsFile } from './leader-epochs-file.ts'
import type { LogSettings } from './log-settings.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'
import type { OpenSegment } from './open-segment.ts'
import { Segment, type SegmentContext } from './segment.ts'
import { SegmentAge } from './segment-age.ts'
import type { SegmentList } from './segment-list.ts'
import type { StorageFailure } from './storage-failure.ts'

export interface LogWriterOptions {
  readonly segments: SegmentList
  readonly segmentContext: SegmentContext
  readonly flusher: Flusher
  readonly epochs: LeaderEpochsFile
  readonly tail: HotTail
  readonly failure: StorageFailure
  readonly settings: LogSettings
  readonly clock: Clock
  readonly log: Log
  readonly room: RecordRoom
  readonly onWritten: (endOffset: Offset) => void
}

export class LogWriter {
  readonly #options: LogWriterOptions
  readonly #queue = new AppendQueue()
  readonly #age: SegmentAge
  readonly #flushTimer: FlushTimer
  #settings: LogSettings
  /** Where the next append begins; appends that wait are below it. */
  #assignedEndOffset: Offset
  #assignedEpoch: LeaderEpoch
  #endOffset: Offset
  #isDraining = false

  constructor(options: LogWriterOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#age = new SegmentAge(options.clock)
    this.#flushTimer = new FlushTimer(options.clock, () => options.flusher.request())
    this.#endOffset = options.segments.active.endOffset
    this.#assignedEndOffset = this.#endOffset
    this.#assignedEpoch = options.epochs.view.latestEpoch
  }

  /** Exclusive: the end of what is written. */
  get endOffset(): Offset {
    return this.#endOffset
  }

  /** Where the next append begins. */
  get assignedEndOffset(): Offset {
    return this.#assignedEndOffset
  }

  /** The latest leader epoch, also of appends that wait. */
  get assignedEpoch(): LeaderEpoch {
    return this.#assignedEpoch
  }

  get settings(): LogSettings {
    return this.#settings
  }

  set settings(settings: LogSettings) {
    // A timer that runs is of the old flush.ms.
    if (settings.flushMs !== this.#settings.flushMs) this.#flushTimer.stop()
    this.#settings = settings
    this.#flushIfDue()
  }

  /**
   * @throws VltavaError SERVER_BUSY when too many bytes wait, DISK_FULL when the disk is too full, STORAGE_ERROR when the
   *   directory has failed.
   */
  checkRoom(bytes: number): void {
    this.#options.failure.check()
    this.#checkQueue(bytes)
    this.#options.room.checkRoom(bytes)
  }

  #checkQueue(bytes: number): void {
    const queuedBytes = this.#queue.queuedBytes
    const { appendQueueBytes } = this.#settings
    if (queuedBytes === 0 || queuedBytes + bytes <= appendQueueBytes) return
    throw new VltavaError(
      'SERVER_BUSY',
      `${queuedBytes} bytes of this partition wait for the disk and ${bytes} more exceed the ${appendQueueBytes} ` +
        'that may; try again.',
    )
  }

  /**
   * Queues an append that begins at `assignedEndOffset`.
   * @returns a promise of its write; it rejects with STORAGE_ERROR, and then all that was queued behind it does too.
   */
  append(append: Append): Promise<void> {
    this.#assignedEndOffset = append.endOffset
    this.#assignedEpoch = append.newEpochs.at(-1)?.epoch ?? this.#assignedEpoch
    const written = this.#queue.push(append, this.#settings.segmentBytes)
    this.#start()
    return written
  }

  /** Runs work that must not overlap with a write, when all appends before it are written or refused. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#queue.pushTask(() => work().then(resolve, reject))
      this.#start()
    })
  }

  /** The log ends here from now on. No append may wait. */
  rebase(endOffset: Offset): void {
    assert(this.#assignedEndOffset === this.#endOffset, 'a log is cut while appends wait')
    this.#endOffset = endOffset
    this.#assignedEndOffset = endOffset
  }

  /** Begins a new segment where the log ends, unless the active one is empty. To be called inside of `run`. */
  async roll(): Promise<void> {
    if (this.#options.segments.active.active.sizeBytes > 0) await this.#roll(this.#endOffset)
  }

  /** Begins a new segment where the active one is older than `segment.ms`. To be called inside of `run`. */
  async rollIfOld(): Promise<void> {
    const { active } = this.#options.segments.active
    await this.#age.learn(active)
    if (active.sizeBytes > 0 && this.#age.isOlderThan(this.#settings.segmentMs)) await this.roll()
  }

  /** No more fsyncs are asked for by time; to be called when the log closes. */
  stop(): void {
    this.#flushTimer.stop()
  }

  /** To be called after the epochs changed otherwise than by an append. */
  epochsChanged(): void {
    const { latestEpoch } = this.#options.epochs.view
    const isIdle = this.#assignedEndOffset === this.#endOffset
    this.#assignedEpoch = isIdle ? latestEpoch : Math.max(this.#assignedEpoch, latestEpoch)
  }

  /** Refuses what waits; to be called when the directory has failed. */
  fail(): void {
    this.stop()
    this.#refuseQueued(this.#options.failure.indefiniteError())
  }

  #start(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#drain().catch((error: unknown) => this.#options.failure.trip(error))
  }

  async #drain(): Promise<void> {
    try {
      for (let next = this.#queue.take(); next !== undefined; next = this.#queue.take()) {
        if (next.kind === 'task') await next.run()
        else await this.#writeRound(next)
      }
    } finally {
      // In the same turn as the last look into the queue, or an append in between would wait for ever.
      this.#isDraining = false
    }
  }

  async #writeRound(round: Round): Promise<void> {
    const { failure, epochs } = this.#options
    try {
      failure.check()
      for (const { newEpochs } of round.appends) if (newEpochs.length > 0) await epochs.assign(newEpochs)
      if (!epochs.isSaved) await epochs.save()
      if (this.#mustRoll(round)) await this.#roll(round.baseOffset)
      await this.#write(this.#options.segments.active.active, round)
    } catch (error) {
      this.#options.room.writeFailed(error)
      // A bug, not a disk that failed: nothing may go on with this state.
      if (error instanceof AssertionError) this.#options.failure.trip(error)
      this.#refuse(round, error)
      return
    }
    // A failed fsync of what was written before fails this as well.
    if (failure.isTripped) this.#refuse(round, null)
    else this.#complete(round)
  }

  async #write(open: OpenSegment, round: Round): Promise<void> {
    const position = open.sizeBytes
    try {
      const parts = round.appends.map((append) => append.bytes)
      await writeFully(open.handle, parts, position)
    } catch (error) {
      await this.#rollBack(open, position)
      throw error
    }
  }

  /**
   * Removes what a failed write may have left, durably: after a crash it could look like a batch, but its producer was
   * told that nothing was appended.
   */
  async #rollBack(open: OpenSegment, position: number): Promise<void> {
    try {
      await open.truncate(position)
    } catch (error) {
      this.#options.failure.trip(error)
    }
  }

  #complete(round: Round): void {
    const { segments, tail, flusher, onWritten } = this.#options
    const segment = segments.active
    if (segment.active.sizeBytes === 0) this.#age.began()
    for (const append of round.appends) {
      noteAppend(segment.active, append.bytes)
      tail.add(append)
    }
    this.#queue.done(round)
    segment.endOffset = round.endOffset
    this.#endOffset = round.endOffset
    flusher.written(round.endOffset)
    this.#flushIfDue()
    onWritten(round.endOffset)
    round.written.resolve()
  }

  #flushIfDue(): void {
    const { flusher } = this.#options
    const { flushMessages, flushMs } = this.#settings
    const unflushed = this.#endOffset - flusher.flushedOffset
    if (unflushed >= flushMessages) flusher.request()
    else if (unflushed > 0) this.#flushTimer.written(flushMs)
  }

  #refuse(round: Round, cause: unknown): void {
    const { failure } = this.#options
    const error = failure.isTripped ? failure.indefiniteError() : notWritten(cause)
    this.#queue.done(round)
    this.#refuseQueued(error)
    round.written.reject(error)
  }

  /** Offsets that were assigned but not written are free again, so nothing behind them may stay. */
  #refuseQueued(error: VltavaError): void {
    const rounds = this.#queue.takeRounds()
    const { epochs } = this.#options
    this.#assignedEndOffset = this.#endOffset
    // They were noted before their first records, which may never come: another leader's records continue the log here.
    epochs.forgetBeyond(this.#endOffset)
    this.#assignedEpoch = epochs.view.latestEpoch
    for (const round of rounds) {
      this.#queue.done(round)
      round.written.reject(error)
    }
  }

  #mustRoll(round: Round): boolean {
    const segment = this.#options.segments.active
    const { sizeBytes } = segment.active
    if (sizeBytes === 0) return false
    return (
      sizeBytes + round.sizeBytes > this.#settings.segmentBytes ||
      this.#age.isOlderThan(this.#settings.segmentMs) ||
      round.endOffset - segment.baseOffset > RELATIVE_OFFSET_MAX
    )
  }

  /**
   * The old segment is durable before the new one exists. Recovery relies on it: whatever is wrong in a segment that has
   * a successor is damage, not a torn tail.
   */
  async #roll(baseOffset: Offset): Promise<void> {
    const { segments, segmentContext, flusher, log } = this.#options
    await flusher.flush()
    await flusher.hold()
    try {
      const sealed = segments.active
      const next = new Segment(segmentContext, { baseOffset, endOffset: baseOffset })
      await this.#create(next)
      await sealed.active.sealIndexes(baseOffset).catch((error: unknown) => {
        log.warn('index-not-written', { path: sealed.files.offsetIndex, error })
      })
      sealed.seal(baseOffset)
      segments.push(next)
    } finally {
      flusher.release()
    }
  }

  async #create(segment: Segment): Promise<void> {
    try {
      await segment.activate({ emptied: true })
    } catch (error) {
      // An empty segment left at this offset would contradict the log once it was truncated below.
      await removeIfPresent(this.#options.segmentContext.fileSystem, segment.files.log).catch(
        (leftover: unknown) => this.#options.failure.trip(leftover),
      )
      throw error
    }
  }
}

/** Notes the batches that were just written at the end of a segment. */
function noteAppend(open: OpenSegment, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const sizeBytes = batchSizeOf(bytes, at)
    open.noteBatch({
      baseOffset: baseOffsetOf(bytes, at),
      nextOffset: nextOffsetOf(bytes, at),
      position: open.sizeBytes,
      sizeBytes,
      maxTimestampMs: maxTimestampOf(bytes, at),
    })
    at += sizeBytes
  }
}

/** Clients see the message: the name of the problem, but no paths. */
function notWritten(cause: unknown): VltavaError {
  const reason = fileErrorCodeOf(cause) ?? (cause instanceof Error ? cause.name : String(cause))
  const message = `The records could not be written, nothing was appended: ${reason}`
  return new VltavaError(isOutOfSpace(cause) ? 'DISK_FULL' : 'STORAGE_ERROR', message, {
    cause,
    definite: true,
  })
}
