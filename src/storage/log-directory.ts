// The data directory of one node: who may use it, which logs it holds, and the small files that belong to all of them.
import { assert } from '../base/assert.ts'
import { SerialExecutor } from '../base/async/serial-executor.ts'
import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Process } from '../base/process.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import {
  type BrokerEpoch,
  type ClusterId,
  type DirectoryId,
  type NodeId,
  type Offset,
  type PartitionKey,
  partitionKey,
  type TopicPartition,
} from '../model/ids.ts'
import { DelayedRemovals } from './delayed-removals.ts'
import { DirectoryFiles } from './directory-files.ts'
import { DirectoryLock } from './directory-lock.ts'
import { ALL_ROOM, DISK_ROOM_SETTINGS_DEFAULT, DiskRoom, type DiskRoomSettings } from './disk-room.ts'
import { makeDurableDirectory, syncAncestors } from './file-io.ts'
import { type FileSystem, isNotFound, joinPath } from './file-system.ts'
import { FlushLimiter } from './flush-limiter.ts'
import { guardFileSystem } from './guarded-file-system.ts'
import { TailBudget } from './hot-tail.ts'
import type { LogObserver } from './log-observer.ts'
import { type LogEnvironment, type OpenLogOptions, openLog } from './log-open.ts'
import type { LogSettings } from './log-settings.ts'
import { checkClusterId, type DirectoryMeta } from './meta-file.ts'
import type { PartitionLog } from './partition-log.ts'
import { SegmentCache } from './segment-cache.ts'
import { StorageFailure } from './storage-failure.ts'
import { TopicDirectories } from './topic-directories.ts'

export interface LogDirectorySettings {
  /** `log.tail.cache.bytes`: memory for the recent batches of all logs. 0 or more, default 64 MiB. */
  readonly tailCacheBytes: number
  /** fsyncs that may run at once; 1 or more and below UV_THREADPOOL_SIZE. Default 3, which fits the default pool of 4. */
  readonly flushesMax: number
  /** Sealed segments that stay open, with their indexes in memory. 0 or more, default 128. */
  readonly openSegmentsMax: number
  /** How full the disk may become. */
  readonly disk: DiskRoomSettings
}

export const LOG_DIRECTORY_SETTINGS_DEFAULT: LogDirectorySettings = {
  tailCacheBytes: 64 * 1024 * 1024,
  flushesMax: 3,
  openSegmentsMax: 128,
  disk: DISK_ROOM_SETTINGS_DEFAULT,
}

export interface LogDirectoryOptions {
  readonly fileSystem: FileSystem
  readonly path: string
  readonly clock: Clock
  readonly process: Process
  readonly random: Random
  readonly cpu: Cpu
  readonly log: Log
  readonly nodeId: NodeId
  readonly settings: LogDirectorySettings
  /** Called once, when the directory takes no more writes: its broker must stop leading and acknowledging. */
  readonly onFailure: (error: unknown) => void
}

export interface OpenPartitionOptions {
  /** Whether to make an empty log when there is none. */
  readonly create: boolean
  readonly settings: LogSettings
  readonly observer?: LogObserver
}

/** The controller's Raft log, which is no topic's. */
const METADATA_LOG: TopicPartition = { topicId: 'metadata', partition: 0 }

export class LogDirectory {
  readonly #options: LogDirectoryOptions
  readonly #environment: LogEnvironment
  readonly #topics: TopicDirectories
  readonly #lock: DirectoryLock
  readonly #files: DirectoryFiles
  readonly #room: DiskRoom
  readonly #partitions = new Map<PartitionKey, TopicPartition>()
  /** The open logs. */
  readonly #logs: Map<PartitionKey, PartitionLog>
  readonly #opening = new Set<PartitionKey>()
  /** Logs that were closed in order in this run: their recovery points are their ends. */
  readonly #closedHere = new Set<PartitionKey>()
  /** Making and removing directories, which would get in each other's way in the directory of a topic. */
  readonly #structure = new SerialExecutor(STRUCTURE_CHANGES_MAX)
  readonly #cleanShutdownBrokerEpoch: BrokerEpoch | null

