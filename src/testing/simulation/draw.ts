// Draws for swarm testing: of the options themselves, so that every run is another world.
import type { Random } from '../../base/random.ts'

/** An integer from `min` to `max`, both inclusive. */
export function between(random: Random, min: number, max: number): number {
  return min + random.below(max - min + 1)
}

/** One of the values. */
export function oneOf<T>(random: Random, values: readonly T[]): T {
  return values[random.below(values.length)]!
}

/** True in so many of a hundred cases. */
export function chance(random: Random, percent: number): boolean {
  return random.below(100) < percent
}

/** A draw with mean 1, at most about 22. */
export function exponential(random: Random): number {
  return -Math.log((random.u32() + 1) / 2 ** 32)
}

/** The values in a drawn order. */
export function shuffled<T>(random: Random, values: readonly T[]): T[] {
  const left = [...values]
  const order: T[] = []
  while (left.length > 0) order.push(...left.splice(random.below(left.length), 1))
  return order
}
