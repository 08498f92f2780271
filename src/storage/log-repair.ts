// Puts sound batches from another replica in the place of damaged ones. Where they are as long as what is damaged, which is
// what every flipped bit leaves behind, they are written over it: a crash half way leaves damage, which it was before. Else
// a sealed segment is written anew beside the old one and takes its place by a rename.
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

/** Reads from another replica: batches of which the first begins at the offset, or behind a gap. */
export type RepairSource = (offset: Offset) => Promise<RepairBatches>

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
    const segment = this.#options.segments.floor(range.offset)
    if (segment === undefined || !this.#options.health.isDamaged(range)) return true
    const fits = await this.#writeOver(range, source)
    if (!this.#options.health.isDamaged(range)) return true
    if (!fits) await this.#writeAnew(segment, { range, source })
    await this.#options.health.check(segment)
    return !this.#options.health.isDamaged(range)
  }

  /** @returns whether the sound batches fill the damaged bytes exactly. */
  async #writeOver(range: DamagedRange, source: RepairSource): Promise<boolean> {
    if (range.position === range.endPosition) return false
    const handle = await this.#options.segmentContext.fileSystem.open(range.path, 'read-write')
    try {
      let { position, offset } = range
      while (offset < range.endOffset) {
        const batches = await this.#ask(range, { offset, source })
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

  async #writeAnew(
    segment: Segment,
    { range, source }: { readonly range: DamagedRange; readonly source: RepairSource },
  ): Promise<void> {
    const { fileSystem, directory } = this.#options.segmentContext
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
        this.#copyRepaired({ damaged, sizeBytes, handle }, { range, source }),
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
    { range, source }: { readonly range: DamagedRange; readonly source: RepairSource },
  ): Promise<void> {
    const { damaged, sizeBytes, handle } = files
    let position = await copy(damaged, {
      position: 0,
      endPosition: range.position,
      to: handle,
      toPosition: 0,
    })
    let { offset } = range
    while (offset < range.endOffset) {
      const batches = await this.#ask(range, { offset, source })
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
  async #ask(
    range: DamagedRange,
    from: { readonly offset: Offset; readonly source: RepairSource },
  ): Promise<SoundBatches> {
    const { marks, writer } = this.#options
    const { offset, source } = from
    const batches = this.#soundBatches(range, { ...(await source(offset)), offset })
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
    throw new VltavaError(
      'CORRUPT_MESSAGE',
      `Another replica has nothing for the damaged offset ${offset}: ${problem}.`,
    )
  }
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