  private constructor(parts: {
    readonly options: LogDirectoryOptions
    readonly environment: LogEnvironment
    readonly topics: TopicDirectories
    readonly lock: DirectoryLock
    readonly files: DirectoryFiles
    readonly room: DiskRoom
    readonly cleanShutdownBrokerEpoch: BrokerEpoch | null
    readonly logs: Map<PartitionKey, PartitionLog>
    readonly found: readonly TopicPartition[]
  }) {
    this.#options = parts.options
    this.#environment = parts.environment
    this.#topics = parts.topics
    this.#lock = parts.lock
    this.#files = parts.files
    this.#room = parts.room
    this.#logs = parts.logs
    this.#cleanShutdownBrokerEpoch = parts.cleanShutdownBrokerEpoch
    for (const found of parts.found) this.#partitions.set(partitionKey(found.topicId, found.partition), found)
  }

  /**
   * Takes a data directory into use, makes it when it is absent, and removes the mark of a clean stop.
   * @throws VltavaError INVALID_REQUEST when another process uses it, INVALID_CONFIG when it is another node's,
   *   UNSUPPORTED_VERSION when a later release wrote it, STORAGE_ERROR when it cannot be told whose it is.
   */
  static async open(options: LogDirectoryOptions): Promise<LogDirectory> {
    const { path, cpu, clock, log, random, settings, nodeId } = options
    await options.fileSystem.makeDirectory(path)
    await syncAncestors(options.fileSystem, path)
    const failure = new StorageFailure()
    failure.onTrip((error) => {
      log.error('data-directory-failed', { path, error })
      options.onFailure(error)
    })
    const limiter = new FlushLimiter(settings.flushesMax)
    const fileSystem = guardFileSystem(options.fileSystem, { failure, limiter })
    const lock = await DirectoryLock.acquire({ ...options, fileSystem, directory: path })
    try {
      const logs = new Map<PartitionKey, PartitionLog>()
      const files = new DirectoryFiles({ fileSystem, cpu, path, log, failure, logs })
      const topics = new TopicDirectories({ fileSystem, path: joinPath(path, 'topics'), random, log })
      await files.loadMeta(nodeId, random)
      const cleanShutdownBrokerEpoch = await files.takeCleanShutdown()
      await files.load()
      const found = await topics.scan()
      const environment: LogEnvironment = {
        fileSystem,
        cpu,
        clock,
        log,
        failure,
        removals: new DelayedRemovals({ clock, log }),
        cache: new SegmentCache(settings.openSegmentsMax, log),
        budget: new TailBudget(settings.tailCacheBytes),
      }
      const room = new DiskRoom({ ...options, fileSystem, failure, settings: settings.disk })
      await room.start()
      const parts = { options, environment, topics, lock, files, room, logs, found }
      return new LogDirectory({ ...parts, cleanShutdownBrokerEpoch })
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  get path(): string {
    return this.#options.path
  }

  get clusterId(): ClusterId | null {
    return this.#files.meta.clusterId
  }

  get directoryId(): DirectoryId {
    return this.#files.meta.directoryId
  }

  /** The broker epoch of the last run when that stopped cleanly; null when it did not, or was no broker. */
  get cleanShutdownBrokerEpoch(): BrokerEpoch | null {
    return this.#cleanShutdownBrokerEpoch
  }

  /** The last broker epoch that was stored here; null when there was none. */
  get lastBrokerEpoch(): BrokerEpoch | null {
    return this.#files.brokerEpoch
  }

  /** Why no records are taken, in a sentence; null while they are. */
  get readOnlyReason(): string | null {
    return this.#room.refusal
  }

  /** @throws VltavaError INCONSISTENT_CLUSTER_ID when the directory belongs to another cluster. */
  expectClusterId(clusterId: ClusterId): void {
    checkClusterId(this.#files.meta, clusterId)
  }

  /**
   * Notes the cluster that the node has joined, durably.
   * @throws VltavaError INCONSISTENT_CLUSTER_ID when the directory belongs to another cluster.
   */
  async adoptClusterId(clusterId: ClusterId): Promise<void> {
    this.expectClusterId(clusterId)
    // Both roles of a node learn of the cluster, and may do so at the same moment.
    await this.#structure.run(async () => {
      this.expectClusterId(clusterId)
      const meta: DirectoryMeta = this.#files.meta
      if (meta.clusterId === null) await this.#files.writeMeta({ ...meta, clusterId })
    })
  }

  /** Stores the epoch of the broker's registration, durably. To be called one at a time. */
  setBrokerEpoch(brokerEpoch: BrokerEpoch): Promise<void> {
    return this.#files.writeBrokerEpoch(brokerEpoch)
  }

  /** The partitions that have a log here, open or not. */
  partitions(): TopicPartition[] {
    return [...this.#partitions.values()]
  }

  /** The high watermark that was checkpointed last; undefined when none was. It may lie beyond the log end. */
  highWatermark({ topicId, partition }: TopicPartition): Offset | undefined {
    return this.#files.highWatermark(partitionKey(topicId, partition))
  }

  /**
   * Opens the log of a partition, which is not open.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION when there is none and `create` is false; CorruptLogError when it is
   *   damaged so that nothing of it can be opened.
   */
  async openPartition(partition: TopicPartition, options: OpenPartitionOptions): Promise<PartitionLog> {
    const key = partitionKey(partition.topicId, partition.partition)
    const isNew = !this.#partitions.has(key)
    if (isNew) {
      if (!options.create) throw this.#noPartition(key, partition)
      await this.#structure.run(async () => {
        await this.#files.forget(key)
        await this.#topics.make(partition)
      })
      this.#partitions.set(key, partition)
    }
    const log = await this.#openLog({
      ...partition,
      ...options,
      path: this.#topics.pathOf(partition),
      room: this.#room,
      toleratesDamage: true,
    })
    await this.#noteMade(key, log)
    return log
  }

  /**
   * Whether a log of the partition was made in this directory and not deleted, also where it is not there any more. When
   * that cannot be told, because the checkpoint that says it was damaged, the answer is yes.
   */
  hadLog({ topicId, partition }: TopicPartition): boolean {
    return this.#files.hadLog(partitionKey(topicId, partition))
  }

  /** Opens the log of the controller, and makes it when there is none. */
  async openMetadataLog(options: Omit<OpenPartitionOptions, 'create'>): Promise<PartitionLog> {
    const path = joinPath(this.#options.path, 'metadata')
    await makeDurableDirectory(this.#environment.fileSystem, path)
    // It may use the disk up to its end: without it nothing could be deleted.
    return this.#openLog({ ...METADATA_LOG, ...options, path, room: ALL_ROOM, toleratesDamage: false })
  }

  /**
   * Closes the log of a partition and removes its files, after `file.delete.delay.ms` where it was open. When it resolves,
   * the log does not come back.
   */
  async deletePartition(partition: TopicPartition): Promise<void> {
    const key = partitionKey(partition.topicId, partition.partition)
    const log = this.#logs.get(key)
    await log?.close({ flush: false })
    this.#logs.delete(key)
    const { removals } = this.#environment
    await this.#structure.run(async () => {
      const deletedPath = await this.#topics.setDeleted(partition)
      this.#partitions.delete(key)
      if (deletedPath !== null) {
        const remove = (): Promise<void> => this.#topics.removeDeleted(partition, deletedPath)
        const delayMs = log?.settings.fileDeleteDelayMs ?? 0
        // The files first: on a full disk this is what makes room for the checkpoints.
        if (delayMs === 0) await remove()
        else removals.add({ path: deletedPath, run: () => this.#structure.run(remove) }, delayMs)
      }
      await this.#forget(key)
    })
  }

  /** Closes the log of a partition that stays on disk; it can be opened again. */
  async closePartition(partition: TopicPartition): Promise<void> {
    const key = partitionKey(partition.topicId, partition.partition)
    const log = this.#logs.get(key)
    if (log === undefined) return
    await log.close()
    this.#logs.delete(key)
    this.#files.closed(key, log.flushedOffset)
    this.#closedHere.add(key)
  }

  /**
   * Makes durable how far the logs are flushed, which is where recovery begins after a crash, and the high watermarks.
   * @param highWatermarks of some or all partitions; others keep theirs.
   * @throws VltavaError STORAGE_ERROR; the directory has failed then.
   */
  async checkpoint(highWatermarks: ReadonlyMap<PartitionKey, Offset>): Promise<void> {
    for (const log of this.#logs.values()) await this.#writeIndexes(log)
    await this.#files.saveCheckpoints(highWatermarks)
  }

  /**
   * Closes all logs and gives the directory back.
   * @param options `cleanBrokerEpoch`: with it the stop counts as clean when everything could be flushed; null where
   *   logs were not all opened, or the node is no broker. `highWatermarks` as for `checkpoint`.
   * @throws VltavaError STORAGE_ERROR when not everything could be flushed; the directory is given back all the same.
   */
  async close(options: {
    readonly cleanBrokerEpoch: BrokerEpoch | null
    readonly highWatermarks?: ReadonlyMap<PartitionKey, Offset>
  }): Promise<void> {
    const { failure, removals } = this.#environment
    this.#room.stop()
    try {
      await removals.close()
      await this.#structure.close()
      const flush = !failure.isTripped
      const closed = await Promise.allSettled([...this.#logs.values()].map((log) => log.close({ flush })))
      for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason
      if (failure.isTripped) return
      await this.#files.saveCheckpoints(options.highWatermarks ?? new Map())
      // Last of all: it says that everything before is on disk.
      if (options.cleanBrokerEpoch !== null) await this.#files.writeCleanShutdown(options.cleanBrokerEpoch)
    } finally {
      await this.#lock.release()
    }
  }

  async #openLog(
    options: Omit<OpenLogOptions, 'recoveryPoint' | 'lowerRecoveryPoint' | 'logStart' | 'endIsKnown'>,
  ): Promise<PartitionLog> {
    const key = partitionKey(options.topicId, options.partition)
    assert(!this.#logs.has(key) && !this.#opening.has(key), `the log of ${key} is open already`)
    this.#opening.add(key)
    try {
      const log = await openLog(this.#environment, {
        ...options,
        recoveryPoint: this.#files.recoveryPoint(key),
        endIsKnown: this.#cleanShutdownBrokerEpoch !== null || this.#closedHere.has(key),
        lowerRecoveryPoint: (offset) => this.#files.lowerRecoveryPoint(key, offset),
        logStart: this.#files.logStart(key),
      })
      this.#logs.set(key, log)
      return log
    } finally {
      this.#opening.delete(key)
    }
  }

  /** Without it a log that is lost later would be taken for one that was never made. */
  async #noteMade(key: PartitionKey, log: PartitionLog): Promise<void> {
    if (this.#files.isMade(key)) return
    try {
      await this.#files.made(key)
    } catch (error) {
      this.#logs.delete(key)
      await log.close({ flush: false })
      throw error
    }
  }

  async #forget(key: PartitionKey): Promise<void> {
    try {
      await this.#files.forget(key)
    } catch (error) {
      if (this.#environment.failure.isTripped) throw error
      // The next checkpoint leaves it out, and so does the making of a log under the same key before it begins.
      this.#options.log.warn('checkpoint-failed', { path: this.path, error })
    }
  }

  async #writeIndexes(log: PartitionLog): Promise<void> {
    try {
      await log.writeIndexes()
    } catch (error) {
      if (isNotFound(error)) {
        // The directory of the log was removed: what is written to its open files is lost when they are closed.
        this.#environment.failure.trip(error)
        return
      }
      // They can be made again from the log; a full disk must not stop the checkpoint.
      this.#options.log.warn('index-not-written', { topicId: log.topicId, partition: log.partition, error })
    }
  }

  #noPartition(key: PartitionKey, { topicId, partition }: TopicPartition): VltavaError {
    const recoveryPoint = this.#files.recoveryPoint(key)
    const lost =
      recoveryPoint === 0 ? '' : `, although it had ${recoveryPoint} offsets flushed here: it is lost`
    return new VltavaError(
      'UNKNOWN_TOPIC_OR_PARTITION',
      `The data directory has no log of partition ${partition} of topic ${topicId}${lost}.`,
    )
  }
}

/** Each waiting creation is a small closure; a broker that starts may ask for all of its partitions at once. */
const STRUCTURE_CHANGES_MAX = 1_000_000
