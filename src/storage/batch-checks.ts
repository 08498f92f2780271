// What happens to batches on their way into a log: a leader stamps them, a follower checks that they continue its log.
import { assert } from '../base/assert.ts'
import type { EpochEntry } from '../log/epoch-history.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import {
  baseOffsetOf,
  batchSizeOf,
  HEADER_BYTES,
  lastOffsetDeltaOf,
  leaderEpochOf,
  nextOffsetOf,
  stampBatch,
} from '../record/batch-format.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'

/**
 * Gives the batches their offsets and the leader epoch, in place.
 * @param bytes whole batches, validated.
 * @returns the offset behind the last record.
 */
export function stampBatches(
  bytes: Uint8Array,
  start: { readonly baseOffset: Offset; readonly leaderEpoch: LeaderEpoch },
): Offset {
  const { leaderEpoch } = start
  let baseOffset = start.baseOffset
  let at = 0
  while (at < bytes.length) {
    stampBatch(bytes, at, { baseOffset, leaderEpoch })
    baseOffset += lastOffsetDeltaOf(bytes, at) + 1
    const sizeBytes = batchSizeOf(bytes, at)
    assert(
      sizeBytes >= HEADER_BYTES && sizeBytes <= BATCH_ABSOLUTE_MAX_BYTES,
      `a batch has ${sizeBytes} bytes`,
    )
    at += sizeBytes
  }
  assert(at === bytes.length, 'an append holds whole batches only')
  assert(Number.isSafeInteger(baseOffset), 'the log has come to its last offset')
  return baseOffset
}

export interface FollowerBatches {
  /** Of the first batch. */
  readonly baseOffset: Offset
  readonly endOffset: Offset
  /** The bytes of the batches that may be appended at once: behind 2^31 offsets one segment has to end. */
  readonly takenBytes: number
  /** The leader epochs that begin with one of the batches. */
  readonly newEpochs: readonly EpochEntry[]
}

/**
 * Checks that the batches continue a log at its end.
 * @param bytes batches as a leader sent them, validated one by one.
 * @throws VltavaError CORRUPT_MESSAGE when offsets do not continue, when an epoch goes backwards, or when the bytes are
 *   not whole batches.
 */
export function checkContinues(
  bytes: Uint8Array,
  end: { readonly offset: Offset; readonly leaderEpoch: LeaderEpoch },
): FollowerBatches {
  let { offset, leaderEpoch } = end
  let firstOffset: Offset | undefined
  let newEpochs: EpochEntry[] | undefined
  let at = 0
  while (at < bytes.length) {
    const leftBytes = bytes.length - at
    const sizeBytes = leftBytes < HEADER_BYTES ? 0 : batchSizeOf(bytes, at)
    if (sizeBytes < HEADER_BYTES || sizeBytes > Math.min(leftBytes, BATCH_ABSOLUTE_MAX_BYTES)) {
      throw refused(`${leftBytes} bytes at offset ${offset} are no whole batch`)
    }
    const baseOffset = baseOffsetOf(bytes, at)
    if (baseOffset !== offset) {
      throw refused(`the next batch has the base offset ${baseOffset}, but the log ends at ${offset}`)
    }
    firstOffset ??= baseOffset
    if (at > 0 && nextOffsetOf(bytes, at) - firstOffset > RELATIVE_OFFSET_MAX) break
    const epoch = leaderEpochOf(bytes, at)
    if (epoch < leaderEpoch || epoch < 0) {
      throw refused(`the batch at offset ${offset} has the leader epoch ${epoch} after ${leaderEpoch}`)
    }
    if (epoch > leaderEpoch) {
      newEpochs ??= []
      newEpochs.push({ epoch, startOffset: baseOffset })
      leaderEpoch = epoch
    }
    offset = nextOffsetOf(bytes, at)
    if (offset <= baseOffset || !Number.isSafeInteger(offset)) {
      throw refused(`the batch at offset ${baseOffset} ends before it begins`)
    }
    at += sizeBytes
  }
  return {
    baseOffset: firstOffset ?? offset,
    endOffset: offset,
    takenBytes: at,
    newEpochs: newEpochs ?? NO_EPOCHS,
  }
}

const NO_EPOCHS: readonly EpochEntry[] = Object.freeze([])

function refused(problem: string): VltavaError {
  return new VltavaError('CORRUPT_MESSAGE', `The batches do not continue the log: ${problem}.`)
}
