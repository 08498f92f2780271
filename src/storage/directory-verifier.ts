// Checks a data directory, or the directory of one log inside of it, and changes nothing.
import type { Cpu } from '../base/cpu.ts'
import type { Process } from '../base/process.ts'
import { isObject } from './atomic-file.ts'
import { type DirectoryShape, type LogPlace, METADATA_KEY, shapeOf } from './directory-shape.ts'
import type { FileSystem } from './file-system.ts'
import { joinPath } from './file-system.ts'
import { type Finding, type FindingCounts, FindingList } from './findings.ts'
import { readLock } from './lock-file.ts'
import { type VerifiedLog, type VerifyContext, verifyLog } from './log-verifier.ts'
import { readOnlyFileSystem } from './read-only-file-system.ts'
import { offsetsOf, readSmallFileOf, type SmallFile } from './small-files.ts'

export interface VerifyDirectoryOptions {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  /** Tells whether the process that holds the lock runs. */
  readonly process: Pick<Process, 'isRunning'>
  /** A data directory, or the directory of one log. */
  readonly path: string
  /** Aborts the check between two batches. */
  readonly signal: AbortSignal
  readonly onFinding?: (finding: Finding) => void
  readonly progress?: VerifyProgress
}

/** Counts up while the check runs. */
export interface VerifyProgress {
  logs: number
  segments: number
  batches: number
  records: number
  bytes: number
}

export interface VerifyReport {
  readonly path: string
  /** The process that uses the directory; null when there is none. */
  readonly inUseBy: number | null
  readonly checked: Readonly<VerifyProgress>
  readonly counts: FindingCounts
  /** At most FINDINGS_MAX of them. */
  readonly findings: readonly Finding[]
}

/**
 * Checks everything that can be checked without changing anything.
 * @throws VltavaError INVALID_ARGUMENT when the path is neither; what the file system throws.
 */
export async function verifyDirectory(options: VerifyDirectoryOptions): Promise<VerifyReport> {
  const fileSystem = readOnlyFileSystem(options.fileSystem)
  const shape = await shapeOf(fileSystem, options.path)
  const holder = shape.dataPath === null ? null : await readLock({ ...options, fileSystem }, shape.dataPath)
  return new DirectoryCheck({ ...options, fileSystem }, { shape, inUseBy: holder }).run()
}

class DirectoryCheck {
  readonly #options: VerifyDirectoryOptions
  readonly #shape: DirectoryShape
  readonly #inUseBy: number | null
  readonly #context: VerifyContext
  readonly #progress: VerifyProgress
  readonly #findings: FindingList

