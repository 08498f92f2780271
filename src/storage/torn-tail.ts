// Tells a torn tail from damage, at the end of the active segment where recovery found bytes that are no batch.
//
// What was written last and not synced may be there in any part after power loss, also its end without its beginning;
// none of it was acknowledged. Acknowledged records may be there with a flipped bit. So sound batches behind the damage
// alone prove nothing. But a sector that was lost from a file that grew reads as zeros (see file-system.ts), and a
// flipped bit leaves no sector of zeros behind. This is the test that etcd makes. A torn tail may well stand behind a flipped
// bit: where the damaged batch itself shows its end, what follows further on does not matter.
import type { Cpu } from '../base/cpu.ts'
import type { Offset } from '../model/ids.ts'
import { HEADER_BYTES } from '../record/batch-format.ts'
import { readScanned, type ScannedBatch, type ScanPoint } from './batch-scan.ts'
import { type BatchSearch, findBehindChecksum, findFramedBatch, findLaterBatch } from './batch-search.ts'
import { readFully } from './file-io.ts'
import type { FileHandle } from './file-system.ts'

const SECTOR_BYTES = 512
const CHUNK_BYTES = 1024 * 1024
/**
 * @returns where the log goes on behind the damage, when that cannot come from sectors that were lost; null when the tail is
 *   torn.
 */
export async function findRecordsBehindDamage(
  options: BatchSearch & { readonly cpu: Cpu },
): Promise<ScannedBatch | null> {
  const { handle, damage, cpu } = options
  // Where the checksum shows the end, the length that says otherwise is what is damaged.
  const behind = await findBehindChecksum(options, cpu)
  const later = behind ?? (await findFramedBatch(options)) ?? (await findLaterBatch(options))
  if (later === null) return null
  const framedEnd = behind === null ? await endOfDamagedBatch(options) : null
  const lost = await hasLostSector(handle, {
    damage,
    endPosition: Math.max(later.position, framedEnd ?? 0),
    isFramed: framedEnd !== null,
  })
  return lost ? null : later
}

/**
 * Whether the bytes at a place certainly never were on the disk: up to the end of the sector they read as zeros, so the sector
 * was lost. No header begins so, and a flipped bit does not do that. What lies behind was not flushed either, because a flush
 * covers all before it. Where this is false, nobody can tell.
 */
export async function wasNeverWritten(
  handle: FileHandle,
  { position, sizeBytes }: { readonly position: number; readonly sizeBytes: number },
): Promise<boolean> {
  const endPosition = Math.min(sizeBytes, position + SECTOR_BYTES - (position % SECTOR_BYTES))
  const bytes = new Uint8Array(endPosition - position)
  await readFully(handle, bytes, position)
  return bytes.length >= ZERO_BY_RIGHT_BYTES && isZero(bytes, 0, bytes.length)
}

/** Where the damaged batch says that it ends; null when its header is damaged too. */
async function endOfDamagedBatch({ handle, sizeBytes, damage }: BatchSearch): Promise<number | null> {
  if (sizeBytes - damage.position < HEADER_BYTES) return null
  const header = new Uint8Array(HEADER_BYTES)
  await readFully(handle, header, damage.position)
  const batch = readScanned({ bytes: header, at: 0, position: damage.position })
  if (typeof batch === 'string' || batch.baseOffset !== damage.offset) return null
  return Math.min(damage.position + batch.sizeBytes, sizeBytes)
}

/** The batch length is never zero, so of a sound header at most so many bytes minus one read as zeros. */
const ZERO_BY_RIGHT_BYTES = 12
const OFFSET_BYTES = 8

/**
 * Whether a sector, as far as it lies in the range, reads as zeros: it was lost. The sector in which the sound batches
 * begin is there and does not count, unless it holds no more of them than what is zero by right.
 */
async function hasLostSector(
  handle: FileHandle,
  range: { readonly damage: ScanPoint; readonly endPosition: number; readonly isFramed: boolean },
): Promise<boolean> {
  const { damage, isFramed } = range
  const byRightBytes = isFramed ? ZERO_BY_RIGHT_BYTES - 1 : zeroBytesOf(damage.offset)
  const endSectorBytes = range.endPosition % SECTOR_BYTES
  const endCounts = SECTOR_BYTES - endSectorBytes < ZERO_BY_RIGHT_BYTES
  const endPosition = endCounts ? range.endPosition : range.endPosition - endSectorBytes
  const chunk = new Uint8Array(CHUNK_BYTES)
  let { position } = damage
  while (position < endPosition) {
    // Chunks end where a sector does.
    const chunkEnd = Math.min(endPosition, (Math.floor(position / CHUNK_BYTES) + 1) * CHUNK_BYTES)
    const bytes = chunk.subarray(0, chunkEnd - position)
    await readFully(handle, bytes, position)
    for (let at = 0; at < bytes.length; ) {
      const sectorEnd = Math.min(bytes.length, at + SECTOR_BYTES - ((position + at) % SECTOR_BYTES))
      const isByRight = position + at === damage.position && sectorEnd <= byRightBytes
      if (isZero(bytes, at, sectorEnd) && !isByRight) return true
      at = sectorEnd
    }
    position = chunkEnd
  }
  return false
}

/** With so many bytes of zeros does its base offset begin, whatever else is damaged in the header. */
function zeroBytesOf(offset: Offset): number {
  let bytes = OFFSET_BYTES
  for (let rest = offset; rest > 0; rest = Math.floor(rest / 256)) bytes--
  return bytes
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== 0) return false
  return true
}
