// Walks whole batches of sealed segments in small pieces, so that the event loop and the disk are never held for long.
import type { KeyMap } from '../log/key-map.ts'
import { hasCompactableKey, keyPlaceOf } from '../log/record-survival.ts'
import type { Offset } from '../model/ids.ts'
import { compressionOf, isControl } from '../record/batch-format.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { type ScannedBatch, type ScanPoint, scanBatches } from './batch-scan.ts'
import { problemOf, type Soundness } from './batch-verifier.ts'
import { CorruptLogError } from './corrupt-log-error.ts'
import type { Segment } from './segment.ts'

export interface SegmentWalk {
  readonly soundness: Soundness
  /** Called after each piece, with its bytes. */
  readonly pause: (bytes: number) => Promise<void>
  /** Throws when the segment is no part of the log any more. */
  readonly check: (segment: Segment) => void
}

/** What is read at once and then worked on without a pause: a few milliseconds for small records. */
const PIECE_BYTES = 256 * 1024
/**
 * The first piece of a segment, from which on they double: with code that was never run and memory that was never used a
 * piece costs twenty times as much.
 */
const FIRST_PIECE_BYTES = 16 * 1024

/**
 * Visits the batches of a segment, each verified as a read does it: what a flipped bit turned into another key would delete
 * a sound record.
 * @param visit returns false to end the walk before this batch. The bytes are valid only during the call.
 * @param afterPiece what is to be done with what was visited; after it the log may have changed.
 * @throws CorruptLogError
 */
export async function walkSegment(
  segment: Segment,
  options: {
    readonly walk: SegmentWalk
    readonly visit: (batch: Uint8Array, at: ScannedBatch) => boolean
    readonly afterPiece: () => Promise<void>
  },
): Promise<void> {
  const { walk, visit, afterPiece } = options
  let from: ScanPoint = { position: 0, offset: segment.baseOffset, leaderEpoch: -1 }
  let maxBytes = FIRST_PIECE_BYTES
  for (let isOver = false; !isOver; maxBytes = Math.min(PIECE_BYTES, 2 * maxBytes)) {
    walk.check(segment)
    const startPosition = from.position
    const piece = await segment.use(async (open) => {
      let pieceBytes = 0
      const result = await scanBatches({
        handle: open.handle,
        from,
        endPosition: open.sizeBytes,
        chunkBytes: maxBytes,
        wholeBatches: true,
        visit(scanned) {
          if (pieceBytes > 0 && pieceBytes + scanned.sizeBytes > maxBytes) return 'stop'
          pieceBytes += scanned.sizeBytes
          const batch = scanned.bytes.subarray(scanned.at, scanned.at + scanned.sizeBytes)
          const problem = problemOf(scanned, walk.soundness)
          if (problem !== null) return { damage: problem }
          if (visit(batch, scanned)) return undefined
          isOver = true
          return 'stop'
        },
      })
      return { ...result, sizeBytes: open.sizeBytes }
    })
    if (piece.damage !== null) {
      const { position, offset } = piece.end
      throw new CorruptLogError({ path: segment.path, position, offset, reason: piece.damage })
    }
    await afterPiece()
    await walk.pause(piece.end.position - startPosition)
    from = piece.end
    isOver ||= from.position >= piece.sizeBytes
  }
}

/** Whether the keys of a batch can be read: the broker does not decompress, and control batches have no keys. */
export function isReadable(batch: Uint8Array): boolean {
  return compressionOf(batch, 0) === 'none' && !isControl(batch, 0)
}

/**
 * Notes the latest offset of each key.
 * @param options `from`: the batches below are left out.
 * @returns the offset, exclusive, up to which the map knows all: the end of the segments, or less where it is full.
 */
export async function mapKeys(
  keys: KeyMap,
  options: {
    readonly segments: readonly { readonly segment: Segment; readonly endOffset: Offset }[]
    readonly from: Offset
    readonly walk: SegmentWalk
  },
): Promise<Offset> {
  let mappedBelow = options.from
  for (const { segment, endOffset } of options.segments) {
    let isFull = false
    await walkSegment(segment, {
      walk: options.walk,
      visit(batch, { nextOffset }) {
        if (nextOffset <= options.from) return true
        const fullAt = isReadable(batch) ? putKeys(keys, batch) : null
        isFull = fullAt !== null
        mappedBelow = fullAt ?? nextOffset
        return !isFull
      },
      afterPiece: async () => {},
    })
    if (isFull) return mappedBelow
    mappedBelow = endOffset
  }
  return mappedBelow
}

/** @returns the offset of the first record for whose key there was no room; null where there was for all. */
function putKeys(keys: KeyMap, batch: Uint8Array): Offset | null {
  const cursor = new RecordCursor(batch)
  while (cursor.next()) {
    if (hasCompactableKey(cursor) && !keys.put(keyPlaceOf(cursor), cursor.offset)) return cursor.offset
  }
  return null
}
