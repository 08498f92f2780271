// Opens the directory of one log: finds its segments, recovers the active one and brings the leader epochs in line.
import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import { type EpochEntry, EpochHistory } from '../log/epoch-history.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset, PartitionIndex, TopicId } from '../model/ids.ts'
import { AtomicFile } from './atomic-file.ts'
import { scanBatches } from './batch-scan.ts'
import { COMPACTION_FILE, COMPACTION_VERSION, CompactionState } from './compaction-state.ts'
import { CorruptLogError } from './corrupt-log-error.ts'
import { DamageFile, type StoredDamage } from './damage-file.ts'
import type { DamagedRange } from './damaged-ranges.ts'
import type { DelayedRemovals } from './delayed-removals.ts'
import { ALL_ROOM, type RecordRoom } from './disk-room.ts'
import { removeIfPresent } from './file-io.ts'
import { joinPath } from './file-system.ts'
import type { GuardedFileSystem } from './guarded-file-system.ts'
import type { TailBudget } from './hot-tail.ts'
import { decodeEpochs, encodeEpochs, LeaderEpochsFile } from './leader-epochs-file.ts'
import { findLogFiles } from './log-files.ts'
import { findDamage, rangeOf } from './log-health.ts'
import type { LogObserver } from './log-observer.ts'
import type { LogSettings } from './log-settings.ts'
import type { LogStartCheckpoint } from './log-trim.ts'
import { PartitionLog } from './partition-log.ts'
import type { PartitionLogOptions } from './partition-log-options.ts'
import { Segment, type SegmentContext } from './segment.ts'
import type { SegmentCache } from './segment-cache.ts'
import { SegmentList } from './segment-list.ts'
import { type RecoveredSegment, recoverSegment } from './segment-recovery.ts'
import { recoverSwaps } from './segment-swap.ts'
import type { StorageFailure } from './storage-failure.ts'

/** What all logs of a data directory share. */
export interface LogEnvironment {
  /** Guarded by `failure`. */
  readonly fileSystem: GuardedFileSystem
  readonly cpu: Cpu
  readonly clock: Clock
  readonly log: Log
  readonly failure: StorageFailure
  readonly cache: SegmentCache
  readonly budget: TailBudget
  readonly removals: DelayedRemovals
}

export interface OpenLogOptions {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
  /** The directory of the log, which exists. Files that are not the log's are left alone. */
  readonly path: string
  readonly settings: LogSettings
  /** Exclusive end of what is known to have been flushed; 0 when nothing is known. */
  readonly recoveryPoint: Offset
  /** Called before a truncation, to make durable that the recovery point is not beyond the offset. */
  readonly lowerRecoveryPoint: (offset: Offset) => Promise<void>
  /** What is known of where the log starts, beside its segments. */
  readonly logStart: LogStartCheckpoint
  readonly observer?: LogObserver
  /** Default: no limit but the end of the disk. */
  readonly room?: RecordRoom
  /**
   * Whether a log with damage is opened, so that it can be read around the damage and repaired from another replica. Where
   * nobody can repair it, as with the metadata log, it is not.
   */
  readonly toleratesDamage: boolean
  /** Whether the recovery point is where the log ended, because it was closed in order. */
  readonly endIsKnown: boolean
}

const EPOCHS_VERSION = 1

/**
 * Opens a log, or makes an empty one where the directory holds none. What is damaged in it is in its `health`.
 * @throws CorruptLogError when records are damaged that may have been acknowledged, and that is not tolerated or leaves
 *   nothing to open; nothing was changed then.
 *   VltavaError UNSUPPORTED_VERSION when a later release wrote the directory.
 */
export async function openLog(environment: LogEnvironment, options: OpenLogOptions): Promise<PartitionLog> {
  return new LogOpening(environment, options).open()
}

class LogOpening {
  readonly #environment: LogEnvironment
  readonly #options: OpenLogOptions
  readonly #log: Log
  readonly #epochsFile: AtomicFile
  readonly #damageFile: DamageFile

