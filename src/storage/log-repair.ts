// Puts sound batches from another replica in the place of damaged ones. Where they are as long as what is damaged, which is
// what every flipped bit leaves behind, they are written over it: a crash half way leaves damage, which it was before. Else
// the segment is written anew beside the old one, once it is sealed, and takes its place by a rename.
import { AssertionError } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { HEADER_BYTES } from '../record/batch-format.ts'
import { emptyBatchWithin, isEmptyBatch } from '../record/empty-batch.ts'
import { readScanned, type ScannedBatch } from './batch-scan.ts'
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
/** What is damaged beyond that is written anew with its segment. One batch fits in any case. */
const IN_PLACE_MAX_BYTES = 2 * BATCH_ABSOLUTE_MAX_BYTES

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
  /** Exclusive: where compaction may have taken records away in the log of that replica. */
  readonly compactedBelow: Offset
}

/** Reads from another replica: batches of which the first has the offset in it. */
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
  readonly parts: readonly Uint8Array[]
  readonly sizeBytes: number
  readonly endOffset: Offset
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
    const { bytes } = await source(startOffset)
    const first = bytes.length < HEADER_BYTES ? null : readScanned({ bytes, at: 0, position: 0 })
    if (first === null || typeof first === 'string' || first.baseOffset < range.offset)
      throw nothingThere(startOffset, typeof first === 'string' ? first : 'there is no batch')
    return first.baseOffset
  }

  /**
   * The sound batches, where they fill the damaged bytes exactly up to their end; null where they do not. What is shorter must not be written there: the bytes behind it would seem to be damage of other batches.
   */
  async #fitting(
    plan: RepairPlan,
  ): Promise<{ readonly parts: Uint8Array[]; readonly position: number } | null> {
    const { range, beginOffset } = plan
    const damagedBytes = range.endPosition - range.position
    const parts: Uint8Array[] = []
    let sizeBytes = 0
    for (let offset = beginOffset; offset < range.endOffset; ) {
      const batches = await this.#ask(plan, offset)
      parts.push(...batches.parts)
      sizeBytes += batches.sizeBytes
      offset = batches.endOffset
      if (sizeBytes > damagedBytes) return null
    }
    // Below the log start records are gone elsewhere; what is damaged there may stay.
    if (beginOffset === range.offset && sizeBytes !== damagedBytes) return null
    return { parts, position: range.endPosition - sizeBytes }
  }

  /** @returns whether the sound batches fit into the place of the damage, which must be little enough to be held at once. */
  async #writeOver(plan: RepairPlan): Promise<boolean> {
    const { range } = plan
    const damagedBytes = range.endPosition - range.position
    if (damagedBytes === 0 || damagedBytes > IN_PLACE_MAX_BYTES) return false
    const handle = await this.#options.segmentContext.fileSystem.open(range.path, 'read-write')
    try {
      const fitting = await this.#fitting(plan)
      if (fitting === null) return false
      // Between appends and truncations. What was cut off is not written again.
      await this.#options.writer.run(async () => {
        if (this.#options.health.isDamaged(range)) await writeFully(handle, fitting.parts, fitting.position)
      })
      await handle.sync()
      return true
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
    // Nothing can take the place of a file that is being written to.
    await this.#options.writer.run(async () => {
      if (segment.isActive && this.#options.health.isDamaged(range)) await this.#options.writer.roll()
    })
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
      await writeFully(handle, batches.parts, position)
      position += batches.sizeBytes
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
    const got = await source(Math.max(offset, Math.min(health.startOffset, range.endOffset - 1)))
    const batches = this.#soundBatches(range, { bytes: got.bytes, offset })
    // The log must know durably that records may be gone before they are.
    const compactedBelow = Math.min(got.compactedBelow, batches.endOffset)
    if (compactedBelow > marks.compactedBelow) {
      await writer.run(async () => {
        if (this.#options.health.isDamaged(range)) await marks.noteCompactedBelow(compactedBelow)
      })
    }
    return batches
  }

  /**
   * The batches that belong into the range. An empty one that reaches beyond it is made shorter.
   * @throws VltavaError CORRUPT_MESSAGE when the first is none.
   */
  #soundBatches(
    range: DamagedRange,
    { bytes, ...got }: { readonly bytes: Uint8Array; readonly offset: Offset },
  ): SoundBatches {
    const { cpu } = this.#options
    const parts: Uint8Array[] = []
    let { offset } = got
    let sizeBytes = 0
    let problem: string | null = 'there is nothing'
    for (let at = 0; offset < range.endOffset && bytes.length - at >= HEADER_BYTES; ) {
      const batch = readScanned({ bytes, at, position: at })
      problem = typeof batch === 'string' ? batch : this.#problemOf(batch, { range, offset })
      if (typeof batch === 'string' || problem !== null) break
      const whole = bytes.subarray(at, at + batch.sizeBytes)
      const within = { fromOffset: offset, endOffset: range.endOffset }
      const part = isEmptyBatch(whole, 0) ? emptyBatchWithin(whole, within, cpu) : whole
      parts.push(part)
      sizeBytes += part.length
      at += batch.sizeBytes
      offset = Math.min(batch.nextOffset, range.endOffset)
    }
    if (parts.length > 0) return { parts, sizeBytes, endOffset: offset }
    throw nothingThere(offset, problem ?? 'there is nothing')
  }

  /** Why a batch is none that goes on at the offset. */
  #problemOf(
    batch: ScannedBatch,
    { range, offset }: { readonly range: DamagedRange; readonly offset: Offset },
  ): string | null {
    const { cpu, epochs } = this.#options
    const { bytes, at, baseOffset, nextOffset, sizeBytes } = batch
    if (sizeBytes > bytes.length - at) return 'the batch is cut off'
    const isPartial = isEmptyBatch(bytes, at) && baseOffset < offset && nextOffset > offset
    if (baseOffset !== offset && !isPartial) return `a batch begins at offset ${baseOffset}`
    if (nextOffset > range.endOffset && !isEmptyBatch(bytes, at))
      return `the batch reaches to offset ${nextOffset}, beyond the damage`
    return problemOf(batch, { cpu, epochs: epochs.view })
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
