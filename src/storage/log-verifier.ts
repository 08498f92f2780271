// Checks the directory of one log: which segments there are, every batch in them, and the leader epochs.
import type { Cpu } from '../base/cpu.ts'
import { type EpochEntry, EpochHistory } from '../log/epoch-history.ts'
import type { Offset } from '../model/ids.ts'
import type { FoundBatch } from './batch-walk.ts'
import { type FileSystem, fileErrorCodeOf, isNotFound, joinPath } from './file-system.ts'
import type { FindingList } from './findings.ts'
import { decodeEpochs } from './leader-epochs-file.ts'
import { type CheckedSegment, type EpochRun, verifySegment } from './segment-check.ts'
import { baseOffsetOfLogFile, segmentFiles } from './segment-files.ts'
import { isSmallFile, readSmallFileOf } from './small-files.ts'

/** What all checks of one run share. */
export interface VerifyContext {
  /** One that only reads. */
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  readonly findings: FindingList
  /** A process uses the data directory now. */
  readonly isInUse: boolean
  readonly signal: AbortSignal
  readonly onBatch: (batch: FoundBatch) => void
}

export interface LogToVerify {
  readonly directory: string
  /** Everything below had been flushed; 0 when nothing is known. */
  readonly recoveryPoint: Offset
  /** null when it is not known. */
  readonly highWatermark: Offset | null
}

export interface VerifiedLog {
  readonly segments: number
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly lastEpoch: number
}

const RESTORE =
  'Stop the broker, keep a copy of the directory of this partition, remove it and start the broker again while another ' +
  'replica leads: it copies the log from there.'

/** Changes nothing. @throws what the file system throws, but for files that are removed meanwhile or cannot be read. */
export async function verifyLog(context: VerifyContext, log: LogToVerify): Promise<VerifiedLog> {
  return new LogCheck(context, log).run()
}

class LogCheck {
  readonly #context: VerifyContext
  readonly #log: LogToVerify

  constructor(context: VerifyContext, log: LogToVerify) {
    this.#context = context
    this.#log = log
  }

