import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Random } from '../../../src/base/random.ts'
import { seededRandom } from '../../../src/base/random.ts'
import { between, chance, exponential, oneOf, shuffled } from '../../../src/testing/simulation/draw.ts'
import { RandomStreams } from '../../../src/testing/simulation/random-streams.ts'

function draws(random: Random, count = 20): number[] {
  return Array.from({ length: count }, () => random.u32())
}

describe('RandomStreams', () => {
  it('SIM-6: any number of draws more from one stream -> all others as they were', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.nat(50),
        fc.constantFrom('network', 'order', 'nemesis'),
        (seed, more, by) => {
          const names = ['network', 'order', 'nemesis', 'node-1/disk', 'plan']
          const use = (extra: number): Map<string, number[]> => {
            const streams = new RandomStreams(seed)
            const used = new Map(names.map((name) => [name, streams.stream(name)]))
            const seen = new Map<string, number[]>(names.map((name) => [name, []]))
            // In turn, as in a run, so that streams that share their state would notice.
            for (let i = 0; i < 10; i++) {
              for (const name of names) {
                seen.get(name)!.push(used.get(name)!.u32())
                if (name === by && i === 3) draws(used.get(name)!, extra)
              }
            }
            return seen
          }
          const [plain, other] = [use(0), use(more)]
          for (const name of names) if (name !== by) expect(other.get(name)).toEqual(plain.get(name))
        },
      ),
    )
  })

  it('SIM-6: a stream that did not exist before -> all others as they were', () => {
    const [plain, other] = [new RandomStreams(7), new RandomStreams(7)]
    const expected = draws(plain.stream('order'))
    draws(other.stream('something new'))
    expect(draws(other.stream('order'))).toEqual(expected)
  })

  it('the same name -> the same numbers from the start; another name or seed -> others', () => {
    const streams = new RandomStreams(7)
    const first = draws(streams.stream('order'))
    expect(draws(streams.stream('order'))).toEqual(first)
    const all = new Set<string>()
    for (let seed = 0; seed < 50; seed++) {
      for (const name of ['order', 'network', 'node-1/disk', 'node-2/disk', 'node-1/run-1', 'node-1/run-2'])
        all.add(draws(new RandomStreams(seed).stream(name), 4).join())
    }
    expect(all.size).toBe(300)
  })
})

describe('draws', () => {
  it('between, oneOf, chance -> within their bounds, and every value comes', () => {
    const random = seededRandom(5)
    const seen = new Set<number>()
    for (let i = 0; i < 500; i++) seen.add(between(random, -3, 3))
    expect([...seen].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2, 3])
    const values = new Set<string>()
    for (let i = 0; i < 200; i++) values.add(oneOf(random, ['a', 'b', 'c']))
    expect([...values].sort()).toEqual(['a', 'b', 'c'])
    const hits = Array.from({ length: 10_000 }, () => chance(random, 30)).filter(Boolean).length
    expect(hits).toBeGreaterThan(2_700)
    expect(hits).toBeLessThan(3_300)
    expect(Array.from({ length: 100 }, () => chance(random, 0))).not.toContain(true)
    expect(Array.from({ length: 100 }, () => chance(random, 100))).not.toContain(false)
  })

  it('exponential -> finite, never negative, mean 1', () => {
    const random = seededRandom(6)
    const all = Array.from({ length: 20_000 }, () => exponential(random))
    expect(all.every((value) => value >= 0 && value < 23)).toBe(true)
    const mean = all.reduce((sum, value) => sum + value, 0) / all.length
    expect(mean).toBeGreaterThan(0.95)
    expect(mean).toBeLessThan(1.05)
    const ends = [0, 2 ** 32 - 1].map((u32) => exponential({ ...random, u32: () => u32 }))
    expect(ends[0]).toBeCloseTo(22.18, 1)
    expect(ends[1]).toBe(-0)
  })

  it('shuffled -> every order comes, the values stay', () => {
    const random = seededRandom(8)
    const values = [1, 2, 3]
    const orders = new Set(Array.from({ length: 200 }, () => shuffled(random, values).join()))
    expect([...orders].sort()).toEqual(['1,2,3', '1,3,2', '2,1,3', '2,3,1', '3,1,2', '3,2,1'])
    expect(values).toEqual([1, 2, 3])
  })
})
