// One partition while this broker follows its leader: routes between the replication core and the log.
import { AssertionError } from '../base/assert.ts'
import type { LogFields } from '../base/log.ts'
import { toVltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset, TopicPartition } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { baseOffsetOf, HEADER_BYTES, nextOffsetOf } from '../record/batch-format.ts'
import { validateBatches } from '../record/batch-validation.ts'
import { beginningAt } from '../record/empty-batch.ts'
import type { FetchRequest, FetchResponse, FollowerStep } from '../replication/partition-follower.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import { FollowerReads, type FollowerReadsOptions } from './follower-reads.ts'

/**
 * Before a partition is asked for again after its leader refused: most often metadata is under way, for a few milliseconds. It
 * doubles from one refusal to the next, also where this log refuses what came: a leader that has thousands of new logs to make refuses
 * for seconds, and is not faster for being asked.
 */
const RETRY_PAUSE_MS = 5
const RETRY_PAUSE_MAX_MS = 400
const TRUNCATION_PAUSE_MS = 1_000
/** The same for a follower whose disk is full: what it fetches meanwhile it must throw away. */
const DISK_FULL_PAUSE_MS = 1_000

/** What a leader answered. */
export interface LeaderBatches {
  readonly bytes: Uint8Array
  /** Exclusive: where compaction may have taken records out of the log of the leader. */
  readonly compactedBelow: Offset
}

export interface FollowerRoleOptions extends TopicPartition, Omit<FollowerReadsOptions, 'clock'> {
  readonly environment: BrokerEnvironment
}

export class FollowerRole {
  readonly kind = 'follower'
  readonly options: FollowerRoleOptions
  /** What consumers may read here. */
  readonly reads: FollowerReads
  #ended = false
  /** The step under way: an append until its write returned, a truncation. */
  #step: Promise<void> | null = null
  /** The log end at which the append under way is written; null while there is none. */
  #appendingTo: Offset | null = null
  #pausedUntilMs = 0
  /** Refusals in a row, of the leader or of this log. */
  #refusals = 0
  /** What the high watermark was before the log start has to move; null while it has not to. */
  #heldHighWatermark: Offset | null = null
  #truncatedRecords = 0

  constructor(options: FollowerRoleOptions) {
    this.options = options
    const { core, log, leaderId, committedFetches, silenceMaxMs, isChosen } = options
    const { clock } = options.environment
    this.reads = new FollowerReads({ clock, core, log, leaderId, committedFetches, silenceMaxMs, isChosen })
  }

  get leaderEpoch(): LeaderEpoch {
    return this.options.core.leaderEpoch
  }

  /**
   * Held while records below the leader's log start are still here: they may be others than those that were committed, and
   * nobody can tell any more.
   */
  get highWatermark(): Offset {
    return this.#heldHighWatermark ?? this.options.core.highWatermark
  }

  /** How many records it has cut off since the role began, because the leader does not have them. */
  get truncatedRecords(): number {
    return this.#truncatedRecords
  }

