// The small files of a data directory: whose it is, whether it was left cleanly, the broker epoch, the checkpoints.

import { assert } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import type { BrokerEpoch, NodeId, Offset, PartitionKey } from '../model/ids.ts'
import { AtomicFile, isCount, isObject } from './atomic-file.ts'
import { type FileSystem, isPassing, joinPath } from './file-system.ts'
import type { LogStartCheckpoint } from './log-trim.ts'
import {
  DIRECTORY_FORMAT_VERSION,
  type DirectoryMeta,
  newMeta,
  readMeta,
  unreadableMeta,
} from './meta-file.ts'
import { CHECKPOINT_VERSION, OffsetCheckpoint } from './offset-checkpoint.ts'
import { type StorageFailure, storageError } from './storage-failure.ts'

export interface DirectoryFilesOptions {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  readonly path: string
  readonly log: Log
  readonly failure: StorageFailure
  /** The logs that are open. */
  readonly logs: ReadonlyMap<PartitionKey, { readonly flushedOffset: Offset }>
}

export class DirectoryFiles {
  readonly #options: DirectoryFilesOptions
  readonly #metaFile: AtomicFile
  readonly #cleanShutdownFile: AtomicFile
  readonly #brokerEpochFile: AtomicFile
  readonly #recoveryPointsFile: OffsetCheckpoint
  readonly #highWatermarksFile: OffsetCheckpoint
  readonly #logStartsFile: OffsetCheckpoint
  /** What the file holds, or is about to. */
  #recoveryPoints = new Map<PartitionKey, Offset>()
  #highWatermarks = new Map<PartitionKey, Offset>()
  /** Those whose file could not be replaced last: what it holds is older than what memory says. */
  readonly #behind = new Set<OffsetCheckpoint>()
  #logStarts = new Map<PartitionKey, Offset>()
  #meta: DirectoryMeta | null = null
  #brokerEpoch: BrokerEpoch | null = null

