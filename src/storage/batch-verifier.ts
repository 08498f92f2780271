// Checks every byte of a segment, or of a part of it: framing, magic, offsets that continue, leader epochs, checksums. What
// is damaged is told from what is sound behind it, so that one flipped bit costs one batch and not the rest of the segment.
import type { Cpu } from '../base/cpu.ts'
import type { EpochView } from '../log/epoch-history.ts'
import type { Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import {
  ATTRIBUTES_POSITION,
  batchSizeOf,
  crcOf,
  HEADER_BYTES,
  lastOffsetDeltaOf,
} from '../record/batch-format.ts'
import { readScanned, type ScannedBatch, type ScanPoint, scanBatches } from './batch-scan.ts'
import { findLaterBatch } from './batch-search.ts'
import { readFully } from './file-io.ts'
import type { OpenSegment } from './open-segment.ts'

/** By what a batch is known to be the one that was written. */
export interface Soundness {
  readonly cpu: Cpu
  /** The leader epochs of the log; null where their file is lost, and then they are not looked at. */
  readonly epochs: EpochView | null
}

/** Bytes of a log file that do not hold the batches they should. */
export interface Damage {
  readonly position: number
  /** Exclusive; equal to `position` where bytes are missing. */
  readonly endPosition: number
  /** The first offset that cannot be read. */
  readonly offset: Offset
  /** Exclusive; beyond the end that was asked for where the log goes on only there. */
  readonly endOffset: Offset
  readonly reason: string
}

/** What the framing and the offsets of a batch do not tell: null when its checksum and its leader epoch are right. */
export function problemOf(
  batch: Pick<ScannedBatch, 'bytes' | 'at' | 'sizeBytes' | 'baseOffset' | 'nextOffset' | 'leaderEpoch'>,
  { cpu, epochs }: Soundness,
): string | null {
  const covered = batch.bytes.subarray(batch.at + ATTRIBUTES_POSITION, batch.at + batch.sizeBytes)
  if (cpu.crc32c(covered) !== crcOf(batch.bytes, batch.at)) return 'its checksum is wrong'
  return epochs === null ? null : epochProblemOf(batch, epochs)
}

/**
 * Whether a batch has the leader epoch that the file of the epochs says, which the checksum does not cover: null when it has. An
 * epoch is in its file before any record of it is in the log.
 */
function epochProblemOf(
  batch: Pick<ScannedBatch, 'baseOffset' | 'nextOffset' | 'leaderEpoch'>,
  epochs: EpochView,
): string | null {
  const { baseOffset, nextOffset, leaderEpoch } = batch
  const first = epochs.entries[0]
  // Only deleted records are there, which wait for their segment to go.
  if (first === undefined) return null
  if (baseOffset < first.startOffset) {
    // Records were deleted, and their epochs forgotten; but none was later, and that of the batch in which the log starts is known.
    const isRight = nextOffset > first.startOffset ? leaderEpoch === first.epoch : leaderEpoch <= first.epoch
    return isRight
      ? null
      : `its leader epoch is ${leaderEpoch}, and ${first.epoch} begins at ${first.startOffset}`
  }
  const epoch = epochs.epochAt(baseOffset)
  return leaderEpoch === epoch ? null : `its leader epoch is ${leaderEpoch} instead of ${epoch}`
}

export interface Verification extends Soundness {
  readonly open: OpenSegment
  readonly from: ScanPoint
  /** Exclusive: where the offsets of the segment, or of the part to check, end. */
  readonly endOffset: Offset
  /** Whether a batch that reaches beyond it is damage. */
  readonly endsThere: boolean
  /** Where the bytes to look at end. */
  readonly endPosition: number
  /** Called for each sound batch. */
  readonly visit?: (batch: ScannedBatch) => void
}

export interface Verified {
  readonly damages: readonly Damage[]
  /** Where the end offset was reached; null when nothing sound comes that far. */
  readonly end: ScanPoint | null
}

export async function verifyBatches(verification: Verification): Promise<Verified> {
  const { open, endOffset, endPosition, visit } = verification
  const damages: Damage[] = []
  let from = verification.from
  while (from.offset < endOffset) {
    const { end, damage } = await scanBatches({
      handle: open.handle,
      from,
      endPosition,
      wholeBatches: true,
      visit(batch) {
        if (batch.baseOffset >= endOffset) return 'stop'
        const problem = problemOf(batch, verification)
        if (problem !== null) return { damage: problem }
        if (verification.endsThere && batch.nextOffset > endOffset) {
          return { damage: `it reaches to offset ${batch.nextOffset}, into the next segment` }
        }
        visit?.(batch)
        return undefined
      },
    })
    if (end.offset >= endOffset) return { damages, end }
    const resume = damage === null ? null : await findResume(verification, end)
    damages.push({
      position: end.position,
      endPosition: resume?.position ?? endPosition,
      offset: end.offset,
      endOffset: resume?.offset ?? endOffset,
      reason: damage ?? 'the file ends',
    })
    if (resume === null) return { damages, end: null }
    from = resume
  }
  return { damages, end: from }
}

/** Where the log goes on behind a damaged batch; null when that cannot be told. */
async function findResume(verification: Verification, damage: ScanPoint): Promise<ScanPoint | null> {
  const { open, endPosition, endOffset } = verification
  const framed = await behindFramed(verification, damage)
  if (framed !== null) return framed
  const later = await findLaterBatch({
    handle: open.handle,
    sizeBytes: endPosition,
    damage: { ...damage, offset: damage.offset + 1 },
    isSound: (batch) => problemOf(batch, verification) === null,
    untilOffset: endOffset,
  })
  return later === null ? null : startOf(later, damage)
}

/** Most damage leaves the length alone. Then the next batch stands where the damaged one says that it ends. */
async function behindFramed(verification: Verification, damage: ScanPoint): Promise<ScanPoint | null> {
  const { open, endPosition } = verification
  const header = await readBytes(open, damage.position, HEADER_BYTES)
  if (header === null) return null
  const sizeBytes = batchSizeOf(header, 0)
  const position = damage.position + sizeBytes
  if (sizeBytes < HEADER_BYTES || sizeBytes > BATCH_ABSOLUTE_MAX_BYTES || position > endPosition) return null
  if (position === endPosition) return endOfLast(verification, damage, sizeBytes)
  const nextHeader = await readBytes(open, position, HEADER_BYTES)
  if (nextHeader === null) return null
  const next = readScanned({ bytes: nextHeader, at: 0, position })
  if (typeof next === 'string' || next.baseOffset <= damage.offset) return null
  if (position + next.sizeBytes > endPosition) return null
  const bytes = await readBytes(open, position, next.sizeBytes)
  if (bytes === null || problemOf({ ...next, bytes, at: 0 }, verification) !== null) return null
  return startOf(next, damage)
}

/** A last batch whose checksum is right tells how many offsets it holds, although its header is wrong. */
async function endOfLast(
  { open, cpu }: Verification,
  damage: ScanPoint,
  sizeBytes: number,
): Promise<ScanPoint | null> {
  const bytes = await readBytes(open, damage.position, sizeBytes)
  if (bytes === null || cpu.crc32c(bytes.subarray(ATTRIBUTES_POSITION)) !== crcOf(bytes, 0)) return null
  const offset = damage.offset + lastOffsetDeltaOf(bytes, 0) + 1
  return offset > damage.offset
    ? { position: damage.position + sizeBytes, offset, leaderEpoch: damage.leaderEpoch }
    : null
}

/** The epochs of the log say what is right; those in headers behind the damage must only not fall. */
function startOf(batch: ScannedBatch, damage: ScanPoint): ScanPoint {
  return { position: batch.position, offset: batch.baseOffset, leaderEpoch: damage.leaderEpoch }
}

async function readBytes(open: OpenSegment, position: number, bytes: number): Promise<Uint8Array | null> {
  const target = new Uint8Array(bytes)
  return (await readFully(open.handle, target, position)) === bytes ? target : null
}
