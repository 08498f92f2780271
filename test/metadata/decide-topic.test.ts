import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { type ClusterImage, EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { type CreateTopic, decideCreateTopic } from '../../src/metadata/decide-create-topic.ts'
import { decideDeleteTopic } from '../../src/metadata/decide-delete-topic.ts'
import { decideFormCluster } from '../../src/metadata/decide-form-cluster.ts'
import {
  clusterOf,
  contextOf,
  decided,
  directory,
  id128,
  registered,
  TOPIC,
  violations,
  withFencing,
  withTopic,
} from './cluster-fixture.ts'

function create(image: ClusterImage, fields: Partial<CreateTopic> = {}, seed = 1) {
  return decideCreateTopic(
    { ...contextOf(image), random: seededRandom(seed) },
    { name: 'orders', partitions: 3, replicationFactor: null, configs: [], ...fields },
  )
}

describe('create a topic', () => {
  it.each([
    [[1], 1],
    [[1, 2], 2],
    [[1, 2, 3], 3],
    [[1, 2, 3, 4, 5], 3],
  ])('brokers %j -> replication factor %i unless told otherwise', (brokers, replicationFactor) => {
    const image = clusterOf(brokers)
    const decision = create(image)
    const next = decided(image, decision)
    const topicId = next.topicIds.get('orders')!
    expect(decision.response).toEqual({
      topicId,
      partitions: 3,
      replicationFactor,
      metadataOffset: next.metadataOffset,
    })
    const topic = next.topics.get(topicId)!
    expect(topic.partitions.length).toBe(3)
    for (const state of topic.partitions) {
      expect(state).toMatchObject({ leader: state.replicas[0], leaderEpoch: 0, partitionEpoch: 0 })
      expect(state.isr).toEqual(state.replicas)
      expect(new Set(state.replicas).size).toBe(replicationFactor)
    }
    expect(violations(next)).toEqual([])
  })

  it.each<[readonly number[], number | null, number, number]>([
    [[1, 2, 3, 4], null, 1, 3],
    [[1, 2, 3], null, 1, 2],
    [[1, 2, 3], null, 2, 1],
    [[1, 2, 3, 4, 5], 2, 3, 2],
  ])(
    'brokers %j, factor %j, %i observers -> replication factor %i, and observers beside it',
    (...[brokers, replicationFactor, observers, expected]) => {
      const decision = create(clusterOf(brokers), { replicationFactor, observers })
      const next = decided(clusterOf(brokers), decision)
      expect(decision.response.replicationFactor).toBe(expected)
      for (const state of [...next.topics.values()][0]!.partitions) {
        expect(state.isr).toEqual(state.replicas.slice(0, expected))
        expect(state.observers).toEqual(state.replicas.slice(expected))
        expect(state.observers.length).toBe(observers)
      }
      expect(violations(next)).toEqual([])
    },
  )

  it('RAFT-33: the same seed gives the same records, another one another topic id', () => {
    const image = clusterOf([1, 2, 3])
    expect(create(image)).toEqual(create(image))
    expect(create(image, {}, 2).response.topicId).not.toBe(create(image).response.topicId)
  })

  it('settings are kept as given, in their normal form', () => {
    const image = clusterOf([1])
    const configs = [{ name: 'segment.bytes', value: '0065536' }]
    const next = decided(image, create(image, { configs }))
    expect([...next.topics.values()][0]?.configs).toEqual(new Map([['segment.bytes', '65536']]))
  })

  it('every broker that may take replicas has a rack -> each partition is in as many as it has replicas', () => {
    const racks = { 1: 'a', 2: 'a', 3: 'a', 4: 'b', 5: 'b', 6: 'c' }
    // Where a fenced one has none, that changes nothing.
    const image = withFencing(clusterOf([1, 2, 3, 4, 5, 6, 7], racks), 7, { fenced: true })
    const next = decided(image, create(image, { partitions: 12, replicationFactor: 2, observers: 1 }))
    for (const { replicas, isr } of next.topics.get(next.topicIds.get('orders')!)!.partitions) {
      const racksOf = (ids: readonly number[]) => new Set(ids.map((id) => next.brokers.get(id)!.rack))
      expect([racksOf(isr).size, racksOf(replicas).size]).toEqual([2, 3])
    }
  })

  it('one broker that may take replicas has no rack -> placed as if none had one', () => {
    const ids = [1, 2, 3, 4, 5]
    const some = create(clusterOf(ids, { 1: 'a', 2: 'a', 3: 'a', 4: 'b' }), { partitions: 10 })
    expect(some).toEqual(create(clusterOf(ids), { partitions: 10 }))
  })

  it('replicas go to brokers that are neither fenced nor stopping', () => {
    const image = withFencing(registered(clusterOf([1, 2, 3]), 4), 3, { shuttingDown: true })
    const next = decided(image, create(image, { partitions: 50 }))
    const used = [...next.topics.values()].flatMap(({ partitions }) =>
      partitions.flatMap(({ replicas }) => replicas),
    )
    expect(new Set(used)).toEqual(new Set([1, 2]))
  })

  const full = withTopic(
    clusterOf([1, 2]),
    Array.from({ length: 9_999 }, () => ({ replicas: [1] })),
  )
  it.each<[string, string, ClusterImage, Partial<CreateTopic>, RegExp]>([
    ['a name that is not allowed', 'INVALID_TOPIC', clusterOf([1]), { name: 'a b' }, /a-z A-Z 0-9/],
    [
      'a name in use',
      'TOPIC_ALREADY_EXISTS',
      withTopic(clusterOf([1]), [{ replicas: [1] }]),
      { name: `name-of-${TOPIC}`, partitions: 0 },
      /name-of-topic/,
    ],
    [
      'no partitions',
      'INVALID_PARTITIONS',
      clusterOf([1]),
      { partitions: 0 },
      /1 to 10000 partitions, got 0/,
    ],
    ['a negative number', 'INVALID_PARTITIONS', clusterOf([1]), { partitions: -1 }, /got -1/],
    ['too many', 'INVALID_PARTITIONS', clusterOf([1]), { partitions: 10_001 }, /got 10001/],
    [
      'a broker would host too many',
      'INVALID_PARTITIONS',
      full,
      { replicationFactor: 2, partitions: 2 },
      /Broker 1 would host 10001 replicas, at most 10000/,
    ],
    ['factor 0', 'INVALID_REPLICATION_FACTOR', clusterOf([1]), { replicationFactor: 0 }, /1 to 64, got 0/],
    [
      'more observers than brokers are left for',
      'INVALID_REPLICATION_FACTOR',
      clusterOf([1, 2, 3]),
      { replicationFactor: 2, observers: 2 },
      /Replication factor 2 and 2 observers needs 4 live brokers that are not cordoned, but there are 3\./,
    ],
    [
      '-1 observers',
      'INVALID_REPLICATION_FACTOR',
      clusterOf([1]),
      { observers: -1 },
      /0 to 64 observers, got -1/,
    ],
    ['factor 65', 'INVALID_REPLICATION_FACTOR', clusterOf([1]), { replicationFactor: 65 }, /1 to 64, got 65/],
    [
      'factor above the live brokers',
      'INVALID_REPLICATION_FACTOR',
      withFencing(registered(clusterOf([1, 2]), 7), 2, { shuttingDown: true }),
      { replicationFactor: 3 },
      /factor 3 needs 3 live brokers that are not cordoned, but there are 1\. .* 1 \(alive\), 2 \(stopping\), 7 \(fenced\)/,
    ],
    [
      'no brokers at all',
      'INVALID_REPLICATION_FACTOR',
      EMPTY_IMAGE,
      {},
      /but there are 0\. Known brokers: none/,
    ],
    [
      'a setting',
      'INVALID_CONFIG',
      clusterOf([1]),
      { configs: [{ name: 'x', value: '1' }] },
      /Unknown topic setting "x"/,
    ],
  ])('%s -> %s', (_what, code, image, fields, message) => {
    expect(() => create(image, fields)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })
})

describe('delete a topic', () => {
  it('it is gone, with the id in the answer', () => {
    const image = withTopic(clusterOf([1]), [{ replicas: [1] }])
    const decision = decideDeleteTopic(contextOf(image), { name: `name-of-${TOPIC}` })
    expect(decision.response).toEqual({ topicId: TOPIC, metadataOffset: image.metadataOffset + 1 })
    expect(decided(image, decision)).toMatchObject({ topics: new Map(), topicIds: new Map() })
  })

  it.each([
    ['orders', 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['', 'INVALID_TOPIC'],
    ['__internal', 'INVALID_TOPIC'],
  ])('%j -> %s', (name, code) => {
    expect(() => decideDeleteTopic(contextOf(clusterOf([1])), { name })).toThrow(
      expect.objectContaining({ code }),
    )
  })
})

describe('form a cluster', () => {
  it('is recorded once', () => {
    const formation = { clusterId: id128('cluster'), voters: [{ nodeId: 1, directoryId: directory(1) }] }
    const image = decided(EMPTY_IMAGE, decideFormCluster(contextOf(EMPTY_IMAGE), formation))
    expect(image).toMatchObject(formation)
    expect(decideFormCluster(contextOf(image), formation).records).toEqual([])
  })
})