  /** Milliseconds until a pause after a refusal is over; 0 when there is none. */
  get pauseMs(): number {
    return Math.max(0, this.#pausedUntilMs - this.options.environment.clock.monotonicMs())
  }

  /** Ends the role; resolves when the step under way is over, because the next role begins where it ends. */
  async end(): Promise<void> {
    this.#ended = true
    this.reads.end()
    await this.#step
  }

  /** What to ask the leader for next; null while there is nothing to ask. */
  nextFetch(): FetchRequest | null {
    return this.#ended || this.pauseMs > 0 ? null : this.options.core.nextFetch()
  }

  /**
   * Carries out what the leader's answer asks for.
   * @returns null, or a promise that resolves when the next fetch may be asked for.
   */
  take(request: FetchRequest, response: FetchResponse<LeaderBatches>): Promise<void> | null {
    if (this.#ended) return null
    const highWatermarkBefore = this.options.core.highWatermark
    const step = this.options.core.onFetchResponse(request, response)
    if (step.kind === 'idle') {
      this.#refusals = 0
      this.reads.progressed()
    }
    if (this.#trimOffset !== null) this.#hold(highWatermarkBefore)
    const done = this.#withTrim(this.#carryOut(step))
    this.reads.noticed()
    if (done === null) return null
    const settled = done.finally(() => {
      if (this.#step === settled) this.#step = null
      this.reads.noticed()
    })
    this.#step = settled
    return settled
  }

  /** The log's write returned: only now the core may count the records. */
  written(endOffset: Offset): void {
    if (this.#appendingTo === null || endOffset < this.#appendingTo) return
    this.#appendingTo = null
    this.#refusals = 0
    this.options.core.appended(endOffset)
    this.flushed(this.options.log.flushedOffset)
    this.reads.progressed()
    this.reads.noticed()
  }

  /** @returns the offset to tell the leader, or null where it must not hear of it. */
  flushed(flushedOffset: Offset): Offset | null {
    return this.options.core.flushed(Math.min(flushedOffset, this.options.core.logEndOffset))
  }

  highWatermarkNoted(note: { readonly leaderEpoch: LeaderEpoch; readonly highWatermark: Offset }): void {
    if (this.#ended) return
    this.options.core.highWatermarkNoted(note)
    this.reads.noticed()
  }

  /** Whether time alone changes nothing: nobody waits here. */
  get isAtRest(): boolean {
    return this.options.committedFetches.isEmpty
  }

  /** Consumers that wait here hear of it when the leader has been silent for too long. */
  tick(): void {
    this.reads.noticed()
  }

  #carryOut(step: FollowerStep<LeaderBatches>): Promise<void> | null {
    switch (step.kind) {
      case 'append':
        return this.#append(step.batches)
      case 'truncate':
        return this.#truncate(step)
      case 'restart-at':
        return this.#restartAt(step.offset)
      case 'retry-later':
        this.#pause(step.code, step.reason)
        return null
      case 'idle':
      case 'ignore':
        return null
    }
  }

  /** Where the log has to start by what the leader said; null where it starts there already, or beyond. */
  get #trimOffset(): Offset | null {
    const { core, log } = this.options
    const offset = Math.min(core.logStartOffset, log.logEndOffset)
    return offset > log.logStartOffset ? offset : null
  }

  /** Lets the log start where the leader's does, once the step is done. */
  #withTrim(step: Promise<void> | null): Promise<void> | null {
    if (this.#heldHighWatermark === null) return step
    return (step ?? Promise.resolve()).then(() => this.#trim())
  }

  /** A full disk passes; what can be done without writing is done at the first attempt. */
  async #trim(): Promise<void> {
    const { environment, log, topicId, partition } = this.options
    for (let offset = this.#trimOffset; offset !== null; offset = this.#trimOffset) {
      try {
        await log.trimTo(offset)
      } catch (thrown) {
        if (thrown instanceof AssertionError) throw thrown
        this.reads.refused()
        environment.log.error('log-trim-failed', { topicId, partition, offset, error: thrown })
        await new Promise<void>((resolve) => environment.clock.setTimer(TRUNCATION_PAUSE_MS, resolve))
      }
      if (this.#ended) return
    }
    this.#heldHighWatermark = null
    this.reads.held(false)
  }

  /** @param highWatermark to be shown until the log starts where it has to. */
  #hold(highWatermark: Offset): void {
    this.#heldHighWatermark ??= highWatermark
    this.reads.held(true)
  }

  #append(given: readonly LeaderBatches[]): Promise<void> | null {
    const batches = this.#fromLogEnd(given)
    const inside = this.#startInside(batches)
    if (inside === null) return this.#noteCompacted(batches) ?? this.#appendNow(batches)
    // The log starts where the leader's does before the leader hears of the batch: this replica may lead next.
    this.#hold(Math.max(this.options.core.highWatermark, this.options.log.logStartOffset))
    this.reads.cutting()
    return this.#appendInside(batches, inside)
  }

  async #appendInside(batches: readonly LeaderBatches[], baseOffset: Offset): Promise<void> {
    const { log, core, topicId, partition } = this.options
    const startOffset = log.logStartOffset
    const fields = { topicId, partition, offset: baseOffset, logEndOffset: startOffset }
    // The log start stays: with less, this replica would have deleted records again, and offsets to give away, if it led next.
    const empty = (): Promise<void> => log.truncateFullyAndStartAt(baseOffset, { keepsStart: true })
    if ((await this.#untilDone(empty, fields)) && !this.#ended) {
      // A log that is emptied has forgotten that it was compacted.
      await (this.#noteCompacted(batches) ?? this.#appendNow(batches))
    } else core.appendRefused()
    // Whoever comes next begins with this log, which must not end before it starts.
    if (log.logEndOffset < startOffset)
      await this.#untilDone(() => log.truncateFullyAndStartAt(startOffset), fields)
  }

  /** The leader may have compacted around the end of this log; see `beginningAt`. */
  #fromLogEnd(batches: readonly LeaderBatches[]): readonly LeaderBatches[] {
    const [first, ...rest] = batches
    if (first === undefined) return batches
    const { environment, log } = this.options
    const parts = beginningAt(first.bytes, log.logEndOffset, environment.cpu)
    return parts.length === 1 && parts[0] === first.bytes
      ? batches
      : [...parts.map((bytes) => ({ ...first, bytes })), ...rest]
  }

  /** The log must know durably that records may be gone before they are. */
  #noteCompacted(batches: readonly LeaderBatches[]): Promise<void> | null {
    const { compaction } = this.options.log
    const compactedBelow = Math.max(...batches.map((given) => given.compactedBelow))
    if (compactedBelow <= compaction.compactedBelow) return null
    return compaction.noteCompactedBelow(compactedBelow).then(
      async () => {
        if (this.#ended) this.options.core.appendRefused()
        else await this.#appendNow(batches)
      },
      (error: unknown) => this.#appendFailed(error),
    )
  }

  /**
   * Where the leader's log starts inside of a batch, a follower that begins there gets the whole of it, and so has to begin
   * where the batch does; its log start follows when the records are written.
   */
  #startInside(batches: readonly LeaderBatches[]): Offset | null {
    const { log } = this.options
    const first = batches[0]?.bytes
    if (first === undefined || first.length < HEADER_BYTES || log.logStartOffset !== log.logEndOffset)
      return null
    const baseOffset = baseOffsetOf(first, 0)
    return baseOffset < log.logEndOffset && nextOffsetOf(first, 0) > log.logEndOffset ? baseOffset : null
  }

  #appendNow(batches: readonly LeaderBatches[]): Promise<void> | null {
    const { log, environment } = this.options
    try {
      // All before any: a refusal half way would leave the core behind the log.
      for (const { bytes } of batches) {
        validateBatches(bytes, {
          cpu: environment.cpu,
          maxBytes: BATCH_ABSOLUTE_MAX_BYTES,
          origin: 'log',
          checkRecords: false,
        })
      }
      let last: Promise<void> | null = null
      for (const { bytes } of batches) {
        const appended = log.appendAsFollower(bytes)
        this.#appendingTo = appended.endOffset
        last = appended.written
      }
      return last === null ? null : last.catch((error: unknown) => this.#appendFailed(error))
    } catch (thrown) {
      this.#appendFailed(thrown)
      return null
    }
  }

  #appendFailed(thrown: unknown): void {
    if (thrown instanceof AssertionError) throw thrown
    const { code, message } = toVltavaError(thrown)
    this.#appendingTo = null
    this.options.core.appendRefused()
    this.#pause(code, message)
  }

  async #truncate(step: { readonly offset: Offset; readonly belowHighWatermark: boolean }): Promise<void> {
    const { core, log, environment, topicId, partition } = this.options
    const fields = {
      topicId,
      partition,
      offset: step.offset,
      logEndOffset: log.logEndOffset,
      leaderEpoch: this.leaderEpoch,
    }
    this.reads.cutting()
    if (step.belowHighWatermark) environment.log.error('log-truncated-below-high-watermark', fields)
    else environment.log.info('log-truncated', fields)
    if (!(await this.#untilDone(() => log.truncateTo(step.offset), fields))) return
    this.#truncatedRecords += fields.logEndOffset - log.logEndOffset
    core.truncated(log.logEndOffset)
  }

  /**
   * A full disk or a read error passes, and cutting again does no harm; giving up would stop the replica for good.
   * @returns false when the role ended before it was done.
   */
  async #untilDone(cut: () => Promise<void>, fields: LogFields): Promise<boolean> {
    const { environment } = this.options
    for (;;) {
      try {
        await cut()
        return true
      } catch (thrown) {
        if (thrown instanceof AssertionError) throw thrown
        this.reads.refused()
        environment.log.error('truncation-failed', { ...fields, error: thrown })
        await new Promise<void>((resolve) => environment.clock.setTimer(TRUNCATION_PAUSE_MS, resolve))
        if (this.#ended) return false
      }
    }
  }

  async #restartAt(offset: Offset): Promise<void> {
    const { core, log, environment, topicId, partition } = this.options
    const fields = { topicId, partition, offset, logEndOffset: log.logEndOffset }
    this.reads.cutting()
    environment.log.warn('log-restarted', fields)
    if (!(await this.#untilDone(() => log.truncateFullyAndStartAt(offset), fields))) return
    // What the leader has deleted meanwhile is not lost by this.
    this.#truncatedRecords += Math.max(0, fields.logEndOffset - offset)
    core.restarted()
  }

  #pause(code: string, reason: string): void {
    this.reads.refused()
    const { environment, topicId, partition } = this.options
    const retryMs = Math.min(RETRY_PAUSE_MAX_MS, RETRY_PAUSE_MS * 2 ** this.#refusals++)
    const pauseMs = code === 'DISK_FULL' ? DISK_FULL_PAUSE_MS : retryMs
    this.#pausedUntilMs = environment.clock.monotonicMs() + pauseMs
    environment.log.debug('replica-fetch-refused', { topicId, partition, code, reason })
  }
}
