// Hands out what was fetched, record by record or batch by batch, and keeps the positions.
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { BatchRecords, type BatchRest, ConsumerBatch } from './consumer-batch.ts'
import type { ConsumerRecord } from './records.ts'
import type { SubscriptionState, TakenBatch } from './subscription-state.ts'

/** Where the reader takes from; the consumer and its fetcher. */
export interface ReaderSource {
  readonly cpu: Cpu
  readonly topic: string
  /** null until the topic is known. */
  subscription(): SubscriptionState | null
  /** Why nothing is read any more at all. */
  fatal(): VltavaError | null
  isClosed(): boolean
  /** Resolves when it is worth looking again. */
  progressed(): Promise<void>
  /** There is room in the buffer again. */
  onRoom(): void
}

export class Reader {
  readonly #source: ReaderSource
  /** What is being handed out. Its memory counts until it is done with; for whole batches, until the next is asked for. */
  #current: { readonly taken: TakenBatch; readonly records: BatchRecords | null } | null = null

  constructor(source: ReaderSource) {
    this.#source = source
  }

  /** The next record of the batch at hand; null when there is none. */
  readyRecord(): ConsumerRecord | null {
    const current = this.#current
    if (current === null || current.records === null || !this.#mayGoOn(current.taken)) return null
    const { taken, records } = current
    try {
      const record = records.next()
      if (record === null) {
        // Compaction may have taken the last records of the batch; the position goes on behind it all the same.
        const { nextOffset } = taken.batch
        if (taken.state.position < nextOffset) this.#source.subscription()!.handedOut(taken, nextOffset)
        return null
      }
      this.#source.subscription()!.handedOut(taken, record.offset + 1)
      return record
    } catch (thrown) {
      this.#unreadable(taken, thrown)
      return null
    }
  }

  /** @returns null once the consumer is closed. @throws VltavaError of a partition, or what ended the consumer. */
  async nextRecord(): Promise<ConsumerRecord | null> {
    for (;;) {
      const ready = this.readyRecord()
      if (ready !== null) return ready
      const taken = await this.#next()
      if (taken === null) return null
      try {
        this.#current = { taken, records: new BatchRecords(this.#restOf(taken), this.#source.cpu) }
      } catch (thrown) {
        this.#unreadable(taken, thrown)
      }
    }
  }

  /** @returns null once the consumer is closed. @throws VltavaError of a partition, or what ended the consumer. */
  async nextBatch(): Promise<ConsumerBatch | null> {
    const taken = await this.#next()
    if (taken === null) return null
    this.#current = { taken, records: null }
    const batch = new ConsumerBatch(this.#restOf(taken), this.#source.cpu)
    this.#source.subscription()!.handedOut(taken, taken.batch.nextOffset)
    return batch
  }

  /** Puts what was not handed out of the batch at hand back, for the next loop or until the partition is resumed. */
  putBack(): void {
    const subscription = this.#source.subscription()
    if (this.#current === null || subscription === null) return
    const { taken } = this.#current
    this.#current = null
    if (subscription.putBack(taken)) this.#source.onRoom()
  }

  /** The next batch with records, taken out; waits for one. */
  async #next(): Promise<TakenBatch | null> {
    this.putBack()
    for (;;) {
      if (this.#source.isClosed()) return null
      const subscription = this.#source.subscription()
      const taken = subscription?.take() ?? null
      if (subscription !== null && taken !== null) {
        if (!taken.batch.isHidden) return taken
        subscription.handedOut(taken, taken.batch.nextOffset)
        if (subscription.putBack(taken)) this.#source.onRoom()
        continue
      }
      const failure = subscription?.failureToTell() ?? this.#source.fatal()
      if (failure !== null) throw failure
      await this.#source.progressed()
    }
  }

  #mayGoOn({ state, revision }: TakenBatch): boolean {
    return !this.#source.isClosed() && state.revision === revision && !state.isPaused
  }

  /** Fails the partition at its position: what follows an unreadable record cannot be handed out without a gap. */
  #unreadable(taken: TakenBatch, thrown: unknown): void {
    if (!(thrown instanceof VltavaError)) throw thrown
    const { state } = taken
    const subscription = this.#source.subscription()!
    this.#current = null
    subscription.putBack(taken)
    subscription.seek(state, { offset: state.position, leaderEpoch: state.positionEpoch })
    const { definite, retriable, code } = thrown
    const where = `Topic "${this.#source.topic}" partition ${state.partition}, at offset ${state.position}`
    subscription.fail(
      state,
      new VltavaError(code, `${where}: ${thrown.message}`, { definite, retriable, cause: thrown }),
    )
    this.#source.onRoom()
  }

  #restOf({ state, batch }: TakenBatch): BatchRest {
    const { bytes, firstOffset, nextOffset, leaderEpoch } = batch
    const highWatermark: Offset = state.highWatermark ?? nextOffset
    const { topic } = this.#source
    return { topic, partition: state.partition, bytes, firstOffset, nextOffset, leaderEpoch, highWatermark }
  }
}
