// Walks the batches of a log file from one on, through a buffer, and stops at the first place that cannot be a batch.
// It trusts nothing in the file: no allocation is larger than a batch may be, whatever a length field says (STO-03).
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import {
  baseOffsetOf,
  batchSizeOf,
  HEADER_BYTES,
  lastOffsetDeltaOf,
  leaderEpochOf,
  MAGIC,
  magicOf,
  maxTimestampOf,
  nextOffsetOf,
} from '../record/batch-format.ts'
import { readFully } from './file-io.ts'
import type { FileHandle } from './file-system.ts'

/** Where the next batch is expected, and what it must continue. */
export interface ScanPoint {
  readonly position: number
  readonly offset: Offset
  /** The epoch of the batch before, below which no later one may fall; -1 where there is none. */
  readonly leaderEpoch: LeaderEpoch
}

/** A batch in the buffer of the scan, which is valid only during the call. */
export interface ScannedBatch {
  readonly bytes: Uint8Array
  /** Where it starts in `bytes`. */
  readonly at: number
  readonly sizeBytes: number
  readonly position: number
  readonly baseOffset: Offset
  readonly nextOffset: Offset
  readonly leaderEpoch: LeaderEpoch
  readonly maxTimestampMs: number
}

export interface ScanOptions {
  readonly handle: FileHandle
  readonly from: ScanPoint
  /** Where the file, or the part to look at, ends. */
  readonly endPosition: number
  /** Bytes to read at once; by default what is fast. */
  readonly chunkBytes?: number
  /** Whether the visitor needs the records too. Without, a scan reads little more than headers where batches are large. */
  readonly wholeBatches: boolean
  /** Returns 'stop' to end the scan before this batch, or what makes it damaged; undefined to go on. */
  readonly visit: (batch: ScannedBatch) => 'stop' | { readonly damage: string } | undefined
}

export interface ScanResult {
  /** Behind the last batch that was walked over. */
  readonly end: ScanPoint
  /** Why the bytes at `end` are no batch that continues the log; null at the end of the file or where `visit` stopped. */
  readonly damage: string | null
}

const WHOLE_CHUNK_BYTES = 1024 * 1024
/** One read of 64 KiB costs little more than one of 61 bytes, and holds many headers of small batches. */
const HEADER_CHUNK_BYTES = 64 * 1024

export async function scanBatches(options: ScanOptions): Promise<ScanResult> {
  const { handle, endPosition, wholeBatches, visit } = options
  const chunkBytes = options.chunkBytes ?? (wholeBatches ? WHOLE_CHUNK_BYTES : HEADER_CHUNK_BYTES)
  let bytes = new Uint8Array(Math.min(chunkBytes, Math.max(0, endPosition - options.from.position)))
  let bytesPosition = options.from.position
  let filledBytes = 0
  let end = options.from

  /** Makes sure that so many bytes from `end` on are in the buffer; false when the file ends before. */
  const fill = async (wantedBytes: number): Promise<boolean> => {
    const at = end.position - bytesPosition
    if (at >= 0 && at + wantedBytes <= filledBytes) return true
    if (end.position + wantedBytes > endPosition) return false
    if (wantedBytes > bytes.length) bytes = new Uint8Array(wantedBytes)
    bytesPosition = end.position
    filledBytes = await readFully(
      handle,
      bytes.subarray(0, Math.min(bytes.length, endPosition - end.position)),
      end.position,
    )
    return wantedBytes <= filledBytes
  }

  while (end.position < endPosition) {
    if (!(await fill(HEADER_BYTES))) return { end, damage: 'the file ends within a batch header' }
    const batch = readScanned({ bytes, at: end.position - bytesPosition, position: end.position })
    if (typeof batch === 'string') return { end, damage: batch }
    const problem = continuityProblem(batch, end)
    if (problem !== null) return { end, damage: problem }
    if (batch.position + batch.sizeBytes > endPosition) return { end, damage: 'the file ends within a batch' }
    if (wholeBatches && !(await fill(batch.sizeBytes))) return { end, damage: 'the file got shorter' }
    const verdict = visit({ ...batch, bytes, at: end.position - bytesPosition })
    if (verdict === 'stop') return { end, damage: null }
    if (verdict !== undefined) return { end, damage: verdict.damage }
    end = {
      position: batch.position + batch.sizeBytes,
      offset: batch.nextOffset,
      leaderEpoch: batch.leaderEpoch,
    }
  }
  return { end, damage: null }
}

/** Reads a header that may be anything. @returns what is impossible about it, where it is no header. */
export function readScanned(place: {
  readonly bytes: Uint8Array
  readonly at: number
  readonly position: number
}): ScannedBatch | string {
  const { bytes, at, position } = place
  const magic = magicOf(bytes, at)
  if (magic !== MAGIC) return `its magic is ${magic} instead of ${MAGIC}`
  const sizeBytes = batchSizeOf(bytes, at)
  if (sizeBytes < HEADER_BYTES || sizeBytes > BATCH_ABSOLUTE_MAX_BYTES) {
    return `it says it has ${sizeBytes} bytes; ${HEADER_BYTES} to ${BATCH_ABSOLUTE_MAX_BYTES} are possible`
  }
  const lastOffsetDelta = lastOffsetDeltaOf(bytes, at)
  if (lastOffsetDelta < 0) return `its last offset delta is ${lastOffsetDelta}`
  try {
    const baseOffset = baseOffsetOf(bytes, at)
    const nextOffset = nextOffsetOf(bytes, at)
    const maxTimestampMs = maxTimestampOf(bytes, at)
    if (baseOffset < 0 || !Number.isSafeInteger(nextOffset)) return `its base offset is ${baseOffset}`
    const leaderEpoch = leaderEpochOf(bytes, at)
    return { bytes, at, sizeBytes, position, baseOffset, nextOffset, leaderEpoch, maxTimestampMs }
  } catch (error) {
    // An integer beyond 2^53.
    if (error instanceof VltavaError) return error.message
    throw error
  }
}

/**
 * Stale bytes behind a torn tail can hold valid batches of an earlier time. They do not continue the log: their offsets
 * do not follow, or their epoch is older than that of the batch before (STO-04).
 */
function continuityProblem(batch: ScannedBatch, expected: ScanPoint): string | null {
  if (batch.baseOffset !== expected.offset) {
    return `its base offset is ${batch.baseOffset} instead of ${expected.offset}`
  }
  if (batch.leaderEpoch < Math.max(0, expected.leaderEpoch)) {
    return `its leader epoch is ${batch.leaderEpoch} after ${expected.leaderEpoch}`
  }
  return null
}
