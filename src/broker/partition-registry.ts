import type { Timer } from '../base/clock.ts'
import { type ClusterImage, EMPTY_IMAGE, isEligible } from '../metadata/cluster-image.ts'
import type { ReportedTail } from '../metadata/decide-heartbeat.ts'
import { minIsrOf } from '../metadata/eligible-replicas.ts'
import { deltaFor, type PartitionDelta } from '../metadata/image-delta.ts'
import { topicConfigOf } from '../metadata/topic-configs.ts'
import { VltavaError } from '../model/errors.ts'
import {
  type BrokerEpoch,
  type MetadataOffset,
  type NodeId,
  type PartitionKey,
  partitionKey,
  partitionOfKey,
  type TopicId,
  type TopicPartition,
} from '../model/ids.ts'
import { CorruptLogError } from '../storage/corrupt-log-error.ts'
import type { LogDirectory } from '../storage/log-directory.ts'
import { isMendable } from '../storage/storage-failure.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import { logSettingsOf } from './log-settings-of.ts'
import { Partition, type PartitionOptions, type PartitionTarget } from './partition.ts'
import { settleTails, tailReports } from './tail-reports.ts'

/** Partitions that change their role at the same time; each costs some file operations. */
const UPDATES_AT_ONCE = 16
/** Before what failed for want of space, descriptors or permission is tried again. */
const RETRY_MS = 1_000
/** Logs between two lines about the progress of a start; opening takes from a tenth of a millisecond to seconds each. */
const PROGRESS_EVERY = 1_000

export interface PartitionRegistryOptions {
  readonly environment: BrokerEnvironment
  readonly directory: LogDirectory
  readonly nodeId: NodeId
  readonly brokerEpoch: () => BrokerEpoch | null
  /** Called when damage in a log was found or repaired. */
  readonly onDamaged: () => void
  /** What the registry itself does not know of a new partition. */
  readonly wiring: Pick<
    PartitionOptions,
    'settings' | 'proposeIsr' | 'followLeader' | 'unfollowLeader' | 'reportFlush' | 'logTouched' | 'unsettled'
  >
  /** Called after the hosted partitions have taken the roles of the image. */
  readonly onApplied: (before: ClusterImage, after: ClusterImage) => void
}

/** The partitions hosted here. Takes images one after the other and gives every partition its role. */
export class PartitionRegistry {
  readonly #options: PartitionRegistryOptions
  readonly #hosted = new Map<PartitionKey, Partition>()
  /** Those whose logs have, or had, damage or a lost end. Each heartbeat asks, so nobody looks at all the others for it. */
  readonly #ailing = new Set<Partition>()
  /** Logs that must not be opened or made anew: they are damaged, or gone although this broker is in the ISR. */
  readonly #offline = new Map<PartitionKey, TopicPartition>()
  readonly #onDisk: Set<PartitionKey>
  readonly #deletedTopics = new Set<TopicId>()
  /** Logs of partitions that were moved away from here, as committed metadata says; their files are to go. */
  readonly #movedAway = new Set<PartitionKey>()
  /** Partitions that could not take their role, for a reason that may pass; they are tried again. */
  readonly #waiting = new Set<PartitionKey>()
  /** Those of them whose logs were there at the start: until they are open it is not known which logs are lost. */
  readonly #unopened = new Set<PartitionKey>()
  #retryTimer: Timer | null = null
  #applied: ClusterImage = EMPTY_IMAGE
  #next: ClusterImage | null = null
  #applying: Promise<void> | null = null
  #closed = false

