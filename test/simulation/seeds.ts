import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A seed that once found something. */
export interface RegressionSeed {
  readonly seed: number
  readonly what: string
}

const CORPUS = fileURLToPath(new URL('../../../test/simulation/regressions.json', import.meta.url))
const SEED_LIMIT = 2 ** 32

/** Seeds that found bugs, run for ever after (SIM-24). */
export function regressionSeeds(): readonly RegressionSeed[] {
  return (JSON.parse(readFileSync(CORPUS, 'utf8')) as { readonly seeds: readonly RegressionSeed[] }).seeds
}

/** So many seeds one after the other, from a start that was never used before, as far as chance goes. */
export function freshSeeds(count: number): readonly number[] {
  const start = randomInt(SEED_LIMIT - count)
  return seedsFrom(start, count)
}

export function seedsFrom(start: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => (start + i) % SEED_LIMIT)
}
