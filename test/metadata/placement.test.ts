import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import {
  type Placement,
  type PlacementBroker,
  placeReplicas,
  startAfter,
} from '../../src/metadata/placement.ts'

const withoutRacks = (ids: readonly number[]): readonly PlacementBroker[] =>
  ids.map((brokerId) => ({ brokerId, rack: null }))

const idsOf = (brokers: readonly PlacementBroker[]): number[] => brokers.map(({ brokerId }) => brokerId)

const cases = fc.integer({ min: 1, max: 12 }).chain((brokers) =>
  fc.record({
    brokers: fc.constant(withoutRacks(Array.from({ length: brokers }, (_, i) => 10 * i + 3))),
    replicationFactor: fc.integer({ min: 1, max: brokers }),
    partitions: fc.integer({ min: 1, max: 200 }),
    seed: fc.integer(),
  }),
)

/** Every broker has a rack. @param sizes how many brokers there are in each. */
const inRacks = (sizes: readonly number[]): fc.Arbitrary<Placement & { readonly seed: number }> => {
  const racks = sizes.flatMap((size, rack) => Array.from({ length: size }, () => `rack ${rack}`))
  return fc.record({
    brokers: fc
      .shuffledSubarray(racks, { minLength: racks.length })
      .map((shuffled) => shuffled.map((rack, i) => ({ brokerId: 7 * i + 1, rack }))),
    replicationFactor: fc.integer({ min: 1, max: racks.length }),
    partitions: fc.integer({ min: 1, max: 60 }),
    seed: fc.integer(),
  })
}
const size = fc.integer({ min: 1, max: 4 })
const rackCases = fc.array(size, { minLength: 1, maxLength: 6 }).chain(inRacks)
const unevenRackCases = fc
  .array(size, { minLength: 2, maxLength: 6 })
  .filter((sizes) => new Set(sizes).size > 1)
  .chain(inRacks)
const evenRackCases = fc
  .tuple(size, fc.integer({ min: 1, max: 5 }))
  .chain(([each, racks]) => inRacks(Array.from({ length: racks }, () => each)))

function counts(brokers: readonly number[], used: readonly number[]): readonly number[] {
  return brokers.map((brokerId) => used.filter((other) => other === brokerId).length)
}

const spread = (numbers: readonly number[]): number => Math.max(...numbers) - Math.min(...numbers)

/** How many of the replicas each rack has, and how many brokers. */
function perRack(brokers: readonly PlacementBroker[], replicas: readonly number[]) {
  const racks = [...new Set(brokers.map(({ rack }) => rack))]
  return racks.map((name) => {
    const members = idsOf(brokers.filter(({ rack }) => rack === name))
    return { brokers: members.length, replicas: replicas.filter((id) => members.includes(id)).length }
  })
}

/** The striping without racks in its plainest form. */
function striped({ brokers, partitions, replicationFactor }: Placement, seed: number): number[][] {
  const random = seededRandom(seed)
  const ids = idsOf(brokers).sort((a, b) => a - b)
  const first = random.below(ids.length)
  const distance = random.below(ids.length)
  return Array.from({ length: partitions }, (_, partition) => {
    const leader = first + partition
    const round = distance + Math.floor(partition / ids.length)
    const followers = Array.from(
      { length: replicationFactor - 1 },
      (__, follower) => leader + 1 + ((round + follower) % (ids.length - 1)),
    )
    return [leader, ...followers].map((at) => ids[at % ids.length]!)
  })
}

