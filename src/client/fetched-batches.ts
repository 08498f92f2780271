// From the bytes of a fetch response to batches that may be handed out. Pure. Everything is checked here, once: the
// checksum of each batch, and that the batches continue the position without a gap, which would be records that are lost
// without anybody noticing. Where compaction took records away the offsets go on in batches without records.
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { baseOffsetOf, isControl, leaderEpochOf, nextOffsetOf } from '../record/batch-format.ts'
import { validateBatch } from '../record/batch-validation.ts'
import { isEmptyBatch } from '../record/empty-batch.ts'

/** A message that was received: it stays in memory until the last of its batches was handed out and done with. */
export class FetchedFrame {
  readonly bytes: number
  #users = 0

  constructor(bytes: number) {
    this.bytes = bytes
  }

  /** @returns whether this is the first user. */
  hold(): boolean {
    this.#users++
    return this.#users === 1
  }

  /** @returns whether that was the last user. */
  release(): boolean {
    this.#users--
    return this.#users === 0
  }
}

export interface FetchedBatch {
  /** One record batch, a view on the frame. */
  readonly bytes: Uint8Array
  /** The first offset to hand out: the batch may begin below the position it was fetched for. */
  readonly firstOffset: Offset
  readonly nextOffset: Offset
  readonly leaderEpoch: LeaderEpoch
  /** Whether nobody sees it, because it holds markers of the log itself or nothing; the position goes on behind it. */
  readonly isHidden: boolean
  readonly frame: FetchedFrame
}

/**
 * @param bytes the batches of one partition, one behind the other.
 * @param fetched the position they were fetched for, and the frame they are a part of.
 * @throws VltavaError CORRUPT_MESSAGE, INVALID_RECORD; nothing of the bytes is of any use then.
 */
export function readFetchedBatches(
  bytes: Uint8Array,
  fetched: {
    readonly fetchOffset: Offset
    /** Of the leader that answered. */
    readonly leaderEpoch: LeaderEpoch
    readonly frame: FetchedFrame
    readonly cpu: Cpu
  },
): readonly FetchedBatch[] {
  const { fetchOffset, frame, cpu } = fetched
  const batches: FetchedBatch[] = []
  let expectedOffset = fetchOffset
  for (let position = 0; position < bytes.length; ) {
    const sizeBytes = validateBatch(bytes, position, {
      cpu,
      maxBytes: BATCH_ABSOLUTE_MAX_BYTES,
      origin: 'log',
    })
    const baseOffset = baseOffsetOf(bytes, position)
    const nextOffset = nextOffsetOf(bytes, position)
    const isWhereDue =
      batches.length === 0
        ? baseOffset <= expectedOffset && expectedOffset < nextOffset
        : baseOffset === expectedOffset
    if (!isWhereDue) {
      throw new VltavaError(
        'CORRUPT_MESSAGE',
        `The broker answered a record batch with offsets ${baseOffset} to ${nextOffset - 1} where offset ${expectedOffset} is due.`,
      )
    }
    const leaderEpoch = leaderEpochOf(bytes, position)
    // No checksum covers it, and a position with a wrong one would wait for a leader that never comes.
    if (leaderEpoch > fetched.leaderEpoch) {
      throw new VltavaError(
        'CORRUPT_MESSAGE',
        `The leader of epoch ${fetched.leaderEpoch} answered a record batch of leader epoch ${leaderEpoch}.`,
      )
    }
    batches.push({
      bytes: bytes.subarray(position, position + sizeBytes),
      firstOffset: expectedOffset,
      nextOffset,
      leaderEpoch,
      isHidden: isControl(bytes, position) || isEmptyBatch(bytes, position),
      frame,
    })
    expectedOffset = nextOffset
    position += sizeBytes
  }
  return batches
}
