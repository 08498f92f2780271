import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DrainInput, drainPlan } from '../../src/client/drain-plan.ts'

function input(partitions: readonly (readonly number[])[], given: Partial<DrainInput> = {}): DrainInput {
  return {
    broker: 1,
    brokers: [1, 2, 3, 4].map((brokerId) => ({ brokerId, fenced: false })),
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
    const brokers = [1, 2, 3, 4].map((brokerId) => ({ brokerId, fenced: brokerId > 2 }))
    expect(drainPlan(input([[1, 2]], { brokers }))).toEqual({
      moves: [],
      underWay: 0,
      stuck: [
        {
          topic: 't',
          partition: 0,
          reason:
            'no other broker is alive that has none of its 2 replicas; start one, or ask for fewer replicas',
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

  it('any cluster -> every replica of the broker moves or is stuck, to brokers that are alive and have none', () => {
    const cluster = fc.record({
      fenced: fc.subarray([1, 2, 3, 4, 5]),
      partitions: fc.array(fc.shuffledSubarray([1, 2, 3, 4, 5], { minLength: 1 }), { maxLength: 12 }),
    })
    fc.assert(
      fc.property(cluster, ({ fenced, partitions }) => {
        const brokers = [1, 2, 3, 4, 5].map((brokerId) => ({ brokerId, fenced: fenced.includes(brokerId) }))
        const { moves, stuck } = drainPlan(input(partitions, { brokers }))
        const hosted = partitions.filter((replicas) => replicas.includes(1)).length
        expect(moves.length + stuck.length).toBe(hosted)
        for (const { partition, replicas } of moves) {
          const before = partitions[partition]!
          expect(replicas).not.toContain(1)
          expect(new Set(replicas).size).toBe(before.length)
          const added = replicas!.filter((id) => !before.includes(id))
          expect(added).toHaveLength(1)
          expect(fenced).not.toContain(added[0])
        }
      }),
    )
  })
})
