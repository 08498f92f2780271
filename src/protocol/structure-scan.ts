// The gate before msgpackr: one linear pass over msgpack bytes that allocates nothing for what they claim. Five bytes
// can announce an array of 2^24 elements, 40 bytes of nested ones killed a process with a heap of 512 MB, and the
// decoder gives life to extension types (records, structured clones, regular expressions). So every count is checked
// against the bytes that are really there, and whatever the protocol has no use for is refused: maps (no keys from
// outside ever become property names), all extension types, the unused marker 0xc1 (SEC-10 to SEC-13).
import { VltavaError } from '../model/errors.ts'
import { HEADER_DEPTH_MAX, HEADER_ELEMENTS_MAX } from '../model/limits.ts'

/**
 * Checks that exactly one msgpack value fills the bytes, and that it is made of nil, booleans, numbers, text, bytes and
 * arrays only, nested at most HEADER_DEPTH_MAX deep, with at most HEADER_ELEMENTS_MAX values in all.
 * @throws VltavaError PROTOCOL_VIOLATION with the position of what is wrong.
 */
export function scanStructure(bytes: Uint8Array): void {
  const end = scanValue(bytes, 0)
  if (end < bytes.length) throw violation(end, `${bytes.length - end} bytes follow the value`)
}

/**
 * Checks the one value that begins at the position, in the same way.
 * @returns where it ends, exclusive.
 * @throws VltavaError PROTOCOL_VIOLATION
 */
export function scanValue(bytes: Uint8Array, start: number): number {
  const end = bytes.length
  /** For each array around the current level: how many of its values are still to come. */
  const outer: number[] = []
  /** Values still to come on the current level. */
  let pending = 1
  let elements = 1
  let position = start
  for (;;) {
    while (pending === 0) {
      const enclosing = outer.pop()
      if (enclosing === undefined) return position
      pending = enclosing
    }
    pending--
    if (position >= end) throw violation(end, 'the value ends early')
    const marker = bytes[position]!
    if (marker <= 0x7f || marker >= 0xe0) {
      // Small integers are most of a header; they take this short way.
      position++
    } else if ((marker & 0xf0) === 0x90 || marker === 0xdc || marker === 0xdd) {
      const count = lengthAt(bytes, position)
      position += headBytes(marker)
      elements += count
      checkArray({ count, elements, depth: outer.length + 1, position, end })
      outer.push(pending)
      pending = count
    } else {
      position = endOfScalar(bytes, position)
      if (position > end) throw violation(end, 'the value ends early')
    }
  }
}

function checkArray(array: {
  readonly count: number
  readonly elements: number
  readonly depth: number
  readonly position: number
  readonly end: number
}): void {
  const { count, elements, depth, position, end } = array
  // Each element takes a byte at least.
  if (count > end - position) throw violation(position, `an array of ${count} in ${end - position} bytes`)
  if (elements > HEADER_ELEMENTS_MAX) {
    throw violation(position, `more than ${HEADER_ELEMENTS_MAX} values in one header`)
  }
  if (depth > HEADER_DEPTH_MAX) throw violation(position, `arrays nested deeper than ${HEADER_DEPTH_MAX}`)
}

/** Where a value that is not an array ends, which may be behind the end of the bytes. */
function endOfScalar(bytes: Uint8Array, position: number): number {
  const marker = bytes[position]!
  if (isTextOrBytes(marker)) return position + headBytes(marker) + lengthAt(bytes, position)
  const size = SCALAR_BYTES[marker]
  if (size !== undefined) return position + size
  throw violation(position, `marker 0x${marker.toString(16)} (${refusedKind(marker)}) is not allowed`)
}

function isTextOrBytes(marker: number): boolean {
  return (marker & 0xe0) === 0xa0 || (marker >= 0xd9 && marker <= 0xdb) || (marker >= 0xc4 && marker <= 0xc6)
}

/** Bytes of nil, booleans, floats and integers, marker included. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  192: 1, // nil
  194: 1, // false
  195: 1, // true
  202: 5, // float 32
  203: 9, // float 64
  204: 2, // uint 8
  205: 3, // uint 16
  206: 5, // uint 32
  207: 9, // uint 64
  208: 2, // int 8
  209: 3, // int 16
  210: 5, // int 32
  211: 9, // int 64
}

function refusedKind(marker: number): string {
  if (marker === 0xc1) return 'never used'
  return (marker & 0xf0) === 0x80 || marker === 0xde || marker === 0xdf ? 'map' : 'extension type'
}

/** Bytes of marker and length of an array, text or bytes. */
function headBytes(marker: number): number {
  switch (marker) {
    case 0xc4:
    case 0xd9:
      return 2
    case 0xc5:
    case 0xda:
    case 0xdc:
      return 3
    case 0xc6:
    case 0xdb:
    case 0xdd:
      return 5
    default:
      return 1
  }
}

/** The length an array, text or bytes announces. */
function lengthAt(bytes: Uint8Array, position: number): number {
  const marker = bytes[position]!
  const head = headBytes(marker)
  if (position + head > bytes.length) throw violation(position, 'the value ends early')
  switch (head) {
    case 1:
      return (marker & 0xe0) === 0xa0 ? marker & 0x1f : marker & 0x0f
    case 2:
      return bytes[position + 1]!
    case 3:
      return (bytes[position + 1]! << 8) | bytes[position + 2]!
    default:
      return (
        ((bytes[position + 1]! << 24) |
          (bytes[position + 2]! << 16) |
          (bytes[position + 3]! << 8) |
          bytes[position + 4]!) >>>
        0
      )
  }
}

function violation(position: number, problem: string): VltavaError {
  return new VltavaError('PROTOCOL_VIOLATION', `Malformed msgpack at byte ${position}: ${problem}.`)
}