describe('placement', () => {
  it('every partition gets so many different brokers of the list', () => {
    fc.assert(
      fc.property(fc.oneof(cases, rackCases), ({ seed, ...placement }) => {
        const placed = placeReplicas(placement, seededRandom(seed))
        expect(placed.length).toBe(placement.partitions)
        for (const replicas of placed) {
          expect(new Set(replicas).size).toBe(placement.replicationFactor)
          expect(replicas.length).toBe(placement.replicationFactor)
          expect(replicas.every((brokerId) => idsOf(placement.brokers).includes(brokerId))).toBe(true)
        }
      }),
      { seed: 7 },
    )
  })

  it('leaders differ by at most one between brokers; whole rounds spread all replicas evenly', () => {
    fc.assert(
      fc.property(fc.oneof(cases, evenRackCases), ({ seed, ...placement }) => {
        const { partitions, replicationFactor } = placement
        const brokers = idsOf(placement.brokers)
        const placed = placeReplicas(placement, seededRandom(seed))
        const leaders = placed.map((replicas) => replicas[0]!)
        expect(spread(counts(brokers, leaders))).toBeLessThanOrEqual(1)
        const isWhole = partitions % brokers.length === 0
        expect(spread(counts(brokers, placed.flat()))).toBeLessThanOrEqual(isWhole ? 0 : replicationFactor)
      }),
      { seed: 7, numRuns: 300 },
    )
  })

  it('the start differs from seed to seed, so that small topics do not all land on the first broker', () => {
    const placement = { brokers: withoutRacks([1, 2, 3]), partitions: 1, replicationFactor: 1 }
    const placed = Array.from({ length: 50 }, (_, seed) => placeReplicas(placement, seededRandom(seed)))
    expect(new Set(placed.flat(2))).toEqual(new Set([1, 2, 3]))
  })

  it('the followers of one leader are spread over all other brokers', () => {
    const brokers = [1, 2, 3, 4, 5]
    const placement = { brokers: withoutRacks(brokers), partitions: 20, replicationFactor: 2 }
    const placed = placeReplicas(placement, seededRandom(4))
    for (const leader of brokers) {
      const followers = placed.filter(([first]) => first === leader).map(([, second]) => second)
      expect(new Set(followers).size).toBe(4)
    }
  })

  it('more replicas than brokers is a bug of the caller', () => {
    const placement = { brokers: withoutRacks([1, 2]), partitions: 1, replicationFactor: 3 }
    expect(() => placeReplicas(placement, seededRandom(1))).toThrow(/3 replicas do not fit on 2 brokers/)
  })
})

