// A follower of one partition under one leader in one leader epoch, without files and sockets: it says what to fetch
// next and what to do with the answer. It truncates only where its log parted from the leader's, by leader epoch and
// offset, never because of a high watermark: the high watermark travels behind the records, so a restarted follower
// that cut its log there would drop committed ones (REP-01). A new leader or leader epoch is a new object.
//
// The shell keeps one fetch under way, carries out each step that it is given, and reports its end (`appended`,
// `truncated`, `restarted`) before it asks for the next fetch.
import { assert, unreachable } from '../base/assert.ts'
import type { EpochView } from '../log/epoch-history.ts'
import type { ErrorName } from '../model/error-codes.ts'
import type { LeaderEpoch, NodeId, Offset } from '../model/ids.ts'
import { HighWatermark } from './high-watermark.ts'

export interface PartitionFollowerOptions {
  readonly leaderId: NodeId
  readonly leaderEpoch: LeaderEpoch
  readonly logStartOffset: Offset
  /** Exclusive. */
  readonly logEndOffset: Offset
  /** What an fsync covers, exclusive; at most the log end. */
  readonly flushedOffset: Offset
  /** The one this replica knew before; moved into the log where it lies outside. */
  readonly highWatermark: Offset
  /** The live view of the log's epochs. */
  readonly epochs: EpochView
}

/** What a follower asks its leader for, and tells it by asking. */
export interface FetchRequest {
  /** The follower's log end, exclusive. */
  readonly fetchOffset: Offset
  readonly flushedOffset: Offset
  /** The epoch of its last record; -1 while its log is empty. */
  readonly lastFetchedEpoch: LeaderEpoch
  readonly currentLeaderEpoch: LeaderEpoch
}

/** A leader's answer. `B` stands for record batches, which this core passes on without a look. */
export type FetchResponse<B> =
  | {
      readonly kind: 'records'
      readonly batches: readonly B[]
      readonly highWatermark: Offset
      /** The leader's log start. */
      readonly logStartOffset: Offset
    }
  | {
      readonly kind: 'diverging'
      readonly epoch: LeaderEpoch
      readonly endOffset: Offset
      readonly logStartOffset: Offset
    }
  | {
      readonly kind: 'error'
      readonly code: ErrorName
      /** The leader's log start where it says so (with OFFSET_OUT_OF_RANGE), else null. */
      readonly logStartOffset: Offset | null
    }

/** What the shell has to do next. */
export type FollowerStep<B> =
  /** Append them (their base offset continues the log), then `appended`. */
  | { readonly kind: 'append'; readonly batches: readonly B[] }
  /** There is nothing to append; the high watermark may have moved. */
  | ({ readonly kind: 'idle' } & FollowerUpdate)
  /**
   * Cut the log and its epochs at the offset (its epochs also where no record goes), then `truncated`.
   * `belowHighWatermark` says that records thought committed go, which only an unclean election can bring about: log it.
   */
  | { readonly kind: 'truncate'; readonly offset: Offset; readonly belowHighWatermark: boolean }
  /** Drop the whole log and its epochs and begin anew at the offset, then `restarted`. */
  | { readonly kind: 'restart-at'; readonly offset: Offset; readonly belowHighWatermark: boolean }
  /** The answer belongs to a state that is gone. */
  | { readonly kind: 'ignore' }
  /** Fetch again after a pause; most often metadata is under way, here or at the leader. */
  | { readonly kind: 'retry-later'; readonly code: ErrorName; readonly reason: string }

export interface FollowerUpdate {
  readonly highWatermark: Offset
  readonly highWatermarkAdvanced: boolean
  /**
   * The leader deleted all below it. Here those records may even be others than the committed ones, because no epoch
   * is left on the leader to compare them with: the log start moves before the new high watermark is shown to readers.
   */
  readonly logStartOffset: Offset
}

type Activity = 'ready' | 'appending' | 'truncating' | 'restarting'

export class PartitionFollower {
  readonly leaderId: NodeId
  readonly leaderEpoch: LeaderEpoch
  readonly #epochs: EpochView
  #highWatermark: HighWatermark
  #logStartOffset: Offset
  #logEndOffset: Offset
  #flushedOffset: Offset
  #activity: Activity = 'ready'
  #activityOffset: Offset = 0
  /** The leader's, to be taken over as far as the log reaches once an append ends. */
  #leaderHighWatermark: Offset = 0
  /** Whether the leader of this epoch has found our whole log to be the beginning of its own. */
  #agrees = false

