// CRC-32C (Castagnoli) by table, eight bytes a step: what browsers use, and Node where the native module is missing or
// the input is too short to be worth the call.

/** The polynomial 0x1EDC6F41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78

/** Eight tables of 256 in one array: entry `256 * k + b` advances byte b by k further zero bytes. */
function buildTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0)
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) {
    const shorter = tables[i - 256]!
    tables[i] = (shorter >>> 8) ^ tables[shorter & 0xff]!
  }
  return tables
}

const TABLES = buildTables()

/**
 * CRC-32C of the bytes (RFC 3720 appendix B.4).
 * @param previous the checksum of the bytes before these, to continue it; 0, the default, starts anew.
 * @returns an unsigned 32-bit integer.
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const length = bytes.length
  const wordsEnd = length - (length % 8)
  let crc = ~previous
  let i = 0
  for (; i < wordsEnd; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    crc =
      TABLES[1792 + (crc & 0xff)]! ^
      TABLES[1536 + ((crc >>> 8) & 0xff)]! ^
      TABLES[1280 + ((crc >>> 16) & 0xff)]! ^
      TABLES[1024 + (crc >>> 24)]! ^
      TABLES[768 + bytes[i + 4]!]! ^
      TABLES[512 + bytes[i + 5]!]! ^
      TABLES[256 + bytes[i + 6]!]! ^
      TABLES[bytes[i + 7]!]!
  }
  for (; i < length; i++) crc = (crc >>> 8) ^ TABLES[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}
