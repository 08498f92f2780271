// One partition while this broker follows its leader: routes between the replication core and the log.
import { AssertionError } from '../base/assert.ts'
import type { LogFields } from '../base/log.ts'
import { toVltavaError } from '../model/errors.ts'
import type { LeaderEpoch, NodeId, Offset, TopicPartition } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { validateBatches } from '../record/batch-validation.ts'
import type {
  FetchRequest,
  FetchResponse,
  FollowerStep,
  PartitionFollower,
} from '../replication/partition-follower.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { BrokerEnvironment } from './broker-environment.ts'

/** Before a partition is asked for again after its leader refused: most often metadata is under way. */
const RETRY_PAUSE_MS = 50
const TRUNCATION_PAUSE_MS = 1_000
/** The same for a follower whose disk is full: what it fetches meanwhile it must throw away. */
const DISK_FULL_PAUSE_MS = 1_000

export interface FollowerRoleOptions extends TopicPartition {
  readonly environment: BrokerEnvironment
  readonly core: PartitionFollower
  readonly log: PartitionLog
  readonly leaderId: NodeId
}

export class FollowerRole {
  readonly kind = 'follower'
  readonly options: FollowerRoleOptions
  #ended = false
  /** The step under way: an append until its write returned, a truncation. */
  #step: Promise<void> | null = null
  /** The log end at which the append under way is written; null while there is none. */
  #appendingTo: Offset | null = null
  #pausedUntilMs = 0

  constructor(options: FollowerRoleOptions) {
    this.options = options
  }

  get leaderEpoch(): LeaderEpoch {
    return this.options.core.leaderEpoch
  }

  get highWatermark(): Offset {
    return this.options.core.highWatermark
  }

  /** Milliseconds until a pause after a refusal is over; 0 when there is none. */
  get pauseMs(): number {
    return Math.max(0, this.#pausedUntilMs - this.options.environment.clock.monotonicMs())
  }

  /** Ends the role; resolves when the step under way is over, because the next role begins where it ends. */
  async end(): Promise<void> {
    this.#ended = true
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
  take(request: FetchRequest, response: FetchResponse<Uint8Array>): Promise<void> | null {
    if (this.#ended) return null
    const step = this.options.core.onFetchResponse(request, response)
    const done = this.#carryOut(step)
    if (done === null) return null
    const settled = done.finally(() => {
      if (this.#step === settled) this.#step = null
    })
    this.#step = settled
    return settled
  }

  /** The log's write returned: only now the core may count the records. */
  written(endOffset: Offset): void {
    if (this.#appendingTo === null || endOffset < this.#appendingTo) return
    this.#appendingTo = null
    this.options.core.appended(endOffset)
    this.flushed(this.options.log.flushedOffset)
  }

  /** @returns the offset to tell the leader, or null where it must not hear of it. */
  flushed(flushedOffset: Offset): Offset | null {
    return this.options.core.flushed(Math.min(flushedOffset, this.options.core.logEndOffset))
  }

  highWatermarkNoted(note: { readonly leaderEpoch: LeaderEpoch; readonly highWatermark: Offset }): void {
    if (!this.#ended) this.options.core.highWatermarkNoted(note)
  }

  #carryOut(step: FollowerStep<Uint8Array>): Promise<void> | null {
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

  #append(batches: readonly Uint8Array[]): Promise<void> | null {
    const { log, environment } = this.options
    try {
      // All before any: a refusal half way would leave the core behind the log.
      for (const bytes of batches) {
        validateBatches(bytes, {
          cpu: environment.cpu,
          maxBytes: BATCH_ABSOLUTE_MAX_BYTES,
          origin: 'log',
          checkRecords: false,
        })
      }
      let last: Promise<void> | null = null
      for (const bytes of batches) {
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
    if (step.belowHighWatermark) environment.log.error('log-truncated-below-high-watermark', fields)
    else environment.log.info('log-truncated', fields)
    if (!(await this.#untilDone(() => log.truncateTo(step.offset), fields))) return
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
        environment.log.error('truncation-failed', { ...fields, error: thrown })
        await new Promise<void>((resolve) => environment.clock.setTimer(TRUNCATION_PAUSE_MS, resolve))
        if (this.#ended) return false
      }
    }
  }

  async #restartAt(offset: Offset): Promise<void> {
    const { core, log, environment, topicId, partition } = this.options
    const fields = { topicId, partition, offset, logEndOffset: log.logEndOffset }
    environment.log.warn('log-restarted', fields)
    if (await this.#untilDone(() => log.truncateFullyAndStartAt(offset), fields)) core.restarted()
  }

  #pause(code: string, reason: string): void {
    const { environment, topicId, partition } = this.options
    const pauseMs = code === 'DISK_FULL' ? DISK_FULL_PAUSE_MS : RETRY_PAUSE_MS
    this.#pausedUntilMs = environment.clock.monotonicMs() + pauseMs
    environment.log.debug('replica-fetch-refused', { topicId, partition, code, reason })
  }
}
