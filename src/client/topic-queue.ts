// The records of one topic in the producer: the partitions' queues, the turns for records without a key, and the
// records that wait until the client knows the topic.
import type { PartitionIndex } from '../model/ids.ts'
import { HEADER_BYTES } from '../record/batch-format.ts'
import { PartitionQueue } from './accumulator.ts'
import type { TopicView } from './cluster-view.ts'
import { StickyPartitioner } from './partitioner.ts'
import type { TakenRecord } from './records.ts'

export class TopicQueue {
  readonly name: string
  readonly sticky = new StickyPartitioner()
  #waiting: TakenRecord[] = []
  #afterPlaced: (() => void)[] = []
  #view: TopicView | null = null
  #batchMaxBytes = 0
  readonly #queues: (PartitionQueue | undefined)[] = []

  constructor(name: string) {
    this.name = name
  }

  /** null until the first metadata of the topic, and while the topic does not exist. */
  get view(): TopicView | null {
    return this.#view
  }

  /** Bytes that the topic and `maxRequestBytes` allow in one batch. */
  get batchMaxBytes(): number {
    return this.#batchMaxBytes
  }

  /** Records that cannot get a partition yet, in order. Their bytes are copies. */
  get waiting(): readonly TakenRecord[] {
    return this.#waiting
  }

  wait(record: TakenRecord): void {
    this.#waiting.push(record)
  }

  /** Hands every waiting record to the function, which places it or gives it up. */
  placeWaiting(place: (record: TakenRecord) => void): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const record of waiting) place(record)
    const callbacks = this.#afterPlaced
    this.#afterPlaced = []
    for (const callback of callbacks) callback()
  }

  /** Calls back once the records that wait now do so no more; at once when there are none. */
  whenPlaced(callback: () => void): void {
    if (this.#waiting.length === 0) callback()
    else this.#afterPlaced.push(callback)
  }

  setView(view: TopicView | null, maxRequestBytes: number): void {
    this.#view = view
    // A topic that allows less than an empty batch takes no record at all; the builder says so for each.
    const maxMessageBytes = view?.maxMessageBytes ?? 0
    this.#batchMaxBytes = Math.max(HEADER_BYTES, Math.min(maxMessageBytes, maxRequestBytes))
  }

  queue(partition: PartitionIndex): PartitionQueue {
    const known = this.#queues[partition]
    if (known !== undefined) return known
    const queue = new PartitionQueue(this.name, partition)
    this.#queues[partition] = queue
    return queue
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#queues.every((queue) => (queue?.batches.length ?? 0) === 0)
  }

  /** Bytes that wait or are under way for the partition. */
  readonly loadBytes = (partition: PartitionIndex): number => this.#queues[partition]?.bufferedBytes ?? 0
}
