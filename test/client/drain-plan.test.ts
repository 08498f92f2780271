import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DrainInput, drainPlan } from '../../src/client/drain-plan.ts'

function input(partitions: readonly (readonly number[])[], given: Partial<DrainInput> = {}): DrainInput {
  return {
    broker: 1,
    brokers: [1, 2, 3, 4].map((brokerId) => ({ brokerId, fenced: false, rack: null, cordoned: false })),
    topics: [{ name: 't', partitions: partitions.map((replicas, partition) => ({ partition, replicas })) }],
    ongoing: [],
    ...given,
  }
}

const move = (target: readonly number[]) => ({
  ...{ topic: 't', partition: 0, leader: 1, isr: [1, 2], original: [1, 2], observers: [] },
  target,
})

describe('a plan to drain a broker', () => {
  it('each of its replicas goes to the broker with the fewest, in the same place', () => {
    expect(drainPlan(input([[1, 2], [2, 1], [2, 3], [2]])).moves).toEqual([
      { topic: 't', partition: 0, replicas: [4, 2] },
      { topic: 't', partition: 1, replicas: [2, 3] },
    ])
  })

  it('nobody else can have it -> stays, with what to do', () => {
    const brokers = [1, 2, 3, 4].map((brokerId) => ({
      ...{ brokerId, fenced: brokerId > 3, rack: null },
      cordoned: brokerId === 3,
    }))
    expect(drainPlan(input([[1, 2]], { brokers }))).toEqual({
      moves: [],
      underWay: 0,
      stuck: [
        {
          topic: 't',
          partition: 0,
          reason:
            'no other broker is alive and not cordoned that has none of its 2 replicas; start one, or ask for fewer replicas',
        },
      ],
    })
  })

  it('moves away already -> under way; moves and is to stay -> stuck', () => {
    expect(drainPlan(input([[1, 2, 3]], { ongoing: [move([3, 2])] }))).toEqual({
      ...{ moves: [], underWay: 1, stuck: [] },
    })
    const [stuck] = drainPlan(input([[1, 2, 3]], { ongoing: [move([3, 1])] })).stuck
    expect(stuck?.reason).toBe('it moves to [3, 1] already; wait for the end or cancel it')
  })

  it('any cluster -> every replica of the broker moves or is stuck, to brokers that are alive, not cordoned, and have none', () => {
    const cluster = fc.record({
      fenced: fc.subarray([1, 2, 3, 4, 5]),
      cordoned: fc.subarray([1, 2, 3, 4, 5]),
      partitions: fc.array(fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1 }), { maxLength: 12 }),
      racks: fc.array(fc.constantFrom('a', 'b', 'c', null), { minLength: 5, maxLength: 5 }),
    })
    fc.assert(
      fc.property(cluster, ({ fenced, cordoned, partitions, racks }) => {
        const brokers = [1, 2, 3, 4, 5].map((brokerId, i) => ({
          brokerId,
          fenced: fenced.includes(brokerId),
          rack: racks[i]!,
          cordoned: cordoned.includes(brokerId),
        }))
        const { moves, stuck } = drainPlan(input(partitions, { brokers }))
        const hosted = partitions.filter((replicas) => replicas.includes(1)).length
        expect(moves.length + stuck.length).toBe(hosted)
        for (const { partition, replicas } of moves) {
          const before = partitions[partition]!
          expect(replicas).not.toContain(1)
          expect(new Set(replicas).size).toBe(before.length)
          const added = replicas!.filter((id) => !before.includes(id))
          expect(added).toHaveLength(1)
          expect([...fenced, ...cordoned]).not.toContain(added[0])
        }
      }),
      { seed: 31 },
    )
  })
})

describe('a plan to drain a broker where brokers have racks', () => {
  const inRacks = (racks: readonly (string | null)[], fenced: readonly number[] = []) =>
    racks.map((rack, i) => ({ brokerId: i + 1, fenced: fenced.includes(i + 1), rack, cordoned: false }))
  const targets = (partitions: readonly (readonly number[])[], brokers: DrainInput['brokers']) =>
    drainPlan(input(partitions, { brokers })).moves.map(({ replicas }) => replicas)

  it('the least loaded broker would leave the partition in fewer racks -> the least loaded of those that do not', () => {
    // Broker 3 hosts nothing, but broker 2 has the rack already.
    const partitions = [[1, 2], [4], [5], [5]]
    expect(targets(partitions, inRacks(['a', 'b', 'b', 'a', 'c']))).toEqual([[4, 2]])
    expect(targets(partitions, inRacks([null, null, null, null, null]))).toEqual([[3, 2]])
  })

  it('nobody can keep the number of racks -> the rack with the fewest of its replicas', () => {
    const brokers = inRacks(['a', 'b', 'b', 'c', 'b', 'c'])
    expect(targets([[1, 2, 3, 4], [6]], brokers)).toEqual([[6, 2, 3, 4]])
  })

  it('the partition can get into one more rack -> it does', () => {
    // Its other replica of rack a stays; broker 5 of that rack has less to do than broker 4.
    expect(targets([[1, 2, 3], [4]], inRacks(['a', 'a', 'b', 'c', 'a']))).toEqual([[4, 2, 3]])
  })

  it('a broker that is alive has no rack -> racks do not count; the one that goes, fenced and cordoned ones need none', () => {
    const partitions = [[1, 2], [4], [5], [5]]
    expect(targets(partitions, inRacks(['a', 'b', 'b', 'a', null]))).toEqual([[3, 2]])
    expect(targets(partitions, inRacks([null, 'b', 'b', 'a', null], [5]))).toEqual([[4, 2]])
    const cordoned = inRacks([null, 'b', 'b', 'a', null]).map((broker) => ({
      ...broker,
      cordoned: broker.brokerId === 5,
    }))
    expect(targets(partitions, cordoned)).toEqual([[4, 2]])
  })

  it('any cluster -> no partition ends in fewer racks than any other target would have left it in', () => {
    const cluster = fc.record({
      racks: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 6, maxLength: 6 }),
      partitions: fc.array(fc.shuffledSubarray([1, 2, 3, 4, 5, 6], { minLength: 1 }), { maxLength: 12 }),
    })
    fc.assert(
      fc.property(cluster, ({ racks, partitions }) => {
        const count = (ids: readonly number[]) => new Set(ids.map((id) => racks[id - 1])).size
        const { moves } = drainPlan(input(partitions, { brokers: inRacks(racks) }))
        for (const { partition, replicas } of moves) {
          const others = partitions[partition]!.filter((id) => id !== 1)
          const free = [2, 3, 4, 5, 6].filter((id) => !others.includes(id))
          const best = Math.max(...free.map((id) => count([...others, id])))
          expect(count(replicas!)).toBe(best)
        }
      }),
      { seed: 32 },
    )
  })
})
