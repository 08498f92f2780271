// Values in record batches that are not of a topic, such as the pieces of a metadata snapshot: packed until a batch has
// its size, and read back with every check there is.
import { assert } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { BatchBuilder } from './batch-builder.ts'
import { baseOffsetOf, compressionOf, lastOffsetDeltaOf, leaderEpochOf } from './batch-format.ts'
import { forEachBatch, readRecords } from './batch-reader.ts'
import { validateBatch } from './batch-validation.ts'

/** Bytes from which on a batch takes no more values. */
const PACKED_BATCH_BYTES = 256 * 1024

export interface PackOptions {
  readonly cpu: Cpu
  readonly leaderEpoch: LeaderEpoch
  /** Milliseconds since 1970, of every record. */
  readonly timestampMs: number
}

/** Batches from offset 0 on with one record without a key for each value; one value has less than 8 MiB. */
export function* packValues(values: Iterable<Uint8Array>, options: PackOptions): Generator<Uint8Array> {
  const { cpu, leaderEpoch, timestampMs } = options
  const newBuilder = (): BatchBuilder =>
    new BatchBuilder({
      cpu,
      maxBytes: PACKED_BATCH_BYTES,
      singleRecordMaxBytes: BATCH_ABSOLUTE_MAX_BYTES,
    })
  let builder = newBuilder()
  let baseOffset = 0
  for (const value of values) {
    const record = { key: null, value, timestampMs }
    if (builder.tryAppend(record)) continue
    const { recordsCount } = builder
    yield builder.build({ baseOffset, leaderEpoch })
    baseOffset += recordsCount
    builder = newBuilder()
    assert(builder.tryAppend(record), `a value of ${value.length} bytes fits into no batch`)
  }
  if (builder.recordsCount > 0) yield builder.build({ baseOffset, leaderEpoch })
}

/**
 * The values of batches that `packValues` made. They are views on the bytes.
 * @throws VltavaError CORRUPT_MESSAGE or INVALID_RECORD when anything is not as it was made.
 */
export function* unpackValues(
  bytes: Uint8Array,
  options: { readonly cpu: Cpu; readonly leaderEpoch: LeaderEpoch },
): Generator<Uint8Array> {
  const { cpu, leaderEpoch } = options
  const positions: { readonly position: number; readonly sizeBytes: number }[] = []
  forEachBatch(bytes, (position, sizeBytes) => positions.push({ position, sizeBytes }))
  let nextOffset = 0
  for (const { position, sizeBytes } of positions) {
    validateBatch(bytes, position, { cpu, maxBytes: BATCH_ABSOLUTE_MAX_BYTES, origin: 'log' })
    demand(baseOffsetOf(bytes, position) === nextOffset, `${position} does not follow offset ${nextOffset}`)
    demand(leaderEpochOf(bytes, position) === leaderEpoch, `${position} is not of epoch ${leaderEpoch}`)
    demand(compressionOf(bytes, position) === 'none', `${position} is compressed`)
    nextOffset += lastOffsetDeltaOf(bytes, position) + 1
    for (const { value } of readRecords(bytes.subarray(position, position + sizeBytes), { cpu })) {
      demand(value !== null, `${position} has a record without a value`)
      yield value
    }
  }
}

function demand(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new VltavaError('CORRUPT_MESSAGE', `The batch at position ${problem}.`)
}
