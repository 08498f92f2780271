// Zig-zag varints as Kafka's records use them: seven bits a byte, lowest first, the sign in bit 0. A varint holds an
// int32 in at most 5 bytes, a varlong an int64 in at most 10; ours hold safe integers, so 8 bytes are the most we write.

/** The position just behind the value that was read, and the value; refilled by each read, so nothing is allocated. */
export interface VarintCursor {
  position: number
  value: number
}

/** Bytes of the longest varint (int32) and of the longest varlong that a writer of int64 makes. */
export const VARINT_MAX_BYTES = 5
export const VARLONG_MAX_BYTES = 10

// The functions on the way of every record are small on purpose, with the rare cases apart: V8 stops inlining into
// `BatchBuilder.tryAppend` when their bytecode together passes its budget, which cost 10 ns a record (Node 20).

/** The bytes `writeVarint` takes. @param value an int32. */
export function varintBytes(value: number): number {
  const zigZag = (value << 1) ^ (value >> 31)
  // Seven bits a byte: (352 - 9 * leading zeros) / 64 is ceil(bits / 7) for 1 to 32 bits.
  return (352 - 9 * Math.clz32(zigZag | 1)) >> 6
}

/** The bytes `writeVarlong` takes. @param value a safe integer. */
export function varlongBytes(value: number): number {
  return value === (value | 0) ? varintBytes(value) : wideVarlongBytes(value)
}

function wideVarlongBytes(value: number): number {
  // The first byte holds six bits beside the sign, each further one seven.
  let rest = Math.floor((value < 0 ? -value - 1 : value) / 64)
  let bytes = 1
  while (rest > 0) {
    rest = Math.floor(rest / 128)
    bytes++
  }
  return bytes
}

/**
 * @param value an int32.
 * @returns the position behind the written bytes.
 */
export function writeVarint(target: Uint8Array, position: number, value: number): number {
  const zigZag = (value << 1) ^ (value >> 31)
  if (zigZag >>> 7 !== 0) return writeManyBytes(target, position, zigZag)
  target[position] = zigZag
  return position + 1
}

function writeManyBytes(target: Uint8Array, start: number, zigZag: number): number {
  let position = start
  let rest = zigZag
  while (rest >>> 7 !== 0) {
    target[position++] = rest | 0x80
    rest >>>= 7
  }
  target[position++] = rest
  return position
}

/**
 * @param value a safe integer.
 * @returns the position behind the written bytes.
 */
export function writeVarlong(target: Uint8Array, position: number, value: number): number {
  return value === (value | 0)
    ? writeVarint(target, position, value)
    : writeWideVarlong(target, position, value)
}

function writeWideVarlong(target: Uint8Array, start: number, value: number): number {
  let position = start
  const magnitude = value < 0 ? -value - 1 : value
  let rest = Math.floor(magnitude / 64)
  let byte = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0)
  while (rest > 0) {
    target[position++] = byte | 0x80
    byte = rest % 128
    rest = Math.floor(rest / 128)
  }
  target[position++] = byte
  return position
}

/**
 * Reads an int32 at `cursor.position` and moves the cursor behind it.
 * @param end the position the value must not reach beyond.
 * @returns false, with the cursor unchanged, when the value is cut off by `end` or does not fit into 32 bits.
 */
export function readVarint(bytes: Uint8Array, cursor: VarintCursor, end: number): boolean {
  let position = cursor.position
  let zigZag = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (position >= end) return false
    const byte = bytes[position++]!
    // The fifth byte has room for the four bits 28 to 31.
    if (shift === 28 && byte > 0x0f) return false
    zigZag |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      cursor.position = position
      cursor.value = (zigZag >>> 1) ^ -(zigZag & 1)
      return true
    }
  }
  return false
}

/**
 * Reads an int64 at `cursor.position` and moves the cursor behind it.
 * @param end the position the value must not reach beyond.
 * @returns false, with the cursor unchanged, when the value is cut off by `end`, is longer than 10 bytes or is not a
 *   safe integer.
 */
export function readVarlong(bytes: Uint8Array, cursor: VarintCursor, end: number): boolean {
  let position = cursor.position
  if (position >= end) return false
  let byte = bytes[position++]!
  const negative = (byte & 1) === 1
  let magnitude = (byte & 0x7f) >>> 1
  let weight = 64
  while (byte >= 0x80) {
    if (position >= end || position - cursor.position >= VARLONG_MAX_BYTES) return false
    byte = bytes[position++]!
    // A sum beyond 2^53 may round, but never back below it, so the check behind the loop sees it.
    magnitude += (byte & 0x7f) * weight
    weight *= 128
  }
  const value = negative ? -magnitude - 1 : magnitude
  if (!Number.isSafeInteger(value)) return false
  cursor.position = position
  cursor.value = value
  return true
}