  constructor(options: PartitionFollowerOptions) {
    assert(options.flushedOffset <= options.logEndOffset, 'what is fsynced must have been written')
    assert(options.epochs.latestEpoch <= options.leaderEpoch, 'a leader epoch must not go back')
    this.leaderId = options.leaderId
    this.leaderEpoch = options.leaderEpoch
    this.#epochs = options.epochs
    this.#highWatermark = new HighWatermark(options.highWatermark, options)
    this.#logStartOffset = options.logStartOffset
    this.#logEndOffset = options.logEndOffset
    this.#flushedOffset = options.flushedOffset
  }

  /** Everything below it is committed, as far as this replica knows. Exclusive. */
  get highWatermark(): Offset {
    return this.#highWatermark.offset
  }

  get logStartOffset(): Offset {
    return this.#logStartOffset
  }

  /** Exclusive. */
  get logEndOffset(): Offset {
    return this.#logEndOffset
  }

  /** Whether the leader of this epoch has found the whole log to be the beginning of its own. */
  get agrees(): boolean {
    return this.#agrees
  }

  /** Whether a step is under way that takes records off the end of the log. */
  get isCutting(): boolean {
    return this.#activity === 'truncating' || this.#activity === 'restarting'
  }

  /** What to ask the leader for now; null while a step is being carried out. */
  nextFetch(): FetchRequest | null {
    if (this.#activity !== 'ready') return null
    return {
      fetchOffset: this.#logEndOffset,
      flushedOffset: this.#flushedOffset,
      lastFetchedEpoch: this.#epochs.latestEpoch,
      currentLeaderEpoch: this.leaderEpoch,
    }
  }

  /**
   * Takes the leader's answer. An answer to a fetch from another state of the log is dropped, whatever it says: its
   * records would leave a hole or overwrite, its divergence would cut off what was fetched since (REP-41).
   */
  onFetchResponse<B>(request: FetchRequest, response: FetchResponse<B>): FollowerStep<B> {
    const isCurrent =
      this.#activity === 'ready' &&
      request.currentLeaderEpoch === this.leaderEpoch &&
      request.fetchOffset === this.#logEndOffset &&
      request.lastFetchedEpoch === this.#epochs.latestEpoch
    if (!isCurrent) return { kind: 'ignore' }
    switch (response.kind) {
      case 'records':
        return this.#onRecords(response)
      case 'diverging':
        return this.#onDiverging(response)
      case 'error':
        return this.#onError(response)
      default:
        return unreachable(response)
    }
  }

  /** The batches of an `append` step were written; or the first of them, where a later one was refused. */
  appended(logEndOffset: Offset): FollowerUpdate {
    this.#ends('appending')
    assert(logEndOffset > this.#logEndOffset, 'an append must move the log end')
    this.#logEndOffset = logEndOffset
    return this.#follow()
  }

  /** The first batch of an `append` step was refused (a wrong checksum, a gap): none was written, all are fetched again. */
  appendRefused(): void {
    this.#ends('appending')
  }

  /**
   * The log was cut.
   * @param logEndOffset the offset of the step, or less where that lay inside of a batch (REP-03).
   */
  truncated(logEndOffset: Offset): void {
    this.#ends('truncating')
    assert(logEndOffset <= this.#activityOffset, 'a truncation must reach its offset')
    this.#logStartOffset = Math.min(this.#logStartOffset, logEndOffset)
    this.#logEndOffset = logEndOffset
    this.#flushedOffset = Math.min(this.#flushedOffset, logEndOffset)
    this.#agrees = false
    this.#highWatermark = new HighWatermark(this.#highWatermark.offset, this)
  }

  /** The log was dropped and begins, empty, at the offset of the step. */
  restarted(): void {
    this.#ends('restarting')
    this.#logStartOffset = this.#activityOffset
    this.#logEndOffset = this.#activityOffset
    this.#flushedOffset = this.#activityOffset
    this.#highWatermark = new HighWatermark(this.#highWatermark.offset, this)
  }

  /** Records below the offset were deleted here by retention. */
  logStartMoved(logStartOffset: Offset): void {
    assert(
      logStartOffset <= this.#highWatermark.offset,
      'only committed records may be deleted from the start',
    )
    this.#logStartOffset = Math.max(this.#logStartOffset, logStartOffset)
  }

  /**
   * An fsync that covers everything below the offset returned. To be told after `appended`.
   * @returns the offset to tell the leader in a one-way note if a fetch is parked there; null while the logs may still
   *   differ: then the offset would speak of other records.
   */
  flushed(flushedOffset: Offset): Offset | null {
    assert(flushedOffset <= this.#logEndOffset, 'what is fsynced must have been written')
    this.#flushedOffset = flushedOffset
    return this.#agrees ? flushedOffset : null
  }

  /**
   * The leader's one-way note while a fetch is parked. Before the logs agree it would commit what may still go; then it counts once
   * they do, because an answer that says so can be taken after a note that was sent later, and the leader tells nothing twice.
   */
  highWatermarkNoted(note: {
    readonly leaderEpoch: LeaderEpoch
    readonly highWatermark: Offset
  }): FollowerUpdate {
    if (note.leaderEpoch === this.leaderEpoch)
      this.#leaderHighWatermark = Math.max(this.#leaderHighWatermark, note.highWatermark)
    return this.#follow()
  }

  #onRecords<B>(response: Extract<FetchResponse<B>, { kind: 'records' }>): FollowerStep<B> {
    this.#agrees = true
    this.#leaderHighWatermark = Math.max(this.#leaderHighWatermark, response.highWatermark)
    this.#logStartOffset = Math.max(this.#logStartOffset, response.logStartOffset)
    if (response.batches.length === 0) return { kind: 'idle', ...this.#follow() }
    this.#begin('appending', this.#logEndOffset)
    return { kind: 'append', batches: response.batches }
  }

  /** Both ends count: an epoch may end earlier here than there, when both logs forked from it (REP-05). */
  #onDiverging<B>(response: Extract<FetchResponse<B>, { kind: 'diverging' }>): FollowerStep<B> {
    const ownEnd = this.#epochs.endOffsetFor(response.epoch, this.#logEndOffset)
    const offset = Math.min(response.endOffset, ownEnd?.endOffset ?? this.#logEndOffset)
    // Each round of truncation drops records or an epoch; one that would drop neither would go on for ever.
    if (offset === this.#logEndOffset && response.epoch >= this.#epochs.latestEpoch) {
      const reason = `leader ${this.leaderId} says that the logs part in epoch ${response.epoch}, where they agree`
      return { kind: 'retry-later', code: 'PROTOCOL_VIOLATION', reason }
    }
    // All that we have lies beyond the point where the logs part: only a whole copy brings us back.
    if (offset < this.#logStartOffset) return this.#restartAt(response.logStartOffset)
    this.#begin('truncating', offset)
    return { kind: 'truncate', offset, belowHighWatermark: offset < this.#highWatermark.offset }
  }

  #onError<B>(response: Extract<FetchResponse<B>, { kind: 'error' }>): FollowerStep<B> {
    const { code, logStartOffset } = response
    if (code !== 'OFFSET_OUT_OF_RANGE' || logStartOffset === null) {
      return { kind: 'retry-later', code, reason: `leader ${this.leaderId} answered ${code}` }
    }
    // The leader deleted beyond our end, or we hold no record and begin beyond its end (REP-43).
    const isEmpty = this.#logStartOffset === this.#logEndOffset
    if (logStartOffset > this.#logEndOffset || isEmpty) return this.#restartAt(logStartOffset)
    const reason =
      `leader ${this.leaderId} finds offset ${this.#logEndOffset} after epoch ${this.#epochs.latestEpoch} ` +
      `out of its log, which starts at ${logStartOffset}`
    return { kind: 'retry-later', code, reason }
  }

  #restartAt<B>(offset: Offset): FollowerStep<B> {
    this.#begin('restarting', offset)
    return { kind: 'restart-at', offset, belowHighWatermark: offset < this.#highWatermark.offset }
  }

  #begin(activity: Activity, offset: Offset): void {
    this.#activity = activity
    this.#activityOffset = offset
  }

  #ends(activity: Activity): void {
    assert(this.#activity === activity, `the end of ${activity} came while ${this.#activity}`)
    this.#activity = 'ready'
  }

  #follow(): FollowerUpdate {
    const limit = this.#agrees ? Math.min(this.#leaderHighWatermark, this.#logEndOffset) : 0
    const highWatermarkAdvanced = this.#highWatermark.raiseTo(limit)
    return {
      highWatermark: this.#highWatermark.offset,
      highWatermarkAdvanced,
      logStartOffset: this.#logStartOffset,
    }
  }
}
