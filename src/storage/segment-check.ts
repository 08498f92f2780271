// Checks one log file batch by batch, and its index files against it.
import type { Cpu } from '../base/cpu.ts'
import type { EpochView } from '../log/epoch-history.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import type { ScannedBatch, ScanPoint } from './batch-scan.ts'
import { problemOf } from './batch-verifier.ts'
import { type FoundBatch, type FoundGarbage, walkBatches } from './batch-walk.ts'
import { readSmallFile } from './file-io.ts'
import type { FileHandle, FileSystem } from './file-system.ts'
import type { FindingList } from './findings.ts'
import { type IndexProblem, OffsetIndexCheck, TimeIndexCheck } from './index-check.ts'
import type { SegmentFiles } from './segment-files.ts'
import { findRecordsBehindDamage } from './torn-tail.ts'

const RESTORE =
  'Stop the broker, keep a copy of the directory of this partition, remove it and start the broker again while another ' +
  'replica leads: it copies the log from there.'
const INDEX = 'Nothing to do: reads check every entry that they follow. Without the file, it is made again.'

/** Batches of one leader epoch behind one another. */
export interface EpochRun {
  readonly epoch: LeaderEpoch
  readonly startOffset: Offset
  readonly path: string
  readonly position: number
  /** The last offset of the run. */
  lastOffset: Offset
}

export interface SegmentCheckOptions {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  readonly findings: FindingList
  readonly files: SegmentFiles
  readonly baseOffset: Offset
  /** Where the next segment begins; null for the active one, whose tail may be torn. */
  readonly nextBaseOffset: Offset | null
  /** Everything below had been flushed. */
  readonly recoveryPoint: Offset
  /** The epoch of the batch before the segment; -1 where there is none. */
  readonly leaderEpoch: LeaderEpoch
  /** What the epoch file says; null where there is none to go by. */
  readonly epochs: EpochView | null
  /** A process writes there. */
  readonly isInUse: boolean
  readonly onBatch: (batch: FoundBatch) => void
  readonly signal: AbortSignal
}

export interface CheckedSegment {
  readonly endOffset: Offset
  readonly leaderEpoch: LeaderEpoch
  readonly runs: readonly EpochRun[]
}

/**
 * What is wrong about where a batch stands in the log. Offsets have no gaps and no overlaps, and epochs never go down.
 */
function continuityProblem(batch: ScannedBatch, expected: ScanPoint): string | null {
  if (batch.baseOffset > expected.offset) {
    return `the offsets ${expected.offset} to ${batch.baseOffset - 1} are missing`
  }
  if (batch.baseOffset < expected.offset) {
    return `its base offset is ${batch.baseOffset}, but offsets up to ${expected.offset - 1} came before`
  }
  if (batch.leaderEpoch < Math.max(0, expected.leaderEpoch)) {
    return `its leader epoch is ${batch.leaderEpoch} after ${expected.leaderEpoch}`
  }
  return null
}

/** Changes nothing, and goes on behind what is damaged. @throws what the file system throws. */
export async function verifySegment(options: SegmentCheckOptions): Promise<CheckedSegment> {
  const { fileSystem, files, baseOffset } = options
  // The indexes first: entries that a running broker adds later would speak of batches behind the end seen here.
  const offsetIndex = await readSmallFile(fileSystem, files.offsetIndex)
  const timeIndex = await readSmallFile(fileSystem, files.timeIndex)
  const handle = await fileSystem.open(files.log, 'read')
  try {
    const check = new SegmentCheck(options, {
      handle,
      sizeBytes: await handle.size(),
      offsetIndex: offsetIndex === null ? null : new OffsetIndexCheck(offsetIndex, baseOffset),
      timeIndex: timeIndex === null ? null : new TimeIndexCheck(timeIndex, baseOffset),
    })
    return await check.run()
  } finally {
    await handle.close()
  }
}

interface SegmentInput {
  readonly handle: FileHandle
  readonly sizeBytes: number
  readonly offsetIndex: OffsetIndexCheck | null
  readonly timeIndex: TimeIndexCheck | null
}

class SegmentCheck {
  readonly #options: SegmentCheckOptions
  readonly #input: SegmentInput
  readonly #runs: EpochRun[] = []
  #end: ScanPoint
  /** Once something is missing, an index entry that points there is no finding of its own. */
  #isBroken = false
  /** What was lost in garbage needs no second finding at the batch behind it. */
  #isBehindGarbage = false

  constructor(options: SegmentCheckOptions, input: SegmentInput) {
    this.#options = options
    this.#input = input
    this.#end = { position: 0, offset: options.baseOffset, leaderEpoch: options.leaderEpoch }
  }

