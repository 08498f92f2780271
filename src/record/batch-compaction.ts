// Takes records out of a batch, as compaction does: the others keep their bytes, offsets and times, and the batch keeps
// its range of offsets, its leader epoch and its producer, so that the log around it still fits.
import type { Cpu } from '../base/cpu.ts'
import {
  ATTRIBUTES_POSITION,
  HEADER_BYTES,
  isLogAppendTime,
  writeBatchSize,
  writeCrc,
  writeMaxTimestamp,
  writeRecordsCount,
} from './batch-format.ts'
import { RecordCursor } from './record-cursor.ts'

/** Stretches of bytes that survive, as pairs of start and end. */
interface Survivors {
  readonly ranges: number[]
  readonly bytes: number
  readonly recordsCount: number
  readonly maxTimestampMs: number
}

/**
 * The batch without the records that are not kept.
 * @param batch exactly one batch, not compressed, checked by its checksum.
 * @param options `keeps` is asked for each record with a cursor that stands on it.
 * @returns the batch itself where all records are kept, null where none is; else a new batch.
 * @throws VltavaError as RecordCursor does.
 */
export function withoutRecords(
  batch: Uint8Array,
  options: { readonly keeps: (record: RecordCursor) => boolean; readonly cpu: Cpu },
): Uint8Array | null {
  const cursor = new RecordCursor(batch)
  const kept = survivorsOf(cursor, options.keeps)
  if (kept.recordsCount === cursor.recordsCount) return batch
  if (kept.recordsCount === 0) return null
  const { ranges } = kept
  const copy = new Uint8Array(HEADER_BYTES + kept.bytes)
  copy.set(batch.subarray(0, HEADER_BYTES))
  let at = HEADER_BYTES
  for (let i = 0; i < ranges.length; i += 2) {
    copy.set(batch.subarray(ranges[i], ranges[i + 1]), at)
    at += ranges[i + 1]! - ranges[i]!
  }
  writeBatchSize(copy, 0, copy.length)
  writeRecordsCount(copy, 0, kept.recordsCount)
  // A search by time relies on a record that has this time. Where the broker sets the time, it is that of all of them.
  if (!isLogAppendTime(batch, 0)) writeMaxTimestamp(copy, 0, kept.maxTimestampMs)
  writeCrc(copy, 0, options.cpu.crc32c(copy.subarray(ATTRIBUTES_POSITION)))
  return copy
}

function survivorsOf(cursor: RecordCursor, keeps: (record: RecordCursor) => boolean): Survivors {
  const ranges: number[] = []
  let bytes = 0
  let recordsCount = 0
  let maxTimestampMs = -1
  while (cursor.next()) {
    if (!keeps(cursor)) continue
    const { recordPosition, recordEnd } = cursor
    if (ranges.at(-1) === recordPosition) ranges[ranges.length - 1] = recordEnd
    else ranges.push(recordPosition, recordEnd)
    bytes += recordEnd - recordPosition
    recordsCount++
    maxTimestampMs = Math.max(maxTimestampMs, cursor.timestampMs)
  }
  return { ranges, bytes, recordsCount, maxTimestampMs }
}
