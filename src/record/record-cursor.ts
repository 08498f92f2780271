// Walks the records of one batch and checks all of their structure, without allocating anything per record. Offsets
// ascend by one, but in a batch out of which compaction took records: it has more offsets than records.
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import type { RecordHeader } from './batch-builder.ts'
import {
  baseOffsetOf,
  baseTimestampOf,
  batchSizeOf,
  compressionOf,
  HEADER_BYTES,
  isLogAppendTime,
  lastOffsetDeltaOf,
  maxTimestampOf,
  recordsCountOf,
} from './batch-format.ts'
import { readVarint, readVarlong, type VarintCursor } from './varint.ts'

/** The smallest record: its length, attributes, both deltas, null key, null value and no headers, a byte each. */
const RECORD_MIN_BYTES = 7

const NO_HEADERS: readonly RecordHeader[] = Object.freeze([])

/**
 * Stands on one record of a batch at a time; `next` moves it on. All positions are into `bytes`. What `key`, `value`
 * and `headers` return are views, which keep the whole batch in memory.
 */
export class RecordCursor {
  /** Where the positions point into: the batch, or its decompressed records. */
  readonly bytes: Uint8Array
  /** How many records the header says there are. */
  readonly recordsCount: number
  offset: Offset = -1
  /** Milliseconds since 1970. */
  timestampMs = -1
  keyPosition = 0
  /** -1: the key is null. */
  keyBytes = -1
  valuePosition = 0
  /** -1: the value is null. */
  valueBytes = -1
  headersCount = 0
  /** Where the record begins, with its length. */
  recordPosition = 0
  /** Exclusive: where it ends. */
  recordEnd = 0
  #headersPosition = 0
  #index = -1
  /** The offset delta of the record before. */
  #offsetDelta = -1
  readonly #lastOffsetDelta: number
  readonly #end: number
  readonly #baseOffset: Offset
  readonly #baseTimestampMs: number
  /** The time of every record where the broker set it; -1 where records have their own. */
  readonly #appendTimeMs: number
  readonly #read: VarintCursor

  /**
   * @param batch exactly one batch.
   * @param decompressed its records once decompressed; needed when they are compressed, ignored otherwise.
   * @throws VltavaError CORRUPT_MESSAGE when `batch` is not the bytes of one batch, INVALID_RECORD when the header
   *   says more records than the bytes can hold, UNSUPPORTED_COMPRESSION_TYPE when `decompressed` is missing.
   */
  constructor(batch: Uint8Array, decompressed?: Uint8Array) {
    if (batch.length < HEADER_BYTES || batchSizeOf(batch, 0) !== batch.length) {
      throw new VltavaError('CORRUPT_MESSAGE', `The ${batch.length} bytes given are not one record batch.`)
    }
    const compression = compressionOf(batch, 0)
    if (compression !== 'none' && decompressed === undefined) {
      throw new VltavaError(
        'UNSUPPORTED_COMPRESSION_TYPE',
        `The records are compressed with ${compression}; decompress them first.`,
      )
    }
    this.bytes = compression === 'none' ? batch : decompressed!
    this.#read = { position: compression === 'none' ? HEADER_BYTES : 0, value: 0 }
    this.#end = this.bytes.length
    this.recordsCount = recordsCountOf(batch, 0)
    this.#lastOffsetDelta = lastOffsetDeltaOf(batch, 0)
    this.#baseOffset = baseOffsetOf(batch, 0)
    this.#baseTimestampMs = baseTimestampOf(batch, 0)
    this.#appendTimeMs = isLogAppendTime(batch, 0) ? maxTimestampOf(batch, 0) : -1
    if (this.#baseOffset < 0 || !Number.isSafeInteger(this.#baseOffset + this.#lastOffsetDelta + 1)) {
      throw new VltavaError('CORRUPT_MESSAGE', `A record batch has the base offset ${this.#baseOffset}.`)
    }
    // Checked before anyone allocates by the count.
    const recordsBytes = this.#end - this.#read.position
    if (this.recordsCount < 0 || this.recordsCount * RECORD_MIN_BYTES > recordsBytes) {
      throw new VltavaError(
        'INVALID_RECORD',
        `A record batch says it has ${this.recordsCount} records, but has ${recordsBytes} bytes of them; ` +
          `a record takes at least ${RECORD_MIN_BYTES} bytes.`,
      )
    }
  }

