// Finds where a log goes on behind bytes that are no batch.
import type { Cpu } from '../base/cpu.ts'
import type { Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import {
  ATTRIBUTES_POSITION,
  batchSizeOf,
  crcOf,
  HEADER_BYTES,
  lastOffsetDeltaOf,
  MAGIC,
} from '../record/batch-format.ts'
import { readScanned, type ScannedBatch, type ScanPoint, scanBatches } from './batch-scan.ts'
import { readFully } from './file-io.ts'
import type { FileHandle } from './file-system.ts'

const CHUNK_BYTES = 1024 * 1024
/** Where the magic byte stands in a header. */
const MAGIC_POSITION = 16
/** A record can hold any number of copies of headers, and each that fits costs a checksum of all before it. */
const CHECKSUM_TRIES_MAX = 16

export interface BatchSearch {
  readonly handle: FileHandle
  readonly sizeBytes: number
  /** Where the sound batches end. */
  readonly damage: ScanPoint
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
  for await (const batch of headersBehind(search)) if (await reachesEnd(search, batch)) return batch
  return null
}

/**
 * The sound batch at the very place where the damaged one says that it ends. What stands behind that does not matter: its
 * length is no accident.
 */
export async function findFramedBatch(search: BatchSearch): Promise<ScannedBatch | null> {
  const { handle, sizeBytes, damage, isSound } = search
  const header = await readHeader(handle, damage.position)
  if (header === null) return null
  const damagedBytes = batchSizeOf(header, 0)
  if (damagedBytes < HEADER_BYTES || damagedBytes > BATCH_ABSOLUTE_MAX_BYTES) return null
  const position = damage.position + damagedBytes
  const nextHeader = await readHeader(handle, position)
  const next = nextHeader === null ? null : readScanned({ bytes: nextHeader, at: 0, position })
  if (next === null || typeof next === 'string' || position + next.sizeBytes > sizeBytes) return null
  // A record takes more than a byte.
  const isNear = next.baseOffset > damage.offset && next.baseOffset < damage.offset + damagedBytes
  if (!isNear || next.leaderEpoch < damage.leaderEpoch) return null
  const bytes = await readBytes(handle, { position, endPosition: position + next.sizeBytes })
  const batch = { ...next, bytes, at: 0 }
  return bytes.length === next.sizeBytes && isSound(batch) ? batch : null
}

/**
 * The batch behind a damaged one whose checksum is right up to there: only its length is damaged, or what its checksum does
 * not cover, and all of it was written. That one itself need not be sound.
 */
export async function findBehindChecksum(search: BatchSearch, cpu: Cpu): Promise<ScannedBatch | null> {
  const { handle, damage } = search
  const header = await readHeader(handle, damage.position)
  if (header === null) return null
  const nextOffset = damage.offset + lastOffsetDeltaOf(header, 0) + 1
  let tries = 0
  for await (const batch of headersBehind(search)) {
    if (batch.position - damage.position > BATCH_ABSOLUTE_MAX_BYTES) return null
    if (batch.baseOffset !== nextOffset) continue
    if (++tries > CHECKSUM_TRIES_MAX) return null
    const bytes = await readBytes(handle, { position: damage.position, endPosition: batch.position })
    if (cpu.crc32c(bytes.subarray(ATTRIBUTES_POSITION)) === crcOf(bytes, 0)) return batch
  }
  return null
}

/** What may be the header of a batch behind the damage that lies in the file as a whole. */
async function* headersBehind(search: BatchSearch): AsyncGenerator<ScannedBatch> {
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
      yield batch
    }
    if (filled < chunk.length) return
    chunkPosition += filled - HEADER_BYTES + 1
  }
}

async function readHeader(handle: FileHandle, position: number): Promise<Uint8Array | null> {
  const header = await readBytes(handle, { position, endPosition: position + HEADER_BYTES })
  return header.length === HEADER_BYTES ? header : null
}

/** As far as the file reaches. */
async function readBytes(
  handle: FileHandle,
  { position, endPosition }: { readonly position: number; readonly endPosition: number },
): Promise<Uint8Array> {
  const bytes = new Uint8Array(endPosition - position)
  return bytes.subarray(0, await readFully(handle, bytes, position))
}

/** Looks at the framing up to the end first: checksums of what is no batch could cost much. */
async function reachesEnd(search: BatchSearch, first: ScannedBatch): Promise<boolean> {
  const { handle, sizeBytes, isSound, untilOffset = Number.POSITIVE_INFINITY } = search
  const from = { position: first.position, offset: first.baseOffset, leaderEpoch: first.leaderEpoch }
  const isEnough = (batch: ScannedBatch): boolean => batch.baseOffset >= untilOffset
  const framing = { handle, from, endPosition: sizeBytes }
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
