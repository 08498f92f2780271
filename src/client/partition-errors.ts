// What a consumer does about the errors of its partitions, each by its own rule (REP-33), and whom it tells.
import { VltavaError } from '../model/errors.ts'
import { backoffMs } from '../net/backoff.ts'
import type { ClientContext } from './client-context.ts'
import type { ResolvedConsumerOptions } from './consumer-options.ts'
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
    const { context, options } = this.#options
    const { clock, random, log } = context.environment
    if (error.code === 'OFFSET_OUT_OF_RANGE') {
      this.#outOfRange(subscription, state, error)
      return
    }
    const action = retryAction(error)
    if (action === 'fail') {
      subscription.fail(state, naming(options.topic, state, error))
      return
    }
    const nowMs = clock.monotonicMs()
    const { retryBackoffMs: baseMs, retryBackoffMaxMs: maxMs } = options
    state.failures++
    state.lastError = error
    // Never 0: what is due now counts as waiting for something else than time.
    state.notBeforeMs = nowMs + Math.max(1, backoffMs({ attempt: state.failures, baseMs, maxMs, random }))
    const { partition, failures } = state
    log.debug('consume-retry', { topic: options.topic, partition, failures, code: error.code })
    if (action === 'refresh') context.metadata.requestRefresh()
    this.#tell(state, error, nowMs)
  }

  /** Only once everything fetched was handed out: a reset may lead to offsets before it. */
  #outOfRange(subscription: SubscriptionState, state: PartitionState, error: VltavaError): void {
    const { context, options } = this.#options
    const { topic, autoOffsetReset } = options
    const { partition, fetchOffset } = state
    if (autoOffsetReset === 'none') {
      const detail =
        `Topic "${topic}" partition ${partition}: offset ${fetchOffset} is outside of the log: ${error.message} ` +
        'Seek to another offset, or set autoOffsetReset to "earliest" or "latest".'
      subscription.fail(state, new VltavaError('OFFSET_OUT_OF_RANGE', detail, { cause: error }))
      return
    }
    if (state.position !== fetchOffset) {
      state.notBeforeMs = context.environment.clock.monotonicMs() + options.retryBackoffMs
      return
    }
    context.environment.log.warn('offset-reset', { topic, partition, fetchOffset, autoOffsetReset })
    subscription.relocate(state, autoOffsetReset === 'earliest' ? 'beginning' : 'end')
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

function naming(topic: string, state: PartitionState, error: VltavaError): VltavaError {
  const { partition, fetchOffset } = state
  const detail = `Topic "${topic}" partition ${partition}, at offset ${fetchOffset}: ${error.message}`
  const { definite, retriable } = error
  return new VltavaError(error.code, detail, { definite, retriable, cause: error })
}
