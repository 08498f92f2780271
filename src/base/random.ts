// The random port and a seeded generator. Cores take a Random as an argument; ids, jitter and election timeouts all
// come from it, so that a seed reproduces a run.

export interface Random {
  /** An integer in [0, 2^32). */
  u32(): number
  /** An integer in [0, limit). `limit` is 1 to 2^32. */
  below(limit: number): number
  /** Fills the target with random bytes. */
  fill(target: Uint8Array): void
}

/** Derives `below` without modulo bias and `fill` from a source of 32-bit integers. */
export function randomFrom(u32: () => number): Random {
  return {
    u32,
    below(limit) {
      if (!Number.isInteger(limit) || limit < 1 || limit > 2 ** 32) {
        throw new RangeError(`below(limit): limit must be an integer from 1 to 2^32, got ${limit}`)
      }
      const unbiasedEnd = 2 ** 32 - (2 ** 32 % limit)
      let drawn = u32()
      while (drawn >= unbiasedEnd) drawn = u32()
      return drawn % limit
    },
    fill(target) {
      for (let i = 0; i < target.length; i += 4) {
        let word = u32()
        for (let j = i; j < Math.min(i + 4, target.length); j++) {
          target[j] = word & 0xff
          word >>>= 8
        }
      }
    },
  }
}

/**
 * A reproducible generator (sfc32 by Chris Doty-Humphrey: 128 bits of state, passes PractRand). Not for secrets.
 * @param seed any integer; only its low 32 bits count.
 */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = seed >>> 0
  let counter = 1
  const next = (): number => {
    const sum = (((a + b) >>> 0) + counter) >>> 0
    counter = (counter + 1) >>> 0
    a = (b ^ (b >>> 9)) >>> 0
    b = (c + (c << 3)) >>> 0
    c = ((c << 21) | (c >>> 11)) >>> 0
    c = (c + sum) >>> 0
    return sum
  }
  for (let i = 0; i < 12; i++) next()
  return randomFrom(next)
}