  constructor(
    options: VerifyDirectoryOptions,
    found: { readonly shape: DirectoryShape; readonly inUseBy: number | null },
  ) {
    this.#options = options
    this.#shape = found.shape
    this.#inUseBy = found.inUseBy
    this.#progress = options.progress ?? { logs: 0, segments: 0, batches: 0, records: 0, bytes: 0 }
    this.#findings = new FindingList(options.onFinding)
    this.#context = {
      ...options,
      findings: this.#findings,
      isInUse: found.inUseBy !== null,
      onBatch: ({ sizeBytes, baseOffset, nextOffset }) => {
        this.#progress.batches++
        this.#progress.records += nextOffset - baseOffset
        this.#progress.bytes += sizeBytes
      },
    }
  }

  async run(): Promise<VerifyReport> {
    const { dataPath, isWhole, logs, foreign } = this.#shape
    // The checkpoints first: a log that is in use grows beyond them and never falls below.
    const recoveryPoints = offsetsOf(await this.#readDataFile('recovery-points'))
    const highWatermarks = offsetsOf(await this.#readDataFile('high-watermarks'))
    if (isWhole && dataPath !== null) await this.#checkDataFiles(dataPath, recoveryPoints)
    for (const path of foreign) this.#note(path, 'is no file of a data directory; it is left alone')
    for (const place of logs) {
      this.#options.signal.throwIfAborted()
      const verified = await verifyLog(this.#context, {
        directory: place.directory,
        recoveryPoint: recoveryPoints.get(place.key ?? '') ?? 0,
        highWatermark: highWatermarks.get(place.key ?? '') ?? null,
      })
      await this.#checkSmallFilesOf(place, verified)
      this.#progress.logs++
      this.#progress.segments += verified.segments
    }
    return {
      path: this.#options.path,
      inUseBy: this.#inUseBy,
      checked: { ...this.#progress },
      counts: this.#findings.counts,
      findings: this.#findings.kept,
    }
  }

  async #checkDataFiles(dataPath: string, recoveryPoints: ReadonlyMap<string, number>): Promise<void> {
    for (const name of [
      'meta.json',
      'clean-shutdown',
      'broker-epoch',
      'recovery-points',
      'high-watermarks',
    ]) {
      const file = await this.#checkSmallFile(dataPath, name)
      if (name === 'meta.json' && file.status === 'absent') {
        this.#damage(joinPath(dataPath, name), 'is missing, so it cannot be told whose data this is', START)
      }
    }
    const known = new Set(this.#shape.logs.map(({ key }) => key))
    for (const [key, offset] of recoveryPoints) {
      if (known.has(key)) continue
      this.#findings.add({
        severity: 'warning',
        path: joinPath(dataPath, 'recovery-points'),
        position: null,
        offset: 0,
        what: `the log ${key} was flushed up to offset ${offset}, but it has no directory: it was lost, or its deletion was cut off`,
        advice:
          'Nothing to do if its topic was deleted. Else the broker reports it and copies it from its leader.',
      })
    }
  }

  /** The small files beside the segments of a log. */
  async #checkSmallFilesOf({ directory, key }: LogPlace, verified: VerifiedLog): Promise<void> {
    await this.#checkSmallFile(directory, 'compaction')
    await this.#checkSmallFile(directory, 'damaged-ranges')
    const epochs = await this.#checkSmallFile(directory, 'leader-epochs')
    if (epochs.status === 'absent' && verified.logEndOffset > verified.logStartOffset) {
      const path = joinPath(directory, 'leader-epochs')
      this.#warn(
        path,
        'is missing',
        'The epochs are found again in the batches at the next start; nothing to do.',
      )
    }
    if (key !== METADATA_KEY) return
    const formation = await this.#checkSmallFile(directory, 'formation')
    const hardState = await this.#checkSmallFile(directory, 'hard-state')
    if (formation.status === 'ok' && hardState.status === 'absent') {
      this.#damage(joinPath(directory, 'hard-state'), 'is missing, but the node has joined a cluster', VOTE)
    }
    const term = hardState.status === 'ok' && isObject(hardState.data) ? Number(hardState.data['term']) : null
    if (term !== null && verified.lastEpoch > term && this.#inUseBy === null) {
      const what = `has term ${term}, but the log ends in term ${verified.lastEpoch}: a vote was lost`
      this.#damage(joinPath(directory, 'hard-state'), what, VOTE)
    }
  }

  async #checkSmallFile(directory: string, name: string): Promise<SmallFile> {
    const file = await readSmallFileOf(this.#context, { directory, name })
    const path = joinPath(directory, name)
    if (file.status === 'damaged') {
      const what = `is damaged: ${file.reason}`
      if (file.isVital) this.#damage(path, what, file.whenDamaged)
      else this.#warn(path, what, file.whenDamaged)
    }
    if (file.status === 'newer') {
      const what = `has format version ${file.version}, which a later release wrote`
      this.#damage(path, what, 'Check and start the directory with the release that wrote it or a later one.')
    }
    return file
  }

  async #readDataFile(name: string): Promise<SmallFile> {
    const { dataPath } = this.#shape
    if (dataPath === null) return { status: 'absent' }
    return readSmallFileOf(this.#context, { directory: dataPath, name })
  }

  #damage(path: string, what: string, advice: string): void {
    this.#findings.add({ severity: 'damage', path, position: null, offset: null, what, advice })
  }

  #warn(path: string, what: string, advice: string): void {
    this.#findings.add({ severity: 'warning', path, position: null, offset: null, what, advice })
  }

  #note(path: string, what: string): void {
    this.#findings.add({ severity: 'note', path, position: null, offset: null, what, advice: null })
  }
}

const START = 'The node does not start. Restore the file from a backup, or start on an empty directory.'
const VOTE =
  'The node does not start, as it could vote twice. Restore the file, or start on an empty directory: the node then ' +
  'comes back without a vote.'