  constructor(options: PartitionRegistryOptions) {
    this.#options = options
    this.#onDisk = new Set(
      options.directory.partitions().map(({ topicId, partition }) => partitionKey(topicId, partition)),
    )
  }

  /** The image whose roles the hosted partitions have. */
  get applied(): ClusterImage {
    return this.#applied
  }

  get appliedOffset(): MetadataOffset {
    return this.#applied.metadataOffset
  }

  /** Whether the logs of the replayed image are open, as far as they can be. */
  get isOpened(): boolean {
    return this.#applied !== EMPTY_IMAGE && this.#unopened.size === 0
  }

  /** null until `isOpened`. */
  get offlineLogs(): readonly TopicPartition[] | null {
    if (!this.isOpened) return null
    return [...this.#offline.values(), ...this.#logsThat(({ log }) => log.health.isEndLost)]
  }

  /** Logs of which a part is damaged. */
  get damagedLogs(): readonly TopicPartition[] {
    return this.#logsThat(({ log }) => log.health.damagedRanges.length > 0)
  }

  /** Logs that are to be reported as cut off at their end. Complete as soon as `offlineLogs` is not null. */
  get droppedTails(): readonly ReportedTail[] {
    return tailReports({ nodeId: this.#options.nodeId, image: this.#applied, hosted: this.#hosted.values() })
  }

  get hosted(): IterableIterator<Partition> {
    return this.#hosted.values()
  }

  find(key: PartitionKey): Partition | null {
    return this.#hosted.get(key) ?? null
  }

  /** @throws VltavaError UNKNOWN_TOPIC_ID, NOT_LEADER_OR_FOLLOWER or STORAGE_ERROR, all definite. */
  require(key: PartitionKey): Partition {
    const partition = this.#hosted.get(key)
    if (partition !== undefined) return partition
    const { topicId, partition: index } = partitionOfKey(key)
    if (this.#offline.has(key)) {
      throw new VltavaError(
        'STORAGE_ERROR',
        `The log of partition ${index} is damaged or missing on broker ${this.#options.nodeId}.`,
        { definite: true },
      )
    }
    const topic = this.#applied.topics.get(topicId)
    if (topic === undefined)
      throw new VltavaError(
        'UNKNOWN_TOPIC_ID',
        `Broker ${this.#options.nodeId} knows no topic with the id ${topicId}.`,
      )
    throw new VltavaError(
      'NOT_LEADER_OR_FOLLOWER',
      `Broker ${this.#options.nodeId} does not host partition ${index} of topic ${topic.name}.`,
      { definite: true },
    )
  }

  /** Remembers a committed deletion: data on disk may go only because of one. */
  topicDeleted(topicId: TopicId): void {
    this.#deletedTopics.add(topicId)
  }

  /**
   * Gives the partitions the roles of the image. Images that arrive while an older one is applied are merged: only
   * the newest counts (REP-42). Before this broker has replayed its own registration nothing is applied (REP-27).
   */
  apply(image: ClusterImage): void {
    if (this.#closed) return
    this.#next = image
    this.#applying ??= this.#applyAll().finally(() => {
      this.#applying = null
      // One that arrived after the last look and before this turn would wait for the next change otherwise.
      if (this.#next !== null && this.#mayApply(this.#next)) this.apply(this.#next)
    })
  }

  /** Looks again at the newest image, after the broker epoch became known. */
  resume(): void {
    if (this.#next !== null) this.apply(this.#next)
  }

  /** Ends all roles; the logs stay open until the directory closes them. */
  async close(): Promise<void> {
    this.#closed = true
    this.#retryTimer?.cancel()
    await this.#applying
    await Promise.all([...this.#hosted.values()].map((partition) => partition.end()))
    this.#hosted.clear()
    this.#ailing.clear()
  }

  async #applyAll(): Promise<void> {
    for (;;) {
      const image = this.#next
      const brokerEpoch = this.#options.brokerEpoch()
      if (image === null || brokerEpoch === null || !this.#mayApply(image)) return
      this.#next = null
      const before = this.#applied
      try {
        await this.#applyOne({ before, after: image, brokerEpoch })
        await settleTails({
          nodeId: this.#options.nodeId,
          image,
          hosted: this.#hosted.values(),
          brokerEpoch,
        })
      } catch (error) {
        this.#options.environment.process.fail(
          'metadata could not be applied to the hosted partitions',
          error,
        )
        return
      }
      this.#applied = image
      this.#options.onApplied(before, image)
    }
  }

  #logsThat(test: (partition: Partition) => boolean): readonly TopicPartition[] {
    const found: TopicPartition[] = []
    for (const hosted of this.#ailing) {
      if (!test(hosted)) continue
      const { topicId, partition } = hosted.options
      found.push({ topicId, partition })
    }
    return found
  }

  #mayApply(image: ClusterImage): boolean {
    const brokerEpoch = this.#options.brokerEpoch()
    return !this.#closed && brokerEpoch !== null && image.metadataOffset >= brokerEpoch
  }

  async #applyOne(change: {
    before: ClusterImage
    after: ClusterImage
    brokerEpoch: BrokerEpoch
  }): Promise<void> {
    const { before, after, brokerEpoch } = change
    const delta = deltaFor(this.#options.nodeId, before, after)
    if (before === EMPTY_IMAGE) this.#setMissingAside(delta.follow.concat(delta.lead))
    for (const { topic, before: image } of delta.stop)
      this.#movedAway.add(partitionKey(topic.topicId, image.partition))
    // While this broker was away the record may have been committed, and a snapshot may have taken its place since.
    if (before === EMPTY_IMAGE)
      for (const key of this.#onDisk)
        if (isElsewhere(after, key, this.#options.nodeId)) this.#movedAway.add(key)
    await this.#deleteMovedAway(after)
    // Also those of the difference: a deletion may have arrived while an older image was opening the same topic.
    for (const { topicId } of delta.deletedTopics) this.#deletedTopics.add(topicId)
    await this.#deleteTopics()
    const changed = new Map<PartitionKey, PartitionDelta>()
    // Those to be led first: producers wait for them.
    for (const one of [...delta.lead, ...delta.follow, ...delta.configured])
      changed.set(partitionKey(one.topic.topicId, one.after.partition), one)
    if (delta.brokers.length > 0) this.#addLed(changed, after)
    this.#addWaiting(changed, after)
    const total = changed.size
    const waiting = changed.entries()
    const isStart = before === EMPTY_IMAGE
    let opened = 0
    const worker = async (): Promise<void> => {
      for (const [key, one] of waiting) {
        await this.#tryUpdate(key, { before, delta: one, image: after, brokerEpoch })
        if (isStart && (++opened % PROGRESS_EVERY === 0 || opened === total))
          this.#options.environment.log.info('logs-opened', { opened, total })
      }
    }
    await Promise.all(Array.from({ length: Math.min(UPDATES_AT_ONCE, total) }, worker))
  }

  /** A change of brokers concerns every partition led here: it decides who may join the ISR. */
  #addLed(changed: Map<PartitionKey, PartitionDelta>, after: ClusterImage): void {
    for (const [key, partition] of this.#hosted) {
      if (partition.leader === null || changed.has(key)) continue
      const topic = after.topics.get(partition.options.topicId)
      const image = topic?.partitions[partition.options.partition]
      if (topic !== undefined && image !== undefined) changed.set(key, { topic, before: image, after: image })
    }
  }

  /** Those that could not take their role before, as far as they are still to be hosted here. */
  #addWaiting(changed: Map<PartitionKey, PartitionDelta>, after: ClusterImage): void {
    for (const key of this.#waiting) {
      const { topicId, partition } = partitionOfKey(key)
      const topic = after.topics.get(topicId)
      const image = topic?.partitions[partition]
      if (topic === undefined || image === undefined || !image.replicas.includes(this.#options.nodeId)) {
        this.#waiting.delete(key)
        this.#unopened.delete(key)
      } else if (!changed.has(key)) changed.set(key, { topic, before: image, after: image })
    }
  }

  /**
   * A partition that cannot take its role for want of space or descriptors waits; the others go on. Ending the process
   * would not help: the next one would find the same.
   */
  async #tryUpdate(
    key: PartitionKey,
    to: { before: ClusterImage; delta: PartitionDelta; image: ClusterImage; brokerEpoch: BrokerEpoch },
  ): Promise<void> {
    try {
      await this.#update(key, to)
      this.#waiting.delete(key)
      this.#unopened.delete(key)
    } catch (thrown) {
      if (!isMendable(thrown)) throw thrown
      const isFirst = !this.#waiting.has(key)
      this.#waiting.add(key)
      if (to.before === EMPTY_IMAGE && this.#onDisk.has(key)) this.#unopened.add(key)
      this.#retryLater()
      if (!isFirst) return
      this.#options.environment.log.error('partition-waits-for-disk', {
        key,
        error: thrown,
        advice: 'free space, raise the limit of open files, or correct the permissions; it goes on by itself',
      })
    }
  }

  #retryLater(): void {
    if (this.#closed || this.#retryTimer !== null) return
    this.#retryTimer = this.#options.environment.clock.setTimer(RETRY_MS, () => {
      this.#retryTimer = null
      // The image that is being applied now is newer than the one applied.
      if (this.#applying !== null) this.#retryLater()
      else this.apply(this.#next ?? this.#applied)
    })
  }

  /**
   * The first image after a start: a log that this broker should have as a member of ISR or ELR and has not is lost.
   * Made anew and elected, it would be an empty leader; so it is reported first and leaves both.
   */
  #setMissingAside(assigned: readonly PartitionDelta[]): void {
    for (const { topic, after } of assigned) {
      const key = partitionKey(topic.topicId, after.partition)
      if (this.#onDisk.has(key) || !isEligible(after, this.#options.nodeId)) continue
      // Placed here but never made, because this broker stopped too soon: then no record was ever counted here.
      if (!this.#options.directory.hadLog({ topicId: topic.topicId, partition: after.partition })) continue
      this.#offline.set(key, { topicId: topic.topicId, partition: after.partition })
      this.#options.environment.log.error('log-missing', {
        topic: topic.name,
        topicId: topic.topicId,
        partition: after.partition,
      })
    }
  }

  async #update(
    key: PartitionKey,
    to: { delta: PartitionDelta; image: ClusterImage; brokerEpoch: BrokerEpoch },
  ): Promise<void> {
    const { delta, image, brokerEpoch } = to
    const { nodeId } = this.#options
    if (this.#offline.has(key)) {
      // Not eligible any more it may start from nothing; a damaged log stays as it is for the operator.
      if (this.#onDisk.has(key) || isEligible(delta.after, nodeId)) return
      this.#offline.delete(key)
    }
    const partition = this.#hosted.get(key) ?? (await this.#open(key, delta))
    if (partition === null) return
    const { health } = partition.log
    if (health.isEndLost && !delta.after.isr.includes(nodeId)) await health.endLossReported()
    const config = topicConfigOf(delta.topic.configs)
    partition.log.updateSettings(logSettingsOf(config))
    const target: PartitionTarget = {
      image: delta.after,
      brokerEpoch,
      brokers: image.brokers,
      limits: { ...config, minInsyncReplicas: minIsrOf(delta.topic, delta.after) },
    }
    await partition.update(target)
  }

  async #open(key: PartitionKey, { topic, after }: PartitionDelta): Promise<Partition | null> {
    const { directory, environment, nodeId, wiring } = this.#options
    const { topicId } = topic
    const config = topicConfigOf(topic.configs)
    let partition: Partition | null = null
    try {
      const target = { topicId, partition: after.partition }
      const log = await directory.openPartition(target, {
        create: !this.#onDisk.has(key),
        settings: logSettingsOf(config),
        observer: {
          onWritten: (endOffset) => partition?.written(endOffset),
          onFlushed: (flushedOffset) => partition?.flushed(flushedOffset),
          onStartMoved: (startOffset) => partition?.logStartMoved(startOffset),
          onDamaged: () => {
            if (partition !== null) {
              this.#ailing.add(partition)
              partition.damageChanged()
            }
            this.#options.onDamaged()
          },
        },
      })
      const stored = Math.min(directory.highWatermark(target) ?? 0, log.logEndOffset)
      // Records may have been deleted since it was saved; only committed ones ever are.
      const highWatermark = Math.max(stored, log.logStartOffset)
      const hosted = { topicId, partition: after.partition, log, highWatermark, nodeId, environment }
      // Assigned and not spread: an object of several spreads has a hidden class of its own, and there can be ten thousand.
      partition = new Partition(Object.assign(hosted, wiring))
      this.#onDisk.add(key)
      this.#hosted.set(key, partition)
      if (log.health.isEndLost) this.#ailing.add(partition)
      if (log.health.damagedRanges.length > 0) {
        this.#ailing.add(partition)
        this.#options.onDamaged()
      }
      return partition
    } catch (thrown) {
      if (!(thrown instanceof CorruptLogError)) throw thrown
      this.#offline.set(key, { topicId, partition: after.partition })
      environment.log.error('log-damaged', {
        topic: topic.name,
        topicId,
        partition: after.partition,
        reason: thrown.message,
      })
      return null
    }
  }

  async #remove(keys: readonly PartitionKey[]): Promise<void> {
    for (const key of keys) {
      const partition = this.#hosted.get(key)
      if (partition === undefined) continue
      this.#hosted.delete(key)
      this.#ailing.delete(partition)
      await partition.end()
      await this.#options.directory.closePartition(partition.options)
    }
  }

  async #deleteTopics(): Promise<void> {
    const { environment } = this.#options
    for (const topicId of this.#deletedTopics) {
      try {
        await this.#deleteTopic(topicId)
        this.#deletedTopics.delete(topicId)
      } catch (thrown) {
        if (!isMendable(thrown)) throw thrown
        environment.log.error('topic-not-deleted', { topicId, error: thrown })
        this.#retryLater()
      }
    }
  }

  /** One that was moved back here meanwhile stays: like any that was away, it takes from the leader what it lacks. */
  async #deleteMovedAway(image: ClusterImage): Promise<void> {
    const { environment, directory, nodeId } = this.#options
    for (const key of this.#movedAway) {
      try {
        if (isElsewhere(image, key, nodeId)) {
          const target = partitionOfKey(key)
          await this.#remove([key])
          if (this.#onDisk.has(key)) await directory.deletePartition(target)
          this.#onDisk.delete(key)
          this.#offline.delete(key)
          environment.log.info('partition-moved-away', { ...target })
        }
        this.#movedAway.delete(key)
      } catch (thrown) {
        if (!isMendable(thrown)) throw thrown
        environment.log.error('partition-not-deleted', { key, error: thrown })
        this.#retryLater()
      }
    }
  }

  async #deleteTopic(topicId: TopicId): Promise<void> {
    const { directory, environment } = this.#options
    const keys = [...this.#onDisk].filter((key) => key.startsWith(`${topicId}/`))
    await this.#remove(keys)
    for (const key of keys) {
      const partition = Number(key.slice(topicId.length + 1))
      await directory.deletePartition({ topicId, partition })
      this.#onDisk.delete(key)
      this.#offline.delete(key)
      environment.log.info('partition-deleted', { topicId, partition })
    }
  }
}

/** Whether a partition exists and this broker is none of its replicas. */
function isElsewhere(image: ClusterImage, key: PartitionKey, nodeId: NodeId): boolean {
  const { topicId, partition } = partitionOfKey(key)
  const replicas = image.topics.get(topicId)?.partitions[partition]?.replicas
  return replicas !== undefined && !replicas.includes(nodeId)
}
