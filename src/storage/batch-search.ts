// Finds where a log goes on behind bytes that are no batch.
import type { Offset } from '../model/ids.ts'
import { HEADER_BYTES, MAGIC } from '../record/batch-format.ts'
import { readScanned, type ScannedBatch, type ScanPoint, scanBatches } from './batch-scan.ts'
import { readFully } from './file-io.ts'
import type { FileHandle } from './file-system.ts'

const CHUNK_BYTES = 1024 * 1024
/** Where the magic byte stands in a header. */
const MAGIC_POSITION = 16

export interface BatchSearch {
  readonly handle: FileHandle
  readonly sizeBytes: number
  /** Where the sound batches end. */
  readonly damage: ScanPoint
  /** Exclusive: where compaction may have left gaps. */
  readonly gapsBelow: Offset
  /** What else a batch must meet to be one of this log: checksum and leader epoch. */
  readonly isSound: (batch: ScannedBatch) => boolean
  /** Sound batches that come this far are taken for the log, whatever follows; by default only the end of the file is far enough. */
  readonly untilOffset?: Offset
}

/**
 * The first place behind the damage from which sound batches that continue the log reach exactly to the end of the file.
 * A copy of batches inside of a record does not: the record goes on behind it.
 */
export async function findLaterBatch(search: BatchSearch): Promise<ScannedBatch | null> {
  const { handle, sizeBytes, damage } = search
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, sizeBytes - damage.position))
  let chunkPosition = damage.position + 1
  while (sizeBytes - chunkPosition >= HEADER_BYTES) {
    const filled = await readFully(handle, chunk, chunkPosition)
    for (let at = 0; at + HEADER_BYTES <= filled; at++) {
      if (chunk[at + MAGIC_POSITION] !== MAGIC) continue
      const batch = readScanned({ bytes: chunk, at, position: chunkPosition + at })
      if (typeof batch === 'string' || batch.baseOffset < damage.offset) continue
      if (batch.leaderEpoch < damage.leaderEpoch || batch.position + batch.sizeBytes > sizeBytes) continue
      if (await reachesEnd(search, batch)) return batch
    }
    if (filled < chunk.length) return null
    chunkPosition += filled - HEADER_BYTES + 1
  }
  return null
}

/** Looks at the framing up to the end first: checksums of what is no batch could cost much. */
async function reachesEnd(search: BatchSearch, first: ScannedBatch): Promise<boolean> {
  const { handle, sizeBytes, gapsBelow, isSound, untilOffset = Number.POSITIVE_INFINITY } = search
  const from = { position: first.position, offset: first.baseOffset, leaderEpoch: first.leaderEpoch }
  const isEnough = (batch: ScannedBatch): boolean => batch.baseOffset >= untilOffset
  const framing = { handle, from, endPosition: sizeBytes, gapsBelow }
  const framed = await scanBatches({
    ...framing,
    wholeBatches: false,
    visit: (batch) => (isEnough(batch) ? 'stop' : undefined),
  })
  if (framed.damage !== null && framed.end.offset < untilOffset) return false
  const checked = await scanBatches({
    ...framing,
    wholeBatches: true,
    visit(batch) {
      if (isEnough(batch)) return 'stop'
      return isSound(batch) ? undefined : { damage: 'unsound' }
    },
  })
  return checked.damage === null || checked.end.offset >= untilOffset
}
