// Between values with a schema and msgpack bytes; the only place that knows msgpackr. Bytes from outside pass the
// structure scan first, then msgpackr, then the schema: what comes out is checked, what does not is a VltavaError.
import { Packr, RESERVE_START_SPACE } from 'msgpackr'
import type { ErrorName } from '../model/error-codes.ts'
import { VltavaError } from '../model/errors.ts'
import { type Schema, SchemaError, type Wire } from '../schema/schema.ts'
import type { Api } from './api.ts'
import { scanStructure } from './structure-scan.ts'

// `useRecords: false` keeps it without state between messages: records would tie what one message means to the ones
// before it. Integers from 2^32 on travel as float64, exact up to 2^53; int64 in what others send becomes a number
// where that is exact, else a bigint that every schema refuses.
const PACKR_OPTIONS = {
  useRecords: false,
  encodeUndefinedAsNil: true,
  useToJSON: false,
  // Missing from the type of msgpackr 2.1, though its documentation and code have it.
  int64AsType: 'auto' as 'number',
} as const

const packr = new Packr(PACKR_OPTIONS)

/**
 * The msgpack bytes of a value, behind `reservedBytes` (0 to 255) that the caller fills; they hold anything until then.
 * The bytes are the caller's, but share their ArrayBuffer with others.
 */
export function pack(value: Wire, reservedBytes = 0): Uint8Array {
  return packr.pack(value, RESERVE_START_SPACE | reservedBytes)
}

/** Decodes bytes that passed `scanStructure`. Decoded byte strings are views on them. */
function unpackScanned(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes)
  } catch (error) {
    throw new VltavaError('PROTOCOL_VIOLATION', 'The bytes are not a msgpack value.', { cause: error })
  }
}

/** A body as the array that goes into a frame header. */
export function encodeBody<T>(schema: Schema<T>, value: T): Wire {
  return schema.encode(value)
}

/**
 * The body of a request of this API from the scanned bytes of a frame.
 * @throws VltavaError INVALID_REQUEST with the path of the field that is wrong.
 */
export function decodeRequestBody<Request, Response>(api: Api<Request, Response>, body: Uint8Array): Request {
  return checked({ schema: api.request, code: 'INVALID_REQUEST', name: api.name, wire: unpackScanned(body) })
}

/**
 * The body of a response of this API from the scanned bytes of a frame.
 * @throws VltavaError PROTOCOL_VIOLATION with the path of the field that is wrong.
 */
export function decodeResponseBody<Request, Response>(
  api: Api<Request, Response>,
  body: Uint8Array,
): Response {
  return checked({
    schema: api.response,
    code: 'PROTOCOL_VIOLATION',
    name: api.name,
    wire: unpackScanned(body),
  })
}

/** The text in an error response; whatever else stands there becomes an empty text. */
export function decodeDetail(body: Uint8Array): string {
  const detail = unpackScanned(body)
  return typeof detail === 'string' ? detail : ''
}

/** A value as bytes of their own, for the metadata log and other places without a frame. */
export function encodeWire<T>(schema: Schema<T>, value: T): Uint8Array {
  // A copy, so that a record that is kept does not pin the buffer msgpackr packs into. (`slice` of Node's Buffer makes
  // a view.)
  return new Uint8Array(pack(schema.encode(value)))
}

/**
 * The reverse of `encodeWire`. Decoded byte strings are views on `bytes`.
 * @throws VltavaError PROTOCOL_VIOLATION when the bytes are not one msgpack value of the allowed kinds and size, or
 *   break the schema; the message has the position or the path.
 */
export function decodeWire<T>(schema: Schema<T>, bytes: Uint8Array): T {
  scanStructure(bytes)
  return checked({ schema, code: 'PROTOCOL_VIOLATION', name: 'value', wire: unpackScanned(bytes) })
}

function checked<T>(input: {
  readonly schema: Schema<T>
  readonly code: ErrorName
  readonly name: string
  readonly wire: unknown
}): T {
  try {
    return input.schema.decode(input.wire, input.name)
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    throw new VltavaError(input.code, error.message, { cause: error })
  }
}