  /**
   * Moves to the next record.
   * @returns false behind the last one.
   * @throws VltavaError INVALID_RECORD when the record, or what follows the last one, breaks the format.
   */
  next(): boolean {
    const index = this.#index + 1
    if (index >= this.recordsCount) {
      const trailingBytes = this.#end - this.#read.position
      if (trailingBytes !== 0) throw this.#broken(`${trailingBytes} bytes follow the last record`)
      return false
    }
    this.#index = index
    const bytes = this.bytes
    const read = this.#read
    this.recordPosition = read.position
    const bodyBytes = this.#readVarint(this.#end, 'length')
    const end = read.position + bodyBytes
    this.recordEnd = end
    if (bodyBytes < RECORD_MIN_BYTES - 1 || end > this.#end) {
      throw this.#broken(`its length is ${bodyBytes}, with ${this.#end - read.position} bytes left`)
    }
    // The record's own attributes have no meaning yet; Kafka ignores them as well.
    read.position++
    if (!readVarlong(bytes, read, end)) throw this.#broken('its timestamp delta is malformed')
    this.timestampMs = this.#appendTimeMs >= 0 ? this.#appendTimeMs : this.#baseTimestampMs + read.value
    if (!(this.timestampMs >= 0 && Number.isSafeInteger(this.timestampMs))) {
      throw this.#broken(`its timestamp is ${this.timestampMs}; 0 to 2^53-1 is allowed`)
    }
    const offsetDelta = this.#readVarint(end, 'offset delta')
    if (offsetDelta !== index || offsetDelta <= this.#offsetDelta) this.#checkOffsetDelta(offsetDelta)
    this.#offsetDelta = offsetDelta
    this.offset = this.#baseOffset + offsetDelta
    this.keyBytes = this.#skipField(end, 'key')
    this.keyPosition = read.position - Math.max(0, this.keyBytes)
    this.valueBytes = this.#skipField(end, 'value')
    this.valuePosition = read.position - Math.max(0, this.valueBytes)
    this.headersCount = this.#readVarint(end, 'headers count')
    this.#headersPosition = read.position
    if (this.headersCount !== 0) this.#skipHeaders(end)
    if (read.position !== end) {
      throw this.#broken(`its length is ${bodyBytes}, but it ends ${end - read.position} bytes before`)
    }
    return true
  }

  key(): Uint8Array | null {
    return this.keyBytes < 0 ? null : this.bytes.subarray(this.keyPosition, this.keyPosition + this.keyBytes)
  }

  value(): Uint8Array | null {
    if (this.valueBytes < 0) return null
    return this.bytes.subarray(this.valuePosition, this.valuePosition + this.valueBytes)
  }

  headers(cpu: Cpu): readonly RecordHeader[] {
    if (this.headersCount === 0) return NO_HEADERS
    const headers: RecordHeader[] = []
    const read: VarintCursor = { position: this.#headersPosition, value: 0 }
    for (let i = 0; i < this.headersCount; i++) {
      const key = cpu.decodeUtf8(this.#fieldAt(read)!)
      headers.push({ key, value: this.#fieldAt(read) })
    }
    return headers
  }

  /** A header key or value of the current record; `next` has checked them, and that no key is null. */
  #fieldAt(read: VarintCursor): Uint8Array | null {
    readVarint(this.bytes, read, this.#end)
    if (read.value < 0) return null
    read.position += read.value
    return this.bytes.subarray(read.position - read.value, read.position)
  }

  /** Compaction removes records and leaves the offsets of the others: then they ascend with gaps up to the last one. */
  #checkOffsetDelta(offsetDelta: number): void {
    if (this.#lastOffsetDelta < this.recordsCount) {
      throw this.#broken(`its offset delta is ${offsetDelta} instead of ${this.#index}`)
    }
    if (offsetDelta > this.#offsetDelta && offsetDelta <= this.#lastOffsetDelta) return
    throw this.#broken(
      `its offset delta is ${offsetDelta}; more than ${this.#offsetDelta} and up to ${this.#lastOffsetDelta} is possible`,
    )
  }

  #readVarint(end: number, what: string): number {
    if (!readVarint(this.bytes, this.#read, end)) throw this.#broken(`its ${what} is malformed`)
    return this.#read.value
  }

  /** Moves behind a field and returns its bytes, -1 for null. */
  #skipField(end: number, what: string): number {
    const fieldBytes = this.#readVarint(end, `${what} length`)
    const leftBytes = end - this.#read.position
    if (fieldBytes < -1 || fieldBytes > leftBytes) {
      throw this.#broken(`its ${what} length is ${fieldBytes}; -1 (null) to ${leftBytes} is possible`)
    }
    if (fieldBytes > 0) this.#read.position += fieldBytes
    return fieldBytes
  }

  #skipHeaders(end: number): void {
    if (this.headersCount < 0) throw this.#broken(`its headers count is ${this.headersCount}`)
    for (let i = 0; i < this.headersCount; i++) {
      if (this.#skipField(end, 'header key') < 0) throw this.#broken('a header key is null')
      this.#skipField(end, 'header value')
    }
  }

  #broken(problem: string): VltavaError {
    return new VltavaError(
      'INVALID_RECORD',
      `Record ${this.#index} of the ${this.recordsCount} in the batch with base offset ${this.#baseOffset} ` +
        `breaks the format: ${problem}.`,
    )
  }
}
