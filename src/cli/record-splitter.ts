/**
 * Cuts a stream of bytes into records at a delimiter. Bytes are kept exactly: a CR before the LF belongs to the
 * record. What follows the last delimiter is a record too, unless it is empty.
 */
export class RecordSplitter {
  readonly #delimiter: Uint8Array
  readonly #recordMaxBytes: number
  #rest: Uint8Array = new Uint8Array(0)

  /**
   * @param delimiter at least one byte.
   * @param recordMaxBytes a record longer than this throws from `push`, before memory is filled with it.
   */
  constructor(delimiter: Uint8Array, recordMaxBytes: number) {
    this.#delimiter = delimiter
    this.#recordMaxBytes = recordMaxBytes
  }

  /** Calls back for each record that ends in the chunk. The slices are views on the chunk or on a copy of its rest. */
  push(chunk: Uint8Array, onRecord: (record: Uint8Array) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let start = 0
    // Only the last delimiter's length minus one of the rest can belong to a delimiter that ends in this chunk.
    let from = Math.max(0, this.#rest.length - this.#delimiter.length + 1)
    for (;;) {
      const at = buffer.indexOf(this.#delimiter, from)
      if (at < 0) break
      onRecord(bytes.subarray(start, at))
      start = at + this.#delimiter.length
      from = start
    }
    this.#rest = bytes.subarray(start)
    if (this.#rest.length > this.#recordMaxBytes) {
      throw new RangeError(`no delimiter within ${this.#recordMaxBytes} bytes`)
    }
  }

  /** The record after the last delimiter, or null. */
  end(): Uint8Array | null {
    const rest = this.#rest
    this.#rest = new Uint8Array(0)
    return rest.length === 0 ? null : rest
  }
}

/** Splits a record into key and value at the first separator; null where there is none. */
export function splitKey(
  record: Uint8Array,
  separator: Uint8Array,
): { key: Uint8Array; value: Uint8Array } | null {
  const at = Buffer.from(record.buffer, record.byteOffset, record.byteLength).indexOf(separator)
  if (at < 0) return null
  return { key: record.subarray(0, at), value: record.subarray(at + separator.length) }
}
