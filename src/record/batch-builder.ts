// Puts records into one record batch. Records are written where they stay, in one buffer that grows by doubling; a
// record without headers allocates nothing.
import { assert } from '../base/assert.ts'
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'
import { ATTRIBUTES_POSITION, HEADER_BYTES, writeBatchSize, writeCrc, writeFields } from './batch-format.ts'
import {
  VARINT_MAX_BYTES,
  VARLONG_MAX_BYTES,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from './varint.ts'

/** A named value beside the record; names may repeat and keep their order. */
export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** What a producer puts into a batch. The bytes are copied. */
export interface RecordInput {
  /** null and empty are different. */
  readonly key: Uint8Array | null
  /** null is a tombstone; null and empty are different. */
  readonly value: Uint8Array | null
  readonly headers?: readonly RecordHeader[] | undefined
  /** Milliseconds since 1970, 0 to 2^53-1. */
  readonly timestampMs: number
}

export interface BatchBuilderOptions {
  readonly cpu: Cpu
  /** Bytes of the batch, header included, beyond which `tryAppend` refuses records; HEADER_BYTES or more. */
  readonly maxBytes: number
  /** Bytes a batch with just one record may have; `maxBytes` or more, which is the default. */
  readonly singleRecordMaxBytes?: number
  /** Bytes the batch is likely to get, such as those of the one before it: saves growing. Default 1,024. */
  readonly expectedBytes?: number
}

/** What the header of the finished batch says; each is optional. */
export interface BatchStamp {
  /** Default 0: a leader stamps it. */
  readonly baseOffset?: Offset
  /** Default -1: a leader stamps it. */
  readonly leaderEpoch?: LeaderEpoch
  /** Default -1: not idempotent. */
  readonly producerId?: number
  /** Default -1. */
  readonly producerEpoch?: number
  /** Default -1. */
  readonly baseSequence?: number
}

const EXPECTED_BYTES_DEFAULT = 1024

/** The length -1 as a varint. */
const NULL_LENGTH = 1

const NO_BYTES = new Uint8Array(0)

/**
 * Collects records for one batch. It serves once: the finished batch is the builder's own buffer, not a copy, so that
 * nothing may write to it afterwards.
 */
export class BatchBuilder {
  readonly #cpu: Cpu
  readonly #maxBytes: number
  readonly #singleRecordMaxBytes: number
  readonly #expectedBytes: number
  /** The encoded header keys of the record that is being appended. */
  readonly #headerKeys: Uint8Array[] = []
  #bytes = NO_BYTES
  #position = HEADER_BYTES
  #recordsCount = 0
  #baseTimestampMs = 0
  #maxTimestampMs = 0
  #built = false

  constructor(options: BatchBuilderOptions) {
    const { cpu, maxBytes, singleRecordMaxBytes = maxBytes, expectedBytes = EXPECTED_BYTES_DEFAULT } = options
    assert(maxBytes >= HEADER_BYTES, `maxBytes must be ${HEADER_BYTES} or more, got ${maxBytes}`)
    assert(singleRecordMaxBytes >= maxBytes, 'singleRecordMaxBytes must not be below maxBytes')
    this.#cpu = cpu
    this.#maxBytes = maxBytes
    this.#singleRecordMaxBytes = singleRecordMaxBytes
    this.#expectedBytes = Math.min(Math.max(expectedBytes, HEADER_BYTES), maxBytes)
  }

  get recordsCount(): number {
    return this.#recordsCount
  }

  /** Bytes of the batch as it stands, header included. */
  get sizeBytes(): number {
    return this.#position
  }

  /**
   * Appends the record if it fits into `maxBytes`; the first record needs to fit into `singleRecordMaxBytes` only.
   * @returns false, with the batch unchanged, when the record belongs into the next batch.
   * @throws VltavaError RECORD_TOO_LARGE when it fits into no batch, INVALID_ARGUMENT when the timestamp is not an
   *   integer from 0 to 2^53-1.
   */
  tryAppend(record: RecordInput): boolean {
    assert(!this.#built, 'a batch builder that has built its batch takes no more records')
    const { key, value, headers, timestampMs } = record
    if (!(timestampMs >= 0 && Number.isSafeInteger(timestampMs))) throw badTimestamp(timestampMs)
    const offsetDelta = this.#recordsCount
    const timestampDelta = offsetDelta === 0 ? 0 : timestampMs - this.#baseTimestampMs
    const hasHeaders = headers !== undefined && headers.length > 0
    const bodyBytes =
      1 +
      varlongBytes(timestampDelta) +
      varintBytes(offsetDelta) +
      fieldBytes(key) +
      fieldBytes(value) +
      (hasHeaders ? this.#encodeHeaderKeys(headers) : 1)
    const end = this.#position + varintBytes(bodyBytes) + bodyBytes
    if (end > this.#maxBytes && !this.#admitsOversize(end)) return false
    if (end > this.#bytes.length) this.#grow(end)

    const bytes = this.#bytes
    let position = writeVarint(bytes, this.#position, bodyBytes)
    bytes[position++] = 0
    position = writeVarlong(bytes, position, timestampDelta)
    position = writeVarint(bytes, position, offsetDelta)
    position = writeField(bytes, position, key)
    position = writeField(bytes, position, value)
    if (hasHeaders) position = this.#writeHeaders(position, headers)
    else bytes[position++] = 0
    assert(position === end, 'the size of a record was computed wrong')

    if (offsetDelta === 0) this.#baseTimestampMs = timestampMs
    if (timestampMs > this.#maxTimestampMs) this.#maxTimestampMs = timestampMs
    this.#position = end
    this.#recordsCount = offsetDelta + 1
    return true
  }

  /** Finishes the batch, which has at least one record, with its CRC. */
  build(stamp: BatchStamp = {}): Uint8Array {
    assert(!this.#built, 'a batch builder builds one batch')
    assert(this.#recordsCount > 0, 'a record batch has at least one record')
    this.#built = true
    const batch = this.#bytes.subarray(0, this.#position)
    writeFields(batch, 0, {
      baseOffset: stamp.baseOffset ?? 0,
      leaderEpoch: stamp.leaderEpoch ?? -1,
      attributes: 0,
      lastOffsetDelta: this.#recordsCount - 1,
      baseTimestampMs: this.#baseTimestampMs,
      maxTimestampMs: this.#maxTimestampMs,
      producerId: stamp.producerId ?? -1,
      producerEpoch: stamp.producerEpoch ?? -1,
      baseSequence: stamp.baseSequence ?? -1,
      recordsCount: this.#recordsCount,
    })
    writeBatchSize(batch, 0, batch.length)
    writeCrc(batch, 0, this.#cpu.crc32c(batch.subarray(ATTRIBUTES_POSITION)))
    return batch
  }

  /** Whether a record that would end beyond `maxBytes` may still go in: only alone, and only up to the hard limit. */
  #admitsOversize(end: number): boolean {
    const aloneBytes = HEADER_BYTES + end - this.#position
    if (aloneBytes > this.#singleRecordMaxBytes) {
      throw new VltavaError(
        'RECORD_TOO_LARGE',
        `The record makes a batch of ${aloneBytes} bytes; at most ${this.#singleRecordMaxBytes} bytes are allowed. ` +
          'Make the record smaller, or raise the limit here and max.message.bytes of the topic.',
      )
    }
    return this.#recordsCount === 0
  }

  #grow(end: number): void {
    const doubledBytes = Math.min(Math.max(2 * this.#bytes.length, this.#expectedBytes), this.#maxBytes)
    const grown = new Uint8Array(Math.max(end, doubledBytes))
    grown.set(this.#bytes)
    this.#bytes = grown
  }

  /** Encodes the keys for `#writeHeaders` and returns the bytes that all headers take with their count. */
  #encodeHeaderKeys(headers: readonly RecordHeader[]): number {
    this.#headerKeys.length = 0
    let bytes = varintBytes(headers.length)
    for (const { key, value } of headers) {
      const encoded = this.#cpu.encodeUtf8(key)
      this.#headerKeys.push(encoded)
      bytes += fieldBytes(encoded) + fieldBytes(value)
    }
    return bytes
  }

  #writeHeaders(start: number, headers: readonly RecordHeader[]): number {
    let position = writeVarint(this.#bytes, start, headers.length)
    for (let i = 0; i < headers.length; i++) {
      position = writeField(this.#bytes, position, this.#headerKeys[i]!)
      position = writeField(this.#bytes, position, headers[i]!.value)
    }
    return position
  }
}

/**
 * An upper bound of the bytes the record takes in a batch, whose header comes on top; found without encoding anything,
 * for accounts of memory. `tryAppend` never writes more. Without headers it is at most 17 bytes too high.
 */
export function recordSizeBytes(record: RecordInput): number {
  const { key, value, headers } = record
  let bytes =
    VARINT_MAX_BYTES + 1 + VARLONG_MAX_BYTES + VARINT_MAX_BYTES + fieldBytes(key) + fieldBytes(value)
  bytes += varintBytes(headers?.length ?? 0)
  // UTF-8 takes at most three bytes for each UTF-16 unit.
  for (const header of headers ?? []) {
    const keyMaxBytes = 3 * header.key.length
    bytes += varintBytes(keyMaxBytes) + keyMaxBytes + fieldBytes(header.value)
  }
  return bytes
}

/** Bytes of a nullable byte field with its length. */
function fieldBytes(field: Uint8Array | null): number {
  return field === null ? 1 : varintBytes(field.length) + field.length
}

function writeField(target: Uint8Array, start: number, field: Uint8Array | null): number {
  if (field === null) {
    target[start] = NULL_LENGTH
    return start + 1
  }
  const position = writeVarint(target, start, field.length)
  target.set(field, position)
  return position + field.length
}

function badTimestamp(timestampMs: number): VltavaError {
  return new VltavaError(
    'INVALID_ARGUMENT',
    `The timestamp of a record must be an integer of milliseconds from 0 to 2^53-1, got ${timestampMs}.`,
  )
}