describe('placement with racks', () => {
  it('the first n replicas of any partition are in min(n, racks) racks, and as evenly as these allow', () => {
    fc.assert(
      fc.property(rackCases, ({ seed, ...placement }) => {
        const starts = placeReplicas(placement, seededRandom(seed)).flatMap((replicas) =>
          replicas.map((_, i) => replicas.slice(0, i + 1)),
        )
        const crowded = starts.filter((replicas) => {
          const racks = perRack(placement.brokers, replicas)
          const most = Math.max(...racks.map((rack) => rack.replicas))
          const isSpread =
            racks.filter((rack) => rack.replicas > 0).length === Math.min(replicas.length, racks.length)
          return !isSpread || racks.some((rack) => rack.replicas < Math.min(rack.brokers, most - 1))
        })
        expect(crowded).toEqual([])
      }),
      { seed: 8, numRuns: 300 },
    )
  })

  it('racks of any sizes -> leaders differ by at most one between brokers', () => {
    fc.assert(
      fc.property(rackCases, ({ seed, ...placement }) => {
        const leaders = placeReplicas(placement, seededRandom(seed)).map((replicas) => replicas[0]!)
        expect(spread(counts(idsOf(placement.brokers), leaders))).toBeLessThanOrEqual(1)
      }),
      { seed: 9 },
    )
  })

  it('racks of different sizes -> brokers of one rack differ by at most two replicas, however many partitions there are', () => {
    fc.assert(
      fc.property(unevenRackCases, ({ seed, ...placement }) => {
        const placed = placeReplicas(placement, seededRandom(seed)).flat()
        const racks = new Set(placement.brokers.map(({ rack }) => rack))
        const worst = [...racks].map((name) => {
          const members = placement.brokers.filter(({ rack }) => rack === name)
          return spread(counts(idsOf(members), placed))
        })
        expect(Math.max(...worst)).toBeLessThanOrEqual(2)
      }),
      { seed: 13, numRuns: 500 },
    )
  })

  it('one broker of nine is away -> the load goes to the others as evenly as racks allow', () => {
    const brokers = [1, 2, 3, 4, 5, 6, 7, 8].map((brokerId) => ({ brokerId, rack: `rack ${brokerId % 3}` }))
    const placement = { brokers, partitions: 96, replicationFactor: 3 }
    const placed = placeReplicas(placement, seededRandom(6)).flat()
    // Racks 1 and 2 have three brokers, rack 0 has two, and each rack has one replica of each partition.
    expect(counts([1, 4, 7, 2, 5, 8, 3, 6], placed)).toEqual([32, 32, 32, 32, 32, 32, 48, 48])
  })

  it('the same draws -> the same placement, in whatever order the brokers are named', () => {
    fc.assert(
      fc.property(rackCases, ({ seed, ...placement }) => {
        const turned = { ...placement, brokers: placement.brokers.toReversed() }
        expect(placeReplicas(turned, seededRandom(seed))).toEqual(
          placeReplicas(placement, seededRandom(seed)),
        )
      }),
      { seed: 10 },
    )
  })

  it('no broker, or not every broker, has one, all are in one, or none shares one -> as without racks', () => {
    const namings: readonly ((i: number) => string | null)[] = [
      () => null,
      (i) => (i === 0 ? null : `rack ${i % 2}`),
      () => 'the only one',
      (i) => `rack ${100 - i}`,
    ]
    fc.assert(
      fc.property(cases, fc.constantFrom(...namings), ({ seed, ...placement }, rackOf) => {
        const brokers = placement.brokers.map(({ brokerId }, i) => ({ brokerId, rack: rackOf(i) }))
        const random = seededRandom(seed)
        expect(placeReplicas({ ...placement, brokers }, random)).toEqual(striped(placement, seed))
        // And nothing else is drawn, so that what is drawn behind it is the same, too.
        const after = seededRandom(seed)
        for (const bound of [brokers.length, brokers.length]) after.below(bound)
        expect(random.below(1_000_000)).toBe(after.below(1_000_000))
      }),
      { seed: 11, numRuns: 300 },
    )
  })

  it('the start after the first partition -> the same placement goes on, for whatever number of partitions', () => {
    fc.assert(
      fc.property(rackCases, fc.integer({ min: 0, max: 40 }), ({ seed, ...placement }, more) => {
        const before = placeReplicas(placement, seededRandom(seed))
        const partitions = placement.partitions + more
        const start = startAfter(before[0]!, placement.brokers)
        const after = placeReplicas({ ...placement, partitions, start }, seededRandom(seed + 1))
        expect(after).toEqual(placeReplicas({ ...placement, partitions }, seededRandom(seed)))
      }),
      { seed: 12, numRuns: 300 },
    )
  })

  it('the first partition is on brokers that are gone -> no start', () => {
    const brokers = [1, 2, 3].map((brokerId) => ({ brokerId, rack: `rack ${brokerId}` }))
    expect(startAfter([4, 1], brokers)).toBe(null)
    expect(startAfter([1, 4], brokers)).toBe(null)
    expect(startAfter([], brokers)).toBe(null)
  })

  it('two racks of three brokers -> the followers of one leader take turns in the other rack', () => {
    const brokers = [1, 2, 3, 4, 5, 6].map((brokerId) => ({ brokerId, rack: brokerId < 4 ? 'a' : 'b' }))
    const placement = { brokers, partitions: 18, replicationFactor: 2 }
    const placed = placeReplicas(placement, seededRandom(4))
    const followers = placed.filter(([leader]) => leader === 1).map(([, follower]) => follower)
    expect(new Set(followers)).toEqual(new Set([4, 5, 6]))
  })
})
