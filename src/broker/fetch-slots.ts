// What the partitions of a fetch give, and how it becomes one answer; for followers and consumers alike.
import { partitionKey, type TopicPartition } from '../model/ids.ts'
import type { BrokerCounters, TopicCounters } from './broker-counters.ts'
import type { ReadAttempt } from './parked-read.ts'
import type { PartitionRegistry } from './partition-registry.ts'

export interface FetchAnswer<Body> {
  readonly body: Body
  readonly payload: readonly Uint8Array[]
}

/** What one partition gives to a fetch. */
export interface Slot<Response> {
  readonly response: Response
  readonly batches: readonly Uint8Array[]
  /** Whether the reader must hear of it at once: an error, a divergence. */
  readonly urgent: boolean
}

export function bytesOf(batches: readonly Uint8Array[]): number {
  let bytes = 0
  for (const batch of batches) bytes += batch.length
  return bytes
}

/** Puts the slots of all partitions together; waits only if one of them had to go to its files. */
export function assemble<Response>(
  slots: readonly (Slot<Response> | Promise<Slot<Response>>)[],
  minBytes: number,
):
  | ReadAttempt<FetchAnswer<{ partitions: Response[] }>>
  | Promise<ReadAttempt<FetchAnswer<{ partitions: Response[] }>>> {
  if (slots.some((slot) => slot instanceof Promise))
    return Promise.all(slots.map((slot) => Promise.resolve(slot))).then((done) => join(done, minBytes))
  return join(slots as readonly Slot<Response>[], minBytes)
}

function join<Response>(
  slots: readonly Slot<Response>[],
  minBytes: number,
): ReadAttempt<FetchAnswer<{ partitions: Response[] }>> {
  const payload = slots.flatMap((slot) => slot.batches)
  const satisfied = slots.some((slot) => slot.urgent) || bytesOf(payload) >= minBytes
  return { satisfied, answer: { body: { partitions: slots.map((slot) => slot.response) }, payload } }
}

/** What is left for a partition of the bytes of an answer, and whether it would be the first to give any. */
export interface ReadLimit {
  readonly budget: number
  readonly first: boolean
}

/** The bytes of one answer, as they are given to its partitions one after the other. */
export class ReadBudget {
  #bytes: number
  #isFirst = true

  constructor(maxBytes: number) {
    this.#bytes = maxBytes
  }

  get limit(): ReadLimit {
    return { budget: this.#bytes, first: this.#isFirst }
  }

  get isSpent(): boolean {
    return this.#bytes <= 0
  }

  /** @param maxBytes as many as the partition may give: a cold read is counted with all that it may bring. */
  take(slot: Slot<unknown> | Promise<Slot<unknown>>, maxBytes: number): void {
    const bytes = slot instanceof Promise ? Math.min(this.#bytes, maxBytes) : bytesOf(slot.batches)
    this.#bytes -= bytes
    if (bytes > 0) this.#isFirst = false
  }
}

/** Reads the partitions of a fetch one after the other, until the bytes of the answer are used up. */
export function readWithin<Partition extends { readonly maxBytes: number }, Response>(
  request: { readonly maxBytes: number; readonly partitions: readonly Partition[] },
  read: (partition: Partition, limit: ReadLimit, at: number) => Slot<Response> | Promise<Slot<Response>>,
): readonly (Slot<Response> | Promise<Slot<Response>>)[] {
  const budget = new ReadBudget(request.maxBytes)
  return request.partitions.map((partition, at) => {
    const slot = read(partition, budget.limit, at)
    budget.take(slot, partition.maxBytes)
    return slot
  })
}

/** The counters of each partition of a fetch that is hosted here; others must not make counters grow. */
export function forEachHosted(
  partitions: readonly TopicPartition[],
  from: { readonly registry: PartitionRegistry; readonly counters: BrokerCounters },
  count: (counted: TopicCounters, at: number) => void,
): void {
  partitions.forEach(({ topicId, partition }, at) => {
    if (from.registry.find(partitionKey(topicId, partition)) !== null) count(from.counters.topic(topicId), at)
  })
}
