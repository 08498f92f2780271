// What must be so once all faults are over: everybody back, every replica equal, nothing forgotten (SIM-12, SIM-14).
import type { Partition } from '../../broker/partition.ts'
import type { ClusterImage } from '../../metadata/cluster-image.ts'
import { minIsrOf } from '../../metadata/eligible-replicas.ts'
import { flushMessagesOf, topicConfigOf } from '../../metadata/topic-configs.ts'
import type { NodeId } from '../../model/ids.ts'
import { latestRecords } from './invariants/latest-records.ts'
import { ReplicaLog, type StoredBatch } from './invariants/replica-log.ts'
import { InvariantViolation } from './invariants/violation.ts'
import { DATA_DIR, type SimulatedCluster } from './simulated-cluster.ts'
import type { SimulationPlan } from './simulation-plan.ts'

export interface AtRestOptions {
  /** The node that does not come back; null when all do. */
  readonly dead: NodeId | null
  readonly plan: Pick<SimulationPlan, 'topics'>
}

interface Replica {
  readonly id: NodeId
  readonly partition: Partition
}

export class ClusterAtRest {
  readonly #cluster: SimulatedCluster
  readonly #options: AtRestOptions

  #dead: NodeId | null

  constructor(cluster: SimulatedCluster, options: AtRestOptions) {
    this.#cluster = cluster
    this.#options = options
    this.#dead = options.dead
  }

  get dead(): NodeId | null {
    return this.#dead
  }

  /** Whether a partition has no leader because nobody may be elected but the node that does not come back. */
  needsTheDead(): boolean {
    const image = this.#image
    if (this.#dead === null || image === null) return false
    const partitions = [...image.topics.values()].flatMap((topic) => topic.partitions)
    return partitions.some(
      ({ leader, isr, elr }) => leader === null && [...isr, ...elr].every((id) => id === this.#dead),
    )
  }

  reviveTheDead(): void {
    this.#dead = null
  }

  /** What keeps the cluster from being whole, in words; null when nothing does. */
  whyNotWhole(): string | null {
    const dead = this.#dead
    const { plan } = this.#options
    for (const node of this.#cluster.nodes) {
      if (node.id !== dead && !node.isReady)
        return `${node.name} is ${node.run === null ? 'down' : 'not ready'}`
    }
    const image = this.#image
    if (image === null) return 'there is no active controller'
    for (const { name } of plan.topics) if (!image.topicIds.has(name)) return `topic ${name} is not there yet`
    for (const { name, partitions } of image.topics.values()) {
      for (const { partition, leader, isr, elr, replicas, observers, reassignment } of partitions) {
        const expected = replicas.filter((id) => id !== dead && !observers.includes(id))
        if (leader === null)
          return `${name}/${partition} has no leader (ISR ${isr.join(',')}, ELR ${elr.join(',')})`
        if (reassignment !== null)
          return `${name}/${partition} still moves to ${reassignment.target.join(',')} (ISR ${isr.join(',')})`
        if (!expected.every((id) => isr.includes(id)))
          return `${name}/${partition} has the ISR ${isr.join(',')} of ${replicas.join(',')}`
      }
    }
    return null
  }

  /** Which replica is not at the end yet, in words; null when all are. */
  whyNotLevel(): string | null {
    const whole = this.whyNotWhole()
    if (whole !== null) return whole
    const unsynced = this.#whyNotSynced()
    if (unsynced !== null) return unsynced
    const { metadataOffset } = this.#image!
    for (const { id, server } of this.#observed()) {
      const applied = server.broker!.image.metadataOffset
      if (applied !== metadataOffset)
        return `broker ${id} has applied metadata to ${applied} of ${metadataOffset}`
    }
    for (const [key, replicas] of this.#replicas()) {
      const swapping = replicas.find(({ id }) => this.#isSwapping(id, key))
      if (swapping !== undefined) return `${key}: node ${swapping.id} is just replacing compacted segments`
      const ends = new Set(
        replicas.flatMap(({ partition }) => [
          partition.log.logEndOffset,
          this.#isWrittenEnough(partition) ? partition.log.logEndOffset : partition.log.flushedOffset,
          partition.highWatermark,
        ]),
      )
      if (ends.size > 1)
        return `${key}: ${replicas.map(({ id, partition }) => `node ${id} ends at ${partition.log.logEndOffset}, fsynced ${partition.log.flushedOffset}, high watermark ${partition.highWatermark}`).join('; ')}`
    }
    return null
  }

  /** With flush.messages at 1 again, leaders note that everything is fsynced, where the ISR is large enough. */
  #whyNotSynced(): string | null {
    for (const topic of this.#image!.topics.values()) {
      if (flushMessagesOf(topic.configs) > 1) continue
      const behind = topic.partitions.find(
        (partition) => !partition.synced && partition.isr.length >= minIsrOf(topic, partition),
      )
      if (behind !== undefined) return `${topic.name}/${behind.partition} is not noted as synced`
    }
    return null
  }

  /** In the middle of it the files have other names, and cannot be compared. */
  #isSwapping(id: NodeId, key: string): boolean {
    const names = this.#cluster.node(id).disk.fileSystem.peekNames(`${DATA_DIR}/topics/${key}`)
    return names.some((name) => name.endsWith('.swap'))
  }

  /** Whether records of the partition count before they are fsynced. */
  #isWrittenEnough({ options }: Partition): boolean {
    const topic = this.#image?.topics.get(options.topicId)
    return topic !== undefined && topicConfigOf(topic.configs).flushMessages > 1
  }

