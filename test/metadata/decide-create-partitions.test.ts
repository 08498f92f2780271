import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { decideCreatePartitions } from '../../src/metadata/decide-create-partitions.ts'
import { decideCreateTopic } from '../../src/metadata/decide-create-topic.ts'
import { decideReassign } from '../../src/metadata/decide-reassign.ts'
import { clusterOf, contextOf, decided, withFencing } from './cluster-fixture.ts'

const NAME = 'orders'

interface Shape {
  readonly brokers?: readonly number[]
  /** How many racks the brokers stand in, in turns. Default: none. */
  readonly racks?: number
  readonly partitions?: number
  readonly replicationFactor?: number
  readonly observers?: number
  readonly seed?: number
  readonly flushMessages?: string
}

function withOrders(shape: Shape = {}): ClusterImage {
  const {
    brokers = [1, 2, 3, 4],
    racks = 0,
    partitions = 2,
    replicationFactor = 3,
    observers = 0,
    seed = 1,
    flushMessages = '1',
  } = shape
  const named = racks === 0 ? [] : brokers.map((id, i) => [id, `rack ${i % racks}`])
  const image = clusterOf(brokers, Object.fromEntries(named))
  return decided(
    image,
    decideCreateTopic(
      { ...contextOf(image), random: seededRandom(seed) },
      {
        name: NAME,
        partitions,
        replicationFactor,
        observers,
        configs: [{ name: 'flush.messages', value: flushMessages }],
      },
    ),
  )
}

function decide(image: ClusterImage, partitions: number, topic = NAME) {
  return decideCreatePartitions({ ...contextOf(image), random: seededRandom(9) }, { topic, partitions })
}

const replicasOf = (image: ClusterImage) =>
  image.topics.get(image.topicIds.get(NAME)!)!.partitions.map(({ replicas }) => replicas)

describe('adding partitions', () => {
  it('a topic with observers -> the new partitions have as many', () => {
    const image = withOrders({ replicationFactor: 2, observers: 1 })
    const after = decided(image, decide(image, 5))
    const { partitions } = after.topics.get(after.topicIds.get(NAME)!)!
    expect(partitions.map(({ observers, isr }) => [isr.length, observers.length])).toEqual(
      Array.from({ length: 5 }, () => [2, 1]),
    )
    for (const { replicas, isr, observers } of partitions) expect([...isr, ...observers]).toEqual(replicas)
  })

  it('any topic -> as if it had been created with so many, and the old ones stay', () => {
    fc.assert(
      fc.property(
        fc.record({
          brokers: fc.uniqueArray(fc.nat(30), { minLength: 2, maxLength: 6 }),
          racks: fc.nat(4),
          before: fc.integer({ min: 1, max: 12 }),
          more: fc.integer({ min: 0, max: 12 }),
          factor: fc.integer({ min: 1, max: 6 }),
          seed: fc.nat(),
        }),
        ({ brokers, racks, before, more, factor, seed }) => {
          const replicationFactor = Math.min(factor, brokers.length)
          const shape = { brokers, racks, replicationFactor, seed }
          const image = withOrders({ ...shape, partitions: before })
          const after = decided(image, decide(image, before + more))
          expect(replicasOf(after).slice(0, before)).toEqual(replicasOf(image))
          expect(replicasOf(after)).toHaveLength(before + more)
          const atOnce = replicasOf(withOrders({ ...shape, partitions: before + more }))
          // With one replica nothing tells where followers would have begun, and nothing depends on it.
          expect(replicasOf(after)).toEqual(atOnce)
        },
      ),
      { seed: 47 },
    )
  })

  it('the new ones have all replicas in sync and the first leads; with flush.messages above 1 they are not synced', () => {
    const image = decided(withOrders(), decide(withOrders(), 3))
    const added = image.topics.get(image.topicIds.get(NAME)!)!.partitions[2]!
    expect(added).toMatchObject({
      leader: added.replicas[0],
      isr: added.replicas,
      synced: true,
      leaderEpoch: 0,
    })
    const unsynced = withOrders({ flushMessages: '100' })
    expect(decide(unsynced, 3).records).toMatchObject([{ synced: false }])
  })

  it('a broker of the first partition is away -> the new ones go to those that are alive', () => {
    const image = withOrders()
    const away = replicasOf(image)[0]![0]!
    const after = decided(image, decide(withFencing(image, away, { fenced: true }), 6))
    expect(replicasOf(after).slice(2).flat()).not.toContain(away)
  })

  it('the first partition moves -> the new ones have as many replicas as it will have', () => {
    const image = withOrders({ partitions: 1, replicationFactor: 1 })
    const first = replicasOf(image)[0]![0]!
    const replicas = [first, ...[1, 2, 3, 4].filter((id) => id !== first)]
    const moving = decided(image, decideReassign(contextOf(image), [{ topic: NAME, partition: 0, replicas }]))
    expect(replicasOf(decided(moving, decide(moving, 2)))[1]).toHaveLength(4)
  })

  it('as many as there are -> nothing changes', () => {
    const image = withOrders()
    expect(decide(image, 2)).toEqual({
      records: [],
      response: { partitions: 2, metadataOffset: image.metadataOffset },
    })
  })

  it.each<[string, number, string, RegExp]>([
    ['fewer', 1, 'INVALID_PARTITIONS', /has 2 partitions and cannot have fewer.*Ask for 2 to/],
    ['none', 0, 'INVALID_PARTITIONS', /cannot have fewer/],
    ['too many', 1_000_000_000, 'INVALID_PARTITIONS', /can have up to/],
  ])('%s -> refused', (_, count, code, message) => {
    expect(() => decide(withOrders(), count)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })

  it('too few brokers are alive for the replication factor, or no such topic -> refused', () => {
    let image = withOrders()
    for (const id of [1, 2]) image = withFencing(image, id, { fenced: true })
    expect(() => decide(image, 3)).toThrow(/Replication factor 3 needs 3 live brokers/)
    expect(() => decide(image, 3, 'none')).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_TOPIC_OR_PARTITION' }),
    )
  })
})
