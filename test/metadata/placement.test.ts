import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { placeReplicas } from '../../src/metadata/placement.ts'

const cases = fc.integer({ min: 1, max: 12 }).chain((brokers) =>
  fc.record({
    brokers: fc.constant(Array.from({ length: brokers }, (_, i) => 10 * i + 3)),
    replicationFactor: fc.integer({ min: 1, max: brokers }),
    partitions: fc.integer({ min: 1, max: 200 }),
    seed: fc.integer(),
  }),
)

function counts(brokers: readonly number[], used: readonly number[]): readonly number[] {
  return brokers.map((brokerId) => used.filter((other) => other === brokerId).length)
}

describe('placement', () => {
  it('every partition gets so many different brokers of the list', () => {
    fc.assert(
      fc.property(cases, ({ seed, ...placement }) => {
        const placed = placeReplicas(placement, seededRandom(seed))
        expect(placed.length).toBe(placement.partitions)
        for (const replicas of placed) {
          expect(new Set(replicas).size).toBe(placement.replicationFactor)
          expect(replicas.length).toBe(placement.replicationFactor)
          expect(replicas.every((brokerId) => placement.brokers.includes(brokerId))).toBe(true)
        }
      }),
      { seed: 7 },
    )
  })

  it('leaders differ by at most one between brokers; whole rounds spread all replicas evenly', () => {
    fc.assert(
      fc.property(cases, ({ seed, ...placement }) => {
        const { brokers, partitions, replicationFactor } = placement
        const placed = placeReplicas(placement, seededRandom(seed))
        const leaders = counts(
          brokers,
          placed.map((replicas) => replicas[0]!),
        )
        expect(Math.max(...leaders) - Math.min(...leaders)).toBeLessThanOrEqual(1)
        const replicas = counts(brokers, placed.flat())
        const spread = Math.max(...replicas) - Math.min(...replicas)
        expect(spread).toBeLessThanOrEqual(partitions % brokers.length === 0 ? 0 : replicationFactor)
      }),
      { seed: 7 },
    )
  })

  it('the start differs from seed to seed, so that small topics do not all land on the first broker', () => {
    const leaders = new Set(
      Array.from({ length: 50 }, (_, seed) =>
        placeReplicas({ brokers: [1, 2, 3], partitions: 1, replicationFactor: 1 }, seededRandom(seed)).flat(),
      ).flat(),
    )
    expect(leaders).toEqual(new Set([1, 2, 3]))
  })

  it('the followers of one leader are spread over all other brokers', () => {
    const brokers = [1, 2, 3, 4, 5]
    const placed = placeReplicas({ brokers, partitions: 20, replicationFactor: 2 }, seededRandom(4))
    for (const leader of brokers) {
      const followers = placed.filter(([first]) => first === leader).map(([, second]) => second)
      expect(new Set(followers).size).toBe(4)
    }
  })

  it('more replicas than brokers is a bug of the caller', () => {
    const placement = { brokers: [1, 2], partitions: 1, replicationFactor: 3 }
    expect(() => placeReplicas(placement, seededRandom(1))).toThrow(/3 replicas do not fit on 2 brokers/)
  })
})
