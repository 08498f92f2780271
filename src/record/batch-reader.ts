// Reads record batches: the framing of several behind one another, and the records of one.
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import type { RecordHeader } from './batch-builder.ts'
import {
  attributesOf,
  type BatchFields,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchSizeOf,
  type CompressionType,
  compressionOf,
  crcOf,
  HEADER_BYTES,
  isControl,
  isLogAppendTime,
  isTransactional,
  LOG_OVERHEAD_BYTES,
  lastOffsetDeltaOf,
  leaderEpochOf,
  magicOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordsCountOf,
} from './batch-format.ts'
import { RecordCursor } from './record-cursor.ts'

/** A record that was read. Key, value and header values are views that keep the whole batch in memory. */
export interface RecordView {
  readonly offset: Offset
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/** All that a header says, for people and tools; code on the way of a batch uses the getters of batch-format.ts. */
export interface BatchHeader extends BatchFields {
  readonly sizeBytes: number
  readonly magic: number
  readonly crc: number
  readonly compression: CompressionType
  readonly isLogAppendTime: boolean
  readonly isTransactional: boolean
  readonly isControl: boolean
}

export interface ReadRecordsOptions {
  /** Decodes the keys of headers. */
  readonly cpu: Cpu
  /** The records of a compressed batch once decompressed. */
  readonly decompressed?: Uint8Array | undefined
}

/**
 * Checks that one whole batch starts at the position, by nothing but its length field.
 * @returns its bytes, header included.
 * @throws VltavaError CORRUPT_MESSAGE
 */
export function checkFraming(bytes: Uint8Array, position: number): number {
  const leftBytes = bytes.length - position
  if (leftBytes < LOG_OVERHEAD_BYTES) {
    throw new VltavaError(
      'CORRUPT_MESSAGE',
      `${leftBytes} bytes at position ${position} are no record batch; its header has ${HEADER_BYTES} bytes.`,
    )
  }
  const sizeBytes = batchSizeOf(bytes, position)
  if (sizeBytes < HEADER_BYTES || sizeBytes > leftBytes) {
    throw new VltavaError(
      'CORRUPT_MESSAGE',
      `The record batch at position ${position} says it has ${sizeBytes} bytes; ` +
        `${HEADER_BYTES} (its header) to ${leftBytes} (all there is) are possible.`,
    )
  }
  return sizeBytes
}

/**
 * Calls back for each of the batches that lie behind one another. Checks the framing only: neither magic nor CRC.
 * @throws VltavaError CORRUPT_MESSAGE when the bytes are not a sequence of whole batches; the whole ones before the
 *   damage have been visited by then.
 */
export function forEachBatch(bytes: Uint8Array, visit: (position: number, sizeBytes: number) => void): void {
  let position = 0
  while (position < bytes.length) {
    const sizeBytes = checkFraming(bytes, position)
    visit(position, sizeBytes)
    position += sizeBytes
  }
}

/**
 * Reads all fields of the header. Checks the framing only.
 * @throws VltavaError CORRUPT_MESSAGE, INVALID_RECORD for a field without a meaning.
 */
export function readBatchHeader(bytes: Uint8Array, position: number): BatchHeader {
  return {
    sizeBytes: checkFraming(bytes, position),
    baseOffset: baseOffsetOf(bytes, position),
    leaderEpoch: leaderEpochOf(bytes, position),
    magic: magicOf(bytes, position),
    crc: crcOf(bytes, position),
    attributes: attributesOf(bytes, position),
    compression: compressionOf(bytes, position),
    isLogAppendTime: isLogAppendTime(bytes, position),
    isTransactional: isTransactional(bytes, position),
    isControl: isControl(bytes, position),
    lastOffsetDelta: lastOffsetDeltaOf(bytes, position),
    baseTimestampMs: baseTimestampOf(bytes, position),
    maxTimestampMs: maxTimestampOf(bytes, position),
    producerId: producerIdOf(bytes, position),
    producerEpoch: producerEpochOf(bytes, position),
    baseSequence: baseSequenceOf(bytes, position),
    recordsCount: recordsCountOf(bytes, position),
  }
}

/**
 * Calls back for each record of one batch with a cursor that stands on it: the fast way, without an object for each
 * record. Checks the structure, not the CRC.
 * @param decompressed the records of a compressed batch once decompressed.
 * @throws VltavaError as RecordCursor does; the records before the damage have been visited by then.
 */
export function visitRecords(
  batch: Uint8Array,
  visitor: (record: RecordCursor) => void,
  decompressed?: Uint8Array,
): void {
  const cursor = new RecordCursor(batch, decompressed)
  while (cursor.next()) visitor(cursor)
}

/**
 * The records of one batch. Checks the structure, not the CRC.
 * @throws VltavaError as RecordCursor does.
 */
export function readRecords(batch: Uint8Array, options: ReadRecordsOptions): RecordView[] {
  const { cpu, decompressed } = options
  const records: RecordView[] = []
  const cursor = new RecordCursor(batch, decompressed)
  while (cursor.next()) {
    records.push({
      offset: cursor.offset,
      timestampMs: cursor.timestampMs,
      key: cursor.key(),
      value: cursor.value(),
      headers: cursor.headers(cpu),
    })
  }
  return records
}