  constructor(options: DirectoryFilesOptions) {
    this.#options = options
    this.#metaFile = this.#file('meta.json', { format: 'data-directory', version: DIRECTORY_FORMAT_VERSION })
    this.#cleanShutdownFile = this.#file('clean-shutdown', { format: 'clean-shutdown', version: 1 })
    this.#brokerEpochFile = this.#file('broker-epoch', { format: 'broker-epoch', version: 1 })
    this.#recoveryPointsFile = new OffsetCheckpoint(
      this.#file('recovery-points', { format: 'recovery-points', version: CHECKPOINT_VERSION }),
      () => this.#updatedRecoveryPoints(),
    )
    this.#highWatermarksFile = new OffsetCheckpoint(
      this.#file('high-watermarks', { format: 'high-watermarks', version: CHECKPOINT_VERSION }),
      () => this.#highWatermarks,
    )
    this.#logStartsFile = new OffsetCheckpoint(
      this.#file('log-start-offsets', { format: 'log-start-offsets', version: CHECKPOINT_VERSION }),
      () => this.#logStarts,
    )
  }

  /**
   * Reads whose directory this is; a new directory becomes that of the node.
   * @throws VltavaError as `readMeta`; STORAGE_ERROR also when the file is missing but there are logs.
   */
  async loadMeta(nodeId: NodeId, random: Random): Promise<void> {
    this.#meta = await readMeta(this.#metaFile, nodeId)
    if (this.#meta !== null) return
    const { fileSystem, path } = this.#options
    for (const logs of ['topics', 'metadata']) {
      if (await fileSystem.exists(joinPath(path, logs))) throw unreadableMeta(this.#metaFile, 'missing')
    }
    await this.writeMeta(newMeta(nodeId, random))
  }

  get meta(): DirectoryMeta {
    assert(this.#meta !== null, 'the identity of the directory is read first')
    return this.#meta
  }

  async writeMeta(meta: DirectoryMeta): Promise<void> {
    await this.#metaFile.write(meta)
    this.#meta = meta
  }

  /**
   * Removes the mark of a clean stop for good: after the first write to any log it would be wrong.
   * @returns the broker epoch it held; null when there was none.
   */
  async takeCleanShutdown(): Promise<BrokerEpoch | null> {
    const brokerEpoch = await this.#readBrokerEpoch(this.#cleanShutdownFile)
    await this.#cleanShutdownFile.remove()
    return brokerEpoch
  }

  writeCleanShutdown(brokerEpoch: BrokerEpoch): Promise<void> {
    return this.#cleanShutdownFile.write({ brokerEpoch })
  }

  /** @throws VltavaError UNSUPPORTED_VERSION */
  async load(): Promise<void> {
    const { log } = this.#options
    this.#brokerEpoch = await this.#readBrokerEpoch(this.#brokerEpochFile)
    this.#recoveryPoints = await this.#recoveryPointsFile.load(log)
    this.#highWatermarks = await this.#highWatermarksFile.load(log)
    this.#logStarts = await this.#logStartsFile.load(log)
  }

  get brokerEpoch(): BrokerEpoch | null {
    return this.#brokerEpoch
  }

  async writeBrokerEpoch(brokerEpoch: BrokerEpoch): Promise<void> {
    await this.#brokerEpochFile.write({ brokerEpoch })
    this.#brokerEpoch = brokerEpoch
  }

  /** 0 where none is known. */
  recoveryPoint(key: PartitionKey): Offset {
    return this.#recoveryPoints.get(key) ?? 0
  }

  /** Whether a log was made here under this key and not deleted, as far as can be told; when in doubt, yes. */
  hadLog(key: PartitionKey): boolean {
    return this.#recoveryPoints.has(key) || this.#recoveryPointsFile.wasDamaged
  }

  /** Whether the checkpoint names the log, which it does from `made` on. */
  isMade(key: PartitionKey): boolean {
    return this.#recoveryPoints.has(key)
  }

  /** Notes durably that there is a log now: should it be missing later, it was lost and not just never made. */
  async made(key: PartitionKey): Promise<void> {
    if (!this.#recoveryPoints.has(key)) this.#recoveryPoints.set(key, 0)
    await this.#save(this.#recoveryPointsFile)
  }

  highWatermark(key: PartitionKey): Offset | undefined {
    return this.#highWatermarks.get(key)
  }

  /** Where a log starts inside of its first segment. */
  logStart(key: PartitionKey): LogStartCheckpoint {
    const offset = (): Offset => this.#logStarts.get(key) ?? 0
    return {
      get offset() {
        return offset()
      },
      save: (startOffset) => this.#saveLogStart(key, startOffset),
    }
  }

  /** Saves how far the open logs are flushed, and the high watermarks. */
  async saveCheckpoints(highWatermarks: ReadonlyMap<PartitionKey, Offset>): Promise<void> {
    for (const [key, offset] of highWatermarks) this.#highWatermarks.set(key, offset)
    await this.#save(this.#recoveryPointsFile)
    await this.#save(this.#highWatermarksFile)
  }

  /** Notes where a log that is closed had been flushed to. */
  closed(key: PartitionKey, flushedOffset: Offset): void {
    this.#recoveryPoints.set(key, flushedOffset)
  }

  /** Makes durable that the recovery point of an open log is not beyond the offset to which its flushed end was lowered. */
  async lowerRecoveryPoint(key: PartitionKey, offset: Offset): Promise<void> {
    const isBehind = this.#behind.has(this.#recoveryPointsFile)
    if (isBehind || this.recoveryPoint(key) > offset) await this.#save(this.#recoveryPointsFile)
  }

  /** Forgets the offsets of a log for good: one that is made anew under its key begins at 0. */
  async forget(key: PartitionKey): Promise<void> {
    await this.#saveWhen(this.#recoveryPoints.delete(key), this.#recoveryPointsFile)
    await this.#saveWhen(this.#highWatermarks.delete(key), this.#highWatermarksFile)
    await this.#saveWhen(this.#logStarts.delete(key), this.#logStartsFile)
  }

  async #saveWhen(isChanged: boolean, checkpoint: OffsetCheckpoint): Promise<void> {
    if (isChanged || this.#behind.has(checkpoint)) await this.#save(checkpoint)
  }

  /** A full disk may refuse it, and does no harm: then nothing has changed, and the caller says so. */
  async #saveLogStart(key: PartitionKey, startOffset: Offset): Promise<void> {
    const before = this.#logStarts.get(key)
    this.#logStarts.set(key, startOffset)
    try {
      await this.#logStartsFile.save()
    } catch (error) {
      if (before === undefined) this.#logStarts.delete(key)
      else this.#logStarts.set(key, before)
      throw error
    }
  }

  #updatedRecoveryPoints(): ReadonlyMap<PartitionKey, Offset> {
    for (const [key, log] of this.#options.logs) this.#recoveryPoints.set(key, log.flushedOffset)
    return this.#recoveryPoints
  }

  /**
   * Where a checkpoint cannot be written, recovery would later begin at the wrong place (STO-21). Without room for the new
   * file the old one is there as it was, and still true of a log that has only grown; whoever needs the new one must wait.
   */
  async #save(checkpoint: OffsetCheckpoint): Promise<void> {
    const { failure } = this.#options
    try {
      await checkpoint.save()
      this.#behind.delete(checkpoint)
    } catch (error) {
      this.#behind.add(checkpoint)
      if (isPassing(error) && !failure.isTripped) throw storageError(error)
      failure.trip(error)
    }
    failure.check()
  }

  async #readBrokerEpoch(file: AtomicFile): Promise<BrokerEpoch | null> {
    const content = await file.read()
    if (content.status === 'absent') return null
    if (content.status === 'ok' && isObject(content.data)) {
      const { brokerEpoch } = content.data
      if (isCount(brokerEpoch)) return brokerEpoch
    }
    // Without it the start counts as unclean, which is safe.
    this.#options.log.warn('broker-epoch-damaged', { path: file.path })
    return null
  }

  #file(name: string, content: { readonly format: string; readonly version: number }): AtomicFile {
    const { fileSystem, cpu, path } = this.#options
    return new AtomicFile({ fileSystem, cpu, path: joinPath(path, name), ...content })
  }
}
