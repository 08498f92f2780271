import type { ConsumerRecord } from '../client/records.ts'

export type Encoding = 'utf8' | 'base64'

export interface JsonRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly {
    readonly key: string
    readonly value: string | null
    readonly valueEncoding: Encoding
  }[]
  readonly keyEncoding: Encoding
  readonly valueEncoding: Encoding
}

export interface EncodedBytes {
  readonly text: string | null
  readonly encoding: Encoding
}

/** Bytes as text where they are valid UTF-8, which then gives back the same bytes; else as base64. */
export function encodeBytes(bytes: Uint8Array | null): EncodedBytes {
  if (bytes === null) return { text: null, encoding: 'utf8' }
  try {
    // ignoreBOM keeps a byte order mark as a character, or the bytes would not come back.
    return {
      text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
      encoding: 'utf8',
    }
  } catch {
    return {
      text: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
      encoding: 'base64',
    }
  }
}

/** A record as `consume --json` prints it. */
export function recordToJson(record: ConsumerRecord): JsonRecord {
  const key = encodeBytes(record.key)
  const value = encodeBytes(record.value)
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestampMs,
    key: key.text,
    value: value.text,
    headers: record.headers.map((header) => {
      const { text, encoding } = encodeBytes(header.value)
      return { key: header.key, value: text, valueEncoding: encoding }
    }),
    keyEncoding: key.encoding,
    valueEncoding: value.encoding,
  }
}
