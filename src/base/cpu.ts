// The cpu port: work that native code may do faster than the pure fallback. All of it is a function of its input.

export interface Cpu {
  /**
   * CRC-32C (Castagnoli, RFC 3720 appendix B.4) of the bytes; `previous` continues an earlier checksum. Returns an
   * unsigned 32-bit integer.
   */
  crc32c(bytes: Uint8Array, previous?: number): number
  encodeUtf8(text: string): Uint8Array
  /** Malformed input becomes U+FFFD; it never throws. */
  decodeUtf8(bytes: Uint8Array): string
}

/** Keyed hashing for the proof of the cluster secret. Only servers need it. */
export interface Mac {
  hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array
  /** Equality whose time does not depend on where the inputs differ. Different lengths are unequal. */
  equal(a: Uint8Array, b: Uint8Array): boolean
}
