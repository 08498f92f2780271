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
import { type ScanPoint, type ScanResult, scanBatches } from './batch-scan.ts'
import { type Damage, problemOf, verifyBatches } from './batch-verifier.ts'
import { CorruptLogError } from './corrupt-log-error.ts'
import { readFully, writeFully } from './file-io.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'
import type { OpenSegment } from './open-segment.ts'
import { findRecordsBehindDamage, wasNeverWritten } from './torn-tail.ts'

export interface RecoveryOptions {
  readonly open: OpenSegment
  /** Exclusive end of what had been flushed for certain. */
  readonly recoveryPoint: Offset
  /** What the file of leader epochs holds; null when it is lost. */
  readonly epochs: EpochView | null
  readonly cpu: Cpu
  /** Whether damage is returned, to be repaired, instead of thrown. */
  readonly toleratesDamage: boolean
  /** Called before a tail is cut off that may have been acknowledged, to note that durably. */
  readonly beforeCut: () => Promise<void>
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
  /** What is damaged, in the order of the offsets. */
  readonly damages: readonly Damage[]
  /**
   * Whether the damage reaches to the end of the file, so that nobody can tell where the log ended: at the recovery point,
   * which is `endOffset`, or beyond.
   */
  readonly isEndLost: boolean
}

/** @throws CorruptLogError unless damage is tolerated; nothing was changed then. */
export async function recoverSegment(options: RecoveryOptions): Promise<RecoveredSegment> {
  const { open, toleratesDamage } = options
  const recoveryPoint = Math.max(options.recoveryPoint, open.baseOffset)
  await open.loadIndexes(open.baseOffset + RELATIVE_OFFSET_MAX + 1)
  const flushed = await walkFlushed(options, recoveryPoint)
  const verified = flushed.end === null ? null : await verifyTail(options, flushed.end)
  const damages = [...flushed.damages, ...(verified?.damages ?? [])]
  if (damages.length > 0 && !toleratesDamage) throw corruption(open, damages[0]!)
  if (flushed.end === null || verified === null) {
    return { endOffset: recoveryPoint, droppedTail: null, damages, isEndLost: true }
  }
  const cut = verified.end
  if (cut.position > flushed.end.position) {
    await writeAgain(open, { position: flushed.end.position, endPosition: cut.position })
    await open.handle.sync()
  }
  const recovered = { endOffset: cut.offset, damages, isEndLost: false }
  const bytes = open.sizeBytes - cut.position
  if (bytes === 0) return { ...recovered, droppedTail: null }
  if (!(await wasNeverWritten(open.handle, { position: cut.position, sizeBytes: open.sizeBytes }))) {
    await options.beforeCut()
  }
  // The index files may speak of records that were in the tail; others will come to these offsets.
  await open.removeIndexFiles()
  await open.truncate(cut.position)
  return { ...recovered, droppedTail: { offset: cut.offset, bytes, reason: verified.torn! } }
}

function corruption(open: OpenSegment, { position, offset, reason }: Damage): CorruptLogError {
  return new CorruptLogError({ path: open.files.log, position, offset, reason })
}

interface Flushed {
  readonly damages: readonly Damage[]
  /** Where the recovery point, or the end of the batch that contains it, was reached; null when nothing sound reaches it. */
  readonly end: ScanPoint | null
}

/** Walks the headers up to the recovery point, or the batch that contains it, from the last index entry before it. */
async function walkFlushed(options: RecoveryOptions, recoveryPoint: Offset): Promise<Flushed> {
  const { open } = options
  const from = { ...open.cutIndexes(recoveryPoint), leaderEpoch: -1 }
  const walked = await walkTo(open, from, recoveryPoint)
  if (walked.damage === null && walked.end.offset === recoveryPoint) return { damages: [], end: walked.end }
  if (walked.damage !== null && walked.end.position === from.position && from.offset > open.baseOffset) {
    // The index lied, or the batch to which it points is damaged.
    await open.dropOffsetIndex()
    const again = await walkTo(open, { ...open.cutIndexes(open.baseOffset), leaderEpoch: -1 }, recoveryPoint)
    if (again.damage === null && again.end.offset === recoveryPoint) return { damages: [], end: again.end }
  }
  // A header that is wrong may show only in the batch behind it, so the checksums say which one it is.
  const { damages, end } = await verifyBatches({
    ...options,
    from: { ...open.cutIndexes(recoveryPoint), leaderEpoch: -1 },
    endOffset: recoveryPoint,
    endsThere: false,
    endPosition: open.sizeBytes,
    visit: (batch) => open.noteBatch(batch),
  })
  const reason = (found: string): string => `${found}, but all below offset ${recoveryPoint} had been flushed`
  return { damages: damages.map((damage) => ({ ...damage, reason: reason(damage.reason) })), end }
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

interface VerifiedTail {
  readonly damages: readonly Damage[]
  /** Where the log ends. */
  readonly end: ScanPoint
  /** What was found there, where the file goes on: a torn tail. */
  readonly torn: string | null
}

/** Verifies what lies above the recovery point. */
async function verifyTail(options: RecoveryOptions, from: ScanPoint): Promise<VerifiedTail> {
  const { open } = options
  const damages: Damage[] = []
  for (let at = from; ; ) {
    const { end, damage } = await scanBatches({
      handle: open.handle,
      from: at,
      endPosition: open.sizeBytes,
      wholeBatches: true,
      visit(batch) {
        const problem = problemOf(batch, options)
        if (problem !== null) return { damage: problem }
        open.noteBatch(batch)
        return undefined
      },
    })
    if (damage === null) return { damages, end, torn: null }
    const later = await findRecordsBehindDamage({
      handle: open.handle,
      sizeBytes: open.sizeBytes,
      damage: end,
      cpu: options.cpu,
      isSound: (batch) => problemOf(batch, options) === null,
    })
    if (later === null) return { damages, end, torn: damage }
    damages.push({
      position: end.position,
      endPosition: later.position,
      offset: end.offset,
      endOffset: later.baseOffset,
      reason: `${damage}, but the log goes on behind it at offset ${later.baseOffset}`,
    })
    at = { position: later.position, offset: later.baseOffset, leaderEpoch: end.leaderEpoch }
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
