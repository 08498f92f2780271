// Puts sound batches from another replica in the place of damaged ones. Where they are as long as what is damaged, which is
// what every flipped bit leaves behind, they are written over it: a crash half way leaves damage, which it was before. Else
// a sealed segment is written anew beside the old one and takes its place by a rename.
import { AssertionError } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { HEADER_BYTES } from '../record/batch-format.ts'
import { follows, readScanned } from './batch-scan.ts'
import { problemOf } from './batch-verifier.ts'
import type { CompactionState } from './compaction-state.ts'
import type { DamagedRange } from './damaged-ranges.ts'
import { readFully, removeIfPresent, writeFully } from './file-io.ts'
import type { FileHandle } from './file-system.ts'
import type { LeaderEpochsFile } from './leader-epochs-file.ts'
import type { LogHealth } from './log-health.ts'
import type { LogWriter } from './log-writer.ts'
import type { Segment, SegmentContext } from './segment.ts'
import type { SegmentList } from './segment-list.ts'

const COPY_BYTES = 1024 * 1024

export interface LogRepairOptions {
  readonly segments: SegmentList
  readonly segmentContext: SegmentContext
  readonly epochs: LeaderEpochsFile
  readonly marks: CompactionState
  readonly writer: LogWriter
  readonly health: LogHealth
  readonly cpu: Cpu
}

/** What another replica has from an offset on. */
export interface RepairBatches {
  /** What is behind the end of the damage is left aside. Empty where there is nothing up to there. */
  readonly bytes: Uint8Array
  /** Exclusive: where compaction may have left gaps in the log of that replica, as far as it was asked for and reaches. */
  readonly compactedBelow: Offset
}

/** Reads from another replica: batches of which the first has the offset in it, or begins behind a gap. */
export type RepairSource = (offset: Offset) => Promise<RepairBatches>

/** What of a range is to be repaired, and where from. */
interface RepairPlan {
  readonly range: DamagedRange
  readonly source: RepairSource
  /** Where the first batch begins that is put there: the range itself does, unless its first batches are below the log start. */
  readonly beginOffset: Offset
}

/** Batches that may be put in the place of damaged ones. */
interface SoundBatches {
  readonly bytes: Uint8Array
  readonly endOffset: Offset
  /** Exclusive: where the last gap among or behind them ends; 0 where there is none. */
  readonly gapsBelow: Offset
}

export class LogRepair {
  readonly #options: LogRepairOptions

  constructor(options: LogRepairOptions) {
    this.#options = options
  }

