import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { FetchPlan } from '../../src/replication/fetch-plan.ts'

const always = () => true

function planOf(keys: readonly string[], partitionsMax = 100): FetchPlan {
  const plan = new FetchPlan({ responseMaxBytes: 1000, partitionMaxBytes: 300, partitionsMax })
  for (const key of keys) plan.add(key)
  return plan
}

const keysOf = (plan: FetchPlan, isReady: (key: string) => boolean = always) =>
  plan.next(isReady).map((planned) => planned.key)

describe('FetchPlan', () => {
  it('next: nothing served -> the same order again', () => {
    const plan = planOf(['a', 'b', 'c'])
    expect(keysOf(plan)).toEqual(['a', 'b', 'c'])
    expect(keysOf(plan)).toEqual(['a', 'b', 'c'])
  })

  it('served: partitions that got records -> behind those that did not', () => {
    const plan = planOf(['a', 'b', 'c', 'd'])
    keysOf(plan)
    plan.served('a')
    plan.served('b')
    expect(keysOf(plan)).toEqual(['c', 'd', 'a', 'b'])
  })

  it('next: partitions that cannot fetch now -> left out, and keep their turn', () => {
    const plan = planOf(['a', 'b', 'c'])
    expect(keysOf(plan, (key) => key !== 'a')).toEqual(['b', 'c'])
    expect(keysOf(plan)).toEqual(['a', 'b', 'c'])
  })

  it('next: more partitions than one request takes -> all are asked for in rotation', () => {
    const plan = planOf(['a', 'b', 'c', 'd', 'e'], 2)
    expect(keysOf(plan)).toEqual(['a', 'b'])
    expect(keysOf(plan)).toEqual(['c', 'd'])
    expect(keysOf(plan)).toEqual(['a', 'e'])
    plan.served('a')
    expect(keysOf(plan)).toEqual(['b', 'c'])
    expect(keysOf(plan, (key) => key !== 'd')).toEqual(['e', 'a'])
  })

  it('add, remove: a partition twice -> once; a removed one -> never, also when it is served late', () => {
    const plan = planOf(['a', 'b'])
    plan.add('a')
    expect(plan.size).toBe(2)
    plan.remove('a')
    plan.served('a')
    expect(plan.has('a')).toBe(false)
    expect(keysOf(plan)).toEqual(['b'])
  })

  it('maxBytes: a partition gets its limit, but no more than the whole answer', () => {
    expect(planOf(['a']).next(always)).toEqual([{ key: 'a', maxBytes: 300 }])
    const small = new FetchPlan({ responseMaxBytes: 100, partitionMaxBytes: 300 })
    small.add('a')
    expect(small.next(always)).toEqual([{ key: 'a', maxBytes: 100 }])
    expect(small.responseMaxBytes).toBe(100)
  })

  it('constructor: limits that let nothing through -> assertion', () => {
    expect(() => new FetchPlan({ responseMaxBytes: 0, partitionMaxBytes: 1 })).toThrow(AssertionError)
    expect(() => new FetchPlan({ responseMaxBytes: 1, partitionMaxBytes: 0 })).toThrow(AssertionError)
    expect(() => new FetchPlan({ responseMaxBytes: 1, partitionMaxBytes: 1, partitionsMax: 0 })).toThrow(
      AssertionError,
    )
  })

  it('next: answers that hold only some partitions -> each one gets its turn in bounded time', () => {
    const sizes = fc.record({
      partitions: fc.integer({ min: 1, max: 12 }),
      partitionsMax: fc.integer({ min: 1, max: 12 }),
      served: fc.integer({ min: 1, max: 4 }),
    })
    fc.assert(
      fc.property(sizes, ({ partitions, partitionsMax, served }) => {
        const keys = Array.from({ length: partitions }, (_, i) => `p${i}`)
        const plan = planOf(keys, partitionsMax)
        // Each is asked for once in so many requests, and before it can be passed over by all others.
        const waitMax = Math.ceil(partitions / partitionsMax) * Math.ceil(partitions / served) + 1
        const lastServed = new Map(keys.map((key) => [key, 0]))
        let longest = 0
        for (let round = 1; round <= 4 * waitMax; round++) {
          for (const key of keysOf(plan).slice(0, served)) {
            plan.served(key)
            lastServed.set(key, round)
          }
          for (const at of lastServed.values()) longest = Math.max(longest, round - at)
        }
        expect(longest).toBeLessThanOrEqual(waitMax)
      }),
    )
  })
})
