// What a consumer does about the errors of its partitions, each by its own rule (REP-13, REP-33), and whom it tells.
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, NodeId, Offset } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { ClientContext } from './client-context.ts'
import type { TopicView } from './cluster-view.ts'
import type { ResolvedConsumerOptions } from './consumer-options.ts'
import { fromLeaderMs } from './read-source.ts'
import { retryAction } from './retry.ts'
import type { PartitionState, SubscriptionState } from './subscription-state.ts'

export interface PartitionErrorsOptions {
  readonly context: ClientContext
  readonly options: ResolvedConsumerOptions
}

export class PartitionErrors {
  readonly #options: PartitionErrorsOptions

  constructor(options: PartitionErrorsOptions) {
    this.#options = options
  }

  /** A question about the partition has failed: it is asked again after a pause, or the partition has failed. */
  happened(subscription: SubscriptionState, state: PartitionState, error: VltavaError): void {
    const action = retryAction(error)
    if (action === 'fail' || this.#isPastRepair(state, error)) {
      subscription.fail(state, naming(this.#options.options.topic, state, error))
      return
    }
    this.#again(state, error)
    // Who does not answer, or cannot say whether an offset is committed, may have been replaced.
    if (error.code === 'OFFSET_NOT_AVAILABLE' || error.code === 'REQUEST_TIMED_OUT') this.#askElsewhere(state)
    else if (action === 'refresh') this.#options.context.metadata.requestRefresh()
  }

  /**
   * A replica that is not the leader did not give what was asked for, so the leader is asked, at once and for a while. The
   * position stays as it is. What the replica does not know yet to be committed it knows a moment later as a rule: it is
   * given one.
   */
  replicaFailed(state: PartitionState, brokerId: NodeId, error: VltavaError): void {
    if (error.code === 'OFFSET_NOT_AVAILABLE' && state.failures === 0) {
      this.#again(state, error)
      return
    }
    const { context, options } = this.#options
    const { clock, random, log } = context.environment
    const nowMs = clock.monotonicMs()
    state.leaderUntilMs = nowMs + fromLeaderMs(random)
    state.notBeforeMs = Math.min(state.notBeforeMs, nowMs)
    state.replicaId = null
    state.servedByReplicaId = null
    state.failedReplicaId = brokerId
    const { partition } = state
    log.debug('consume-from-leader', { topic: options.topic, partition, brokerId, code: error.code })
    if (error.code !== 'OFFSET_NOT_AVAILABLE') context.metadata.requestRefresh()
  }

  /**
   * The only leader that is known was replaced before what was read last was written. It could not know of it, so it is
   * not asked; somebody must know its successor (KIP-320).
   */
  outdated(state: PartitionState, known: { readonly leaderEpoch: LeaderEpoch }): void {
    const detail =
      `Partition ${state.partition} of topic "${this.#options.options.topic}" was read up to leader epoch ${state.fetchEpoch}, but no ` +
      `leader after epoch ${known.leaderEpoch} is known. When this lasts, the position belongs to another topic of this name.`
    this.#again(state, new VltavaError('UNKNOWN_LEADER_EPOCH', detail))
    this.#askElsewhere(state)
  }

  /**
   * The offset is outside of the leader's log. Below its start that is so for every leader. Beyond its end it says nothing
   * if the leader was replaced and does not know; a position with a leader epoch never gets to such a leader, for one
   * without, others are asked who leads, for `verifyOutOfRangeMs` (REP-33).
   * @param logStartOffset as the answer has it.
   */
  outOfRange(
    subscription: SubscriptionState,
    state: PartitionState,
    answer: { readonly error: VltavaError; readonly logStartOffset: Offset },
  ): void {
    const { context, options } = this.#options
    const { topic, autoOffsetReset } = options
    const { partition, fetchOffset } = state
    const { error, logStartOffset } = answer
    if (state.fetchEpoch < 0 && fetchOffset >= logStartOffset && this.#isDoubtful(state)) {
      this.#again(state, error)
      this.#askElsewhere(state)
      return
    }
    if (autoOffsetReset === 'none') {
      const detail =
        `Topic "${topic}" partition ${partition}: offset ${fetchOffset} is outside of the log: ${error.message} ` +
        'Seek to another offset, or set autoOffsetReset to "earliest" or "latest".'
      subscription.fail(state, new VltavaError('OFFSET_OUT_OF_RANGE', detail, { cause: error }))
      return
    }
    if (this.#holdsRecords(state)) return
    context.environment.log.warn('offset-reset', { topic, partition, fetchOffset, autoOffsetReset })
    subscription.relocate(state, autoOffsetReset === 'earliest' ? 'beginning' : 'end')
  }

  /**
   * The leader's log does not hold what was read: an unclean election, or an old copy of a disk, has cost records
   * (REP-13). Going on as if nothing had happened would miss those that were written in their place.
   */
  diverged(
    subscription: SubscriptionState,
    state: PartitionState,
    end: { readonly epoch: LeaderEpoch; readonly endOffset: Offset },
  ): void {
    if (this.#holdsRecords(state)) return
    const { context, options } = this.#options
    const { topic, autoOffsetReset } = options
    const { partition, fetchOffset, fetchEpoch } = state
    // Where the log knows nothing of the epoch, what was read in it is gone from its first record on.
    const mayHoldUpTo = end.epoch < fetchEpoch ? state.epochStartOffset : fetchOffset
    const divergence = { offset: Math.min(end.endOffset, mayHoldUpTo), leaderEpoch: end.epoch }
    if (autoOffsetReset === 'none') {
      const detail =
        `Topic "${topic}" partition ${partition}: what was read before offset ${fetchOffset} (leader epoch ${fetchEpoch}) is not in ` +
        `the log any more, which holds leader epoch ${end.epoch} up to offset ${end.endOffset}. Records were lost; others may stand ` +
        `in their place. Seek to the divergence of this error (offset ${divergence.offset}) to read those.`
      subscription.fail(state, new VltavaError('LOG_TRUNCATED', detail, { divergence }))
      return
    }
    const { offset: divergenceOffset, leaderEpoch } = divergence
    context.environment.log.warn('log-truncated', {
      topic,
      partition,
      fetchOffset,
      fetchEpoch,
      divergenceOffset,
      leaderEpoch,
    })
    subscription.seek(state, divergence)
  }

  /** Going back may lead to offsets before the position, so everything that was fetched is handed out first. */
  #holdsRecords(state: PartitionState): boolean {
    if (state.position === state.fetchOffset) return false
    const { context, options } = this.#options
    state.notBeforeMs = context.environment.clock.monotonicMs() + options.retryBackoffMs
    return true
  }

  /**
   * Whether it is too early to believe a leader that the offset is beyond its log. Only where nobody says for long who
   * leads now does this end without an answer to that.
   */
  #isDoubtful(state: PartitionState): boolean {
    const { context, options } = this.#options
    const nowMs = context.environment.clock.monotonicMs()
    state.doubtedSinceMs ??= nowMs
    const doubtedMs = nowMs - state.doubtedSinceMs
    if (doubtedMs < options.verifyOutOfRangeMs) return true
    const refreshedAtMs = this.#topic()?.refreshedAtMs ?? Number.NEGATIVE_INFINITY
    const isConfirmed = options.verifyOutOfRangeMs === 0 || refreshedAtMs >= state.doubtedSinceMs
    return !isConfirmed && doubtedMs < options.verifyOutOfRangeMs + options.requestTimeoutMs
  }

  #again(state: PartitionState, error: VltavaError): void {
    const { context, options } = this.#options
    const { clock, random, log } = context.environment
    const nowMs = clock.monotonicMs()
    const { retryBackoffMs: baseMs, retryBackoffMaxMs: maxMs } = options
    state.failures++
    state.lastError = error
    // Never 0: what is due now counts as waiting for something else than time.
    state.notBeforeMs = nowMs + Math.max(1, backoffMs({ attempt: state.failures, baseMs, maxMs, random }))
    const { partition, failures } = state
    log.debug('consume-retry', { topic: options.topic, partition, failures, code: error.code })
    this.#tell(state, error, nowMs)
  }

  /** Damage is repaired from another replica, or another one leads, within seconds as a rule. */
  #isPastRepair(state: PartitionState, error: VltavaError): boolean {
    if (error.code !== 'CORRUPT_MESSAGE' || state.failingSinceMs === null) return false
    const { context, options } = this.#options
    return context.environment.clock.monotonicMs() - state.failingSinceMs >= options.requestTimeoutMs
  }