  async run(): Promise<VerifiedLog> {
    const baseOffsets = await this.#findSegments()
    const stored = await this.#readEpochs()
    const runs: EpochRun[] = []
    let endOffset = baseOffsets[0] ?? 0
    let leaderEpoch = -1
    for (const [i, baseOffset] of baseOffsets.entries()) {
      const checked = await this.#verifySegment({
        baseOffset,
        nextBaseOffset: baseOffsets[i + 1] ?? null,
        leaderEpoch,
        epochs: stored,
      })
      if (checked === null) {
        endOffset = baseOffsets[i + 1] ?? endOffset
        continue
      }
      runs.push(...checked.runs)
      endOffset = checked.endOffset
      leaderEpoch = checked.leaderEpoch
    }
    // Read again: an epoch is in its file before any batch of it is in the log, but not before this check began.
    this.#checkEpochs(this.#context.isInUse ? await this.#readEpochs() : stored, runs, endOffset)
    this.#checkMarks(baseOffsets.length, endOffset)
    return {
      segments: baseOffsets.length,
      logStartOffset: baseOffsets[0] ?? 0,
      logEndOffset: endOffset,
      lastEpoch: leaderEpoch,
    }
  }

  async #findSegments(): Promise<readonly Offset[]> {
    const { fileSystem } = this.#context
    const { directory } = this.#log
    const baseOffsets: Offset[] = []
    const entries = await fileSystem.list(directory)
    const logs = new Set(entries.flatMap(({ name }) => baseOffsetOfLogFile(name) ?? []))
    for (const { name, isDirectory } of entries) {
      const baseOffset = isDirectory ? null : baseOffsetOfLogFile(name)
      if (baseOffset !== null) baseOffsets.push(baseOffset)
      else if (!isDirectory && isSmallFile(name)) continue
      else this.#reportForeign(name, { isDirectory, logs })
    }
    return baseOffsets.sort((a, b) => a - b)
  }

  #reportForeign(
    name: string,
    { isDirectory, logs }: { readonly isDirectory: boolean; readonly logs: ReadonlySet<Offset> },
  ): void {
    const what = this.#meaningOf(name, { isDirectory, logs })
    if (what !== null) this.#note(name, what)
  }

  /** @returns null when the file belongs there. */
  #meaningOf(
    name: string,
    { isDirectory, logs }: { readonly isDirectory: boolean; readonly logs: ReadonlySet<Offset> },
  ): string | null {
    const stem = /^(\d{20})\.(index|timeindex)$/.exec(name)?.[1]
    if (!isDirectory && stem !== undefined) {
      return logs.has(Number(stem)) ? null : 'an index without its log file; nobody reads it'
    }
    if (/^\d+\.log$/.test(name)) {
      return 'the name of a segment is its base offset in 20 digits; nobody reads this file'
    }
    if (name.endsWith('.tmp')) return 'was being written when a process ended; nobody reads it'
    if (name.endsWith('.corrupt')) return 'was set aside as damaged; nobody reads it'
    if (name.endsWith('.deleted')) return 'left the log and waits for its removal'
    if (name.endsWith('.cleaned')) return 'was being compacted; the next start removes it'
    if (name.endsWith('.swap')) return 'is compacted; the next start puts it in the place of what it replaces'
    if (name.endsWith('.repair')) return 'was being repaired; nobody reads it'
    return 'is no file of a log; it is left alone'
  }

  #note(name: string, what: string): void {
    const path = joinPath(this.#log.directory, name)
    this.#context.findings.add({ severity: 'note', path, position: null, offset: null, what, advice: null })
  }

  /** @returns null when the file is not to be checked: it was removed meanwhile, or the disk cannot read it. */
  async #verifySegment(segment: {
    readonly baseOffset: Offset
    readonly nextBaseOffset: Offset | null
    readonly leaderEpoch: number
    readonly epochs: EpochHistory | null
  }): Promise<CheckedSegment | null> {
    const { directory, recoveryPoint } = this.#log
    const files = segmentFiles(directory, segment.baseOffset)
    try {
      return await verifySegment({ ...this.#context, ...segment, files, recoveryPoint })
    } catch (error) {
      if (isNotFound(error)) {
        this.#note(files.log.slice(directory.length + 1), 'was removed while the check ran')
        return null
      }
      if (fileErrorCodeOf(error) !== 'EIO') throw error
      const what = `the disk cannot read it: ${String(error)}`
      this.#add({ path: files.log, offset: segment.baseOffset, what })
      return null
    }
  }

  /** @returns null when the epochs cannot be told from the file. */
  async #readEpochs(): Promise<EpochHistory | null> {
    const { directory } = this.#log
    const file = await readSmallFileOf(this.#context, { directory, name: 'leader-epochs' })
    const entries = file.status === 'ok' ? decodeEpochs(file.data) : null
    return entries === null ? null : new EpochHistory(entries)
  }

  /** Compares the epochs with those of the batches. */
  #checkEpochs(stored: EpochHistory | null, runs: readonly EpochRun[], endOffset: Offset): void {
    if (stored === null) return
    const first = stored.entries[0]
    for (const run of runs) {
      for (const offset of [run.startOffset, run.lastOffset]) {
        const epoch = stored.epochAt(offset)
        if (epoch === run.epoch) continue
        // Below the log start epochs are forgotten, but none was later.
        if (epoch === -1 && run.epoch <= (first?.epoch ?? run.epoch)) continue
        const what = `the batches of the offsets ${run.startOffset} to ${run.lastOffset} have the leader epoch ${run.epoch}, but leader-epochs says ${epoch} at offset ${offset}`
        this.#add({ path: run.path, position: run.position, offset, what })
        break
      }
    }
    const beyond = stored.entries.find(({ startOffset }: EpochEntry) => startOffset > endOffset)
    if (beyond === undefined || this.#context.isInUse) return
    this.#context.findings.add({
      severity: 'warning',
      path: joinPath(this.#log.directory, 'leader-epochs'),
      position: null,
      offset: beyond.startOffset,
      what: `epoch ${beyond.epoch} begins at offset ${beyond.startOffset}, but the log ends at ${endOffset}`,
      advice: 'The next start drops it, as it does after a tail was lost.',
    })
  }

  #checkMarks(segments: number, endOffset: Offset): void {
    const { directory, recoveryPoint, highWatermark } = this.#log
    if (segments === 0) {
      const what = `there is no segment, but all below offset ${recoveryPoint} had been flushed`
      if (recoveryPoint > 0) this.#add({ path: directory, offset: 0, what })
      return
    }
    if (highWatermark === null || highWatermark <= endOffset) return
    this.#context.findings.add({
      severity: 'warning',
      path: directory,
      position: null,
      offset: endOffset,
      what: `the log ends at offset ${endOffset}, but its high watermark was ${highWatermark}`,
      advice:
        'After a loss of power the rest comes from the leader. Otherwise check the other replicas before this one leads.',
    })
  }

  #add(finding: {
    readonly path: string
    readonly position?: number
    readonly offset: Offset
    readonly what: string
  }): void {
    this.#context.findings.add({ severity: 'damage', position: null, ...finding, advice: RESTORE })
  }
}
