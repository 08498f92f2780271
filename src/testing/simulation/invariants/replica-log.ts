// The record batches of one replica as its files hold them now, read past the server: what it says of itself is no proof.
import type { TopicPartition } from '../../../model/ids.ts'
import {
  baseOffsetOf,
  batchSizeOf,
  crcOf,
  HEADER_BYTES,
  LOG_OVERHEAD_BYTES,
  leaderEpochOf,
  nextOffsetOf,
} from '../../../record/batch-format.ts'
import { isEmptyBatch } from '../../../record/empty-batch.ts'
import type { MemoryFileSystem } from '../../../storage/memory-file-system.ts'
import { baseOffsetOfLogFile } from '../../../storage/segment-files.ts'
import { swapRangeOf } from '../../../storage/segment-swap.ts'

export interface StoredBatch {
  readonly baseOffset: number
  /** Exclusive. */
  readonly endOffset: number
  readonly leaderEpoch: number
  readonly crc: number
  /** Whether it holds no records, because compaction has taken them away. */
  readonly isEmpty: boolean
}

interface ScannedSegment {
  readonly batches: StoredBatch[]
  /** Where the first batch that has not been read begins. */
  position: number
  lastPosition: number
}

export class ReplicaLog {
  readonly #fileSystem: MemoryFileSystem
  readonly #path: string
  readonly #segments = new Map<string, ScannedSegment>()
  #batches: readonly StoredBatch[] = []
  #generation = 0

  /** @param dataDir the data directory of the node. */
  constructor(fileSystem: MemoryFileSystem, of: TopicPartition & { readonly dataDir: string }) {
    this.#fileSystem = fileSystem
    this.#path = `${of.dataDir}/topics/${of.topicId}/${of.partition}`
  }

  /** Counts how often batches disappeared that had been read before. */
  get generation(): number {
    return this.#generation
  }

  /**
   * The whole batches below the log end, in order. What stands behind it means nothing: writes that are under way, and
   * the rest of some that failed.
   * @param logEndOffset as the log itself has it.
   */
  read(logEndOffset: number): readonly StoredBatch[] {
    const names = logFilesIn(this.#fileSystem.peekNames(this.#path))
    let changed = false
    for (const known of [...this.#segments.keys()]) {
      if (names.includes(known)) continue
      this.#segments.delete(known)
      this.#generation++
      changed = true
    }
    for (const name of names) changed = this.#scan(name, logEndOffset) || changed
    if (changed) this.#batches = withoutOverlap(names.map((name) => this.#segments.get(name)?.batches ?? []))
    return this.#batches
  }

  /** @returns whether anything is different. */
  #scan(name: string, logEndOffset: number): boolean {
    const bytes = this.#fileSystem.peek(`${this.#path}/${name}`)
    if (bytes === null) return false
    let segment = this.#segments.get(name)
    let changed = false
    if (segment === undefined || !isAsBefore(bytes, segment)) {
      if (segment !== undefined) this.#generation++
      segment = { batches: [], position: 0, lastPosition: 0 }
      this.#segments.set(name, segment)
      changed = true
    }
    while (segment.position + HEADER_BYTES <= bytes.length) {
      const sizeBytes = batchSizeOf(bytes, segment.position)
      if (sizeBytes < HEADER_BYTES || segment.position + sizeBytes > bytes.length) break
      const batch = batchAt(bytes, segment.position)
      if (batch === null || batch.endOffset > logEndOffset) break
      segment.batches.push(batch)
      segment.lastPosition = segment.position
      segment.position += sizeBytes
      changed = true
    }
    return changed
  }
}

/** The files that hold the log, in order: a compacted segment counts from the moment on at which it is to take the place of others. */
function logFilesIn(names: readonly string[]): readonly string[] {
  const swaps = names.flatMap((name) => {
    const range = swapRangeOf(name)
    return range === null ? [] : [{ name, ...range }]
  })
  const segments = names.flatMap((name) => {
    const base = baseOffsetOfLogFile(name)
    const isReplaced = swaps.some(({ baseOffset, endOffset }) => baseOffset <= base! && base! < endOffset)
    return base === null || isReplaced ? [] : [{ name, baseOffset: base }]
  })
  return [...segments, ...swaps].sort((a, b) => a.baseOffset - b.baseOffset).map(({ name }) => name)
}

/** What several segments became one of is there beside it until it is removed, and not read any more. */
function withoutOverlap(segments: readonly (readonly StoredBatch[])[]): readonly StoredBatch[] {
  const all: StoredBatch[] = []
  for (const batches of segments) {
    const endOffset = all.at(-1)?.endOffset ?? 0
    if (batches.length > 0 && batches.at(-1)!.endOffset > endOffset) all.push(...batches)
  }
  return all
}

/** Whether the last batch that was read still stands where it stood: what is cut off and written anew differs there. */
function isAsBefore(bytes: Uint8Array, segment: ScannedSegment): boolean {
  const last = segment.batches.at(-1)
  if (last === undefined) return true
  if (segment.position > bytes.length || segment.lastPosition + LOG_OVERHEAD_BYTES > bytes.length)
    return false
  const now = batchAt(bytes, segment.lastPosition)
  return (
    now !== null &&
    now.baseOffset === last.baseOffset &&
    now.leaderEpoch === last.leaderEpoch &&
    now.crc === last.crc
  )
}

/** null where the offset cannot be one: then it is not a batch. */
function batchAt(bytes: Uint8Array, position: number): StoredBatch | null {
  if (bytes[position] !== 0 || bytes[position + 1] !== 0) return null
  return {
    baseOffset: baseOffsetOf(bytes, position),
    endOffset: nextOffsetOf(bytes, position),
    leaderEpoch: leaderEpochOf(bytes, position),
    crc: crcOf(bytes, position),
    isEmpty: isEmptyBatch(bytes, position),
  }
}
