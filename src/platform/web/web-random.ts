import { type Random, randomFrom } from '../../base/random.ts'

// What the browser offers, named here because the types of the package are Node's.
declare const crypto: { getRandomValues(target: Uint8Array | Uint32Array): void }

/** 32-bit integers fetched at once. */
const POOL_LENGTH = 1024
/** `getRandomValues` refuses more at once (Web Cryptography API, section 10.1.1). */
const FILL_MAX_BYTES = 65_536

/** Cryptographically strong randomness. */
export function createWebRandom(): Random {
  const pool = new Uint32Array(POOL_LENGTH)
  let used = POOL_LENGTH
  const u32 = (): number => {
    if (used === POOL_LENGTH) {
      crypto.getRandomValues(pool)
      used = 0
    }
    return pool[used++]!
  }
  return {
    ...randomFrom(u32),
    fill(target) {
      for (let start = 0; start < target.length; start += FILL_MAX_BYTES) {
        crypto.getRandomValues(target.subarray(start, start + FILL_MAX_BYTES))
      }
    },
  }
}
