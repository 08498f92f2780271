// The hash of Kafka's default partitioner, so that a record with a key goes to the same partition whichever client
// sends it.

const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995
const ROTATION_BITS = 24

/** MurmurHash2 of 32 bits, little-endian, with Kafka's seed. @returns a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  const wordsEnd = length - (length % 4)
  let hash = SEED ^ length
  for (let i = 0; i < wordsEnd; i += 4) {
    let word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> ROTATION_BITS
    word = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  if (wordsEnd < length) {
    for (let i = length - 1; i >= wordsEnd; i--) hash ^= bytes[i]! << (8 * (i - wordsEnd))
    hash = Math.imul(hash, MULTIPLIER)
  }
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return hash ^ (hash >>> 15)
}
