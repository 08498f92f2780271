// One message of the wire:
//
//   u32 LE header length | header (msgpack) | payload (raw record batches, may be empty)
//   header = [kind, apiKey, apiVersion, correlationId, errorCode, body]
//
// kind 0 request, 1 response, 2 one-way. The body is what the schema of the API says, in an error response the detail
// text. Each side numbers its own requests; a response carries the number of its request, a one-way message 0. The
// integers are at most 32 bits wide. A reader ignores header positions it does not know.
import { viewOf } from '../base/bytes.ts'
import { VltavaError } from '../model/errors.ts'
import { HEADER_MAX_BYTES, MESSAGE_MAX_BYTES } from '../model/limits.ts'
import type { Wire } from '../schema/schema.ts'
import { pack } from './codec.ts'
import { scanStructure, scanValue } from './structure-scan.ts'

export const FRAME_KIND = { request: 0, response: 1, oneWay: 2 } as const

export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND]

interface FrameFields {
  readonly kind: FrameKind
  readonly apiKey: number
  readonly apiVersion: number
  /** 0 to 2^32-1. */
  readonly correlationId: number
  /** 0 = no error; only a response may carry another one. */
  readonly errorCode: number
}

export interface OutgoingFrame extends FrameFields {
  readonly body: Wire
}

export interface Frame extends FrameFields {
  /** The msgpack bytes of the body. They passed the structure scan, but no schema has seen them yet. */
  readonly body: Uint8Array
  readonly payload: Uint8Array
}

const LENGTH_BYTES = 4
const NO_PAYLOAD: readonly Uint8Array[] = []
const FIXARRAY_OF_6 = 0x96
const FIXARRAY_OF_15 = 0x9f

/**
 * The parts of one message: length and header in the first, then the payload parts as they are, uncopied.
 * @throws VltavaError MESSAGE_TOO_LARGE when the header or the whole message exceeds its limit; nothing is sent then.
 */
export function encodeFrame(
  frame: OutgoingFrame,
  payload: readonly Uint8Array[] = NO_PAYLOAD,
): readonly Uint8Array[] {
  const { kind, apiKey, apiVersion, correlationId, errorCode, body } = frame
  const head = pack([kind, apiKey, apiVersion, correlationId, errorCode, body], LENGTH_BYTES)
  const headerBytes = head.length - LENGTH_BYTES
  if (headerBytes > HEADER_MAX_BYTES) {
    throw new VltavaError(
      'MESSAGE_TOO_LARGE',
      `The message has a header of ${headerBytes} bytes; at most ${HEADER_MAX_BYTES} are allowed. Ask for less at a time.`,
    )
  }
  head[0] = headerBytes
  head[1] = headerBytes >>> 8
  head[2] = headerBytes >>> 16
  head[3] = headerBytes >>> 24
  if (payload.length === 0) return [head]
  let messageBytes = head.length
  for (const part of payload) messageBytes += part.length
  if (messageBytes > MESSAGE_MAX_BYTES) {
    throw new VltavaError(
      'MESSAGE_TOO_LARGE',
      `The message has ${messageBytes} bytes; at most ${MESSAGE_MAX_BYTES} are allowed. Send less at a time.`,
    )
  }
  return [head, ...payload]
}

/**
 * Takes a received message apart. Body and payload are views on it.
 * @param headerMaxBytes HEADER_UNAUTHENTICATED_MAX_BYTES before the hello, HEADER_MAX_BYTES afterwards.
 * @throws VltavaError PROTOCOL_VIOLATION
 */
export function decodeFrame(message: Uint8Array, headerMaxBytes: number): Frame {
  if (message.length < LENGTH_BYTES) {
    throw violation(`a message of ${message.length} bytes is too short for a header length`)
  }
  const headerBytes = (message[0]! | (message[1]! << 8) | (message[2]! << 16) | (message[3]! << 24)) >>> 0
  // Against the message first, so that no number from outside is ever used as a length that is not there.
  if (headerBytes > message.length - LENGTH_BYTES) {
    throw violation(`a header of ${headerBytes} bytes is announced in a message of ${message.length}`)
  }
  if (headerBytes > headerMaxBytes) {
    throw violation(`a header of ${headerBytes} bytes; at most ${headerMaxBytes} are allowed here`)
  }
  const header = message.subarray(LENGTH_BYTES, LENGTH_BYTES + headerBytes)
  scanStructure(header)
  return frameOf(header, message.subarray(LENGTH_BYTES + headerBytes))
}

/** Reads the leading integers by hand: they decide whether the body is decoded at all. */
function frameOf(header: Uint8Array, payload: Uint8Array): Frame {
  const marker = header[0]!
  if (marker < FIXARRAY_OF_6 || marker > FIXARRAY_OF_15) {
    throw violation('a header is an array of 6 fields, or a few more')
  }
  let position = 1
  const kind = integerAt(header, position)
  position += integerBytes(header, position)
  const apiKey = integerAt(header, position)
  position += integerBytes(header, position)
  const apiVersion = integerAt(header, position)
  position += integerBytes(header, position)
  const correlationId = integerAt(header, position)
  position += integerBytes(header, position)
  const errorCode = integerAt(header, position)
  position += integerBytes(header, position)
  if (kind !== FRAME_KIND.request && kind !== FRAME_KIND.response && kind !== FRAME_KIND.oneWay) {
    throw violation(`kind ${kind} is none of 0, 1 and 2`)
  }
  if (apiKey < 0 || apiVersion < 0 || correlationId < 0) {
    throw violation('apiKey, apiVersion and correlationId must not be negative')
  }
  if (errorCode !== 0 && kind !== FRAME_KIND.response) {
    throw violation(`error code ${errorCode} in a message that is no response`)
  }
  const bodyEnd = marker === FIXARRAY_OF_6 ? header.length : scanValue(header, position)
  return {
    kind,
    apiKey,
    apiVersion,
    correlationId,
    errorCode,
    body: header.subarray(position, bodyEnd),
    payload,
  }
}

function integerAt(header: Uint8Array, position: number): number {
  const marker = header[position]!
  if (marker <= 0x7f) return marker
  if (marker >= 0xe0) return marker - 0x100
  switch (marker) {
    case 0xcc:
      return header[position + 1]!
    case 0xcd:
      return (header[position + 1]! << 8) | header[position + 2]!
    case 0xce:
      return viewOf(header).getUint32(position + 1)
    case 0xd0:
      return (header[position + 1]! << 24) >> 24
    case 0xd1:
      return ((header[position + 1]! << 24) >> 16) | header[position + 2]!
    case 0xd2:
      return viewOf(header).getInt32(position + 1)
    default:
      throw violation(`byte ${position} of a header must begin an integer of at most 32 bits`)
  }
}

/** Bytes of an integer that `integerAt` accepted. */
function integerBytes(header: Uint8Array, position: number): number {
  const marker = header[position]!
  if (marker <= 0x7f || marker >= 0xe0) return 1
  if (marker === 0xcc || marker === 0xd0) return 2
  return marker === 0xcd || marker === 0xd1 ? 3 : 5
}

function violation(problem: string): VltavaError {
  return new VltavaError('PROTOCOL_VIOLATION', `Malformed message: ${problem}.`)
}
