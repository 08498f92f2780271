import { crc32c } from '../../base/crc32c.ts'
import { type Random, seededRandom } from '../../base/random.ts'

const encoder = new TextEncoder()

/**
 * Independent sources of random numbers by name, all from one seed: one more draw for one concern does not change what
 * the others get (SIM-6).
 */
export class RandomStreams {
  readonly #seed: number

  /** @param seed an integer from 0 to 2^32-1. */
  constructor(seed: number) {
    this.#seed = seed
  }

  /** A new generator; the same name begins the same numbers again. */
  stream(name: string): Random {
    return seededRandom(crc32c(encoder.encode(`${this.#seed}/${name}`)))
  }
}
