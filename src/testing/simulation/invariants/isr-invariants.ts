// What must hold between the ISR that a leader counts and the replicas that have the records.
import type { Partition } from '../../../broker/partition.ts'
import { type ClusterImage, isEligible, votersOf } from '../../../metadata/cluster-image.ts'
import { minIsrOf } from '../../../metadata/eligible-replicas.ts'
import { sameMembers } from '../../../metadata/partition-change.ts'
import type { NodeId, Offset, PartitionKey } from '../../../model/ids.ts'
import { partitionKey } from '../../../model/ids.ts'
import type { IsrState } from '../../../replication/isr.ts'
import type { ObservedNode } from './observed-node.ts'
import { demand } from './violation.ts'

/** What the nodes have of one partition. */
interface Holders {
  /** Up to where each node holds what counts, exclusive; of one that is down, as it was last seen. */
  readonly counted: Map<NodeId, Offset>
  /** Up to here it was found that enough nodes hold the records. */
  checkedTo: Offset
}

export class IsrInvariants {
  /** As the controller has committed it: `key@partition epoch` to the ISR. */
  readonly #committed = new Map<string, readonly NodeId[]>()
  /** The images whose partitions were noted, by who had them. */
  readonly #noted = new Map<string, ClusterImage>()
  readonly #counted = new WeakMap<Partition, IsrState>()
  /** Whether this event brought an image that was not seen before. */
  #hasNoted = false
  readonly #holders = new Map<PartitionKey, Holders>()
  /** What a node had before its disk was replaced: it was held, and what its leader knows of it was true. */
  readonly #lost = new Map<NodeId, ReadonlyMap<PartitionKey, Offset>>()

  /**
   * To be called after every event.
   * @param of `touched`: those in which something may be different; `newest`: the newest committed metadata;
   *   `committedEnd`: up to where a partition was ever committed.
   * @throws InvariantViolation
   */
  check(
    nodes: readonly ObservedNode[],
    of: {
      readonly touched: readonly ObservedNode[]
      readonly newest: ClusterImage | null
      readonly committedEnd: (key: PartitionKey) => Offset
    },
  ): void {
    const { newest, touched } = of
    this.#hasNoted = false
    for (const { id, server } of touched) {
      this.#note(`controller ${id}`, server.controller?.image)
      this.#note(`broker ${id}`, server.broker?.image)
      for (const partition of server.broker?.registry.hosted ?? []) {
        this.#holdersOf(partition.key).counted.set(id, countedOffsetOf(partition, newest))
      }
    }
    // A leader counted what was not committed, and only now it shows by what others have.
    for (const { id, server } of this.#hasNoted ? nodes : touched) {
      for (const partition of server.broker?.registry.hosted ?? []) {
        if (isMember(id, partition, newest)) {
          checkMember(id, partition, { newest, committedEnd: of.committedEnd(partition.key) })
        }
        if (partition.leader === null) continue
        this.#checkCounted(id, partition)
        this.#checkHolders(id, partition, server.broker!.image)
      }
    }
  }

  /** The disk of a node was replaced by an empty one. */
  diskReplaced(id: NodeId): void {
    const before = this.#lost.get(id)
    const held = [...this.#holders].map(
      ([key, { counted }]) => [key, Math.max(counted.get(id) ?? 0, before?.get(key) ?? 0)] as const,
    )
    this.#lost.set(id, new Map(held))
  }

  /** What a leader takes for committed is what was committed (INV-6): a proposal counts toward nothing before. */
  #checkCounted(id: NodeId, partition: Partition): void {
    const state = partition.leader!.options.core.isr
    // A state never changes; a change makes another one.
    if (this.#counted.get(partition) === state && !this.#hasNoted) return
    this.#counted.set(partition, state)
    const { partitionEpoch, isr } = state
    const committed = this.#committed.get(`${partition.key}@${partitionEpoch}`)
    demand(
      committed === undefined || sameMembers(committed, isr),
      'INV-6',
      () =>
        `${partition.key}: the leader node ${id} counts the ISR ${isr.join(',')} as that of partition epoch ${partitionEpoch}, committed was ${committed!.join(',')}`,
    )
  }

  /**
   * Nothing is committed that fewer voters than min.insync.replicas hold, by what the leader has heard of both, on their disks where
   * that counts (REP-20).
   */
  #checkHolders(id: NodeId, partition: Partition, applied: ClusterImage): void {
    const { key, highWatermark } = partition
    const holders = this.#holdersOf(key)
    if (highWatermark <= holders.checkedTo) return
    const topic = applied.topics.get(partition.options.topicId)
    const image = topic?.partitions[partition.options.partition]
    if (topic === undefined || image === undefined) return
    const replicas = votersOf(image)
    const needed = minIsrOf(topic, image)
    const having = replicas.filter(
      (replica) =>
        Math.max(holders.counted.get(replica) ?? 0, this.#lost.get(replica)?.get(key) ?? 0) >= highWatermark,
    )
    demand(
      having.length >= needed,
      'REP-20',
      () =>
        `${key}: the leader node ${id} calls everything below ${highWatermark} committed, which only ${having.length} replicas hold (${having.join(',')}) where min.insync.replicas asks for ${needed}`,
    )
    holders.checkedTo = highWatermark
  }

  #note(who: string, image: ClusterImage | undefined): void {
    if (image === undefined || this.#noted.get(who) === image) return
    this.#noted.set(who, image)
    this.#hasNoted = true
    for (const { topicId, partitions } of image.topics.values()) {
      for (const { partition, partitionEpoch, isr } of partitions) {
        const name = `${partitionKey(topicId, partition)}@${partitionEpoch}`
        if (!this.#committed.has(name)) this.#committed.set(name, isr)
      }
    }
  }

  #holdersOf(key: PartitionKey): Holders {
    let holders = this.#holders.get(key)
    if (holders === undefined) {
      holders = { counted: new Map(), checkedTo: 0 }
      this.#holders.set(key, holders)
    }
    return holders
  }
}

function isMember(id: NodeId, { options }: Partition, image: ClusterImage | null): boolean {
  const partition = image?.topics.get(options.topicId)?.partitions[options.partition]
  return partition !== undefined && isEligible(partition, id)
}

/** What a replica holds as far as that counts: all that it has written, until metadata has it that what counted is fsynced. */
function countedOffsetOf({ log, options }: Partition, image: ClusterImage | null): Offset {
  const partition = image?.topics.get(options.topicId)?.partitions[options.partition]
  return partition?.synced === false ? log.logEndOffset : log.flushedOffset
}

/**
 * Whoever may be elected, of ISR or ELR, has all that was ever committed, as far as that counts (INV-5). At every moment: who
 * joins too early has it a few milliseconds later, unless the leader dies in between.
 */
function checkMember(
  id: NodeId,
  partition: Partition,
  of: { readonly newest: ClusterImage | null; readonly committedEnd: Offset },
): void {
  const countedOffset = countedOffsetOf(partition, of.newest)
  demand(
    countedOffset >= of.committedEnd,
    'INV-5',
    () =>
      `${partition.key}: node ${id} may be elected and holds all below ${countedOffset}, but ${of.committedEnd} was committed`,
  )
}