  /** Asks who leads, and whoever is thought to lead last. */
  #askElsewhere(state: PartitionState): void {
    const leader = this.#topic()?.partitions[state.partition]?.leader ?? null
    this.#options.context.metadata.requestRefresh(leader)
  }

  #topic(): TopicView | null {
    const { context, options } = this.#options
    return context.metadata.view.topic(options.topic)
  }

  /** Tells the user of an error that has lasted, once each `problemAfterMs`. */
  #tell(state: PartitionState, error: VltavaError, nowMs: number): void {
    const { topic, problemAfterMs, onProblem } = this.#options.options
    if (state.failingSinceMs === null) {
      state.failingSinceMs = nowMs
      state.problemToldAtMs = nowMs
    }
    if (nowMs - state.problemToldAtMs < problemAfterMs) return
    state.problemToldAtMs = nowMs
    const { partition, failingSinceMs } = state
    const problem = { topic, partition, error, forMs: nowMs - failingSinceMs }
    this.#options.context.environment.log.warn('partition-not-readable', { ...problem, error: error.message })
    // In a turn of its own, so that an error it throws is an uncaught one and does not end the fetching.
    if (onProblem !== null) queueMicrotask(() => onProblem(problem))
  }
}

/** A broker whose copy is damaged says so; the records may be there again in a moment, so they are asked for again. */
export function damagedAtBroker(error: VltavaError): VltavaError {
  if (error.code !== 'CORRUPT_MESSAGE') return error
  return new VltavaError(error.code, error.message, { retriable: true, cause: error })
}

function naming(topic: string, state: PartitionState, error: VltavaError): VltavaError {
  const { partition, fetchOffset } = state
  const detail = `Topic "${topic}" partition ${partition}, at offset ${fetchOffset}: ${error.message}`
  const { definite, retriable } = error
  return new VltavaError(error.code, detail, { definite, retriable, cause: error })
}
