// Brings the active segment of a log back to whole batches after a stop of any kind. Below the recovery point all bytes
// had been flushed; above it they may be there, in part or not at all.
//
//   0 ............... recovery point ................ cut ............ size of the file
//     was flushed:     sound batches: kept, written     torn tail, never acknowledged:
//     any damage is    again and synced, because the    cut off
//     corruption       page cache may show bytes that
//                      never reached the disk
import type { Cpu } from '../base/cpu.ts'
import type { EpochView } from '../log/epoch-history.ts'
import type { Offset } from '../model/ids.ts'
import { ATTRIBUTES_POSITION, crcOf } from '../record/batch-format.ts'
import { type ScannedBatch, type ScanPoint, type ScanResult, scanBatches } from './batch-scan.ts'
import { CorruptLogError } from './corrupt-log-error.ts'
import { readFully, writeFully } from './file-io.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'
import type { OpenSegment } from './open-segment.ts'
import { findRecordsBehindDamage } from './torn-tail.ts'

export interface RecoveryOptions {
  readonly open: OpenSegment
  /** Exclusive end of what had been flushed for certain. */
  readonly recoveryPoint: Offset
  /** What the file of leader epochs holds; null when it is lost. */
  readonly epochs: EpochView | null
  readonly cpu: Cpu
}

/** A tail that was cut off. */
export interface DroppedTail {
  /** Where the log ends now. */
  readonly offset: Offset
  readonly bytes: number
  /** What was found there. */
  readonly reason: string
}

export interface RecoveredSegment {
  readonly endOffset: Offset
  readonly droppedTail: DroppedTail | null
}

/** @throws CorruptLogError */
export async function recoverSegment(options: RecoveryOptions): Promise<RecoveredSegment> {
  const { open } = options
  const recoveryPoint = Math.max(options.recoveryPoint, open.baseOffset)
  await open.loadIndexes(open.baseOffset + RELATIVE_OFFSET_MAX + 1)
  const flushed = await walkFlushed(open, recoveryPoint)
  const verified = await new TailVerifier(options).verify(flushed)
  const cut = verified.end
  if (cut.position > flushed.position) {
    await writeAgain(open, { position: flushed.position, endPosition: cut.position })
    await open.handle.sync()
  }
  const bytes = open.sizeBytes - cut.position
  if (bytes === 0) return { endOffset: cut.offset, droppedTail: null }
  // The index files may speak of records that were in the tail; others will come to these offsets.
  await open.removeIndexFiles()
  await open.truncate(cut.position)
  return { endOffset: cut.offset, droppedTail: { offset: cut.offset, bytes, reason: verified.damage! } }
}

/** Walks the headers up to the recovery point, or the batch that contains it, from the last index entry before it. */
async function walkFlushed(open: OpenSegment, recoveryPoint: Offset): Promise<ScanPoint> {
  const from = { ...open.cutIndexes(recoveryPoint), leaderEpoch: -1 }
  let walked = await walkTo(open, from, recoveryPoint)
  if (walked.damage !== null && walked.end.position === from.position && from.offset > open.baseOffset) {
    // The index lied.
    await open.dropOffsetIndex()
    walked = await walkTo(open, { ...open.cutIndexes(open.baseOffset), leaderEpoch: -1 }, recoveryPoint)
  }
  const { end } = walked
  const isWhole = end.offset >= recoveryPoint || (walked.damage === null && end.position < open.sizeBytes)
  if (isWhole) return end
  const damage = walked.damage ?? 'the file ends'
  throw new CorruptLogError({
    path: open.files.log,
    position: end.position,
    offset: end.offset,
    reason: `${damage}, but all below offset ${recoveryPoint} had been flushed`,
  })
}

function walkTo(open: OpenSegment, from: ScanPoint, recoveryPoint: Offset): Promise<ScanResult> {
  return scanBatches({
    handle: open.handle,
    from,
    endPosition: open.sizeBytes,
    wholeBatches: false,
    visit(batch) {
      if (batch.nextOffset > recoveryPoint) return 'stop'
      open.noteBatch(batch)
      return undefined
    },
  })
}

/** Verifies what lies above the recovery point. */
class TailVerifier {
  readonly #options: RecoveryOptions

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  async verify(from: ScanPoint): Promise<ScanResult> {
    const { open } = this.#options
    const result = await scanBatches({
      handle: open.handle,
      from,
      endPosition: open.sizeBytes,
      wholeBatches: true,
      visit: (batch) => {
        const damage = this.#problemOf(batch)
        if (damage !== null) return { damage }
        open.noteBatch(batch)
        return undefined
      },
    })
    if (result.damage !== null) await this.#checkTorn(result.end, result.damage)
    return result
  }

  async #checkTorn(end: ScanPoint, damage: string): Promise<void> {
    const { open } = this.#options
    const laterOffset = await findRecordsBehindDamage({
      handle: open.handle,
      sizeBytes: open.sizeBytes,
      damage: end,
      isSound: (batch) => this.#problemOf(batch) === null,
    })
    if (laterOffset === null) return
    throw new CorruptLogError({
      path: open.files.log,
      position: end.position,
      offset: end.offset,
      reason: `${damage}, but sound batches follow from offset ${laterOffset} on`,
    })
  }

  #problemOf(batch: ScannedBatch): string | null {
    const { epochs, cpu } = this.#options
    const covered = batch.bytes.subarray(batch.at + ATTRIBUTES_POSITION, batch.at + batch.sizeBytes)
    if (cpu.crc32c(covered) !== crcOf(batch.bytes, batch.at)) return 'its checksum is wrong'
    // The checksum does not cover the epoch. An epoch is in its file before any record of it is in the log.
    // Below the first one records were deleted, and their epochs forgotten.
    if (epochs === null || batch.baseOffset < (epochs.entries[0]?.startOffset ?? 0)) return null
    const epoch = epochs.epochAt(batch.baseOffset)
    return batch.leaderEpoch === epoch ? null : `its leader epoch is ${batch.leaderEpoch} instead of ${epoch}`
  }
}

/** Writes the same bytes to the same place, so that the next sync covers them. */
async function writeAgain(
  open: OpenSegment,
  range: { readonly position: number; readonly endPosition: number },
): Promise<void> {
  const chunk = new Uint8Array(Math.min(1024 * 1024, range.endPosition - range.position))
  for (let position = range.position; position < range.endPosition; position += chunk.length) {
    const bytes = chunk.subarray(0, Math.min(chunk.length, range.endPosition - position))
    await readFully(open.handle, bytes, position)
    await writeFully(open.handle, [bytes], position)
  }
}