  async run(): Promise<CheckedSegment> {
    const { cpu, signal } = this.#options
    const { handle, sizeBytes } = this.#input
    for await (const found of walkBatches({ handle, cpu, position: 0, endPosition: sizeBytes })) {
      signal.throwIfAborted()
      const problem = this.#problemOf(found)
      if (problem !== null) {
        this.#isBroken = true
        if (await this.#isTornFrom(problem)) break
        this.#reportDamage(found, problem)
      }
      if (found.kind === 'batch') this.#take(found)
      this.#isBehindGarbage = found.kind === 'garbage'
    }
    this.#checkEnd()
    this.#reportIndexes()
    return { endOffset: this.#end.offset, leaderEpoch: this.#end.leaderEpoch, runs: this.#runs }
  }

  #problemOf(found: FoundBatch | FoundGarbage): string | null {
    if (found.kind === 'garbage') return found.reason
    const offset = this.#isBehindGarbage ? found.baseOffset : this.#end.offset
    const problem = continuityProblem(found, { ...this.#end, offset })
    if (problem !== null) return problem
    return found.isCrcRight ? null : 'its checksum is wrong'
  }

  #take(batch: FoundBatch): void {
    const { files, onBatch } = this.#options
    const { baseOffset, nextOffset, leaderEpoch, position, sizeBytes } = batch
    const last = this.#runs.at(-1)
    if (last?.epoch === leaderEpoch) last.lastOffset = nextOffset - 1
    else {
      this.#runs.push({
        epoch: leaderEpoch,
        startOffset: baseOffset,
        path: files.log,
        position,
        lastOffset: nextOffset - 1,
      })
    }
    this.#input.offsetIndex?.take(batch)
    this.#input.timeIndex?.take(batch)
    this.#end = { position: position + sizeBytes, offset: nextOffset, leaderEpoch }
    onBatch(batch)
  }

  /** Decides as recovery does whether everything from here on is a tail that was never acknowledged; then notes that. */
  async #isTornFrom(problem: string): Promise<boolean> {
    const { nextBaseOffset, recoveryPoint, findings, files, isInUse } = this.#options
    const { handle, sizeBytes } = this.#input
    const { position, offset } = this.#end
    if (nextBaseOffset !== null || offset < recoveryPoint) return false
    const later = await findRecordsBehindDamage({
      handle,
      sizeBytes,
      damage: this.#end,
      cpu: this.#options.cpu,
      isSound: (batch) => problemOf(batch, this.#options) === null,
    })
    if (later !== null) return false
    const meaning = isInUse
      ? 'the process that uses the directory may be writing it right now'
      : 'a torn tail that was never acknowledged; the next start cuts it off'
    findings.add({
      severity: 'note',
      path: files.log,
      position,
      offset,
      what: `the last ${sizeBytes - position} bytes are no batch (${problem}): ${meaning}`,
      advice: null,
    })
    return true
  }

  #reportDamage(found: FoundBatch | FoundGarbage, problem: string): void {
    const { findings, files } = this.#options
    const { position } = found
    const place =
      found.kind === 'batch'
        ? `the batch of the offsets ${found.baseOffset} to ${found.nextOffset - 1}`
        : `${found.endPosition - position} bytes are no batch`
    const offset = Math.min(this.#end.offset, found.kind === 'batch' ? found.baseOffset : this.#end.offset)
    const what = `${place}: ${problem}`
    findings.add({ severity: 'damage', path: files.log, position, offset, what, advice: RESTORE })
  }

  #checkEnd(): void {
    const { nextBaseOffset, recoveryPoint, findings, files } = this.#options
    const { position, offset } = this.#end
    const report = (what: string): void =>
      findings.add({ severity: 'damage', path: files.log, position, offset, what, advice: RESTORE })
    if (nextBaseOffset === null) {
      if (offset < recoveryPoint) {
        report(`the log ends at offset ${offset}, but all below ${recoveryPoint} had been flushed`)
      }
    } else if (offset < nextBaseOffset) {
      report(`the offsets ${offset} to ${nextBaseOffset - 1} are missing before the next segment`)
    } else if (offset > nextBaseOffset) {
      report(`it reaches to offset ${offset - 1}, but the next segment begins at ${nextBaseOffset}`)
    }
  }

  #reportIndexes(): void {
    const { files, nextBaseOffset } = this.#options
    const { offsetIndex, timeIndex, sizeBytes } = this.#input
    if (offsetIndex === null || timeIndex === null) {
      // The active segment has none before the first checkpoint.
      if (nextBaseOffset === null || sizeBytes === 0) return
      if (offsetIndex === null) this.#addIndex(files.offsetIndex, null)
      if (timeIndex === null) this.#addIndex(files.timeIndex, null)
    }
    if (this.#isBroken) return
    const ofOffsets = offsetIndex?.finish() ?? null
    if (ofOffsets !== null) this.#addIndex(files.offsetIndex, ofOffsets)
    const ofTimes = timeIndex?.finish(this.#end.offset) ?? null
    if (ofTimes !== null) this.#addIndex(files.timeIndex, ofTimes)
  }

  #addIndex(path: string, problem: IndexProblem | null): void {
    this.#options.findings.add({
      severity: problem === null ? 'note' : 'warning',
      path,
      position: problem?.position ?? null,
      offset: null,
      what: problem === null ? 'is missing; it is made again' : `an entry is wrong: ${problem.what}`,
      advice: problem === null ? null : INDEX,
    })
  }
}
