// The gateway for record batches: a leader validates what producers send, a follower what the leader sends, a consumer
// what any replica sends. Two codes keep two cases apart: CORRUPT_MESSAGE means the bytes were damaged on the way or on
// a disk (another replica may have them intact); INVALID_RECORD means intact bytes say what nobody may write.
import type { Cpu } from '../base/cpu.ts'
import type { ErrorName } from '../model/error-codes.ts'
import { VltavaError } from '../model/errors.ts'
import {
  ATTRIBUTES_POSITION,
  attributesOf,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  compressionOf,
  crcOf,
  hasDeleteHorizon,
  isControl,
  isLogAppendTime,
  isTransactional,
  lastOffsetDeltaOf,
  leaderEpochOf,
  MAGIC,
  magicOf,
  maxTimestampOf,
  nextOffsetOf,
  producerEpochOf,
  producerIdOf,
  RESERVED_ATTRIBUTES_MASK,
  recordsCountOf,
} from './batch-format.ts'
import { checkFraming, forEachBatch } from './batch-reader.ts'
import { isEmptyBatch } from './empty-batch.ts'
import { RecordCursor } from './record-cursor.ts'

export interface BatchValidationOptions {
  readonly cpu: Cpu
  /** Bytes a batch may have, header included: max.message.bytes of the topic, or the absolute limit for replicas. */
  readonly maxBytes: number
  /**
   * Where the batch comes from. `producer`: a client, which must leave the base offset 0 and may set no attribute but
   * the compression. `log`: the log of a replica, whose leader has stamped it.
   */
  readonly origin: 'producer' | 'log'
}

/**
 * Checks all that can be told without looking into the records: framing, magic, checksum, attributes, counts,
 * offsets, times, and the producer's numbers. `deepValidateRecords` checks the records.
 * @param position where the batch starts; other batches may follow it.
 * @returns the bytes of the batch, header included.
 * @throws VltavaError CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE
 */
export function validateBatch(bytes: Uint8Array, position: number, options: BatchValidationOptions): number {
  const { cpu, maxBytes, origin } = options
  const sizeBytes = checkFraming(bytes, position)
  if (sizeBytes > maxBytes) {
    throw problem(
      'MESSAGE_TOO_LARGE',
      position,
      `has ${sizeBytes} bytes; max.message.bytes allows ${maxBytes}. Send smaller batches or raise the setting`,
    )
  }
  const magic = magicOf(bytes, position)
  if (magic !== MAGIC)
    throw problem('CORRUPT_MESSAGE', position, `has magic ${magic}; only ${MAGIC} is known`)
  const crc = cpu.crc32c(bytes.subarray(position + ATTRIBUTES_POSITION, position + sizeBytes))
  if (crc !== crcOf(bytes, position)) {
    throw problem(
      'CORRUPT_MESSAGE',
      position,
      `has the CRC-32C ${hex(crcOf(bytes, position))} in its header, but its bytes give ${hex(crc)}`,
    )
  }
  checkAttributes(bytes, position)
  checkCounts(bytes, position, origin)
  checkTimestamps(bytes, position)
  checkProducer(bytes, position)
  if (origin === 'producer') checkLeftToLeader(bytes, position)
  else checkStamped(bytes, position)
  return sizeBytes
}

/**
 * Checks every record of the batch: lengths, offset deltas 0, 1, 2 and so on (with gaps only in a batch whose range of
 * offsets has room for them), timestamps, headers, and that nothing follows the last one.
 * @param batch exactly one batch.
 * @param decompressed the records of a compressed batch once decompressed. The broker has none and leaves the records
 *   of compressed batches to the consumers, which check them by reading.
 * @throws VltavaError INVALID_RECORD, CORRUPT_MESSAGE when `batch` is not the bytes of one batch,
 *   UNSUPPORTED_COMPRESSION_TYPE when it is compressed and `decompressed` is missing.
 */
export function deepValidateRecords(batch: Uint8Array, decompressed?: Uint8Array): void {
  const cursor = new RecordCursor(batch, decompressed)
  while (cursor.next());
}

/**
 * Validates each of the batches that lie behind one another, and the records of those that are not compressed.
 * @param options `checkRecords` false leaves the records out, which saves 50 ns for each; default true.
 * @throws VltavaError CORRUPT_MESSAGE, INVALID_RECORD, MESSAGE_TOO_LARGE
 */
export function validateBatches(
  bytes: Uint8Array,
  options: BatchValidationOptions & { readonly checkRecords?: boolean },
): void {
  const { checkRecords = true } = options
  forEachBatch(bytes, (position, sizeBytes) => {
    validateBatch(bytes, position, options)
    if (checkRecords && compressionOf(bytes, position) === 'none') {
      deepValidateRecords(bytes.subarray(position, position + sizeBytes))
    }
  })
}

/**
 * Checks that every record has a key, as a compacted topic needs it. Those of compressed batches are not looked at: the
 * broker does not decompress.
 * @param bytes valid batches, one behind the other.
 * @throws VltavaError INVALID_RECORD
 */