  constructor(environment: LogEnvironment, options: OpenLogOptions) {
    const { fileSystem, cpu } = environment
    const { topicId, partition, path } = options
    this.#environment = environment
    this.#options = options
    this.#log = environment.log.child({ topicId, partition })
    this.#epochsFile = this.#atomicFile('leader-epochs', EPOCHS_VERSION)
    this.#damageFile = new DamageFile({ fileSystem, cpu, log: this.#log, directory: path })
  }

  async open(): Promise<PartitionLog> {
    const names = await this.#fileNames()
    const compaction = await this.#readCompaction(names)
    const segmentContext = this.#segmentContext()
    const segments = this.#findSegments(segmentContext, names)
    const active = segments.active
    await active.activate({ emptied: false })
    try {
      const stored = await this.#readEpochs()
      const known = await this.#damageFile.read()
      let { tailDropped } = known
      const recovered = await recoverSegment({
        open: active.active,
        recoveryPoint: this.#options.recoveryPoint,
        epochs: stored === null ? null : new EpochHistory(stored),
        cpu: this.#environment.cpu,
        toleratesDamage: this.#options.toleratesDamage,
        beforeCut: async () => {
          if (!this.#tellsOfCuts) return
          tailDropped = true
          // Before the cut, which would leave nothing behind to see it by.
          await this.#damageFile.write({ ...known, tailDropped })
        },
      })
      active.endOffset = recovered.endOffset
      this.#report(recovered)
      const startOffset = Math.max(segments.first.baseOffset, this.#options.logStart.offset)
      if (startOffset > recovered.endOffset) await this.#beginAnew(segments, { segmentContext, startOffset })
      const epochs = await this.#settleEpochs(segments, { stored, startOffset })
      await compaction.settle(recovered.endOffset)
      const settled = { epochs, recovered, startOffset, known: { ...known, tailDropped } }
      const health = await this.#settleDamage(segments, settled)
      if (recovered.isEndLost) await beginBehind(segments, segmentContext)
      const parts = { segments, segmentContext, compaction, epochs, startOffset, health }
      return this.#build({ ...parts, droppedTail: recovered.droppedTail })
    } catch (error) {
      await segments.active.close()
      throw error
    }
  }

  /** Not of a log that was closed in order, which ended where its recovery point is, nor of one that has no replicas to tell. */
  get #tellsOfCuts(): boolean {
    return this.#options.toleratesDamage && !this.#options.endIsKnown
  }

  /** What is damaged in the segments that were known for it, and in the active one. */
  async #settleDamage(
    segments: SegmentList,
    opened: {
      readonly epochs: LeaderEpochsFile
      readonly recovered: RecoveredSegment
      readonly startOffset: Offset
      readonly known: StoredDamage
    },
  ): Promise<PartitionLogOptions['health']> {
    const { epochs, recovered, startOffset, known } = opened
    const { tailDropped } = known
    const { cpu } = this.#environment
    const { active } = segments
    const found: DamagedRange[] = recovered.damages.map((damage) => rangeOf(active, damage))
    const endLost = known.endLost || (recovered.isEndLost && !this.#options.endIsKnown)
    for (const segment of segments.all) {
      const isKnown = known.ranges.some(([offset]) => segments.floor(offset) === segment)
      if (!isKnown || (segment === active && found.length > 0)) continue
      found.push(...(await findDamage(segment, { cpu, epochs: epochs.view })))
    }
    // Below the start too, in the segment in which the log starts: reads have to find their way around it.
    const firstBase = segments.floor(startOffset)?.baseOffset ?? startOffset
    const ranges = found.filter(({ endOffset }) => endOffset > firstBase)
    ranges.sort((a, b) => a.offset - b.offset)
    const stored = ranges.map((one) => [one.offset, one.endOffset] as const)
    await this.#damageFile.write({ ranges: stored, endLost, tailDropped })
    return { cpu, file: this.#damageFile, ranges, endLost, tailDropped }
  }

  #atomicFile(format: string, version: number): AtomicFile {
    const { fileSystem, cpu } = this.#environment
    return new AtomicFile({ fileSystem, cpu, path: joinPath(this.#options.path, format), format, version })
  }

  #segmentContext(): SegmentContext {
    const { fileSystem, cache, cpu } = this.#environment
    const { path, settings } = this.#options
    const { indexIntervalBytes } = settings
    return { fileSystem, cache, cpu, directory: path, log: this.#log, indexIntervalBytes }
  }

  /** The files of the directory, once what a crash left of a compaction is done or undone. */
  async #fileNames(): Promise<readonly string[]> {
    const { fileSystem } = this.#environment
    const { path } = this.#options
    const list = async (): Promise<string[]> =>
      (await fileSystem.list(path)).filter(({ isDirectory }) => !isDirectory).map(({ name }) => name)
    const names = await list()
    const changed = await recoverSwaps(fileSystem, { directory: path, names })
    return changed ? list() : names
  }

  async #readCompaction(names: readonly string[]): Promise<CompactionState> {
    const file = this.#atomicFile(COMPACTION_FILE, COMPACTION_VERSION)
    // Most logs have none, and opening ten thousand of them should not look for as many files.
    return names.includes(COMPACTION_FILE)
      ? CompactionState.load(file, this.#log)
      : CompactionState.none(file)
  }

  #findSegments(segmentContext: SegmentContext, names: readonly string[]): SegmentList {
    const { path, recoveryPoint, logStart } = this.#options
    const { baseOffsets, leftovers } = findLogFiles(names, { path, startOffset: logStart.offset })
    if (baseOffsets.length === 0 && recoveryPoint > 0) {
      const reason = `there is no segment, but all below offset ${recoveryPoint} had been flushed`
      throw new CorruptLogError({ path, position: 0, offset: 0, reason })
    }
    this.#removeLater(leftovers)
    // A new log, or one whose restart at another offset was cut off.
    const found = baseOffsets.length === 0 ? [logStart.offset] : baseOffsets
    return new SegmentList(
      found.map((baseOffset, i) => {
        const endOffset = found[i + 1] ?? baseOffset
        return new Segment(segmentContext, { baseOffset, endOffset })
      }),
    )
  }

  /** Everything that the log still holds was deleted; what was kept above had not been flushed, and is lost. */
  async #beginAnew(
    segments: SegmentList,
    {
      segmentContext,
      startOffset,
    }: { readonly segmentContext: SegmentContext; readonly startOffset: Offset },
  ): Promise<void> {
    const old = segments.all.map(({ files }) => Object.values(files) as string[])
    this.#log.warn('log-lost-above-start', { startOffset, logEndOffset: segments.active.endOffset })
    const next = new Segment(segmentContext, { baseOffset: startOffset, endOffset: startOffset })
    // Durable before the old ones go: without a segment the log would seem to be lost.
    await next.activate({ emptied: true })
    await segments.active.close()
    segments.replaceAll(next)
    this.#removeLater(old.flat())
  }

  #removeLater(paths: readonly string[]): void {
    const { fileSystem, removals } = this.#environment
    if (paths.length === 0) return
    const run = async (): Promise<void> => {
      for (const path of paths) await removeIfPresent(fileSystem, path)
    }
    removals.add({ path: this.#options.path, run }, 0)
  }

  /** @returns null when the file is absent or damaged: the epochs can be found in the batches. */
  async #readEpochs(): Promise<EpochEntry[] | null> {
    const content = await this.#epochsFile.read()
    const { path } = this.#epochsFile
    switch (content.status) {
      case 'absent':
        return null
      case 'newer':
        throw new VltavaError(
          'UNSUPPORTED_VERSION',
          `${path} has format version ${content.version}; this release reads up to ${EPOCHS_VERSION}. ` +
            'Start the release that wrote it or a later one.',
        )
      case 'damaged':
        this.#log.warn('leader-epochs-damaged', { path, reason: content.reason })
        return null
      case 'ok':
        return decodeEpochs(content.data)
    }
  }

  #report({ droppedTail }: RecoveredSegment): void {
    if (droppedTail === null) return
    const { offset, bytes, reason } = droppedTail
    this.#log.info('log-tail-truncated', {
      bytes,
      offset,
      reason: 'unacknowledged tail',
      found: reason,
    })
  }

  /** Makes the epochs fit the log: finds them in the batches where their file is lost, and drops those outside of the log. */
  async #settleEpochs(
    segments: SegmentList,
    { stored, startOffset }: { stored: EpochEntry[] | null; startOffset: Offset },
  ): Promise<LeaderEpochsFile> {
    const entries = stored ?? (await this.#epochsOfBatches(segments))
    const history = new EpochHistory(entries)
    history.truncateFromStart(startOffset)
    history.truncateFromEnd(segments.active.endOffset)
    const isLost = stored === null && history.entries.length > 0
    if (isLost || !sameEntries(history.entries, entries)) {
      await this.#epochsFile.write(encodeEpochs(history.entries))
    }
    return new LeaderEpochsFile(this.#epochsFile, history.entries)
  }

  /** Walks the headers of all batches. */
  async #epochsOfBatches(segments: SegmentList): Promise<EpochEntry[]> {
    const entries: EpochEntry[] = []
    for (const segment of segments.all) {
      if (segment.endOffset === segment.baseOffset) continue
      await segment.use(async (open) => {
        const { end, damage } = await scanBatches({
          handle: open.handle,
          from: { position: 0, offset: segment.baseOffset, leaderEpoch: entries.at(-1)?.epoch ?? -1 },
          endPosition: open.sizeBytes,
          wholeBatches: false,
          visit({ leaderEpoch, baseOffset }) {
            if (leaderEpoch > (entries.at(-1)?.epoch ?? -1))
              entries.push({ epoch: leaderEpoch, startOffset: baseOffset })
            return undefined
          },
        })
        if (damage === null) return
        throw new CorruptLogError({
          path: open.files.log,
          position: end.position,
          offset: end.offset,
          reason: damage,
        })
      })
    }
    if (entries.length > 0) this.#log.info('leader-epochs-rebuilt', { epochs: entries.length })
    return entries
  }

  #build(
    parts: Pick<
      PartitionLogOptions,
      'segments' | 'segmentContext' | 'compaction' | 'epochs' | 'startOffset' | 'health' | 'droppedTail'
    >,
  ): PartitionLog {
    const { failure, budget, clock, removals } = this.#environment
    const { topicId, partition, settings, lowerRecoveryPoint, logStart, observer = {} } = this.#options
    const { room = ALL_ROOM } = this.#options
    return new PartitionLog({
      topicId,
      partition,
      settings,
      failure,
      budget,
      ...parts,
      room,
      clock,
      removals,
      lowerRecoveryPoint,
      observer,
      checkpoint: logStart,
      log: this.#log,
    })
  }
}

/**
 * The end of the active segment is damaged. It stays as it is until it is repaired, and a new segment begins where the log
 * is known to have reached, so that no offset is given out again.
 */
async function beginBehind(segments: SegmentList, segmentContext: SegmentContext): Promise<void> {
  const damaged = segments.active
  const { endOffset } = damaged
  const next = new Segment(segmentContext, { baseOffset: endOffset, endOffset })
  await next.activate({ emptied: true })
  damaged.seal(endOffset)
  segments.push(next)
}

function sameEntries(a: readonly EpochEntry[], b: readonly EpochEntry[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ epoch, startOffset }, i) => epoch === b[i]!.epoch && startOffset === b[i]!.startOffset)
  )
}
