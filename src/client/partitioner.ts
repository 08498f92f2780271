// Which partition a record goes to. With a key: by its hash, as Kafka's default partitioner does. Without: partitions
// take turns, so that records without a key share batches instead of being spread thinly over all of them.
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import type { PartitionIndex } from '../model/ids.ts'
import { murmur2 } from './murmur2.ts'

/**
 * The partition of a key: Kafka's `toPositive(murmur2(key)) % partitionsCount`. It depends on the number of
 * partitions, so a topic that gets more of them sends a key elsewhere.
 * @param partitionsCount 1 or more.
 */
export function partitionForKey(key: Uint8Array, partitionsCount: number): PartitionIndex {
  assert(partitionsCount > 0, 'a topic has at least one partition')
  return (murmur2(key) & 0x7fffffff) % partitionsCount
}

export interface StickyChoice {
  /** All partitions are 0 to this, exclusive; 1 or more. */
  readonly partitionsCount: number
  /** The partitions that have a leader. When there is none, all count: one may get a leader before the deadline. */
  readonly available: readonly PartitionIndex[]
  /** Bytes that wait or are under way for a partition. */
  readonly loadBytes: (partition: PartitionIndex) => number
  readonly random: Random
}

/**
 * The turns of the partitions of one topic for records without a key. A turn ends when a batch of the partition is
 * full or was answered, or when the partition cannot be sent to. So awaited single sends are spread over the
 * partitions, a trickle gathers into one batch while its predecessor is under way, and a flood uses all partitions.
 */
export class StickyPartitioner {
  #current: PartitionIndex | null = null

  /** The partition whose turn it is; picks one when there is none. */
  partition(choice: StickyChoice): PartitionIndex {
    if (this.#current === null || this.#current >= choice.partitionsCount) this.#current = pick(choice)
    return this.#current
  }

  /** Ends the turn of this partition, if it has it. */
  endTurn(partition: PartitionIndex): void {
    if (this.#current === partition) this.#current = null
  }
}

/** The less loaded of two drawn at random: nearly as even as looking at all, and it avoids slow partitions. */
function pick(choice: StickyChoice): PartitionIndex {
  const { partitionsCount, available, loadBytes, random } = choice
  assert(partitionsCount > 0, 'a topic has at least one partition')
  const draw = (): PartitionIndex =>
    available.length > 0 ? available[random.below(available.length)]! : random.below(partitionsCount)
  const first = draw()
  const second = draw()
  return loadBytes(second) < loadBytes(first) ? second : first
}