export function requireKeys(bytes: Uint8Array): void {
  forEachBatch(bytes, (position, sizeBytes) => {
    if (compressionOf(bytes, position) !== 'none') return
    const cursor = new RecordCursor(bytes.subarray(position, position + sizeBytes))
    for (let index = 0; cursor.next(); index++) {
      if (cursor.keyBytes >= 0) continue
      throw problem(
        'INVALID_RECORD',
        position,
        `has no key in its record ${index}; the topic is compacted (cleanup.policy), which keeps the last record of each key: give every record a key`,
      )
    }
  })
}

function checkAttributes(bytes: Uint8Array, position: number): void {
  const attributes = attributesOf(bytes, position)
  if ((attributes & RESERVED_ATTRIBUTES_MASK) !== 0) {
    throw problem('INVALID_RECORD', position, `has reserved attribute bits set: ${hex(attributes)}`)
  }
  compressionOf(bytes, position)
}

function checkCounts(bytes: Uint8Array, position: number, origin: BatchValidationOptions['origin']): void {
  const recordsCount = recordsCountOf(bytes, position)
  const lastOffsetDelta = lastOffsetDeltaOf(bytes, position)
  // A log has empty batches where compaction took records away.
  const recordsMin = origin === 'log' ? 0 : 1
  if (recordsCount < recordsMin) {
    const what = `says it has ${recordsCount} records; ${recordsMin} or more are allowed`
    throw problem('INVALID_RECORD', position, what)
  }
  // Compaction takes records out of a batch of a log, and leaves it its range of offsets.
  const isCompacted = origin === 'log' && lastOffsetDelta >= recordsCount
  if (lastOffsetDelta !== recordsCount - 1 && !isCompacted) {
    throw problem(
      'INVALID_RECORD',
      position,
      `has the last offset delta ${lastOffsetDelta} with ${recordsCount} records; it must be ${recordsCount - 1}`,
    )
  }
}

function checkTimestamps(bytes: Uint8Array, position: number): void {
  const baseTimestampMs = baseTimestampOf(bytes, position)
  const maxTimestampMs = maxTimestampOf(bytes, position)
  const timestampMin = isEmptyBatch(bytes, position) ? -1 : 0
  if (baseTimestampMs < timestampMin || maxTimestampMs < timestampMin) {
    throw problem(
      'INVALID_RECORD',
      position,
      `has the base timestamp ${baseTimestampMs} and the max timestamp ${maxTimestampMs}; ${timestampMin} or more is allowed`,
    )
  }
}

function checkProducer(bytes: Uint8Array, position: number): void {
  const producerId = producerIdOf(bytes, position)
  // Without a producer id the other two mean nothing; kafkajs sends 0 in them, Java -1.
  if (producerId === -1) return
  const producerEpoch = producerEpochOf(bytes, position)
  const baseSequence = baseSequenceOf(bytes, position)
  if (producerId >= 0 && producerEpoch >= 0 && baseSequence >= 0) return
  throw problem(
    'INVALID_RECORD',
    position,
    `has the producer id ${producerId}, the producer epoch ${producerEpoch} and the base sequence ${baseSequence}; ` +
      'all must be 0 or more, or the producer id -1',
  )
}

/** What a producer must not decide. */
function checkLeftToLeader(bytes: Uint8Array, position: number): void {
  const baseOffset = baseOffsetOf(bytes, position)
  if (baseOffset !== 0) {
    throw problem('INVALID_RECORD', position, `has the base offset ${baseOffset}; a producer leaves it 0`)
  }
  if (isControl(bytes, position)) {
    throw problem('INVALID_RECORD', position, 'is a control batch; producers may not write those')
  }
  // Accepted as plain records, those of an aborted transaction would show.
  if (isTransactional(bytes, position)) {
    throw problem('INVALID_RECORD', position, 'is part of a transaction; transactions are not supported')
  }
  if (isLogAppendTime(bytes, position) || hasDeleteHorizon(bytes, position)) {
    throw problem(
      'INVALID_RECORD',
      position,
      'sets the log append time or delete horizon; a producer may not',
    )
  }
}

/** What the leader has decided. Whether it continues the log is for the log to check. */
function checkStamped(bytes: Uint8Array, position: number): void {
  const baseOffset = baseOffsetOf(bytes, position)
  const leaderEpoch = leaderEpochOf(bytes, position)
  if (baseOffset < 0 || !Number.isSafeInteger(nextOffsetOf(bytes, position))) {
    throw problem('CORRUPT_MESSAGE', position, `has the base offset ${baseOffset}; 0 to 2^53-1 is allowed`)
  }
  if (leaderEpoch < 0) {
    throw problem('CORRUPT_MESSAGE', position, `has the leader epoch ${leaderEpoch}; 0 or more is allowed`)
  }
}

function problem(code: ErrorName, position: number, what: string): VltavaError {
  return new VltavaError(code, `The record batch at position ${position} ${what}.`)
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`
}
