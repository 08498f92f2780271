// Batches without records. Compaction puts one where it takes batches away, so that the offsets of a log go on without a
// gap: no checksum covers a base offset, and only a log in which each batch begins where the one before ends shows a wrong
// one. Kafka's readers know such batches too: its cleaner keeps one where the last batch of a producer has gone.
import { assert } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import {
  ATTRIBUTES_POSITION,
  baseOffsetOf,
  batchSizeOf,
  HEADER_BYTES,
  leaderEpochOf,
  nextOffsetOf,
  recordsCountOf,
  writeBatchSize,
  writeCrc,
  writeFields,
} from './batch-format.ts'

/** The most offsets that an empty batch has: the last offset delta is an int32, and so is what an index says of a segment. */
export const EMPTY_BATCH_OFFSETS_MAX = 2 ** 31 - 1

/** Offsets of one leader epoch, `nextOffset` exclusive. */
export interface EmptyRange {
  readonly baseOffset: Offset
  readonly nextOffset: Offset
  readonly leaderEpoch: LeaderEpoch
}

/** A batch that has these offsets and no record. It has no producer, and no time: -1. */
export function emptyBatch({ baseOffset, nextOffset, leaderEpoch }: EmptyRange, cpu: Cpu): Uint8Array {
  const offsets = nextOffset - baseOffset
  assert(
    offsets >= 1 && offsets <= EMPTY_BATCH_OFFSETS_MAX,
    `an empty batch has 1 to ${EMPTY_BATCH_OFFSETS_MAX} offsets, not ${offsets}`,
  )
  const batch = new Uint8Array(HEADER_BYTES)
  writeFields(batch, 0, {
    baseOffset,
    leaderEpoch,
    attributes: 0,
    lastOffsetDelta: offsets - 1,
    baseTimestampMs: -1,
    maxTimestampMs: -1,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordsCount: 0,
  })
  writeBatchSize(batch, 0, HEADER_BYTES)
  writeCrc(batch, 0, cpu.crc32c(batch.subarray(ATTRIBUTES_POSITION)))
  return batch
}

/** Whether the batch at a position holds no records. */
export function isEmptyBatch(bytes: Uint8Array, position: number): boolean {
  return recordsCountOf(bytes, position) === 0
}

/** The part of an empty batch that lies in a range of offsets, which overlaps with it; the batch itself where that is all of it. */
export function emptyBatchWithin(
  batch: Uint8Array,
  range: { readonly fromOffset: Offset; readonly endOffset: Offset },
  cpu: Cpu,
): Uint8Array {
  const baseOffset = Math.max(baseOffsetOf(batch, 0), range.fromOffset)
  const nextOffset = Math.min(nextOffsetOf(batch, 0), range.endOffset)
  if (baseOffset === baseOffsetOf(batch, 0) && nextOffset === nextOffsetOf(batch, 0)) return batch
  return emptyBatch({ baseOffset, nextOffset, leaderEpoch: leaderEpochOf(batch, 0) }, cpu)
}

/**
 * Lets batches begin at an offset where the first one is empty and begins before it: each replica compacts by itself, so what
 * is one empty batch here can reach around the end of the log there.
 * @param bytes whole batches, validated, as they came.
 * @returns the same bytes, or a shorter first batch and the rest.
 */
export function beginningAt(bytes: Uint8Array, offset: Offset, cpu: Cpu): readonly Uint8Array[] {
  if (bytes.length < HEADER_BYTES || !isEmptyBatch(bytes, 0)) return [bytes]
  if (baseOffsetOf(bytes, 0) >= offset || nextOffsetOf(bytes, 0) <= offset) return [bytes]
  const sizeBytes = batchSizeOf(bytes, 0)
  const first = bytes.subarray(0, sizeBytes)
  const begun = emptyBatchWithin(first, { fromOffset: offset, endOffset: Number.POSITIVE_INFINITY }, cpu)
  return sizeBytes === bytes.length ? [begun] : [begun, bytes.subarray(sizeBytes)]
}
