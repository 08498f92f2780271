// Makes changed copies of finished batches. Never in place: bytes that were handed to a connection may still lie in
// its queue when a retry changes them, and would go out mixed.
import type { Cpu } from '../base/cpu.ts'
import {
  ATTRIBUTES_POSITION,
  attributesOf,
  type BatchFields,
  type CompressionType,
  HEADER_BYTES,
  withCompression,
  writeAttributes,
  writeBatchSize,
  writeCrc,
  writeProducer,
} from './batch-format.ts'

/** The bytes behind the header: what a codec compresses or decompresses. A view. */
export function recordsOf(batch: Uint8Array): Uint8Array {
  return batch.subarray(HEADER_BYTES)
}

/**
 * The batch with its records replaced by what a codec made of them.
 * @param options `records` the bytes behind the new header, `compression` how they are compressed.
 */
export function withRecords(
  batch: Uint8Array,
  options: { readonly records: Uint8Array; readonly compression: CompressionType; readonly cpu: Cpu },
): Uint8Array {
  const { records, compression, cpu } = options
  const copy = new Uint8Array(HEADER_BYTES + records.length)
  copy.set(batch.subarray(0, HEADER_BYTES))
  copy.set(records, HEADER_BYTES)
  writeAttributes(copy, 0, withCompression(attributesOf(batch, 0), compression))
  writeBatchSize(copy, 0, copy.length)
  return withCrc(copy, cpu)
}

/**
 * The batch under other producer numbers: an idempotent producer that got a new epoch sends its unacknowledged batches
 * again with sequences from 0.
 */
export function withProducer(
  batch: Uint8Array,
  options: Pick<BatchFields, 'producerId' | 'producerEpoch' | 'baseSequence'> & { readonly cpu: Cpu },
): Uint8Array {
  // Not slice(): that of a Buffer is a view.
  const copy = new Uint8Array(batch)
  writeProducer(copy, 0, options)
  return withCrc(copy, options.cpu)
}

function withCrc(batch: Uint8Array, cpu: Cpu): Uint8Array {
  writeCrc(batch, 0, cpu.crc32c(batch.subarray(ATTRIBUTES_POSITION)))
  return batch
}
