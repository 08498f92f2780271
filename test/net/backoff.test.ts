import { describe, expect, it } from 'vitest'
import { randomFrom, seededRandom } from '../../src/base/random.ts'
import { backoffMs } from '../../src/net/backoff.ts'

const lowest = randomFrom(() => 0)
const highest = { ...lowest, below: (limit: number) => limit - 1 }

describe('backoff', () => {
  it('attempts one after the other -> the delay doubles up to the maximum; half of it is jitter', () => {
    const ranges = [1, 2, 3, 4, 5, 6, 7].map((attempt) => [
      backoffMs({ attempt, random: lowest }),
      backoffMs({ attempt, random: highest }),
    ])
    expect(ranges).toEqual([
      [25, 50],
      [50, 100],
      [100, 200],
      [200, 400],
      [400, 800],
      [500, 1_000],
      [500, 1_000],
    ])
  })

  it('many attempts, none, odd settings -> a whole number of milliseconds within the bounds', () => {
    const random = seededRandom(1)
    for (const attempt of [0, 1, 2, 10, 31, 32, 1_000, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      for (const [baseMs, maxMs] of [
        [50, 1_000],
        [1, 1],
        [0, 0],
        [7, 3],
        [333, 60_000],
      ] as const) {
        const delayMs = backoffMs({ attempt, baseMs, maxMs, random })
        expect(Number.isInteger(delayMs)).toBe(true)
        expect(delayMs).toBeGreaterThanOrEqual(0)
        expect(delayMs).toBeLessThanOrEqual(maxMs)
      }
    }
  })

  it('clients that lost the same node -> are spread over half of the delay', () => {
    const random = seededRandom(2)
    const delays = Array.from({ length: 1_000 }, () => backoffMs({ attempt: 10, random }))
    expect(Math.min(...delays)).toBeLessThan(550)
    expect(Math.max(...delays)).toBeGreaterThan(950)
  })
})