  /**
   * Repairs a range. What comes from the source must have the offsets and the leader epochs that this log has there, and
   * sound checksums: of one offset and leader epoch there is only one batch, whoever has it, but for the records that
   * compaction took out. Each replica does that by itself, so the other one may lack more than this one did, or less.
   * @returns whether the range is sound now, or is not there any more; false when the file lost another part meanwhile.
   * @throws VltavaError CORRUPT_MESSAGE when the source has something else there, STORAGE_ERROR, and what the source throws.
   */
  async repair(range: DamagedRange, source: RepairSource): Promise<boolean> {
    try {
      return await this.#repair(range, source)
    } catch (error) {
      // It may leave the log in the middle of that, and the damage with it.
      if (error instanceof AssertionError || this.#options.health.isDamaged(range)) throw error
      return true
    }
  }

  async #repair(range: DamagedRange, source: RepairSource): Promise<boolean> {
    const segment = this.#options.segments.floor(range.offset)
    if (segment === undefined || !this.#options.health.isDamaged(range)) return true
    const plan = { range, source, beginOffset: await this.#beginOffset(range, source) }
    const fits = await this.#writeOver(plan)
    if (!this.#options.health.isDamaged(range)) return true
    if (!fits) await this.#writeAnew(segment, plan)
    await this.#options.health.check(segment)
    return !this.#options.health.isDamaged(range)
  }

  /**
   * Where what can be repaired begins. Records below the log start are gone elsewhere, and only the batch that the start lies in can
   * be had, as a whole. What is damaged before it is nobody's any more.
   * @throws VltavaError CORRUPT_MESSAGE
   */
  async #beginOffset(range: DamagedRange, source: RepairSource): Promise<Offset> {
    const { startOffset } = this.#options.health
    if (startOffset <= range.offset) return range.offset
    const { bytes, compactedBelow } = await source(startOffset)
    const first = bytes.length < HEADER_BYTES ? null : readScanned({ bytes, at: 0, position: 0 })
    if (first === null && range.endOffset <= compactedBelow) return range.offset
    if (first === null || typeof first === 'string' || first.baseOffset < range.offset)
      throw nothingThere(startOffset, typeof first === 'string' ? first : 'there is no batch')
    return first.baseOffset <= startOffset ? first.baseOffset : range.offset
  }

  /** Where in the file the sound batches begin: they end where the damage does. null when they do not fit. */
  async #firstPosition(plan: RepairPlan): Promise<number | null> {
    const { range, beginOffset } = plan
    if (beginOffset === range.offset) return range.position
    let bytes = 0
    for (let offset = beginOffset; offset < range.endOffset; ) {
      const batches = await this.#ask(plan, offset)
      bytes += batches.bytes.length
      offset = batches.endOffset
    }
    const position = range.endPosition - bytes
    return position < range.position ? null : position
  }

  /** @returns whether the sound batches fill the damaged bytes exactly, up to their end. */
  async #writeOver(plan: RepairPlan): Promise<boolean> {
    const { range } = plan
    if (range.position === range.endPosition) return false
    const first = await this.#firstPosition(plan)
    if (first === null) return false
    const handle = await this.#options.segmentContext.fileSystem.open(range.path, 'read-write')
    try {
      let position = first
      let offset = plan.beginOffset
      while (offset < range.endOffset) {
        const batches = await this.#ask(plan, offset)
        if (position + batches.bytes.length > range.endPosition) return false
        // Between appends and truncations. What was cut off is not written again.
        const isThere = await this.#options.writer.run(async () => {
          if (!this.#options.health.isDamaged(range)) return false
          await writeFully(handle, [batches.bytes], position)
          return true
        })
        if (!isThere) return true
        position += batches.bytes.length
        offset = batches.endOffset
      }
      await handle.sync()
      return position === range.endPosition
    } finally {
      await handle.close()
    }
  }

  async #writeAnew(segment: Segment, plan: RepairPlan): Promise<void> {
    const { range } = plan
    const { fileSystem, directory } = this.#options.segmentContext
    if (plan.beginOffset > range.offset) {
      throw new VltavaError(
        'CORRUPT_MESSAGE',
        `What other replicas have from offset ${plan.beginOffset} on does not fit into ${range.path}; it goes with the records before it.`,
      )
    }
    if (segment.isActive) {
      throw new VltavaError(
        'CORRUPT_MESSAGE',
        `What other replicas have at offset ${range.offset} does not fit into ${range.path}, which is being written to; ` +
          'it can be repaired once the next segment has begun.',
      )
    }
    const path = `${segment.files.log}.repair`
    const handle = await fileSystem.open(path, 'create')
    try {
      await handle.truncate(0)
      await segment.use(({ handle: damaged, sizeBytes }) =>
        this.#copyRepaired({ damaged, sizeBytes, handle }, plan),
      )
      await handle.sync()
    } catch (error) {
      await removeIfPresent(fileSystem, path)
      throw error
    } finally {
      await handle.close()
    }
    await this.#options.writer.run(async () => {
      if (!this.#options.health.isDamaged(range) || segment.isActive) {
        await removeIfPresent(fileSystem, path)
        return
      }
      // Positions change, so the index goes first.
      await removeIfPresent(fileSystem, segment.files.offsetIndex)
      await removeIfPresent(fileSystem, segment.files.timeIndex)
      await fileSystem.rename(path, segment.files.log)
      await fileSystem.syncDirectory(directory)
      await segment.close()
    })
  }

  /** The sound batches before the damage, those of the other replica, and what stands behind the damage. */
  async #copyRepaired(
    files: { readonly damaged: FileHandle; readonly sizeBytes: number; readonly handle: FileHandle },
    plan: RepairPlan,
  ): Promise<void> {
    const { range } = plan
    const { damaged, sizeBytes, handle } = files
    let position = await copy(damaged, {
      position: 0,
      endPosition: range.position,
      to: handle,
      toPosition: 0,
    })
    let { offset } = range
    while (offset < range.endOffset) {
      const batches = await this.#ask(plan, offset)
      await writeFully(handle, [batches.bytes], position)
      position += batches.bytes.length
      offset = batches.endOffset
    }
    await copy(damaged, {
      position: range.endPosition,
      endPosition: sizeBytes,
      to: handle,
      toPosition: position,
    })
  }

  /** @throws VltavaError CORRUPT_MESSAGE */
  async #ask({ range, source }: RepairPlan, offset: Offset): Promise<SoundBatches> {
    const { marks, writer, health } = this.#options
    // Others begin at the log start, and answer with the whole batch in which it lies.
    const batches = this.#soundBatches(range, {
      ...(await source(Math.max(offset, Math.min(health.startOffset, range.endOffset - 1)))),
      offset,
    })
    // A gap must not be in the log before the log knows durably that there may be one.
    if (batches.gapsBelow > marks.compactedBelow) {
      await writer.run(async () => {
        if (this.#options.health.isDamaged(range)) await marks.allowGapsBelow(batches.gapsBelow)
      })
    }
    return batches
  }

  /**
   * The batches that belong into the range.
   * @throws VltavaError CORRUPT_MESSAGE when the first is none.
   */
  #soundBatches(range: DamagedRange, got: RepairBatches & { readonly offset: Offset }): SoundBatches {
    const { cpu, epochs } = this.#options
    const { bytes, compactedBelow } = got
    let { offset } = got
    let at = 0
    let gapsBelow = 0
    let problem = 'there is nothing'
    if (bytes.length === 0 && range.endOffset <= compactedBelow) {
      return { bytes, endOffset: range.endOffset, gapsBelow: range.endOffset }
    }
    while (offset < range.endOffset && bytes.length - at >= HEADER_BYTES) {
      const batch = readScanned({ bytes, at, position: at })
      if (typeof batch === 'string') problem = batch
      else if (!follows(batch.baseOffset, { offset, gapsBelow: compactedBelow }))
        problem = `a batch begins at offset ${batch.baseOffset}`
      else if (batch.sizeBytes > bytes.length - at) problem = 'the batch is cut off'
      else if (batch.baseOffset >= range.endOffset) {
        const endOffset = range.endOffset
        return { bytes: bytes.subarray(0, at), endOffset, gapsBelow: endOffset }
      } else if (batch.nextOffset > range.endOffset)
        problem = `the batch reaches to offset ${batch.nextOffset}, beyond the damage`
      else {
        const unsound = problemOf(batch, { cpu, epochs: epochs.view })
        if (unsound === null) {
          at += batch.sizeBytes
          if (batch.baseOffset > offset) gapsBelow = batch.baseOffset
          offset = batch.nextOffset
          continue
        }
        problem = unsound
      }
      break
    }
    if (at > 0) return { bytes: bytes.subarray(0, at), endOffset: offset, gapsBelow }
    throw nothingThere(offset, problem)
  }
}

function nothingThere(offset: Offset, problem: string): VltavaError {
  return new VltavaError(
    'CORRUPT_MESSAGE',
    `Another replica has nothing for the damaged offset ${offset}: ${problem}.`,
  )
}

/** @returns where the copy ends in the target. */
async function copy(
  from: FileHandle,
  range: {
    readonly position: number
    readonly endPosition: number
    readonly to: FileHandle
    readonly toPosition: number
  },
): Promise<number> {
  const { endPosition, to } = range
  let { position, toPosition } = range
  const chunk = new Uint8Array(Math.max(0, Math.min(COPY_BYTES, endPosition - position)))
  while (position < endPosition) {
    const filled = await readFully(
      from,
      chunk.subarray(0, Math.min(chunk.length, endPosition - position)),
      position,
    )
    if (filled === 0) break
    await writeFully(to, [chunk.subarray(0, filled)], toPosition)
    position += filled
    toPosition += filled
  }
  return toPosition
}
