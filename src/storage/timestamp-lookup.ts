// Finds the first record of a time or later.

import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { baseTimestampOf, compressionOf } from '../record/batch-format.ts'
import { RecordCursor } from '../record/record-cursor.ts'
import { type ScannedBatch, scanBatches } from './batch-scan.ts'
import { readFully } from './file-io.ts'
import type { OpenSegment } from './open-segment.ts'
import type { Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'

export interface TimestampAndOffset {
  readonly offset: Offset
  readonly timestampMs: number
}

export interface TimestampSearch {
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  /** Exclusive: batches that reach beyond do not count. */
  readonly endOffset: Offset
}

/** With the first offset that counts: the records before it in its segment, or in its batch, were deleted. */
type KeptSearch = TimestampSearch & { readonly startOffset: Offset }

export interface TimestampLookup {
  readonly segments: SegmentList
  /** Called with a segment in which the search came upon damage, before it fails. */
  readonly onDamage: (segment: Segment) => Promise<unknown>
}

/**
 * The first record with this time or a later one. The records of a compressed batch are not looked at: its first one
 * stands for them, with the time it has, which may be earlier.
 * @returns null when there is none below the end offset.
 * @throws VltavaError CORRUPT_MESSAGE
 */
export async function findTimestamp(
  { segments, onDamage }: TimestampLookup,
  search: KeptSearch,
): Promise<TimestampAndOffset | null> {
  for (const segment of [...segments.all]) {
    if (segment.baseOffset >= search.endOffset) return null
    try {
      const found = await segment.use((open) => findInSegment(open, search))
      if (found !== null) return found
    } catch (error) {
      if (error instanceof VltavaError && error.code === 'CORRUPT_MESSAGE') await onDamage(segment)
      throw error
    }
  }
  return null
}

async function findInSegment(open: OpenSegment, search: KeptSearch): Promise<TimestampAndOffset | null> {
  if (open.maxTimestampMs < search.timestampMs) return null
  const start = open.offsetIndex.floor(open.timeIndex.searchStart(search.timestampMs))
  let batch = await findBatch(open, { ...start, ...search, offset: start.offset })
  if (batch === 'index-wrong') {
    await open.dropOffsetIndex()
    batch = await findBatch(open, { position: 0, offset: open.baseOffset, ...search })
  }
  if (batch === null || batch === 'index-wrong') return null
  const bytes = new Uint8Array(batch.sizeBytes)
  await readFully(open.handle, bytes, batch.position)
  return firstRecord(bytes, { batch, search })
}

/** The first batch from a place on that may hold such a record. */
async function findBatch(
  open: OpenSegment,
  search: KeptSearch & { readonly position: number; readonly offset: Offset },
): Promise<ScannedBatch | 'index-wrong' | null> {
  let found: ScannedBatch | null = null
  const { end, damage } = await scanBatches({
    handle: open.handle,
    from: { position: search.position, offset: search.offset, leaderEpoch: -1 },
    endPosition: open.sizeBytes,
    wholeBatches: false,
    visit(batch) {
      if (batch.nextOffset > search.endOffset) return 'stop'
      if (batch.maxTimestampMs < search.timestampMs || batch.nextOffset <= search.startOffset)
        return undefined
      found = batch
      return 'stop'
    },
  })
  if (damage === null) return found
  if (end.position === search.position && search.position > 0) return 'index-wrong'
  throw new VltavaError(
    'CORRUPT_MESSAGE',
    `${open.files.log} holds no batch of offset ${end.offset} at position ${end.position}: ${damage}.`,
  )
}

function firstRecord(
  bytes: Uint8Array,
  { batch, search }: { batch: ScannedBatch; search: KeptSearch },
): TimestampAndOffset {
  if (compressionOf(bytes, 0) === 'none') {
    const cursor = new RecordCursor(bytes)
    while (cursor.next()) {
      if (cursor.timestampMs >= search.timestampMs && cursor.offset >= search.startOffset) {
        return { offset: cursor.offset, timestampMs: cursor.timestampMs }
      }
    }
  }
  const offset = Math.max(batch.baseOffset, search.startOffset)
  return { offset, timestampMs: baseTimestampOf(bytes, 0) }
}