  /** @throws InvariantViolation where two replicas differ, or hold another number of copies than placed. */
  checkEqual(): void {
    for (const [key, replicas] of this.#replicas()) {
      // Old records may have left one log and not yet another; one that is about it reads from behind them already.
      const from = Math.max(...replicas.map(({ partition }) => partition.log.readableFrom))
      const [first, ...others] = replicas.map(({ id, partition }) => ({
        id,
        batches: this.#batchesOf(id, partition).filter(
          ({ baseOffset }) => baseOffset >= Math.max(from, compactedBelow(replicas)),
        ),
      }))
      for (const other of others) {
        if (JSON.stringify(other.batches) === JSON.stringify(first!.batches)) continue
        throw new InvariantViolation(
          'SIM-14',
          `${key}: nodes ${first!.id} and ${other.id} hold different batches at rest`,
        )
      }
    }
  }

  /**
   * Logs that are compacted may differ in what is gone already, but not in the latest record of each key.
   * @throws InvariantViolation where they do.
   */
  checkLatest(): void {
    for (const [key, replicas] of this.#replicas()) {
      if (compactedBelow(replicas) === 0) continue
      const from = Math.max(...replicas.map(({ partition }) => partition.log.readableFrom))
      const [first, ...others] = replicas.map(({ id, partition }) => {
        const { fileSystem } = this.#cluster.node(id).disk
        const log = { ...partition.options, dataDir: DATA_DIR, from, to: partition.log.logEndOffset }
        return { id, latest: latestRecords(fileSystem, log) }
      })
      for (const { id, latest } of others) {
        const differing = differences(first!.latest, latest)
        if (differing.length === 0) continue
        throw new InvariantViolation(
          'SIM-14',
          `${key}: nodes ${first!.id} and ${id} have other latest records of the keys ${differing.slice(0, 5).join(', ')}`,
        )
      }
    }
  }

  /** @throws InvariantViolation where a topic is missing that was made, or there that was deleted (JEP-21). */
  checkTopics(expected: ReadonlyMap<string, 'there' | 'gone' | 'unknown'>): void {
    const image = this.#image!
    for (const [name, state] of expected) {
      if (state === 'unknown' || image.topicIds.has(name) === (state === 'there')) continue
      throw new InvariantViolation(
        'JEP-21',
        `topic ${name} should be ${state}, but it is ${state === 'there' ? 'not there' : 'there'}`,
      )
    }
  }

  /** @throws InvariantViolation where a topic has fewer partitions than somebody was told (GROWTH). */
  checkPartitions(expected: ReadonlyMap<string, number>): void {
    const image = this.#image!
    for (const [name, count] of expected) {
      const there = image.topics.get(image.topicIds.get(name) ?? '')?.partitions.length ?? 0
      if (there >= count) continue
      throw new InvariantViolation(
        'GROWTH',
        `topic ${name} should have ${count} partitions, but it has ${there}`,
      )
    }
  }

  get #image(): ClusterImage | null {
    for (const { server } of this.#observed())
      if (server.controller?.isActive === true) return server.controller.image
    return null
  }

  #observed(): ReturnType<SimulatedCluster['observed']> {
    return this.#cluster.observed()
  }

  #replicas(): Map<string, Replica[]> {
    const replicas = new Map<string, Replica[]>()
    for (const { id, server } of this.#observed()) {
      for (const partition of server.broker!.registry.hosted) {
        const known = replicas.get(partition.key)
        if (known === undefined) replicas.set(partition.key, [{ id, partition }])
        else known.push({ id, partition })
      }
    }
    return replicas
  }

  #batchesOf(id: NodeId, partition: Partition): readonly StoredBatch[] {
    const { fileSystem } = this.#cluster.node(id).disk
    return new ReplicaLog(fileSystem, { ...partition.options, dataDir: DATA_DIR }).read(
      partition.log.logEndOffset,
    )
  }
}

/** Exclusive: below it records of any of them may have been compacted away. */
function compactedBelow(replicas: readonly Replica[]): number {
  return Math.max(...replicas.map(({ partition }) => partition.log.compaction.compactedBelow))
}

/** The keys under which two maps have different values. */
function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => a.get(name) !== b.get(name))
}
