// Makes record batches for the tests: sound ones by the builder, and unsound ones with a right checksum.
import type { Cpu } from '../../src/base/cpu.ts'
import { crc32c } from '../../src/base/crc32c.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { createWebCpu } from '../../src/platform/web/web-cpu.ts'
import { BatchBuilder, type BatchStamp, type RecordInput } from '../../src/record/batch-builder.ts'
import {
  ATTRIBUTES_POSITION,
  type BatchFields,
  HEADER_BYTES,
  writeBatchSize,
  writeCrc,
  writeFields,
} from '../../src/record/batch-format.ts'

export const cpu: Cpu = createWebCpu()

export const TIME_MS = 1_767_225_600_000

export function utf8(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'utf8'))
}

export function record(value: string | null, rest: Partial<RecordInput> = {}): RecordInput {
  return { key: null, value: value === null ? null : utf8(value), timestampMs: TIME_MS, ...rest }
}

export function batchOf(records: readonly RecordInput[], stamp: BatchStamp = {}): Uint8Array {
  const builder = new BatchBuilder({ cpu, maxBytes: 2 ** 26 })
  for (const one of records) builder.tryAppend(one)
  return builder.build(stamp)
}

/** A batch with these bytes as its records and a right length and checksum, whatever the fields say. */
export function rawBatch(
  records: Uint8Array | readonly number[],
  fields: Partial<BatchFields> = {},
): Uint8Array {
  const batch = new Uint8Array(HEADER_BYTES + records.length)
  batch.set(records, HEADER_BYTES)
  writeFields(batch, 0, {
    baseOffset: 0,
    leaderEpoch: -1,
    attributes: 0,
    lastOffsetDelta: (fields.recordsCount ?? 1) - 1,
    baseTimestampMs: TIME_MS,
    maxTimestampMs: TIME_MS,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordsCount: 1,
    ...fields,
  })
  return seal(batch)
}

/** Makes length and checksum right again after a test changed the batch; changes it in place. */
export function seal(batch: Uint8Array): Uint8Array {
  writeBatchSize(batch, 0, batch.length)
  writeCrc(batch, 0, crc32c(batch.subarray(ATTRIBUTES_POSITION)))
  return batch
}

/** The VltavaError that the call throws; any other error, or none, fails the test. */
export function errorOf(call: () => unknown): VltavaError {
  try {
    call()
  } catch (error) {
    if (error instanceof VltavaError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
