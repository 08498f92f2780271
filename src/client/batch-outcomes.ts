// What becomes of the batches: acknowledged, sent again, or given up. It changes the accumulator and tells the owners of
// the records; sending is the sender's.
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import type { produce } from '../protocol/produce.ts'
import type { Accumulator, PartitionQueue } from './accumulator.ts'
import type { ClientEnvironment } from './environment.ts'
import type { MetadataCache } from './metadata-cache.ts'
import type { SentBatch } from './produce-plan.ts'
import type { ProducerBatch } from './producer-batch.ts'
import type { ResolvedProducerOptions } from './producer-options.ts'
import type { RecordIntake } from './record-intake.ts'
import { retryAction } from './retry.ts'

export interface BatchOutcomesOptions {
  readonly environment: ClientEnvironment
  readonly metadata: MetadataCache
  readonly accumulator: Accumulator
  readonly intake: RecordIntake
  readonly options: ResolvedProducerOptions
  /** Called after records were settled: there is room in the buffer. */
  readonly onRoom: () => void
}

const NO_LEADER = { leaderEpoch: -1, leader: null } as const

export class BatchOutcomes {
  readonly #options: BatchOutcomesOptions

  constructor(options: BatchOutcomesOptions) {
    this.#options = options
  }

  answered(batches: readonly SentBatch[], results: ResponseOf<typeof produce>['partitions']): void {
    if (results.length !== batches.length) {
      const detail = `The answer is about ${results.length} partitions, the request was about ${batches.length}.`
      this.requestFailed(batches, new VltavaError('PROTOCOL_VIOLATION', detail, { definite: false }))
      return
    }
    for (let i = 0; i < batches.length; i++) {
      const { error, baseOffset, leaderEpoch } = results[i]!
      if (error === null) this.succeeded(batches[i]!, { offset: baseOffset, leaderEpoch })
      else this.requestFailed([batches[i]!], errorOfWire(error))
    }
  }

  succeeded(sent: SentBatch, base: { readonly offset: Offset; readonly leaderEpoch: LeaderEpoch }): void {
    if (!isCurrent(sent)) return
    this.#remove(sent.queue).succeed(base)
    this.#options.onRoom()
  }

  /** The batches' attempt has failed; they are sent again, or given up. */
  requestFailed(batches: readonly SentBatch[], error: VltavaError): void {
    for (const sent of batches) if (isCurrent(sent)) this.attemptFailed(sent.queue, error)
  }

  attemptFailed(queue: PartitionQueue, error: VltavaError): void {
    const { environment, accumulator, intake, metadata } = this.#options
    queue.batches[0]!.history.attemptFailed(error)
    const action = retryAction(error)
    if (action === 'fail') {
      this.#giveUp(queue, error)
      return
    }
    const { log, clock } = environment
    const { topic, partition, failures } = queue
    log.debug('produce-retry', { topic, partition, failures, code: error.code, detail: error.message })
    const { leaderEpoch: epoch, leader } = intake.topic(topic)?.view?.partitions[partition] ?? NO_LEADER
    // The client has heard of a newer leader meanwhile: no need to wait, nor to ask who it is.
    const isOutdated = action === 'refresh' && epoch > queue.triedEpoch
    const nowMs = clock.monotonicMs()
    accumulator.putBack(queue, isOutdated ? nowMs : nowMs + this.#pauseMs(queue))
    intake.topic(topic)?.sticky.endTurn(partition)
    if (action !== 'refresh' || isOutdated) return
    // Whoever cannot get a record acknowledged may have been replaced, and be the last to tell.
    metadata.requestRefresh(error.code === 'REQUEST_TIMED_OUT' ? leader : null)
  }

  /** Something keeps the queue's first batch from being sent at all. */
  couldNotSend(queue: PartitionQueue, error: VltavaError, broker?: string): void {
    const { environment, accumulator, intake, metadata } = this.#options
    queue.batches[0]!.history.couldNotSend(error, broker)
    accumulator.putBack(queue, environment.clock.monotonicMs() + this.#pauseMs(queue))
    intake.topic(queue.topic)?.sticky.endTurn(queue.partition)
    metadata.requestRefresh()
  }

  /** Another replica of the queue's partition could not be reached; its name belongs into the error. */
  notReachable(queue: PartitionQueue, broker: string): void {
    queue.batches[0]?.history.notReachable(broker)
  }

  expire(nowMs: number): void {
    const { accumulator, options } = this.#options
    for (const queue of accumulator.expired(nowMs)) {
      while (queue.batches.length > 0 && queue.batches[0]!.deadlineMs <= nowMs) {
        const batch = this.#remove(queue)
        batch.fail(batch.history.timeoutError(batch, options.deliveryTimeoutMs))
      }
      this.#options.onRoom()
    }
  }

  /** Gives up every batch that the queue holds now. */
  giveUpAll(queue: PartitionQueue, error: VltavaError): void {
    // Counted before: owners of records may add new ones when they hear of the failure, or close the producer.
    for (let left = queue.batches.length; left > 0 && queue.batches.length > 0; left--) {
      this.#giveUp(queue, error)
    }
  }

  #giveUp(queue: PartitionQueue, error: VltavaError): void {
    const batch = this.#remove(queue)
    batch.fail(batch.history.finalError(batch, error))
    this.#options.onRoom()
  }

  /** Takes the first batch out, which is settled now, and ends the partition's turn. */
  #remove(queue: PartitionQueue): ProducerBatch {
    this.#options.intake.topic(queue.topic)?.sticky.endTurn(queue.partition)
    return this.#options.accumulator.remove(queue)
  }

  #pauseMs(queue: PartitionQueue): number {
    const { environment, options } = this.#options
    queue.failures++
    const pauseMs = backoffMs({
      attempt: queue.failures,
      baseMs: options.retryBackoffMs,
      maxMs: options.retryBackoffMaxMs,
      random: environment.random,
    })
    // Never 0: the loop wakes up for what is due later, and takes what is due now for waiting on something else.
    return Math.max(1, pauseMs)
  }
}

/** An answer counts only for the attempt it belongs to: the batch may have been sent again or given up meanwhile. */
function isCurrent(sent: SentBatch): boolean {
  return sent.queue.attempt === sent.attempt
}
