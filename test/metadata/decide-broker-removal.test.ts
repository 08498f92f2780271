import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import {
  decideCordonBroker,
  decideUnregisterBroker,
  type RunContact,
} from '../../src/metadata/decide-broker-removal.ts'
import { decideCreatePartitions } from '../../src/metadata/decide-create-partitions.ts'
import { decideCreateTopic } from '../../src/metadata/decide-create-topic.ts'
import { decideHeartbeat } from '../../src/metadata/decide-heartbeat.ts'
import { decideReassign } from '../../src/metadata/decide-reassign.ts'
import { decideRegisterBroker } from '../../src/metadata/decide-register-broker.ts'
import { partitionsOf } from '../../src/metadata/partition-change.ts'
import type { NodeId } from '../../src/model/ids.ts'
import {
  apply,
  CAUSE,
  clusterOf,
  contextOf,
  decided,
  directory,
  epochOf,
  id128,
  incarnation,
  partition,
  registered,
  TOPIC,
  withFencing,
  withTopic,
} from './cluster-fixture.ts'

const NAME = `name-of-${TOPIC}`

function cordon(image: ClusterImage, brokerId: NodeId, cordoned = true): ClusterImage {
  return decided(image, decideCordonBroker(contextOf(image), { brokerId, cordoned }))
}

function unregister(image: ClusterImage, brokerId: NodeId, contact: RunContact = 'silent') {
  return decideUnregisterBroker(contextOf(image), { brokerId, contactOf: () => contact })
}

function create(image: ClusterImage, replicationFactor: number | null, partitions = 30): ClusterImage {
  const context = { ...contextOf(image), random: seededRandom(3) }
  return decided(
    image,
    decideCreateTopic(context, { name: 'new', partitions, replicationFactor, configs: [] }),
  )
}

/** Brokers that have a replica of anything. */
function used(image: ClusterImage): readonly NodeId[] {
  return [...new Set([...partitionsOf(image)].flatMap(({ partition: { replicas } }) => replicas))].toSorted(
    (a, b) => a - b,
  )
}

describe('a cordoned broker', () => {
  it('is passed over by new topics, also where nobody says how many replicas', () => {
    expect(used(create(cordon(clusterOf([1, 2, 3, 4]), 2), 3))).toEqual([1, 3, 4])
    const [topic] = create(cordon(clusterOf([1, 2, 3]), 2), null).topics.values()
    expect(topic!.partitions[0]!.replicas).toHaveLength(2)
  })

  it('is missing for a topic -> refused, and the error says which it is', () => {
    const image = withFencing(cordon(cordon(clusterOf([1, 2, 3]), 2), 3), 3, { fenced: true })
    expect(() => create(image, 2)).toThrow(
      'Replication factor 2 needs 2 live brokers that are not cordoned, but there are 1. Known brokers: 1 (alive), 2 (alive, cordoned), 3 (fenced, cordoned).',
    )
  })

  it('is passed over by new partitions of a topic that it hosts', () => {
    const image = cordon(withTopic(clusterOf([1, 2, 3, 4]), [{ replicas: [2, 3] }]), 2)
    const context = { ...contextOf(image), random: seededRandom(3) }
    const grown = decided(image, decideCreatePartitions(context, { topic: NAME, partitions: 20 }))
    const added = grown.topics.get(TOPIC)!.partitions.slice(1)
    expect(new Set(added.flatMap(({ replicas }) => replicas))).toEqual(new Set([1, 3, 4]))
  })

  it('gets no replica by a move, keeps those it has, and may be gone back to', () => {
    const reassign = (image: ClusterImage, replicas: readonly NodeId[] | null) =>
      decideReassign(contextOf(image), [{ topic: NAME, partition: 0, replicas }])
    const image = cordon(withTopic(clusterOf([1, 2, 3, 4]), [{ replicas: [1, 2, 3] }]), 4)
    expect(reassign(image, [1, 2, 4]).response.partitions[0]!.error).toEqual({
      code: 'INVALID_REPLICA_ASSIGNMENT',
      detail: `${NAME}/0: broker 4 is cordoned: it gets no new replicas. Uncordon it first (vltava broker uncordon 4).`,
    })
    const hosting = cordon(withTopic(clusterOf([1, 2, 3, 4]), [{ replicas: [1, 2, 3] }]), 1)
    const moving = decided(hosting, reassign(hosting, [1, 2, 4]))
    expect(partition(moving).reassignment).toEqual({ original: [1, 2, 3], target: [1, 2, 4] })
    const away = decided(hosting, reassign(hosting, [2, 3, 4]))
    const back = decided(away, reassign(away, null))
    expect(partition(back).replicas).toEqual([1, 2, 3])
  })

  it('leads on, and is elected as any other', () => {
    const image = cordon(withTopic(clusterOf([1, 2]), [{ replicas: [1, 2] }]), 1)
    expect(partition(image)).toMatchObject({ leader: 1, isr: [1, 2] })
  })

  it('stays so while it is away and when it registers again, until it is taken back', () => {
    let image = cordon(clusterOf([1, 2]), 2)
    image = registered(withFencing(image, 2, { fenced: true }), 2, { run: 2 })
    expect(image.brokers.get(2)).toMatchObject({ cordoned: true, fenced: true })
    image = withFencing(image, 2, { fenced: false })
    expect(used(create(image, 1))).toEqual([1])
    expect(used(create(cordon(image, 2, false), 1))).toEqual([1, 2])
  })

  it('asked for again -> nothing is recorded; a broker nobody knows -> an error with those known', () => {
    const image = cordon(clusterOf([1, 2]), 2)
    const decide = (brokerId: NodeId, cordoned: boolean) =>
      decideCordonBroker(contextOf(image), { brokerId, cordoned })
    expect([decide(2, true), decide(1, false)].map(({ records }) => records.length)).toEqual([0, 0])
    expect(decide(2, true).response).toEqual({ metadataOffset: image.metadataOffset })
    expect(decide(2, false).records).toMatchObject([
      {
        type: 'broker-cordon-changed',
        cordoned: false,
        cause: { kind: 'operator', detail: 'an operator uncordoned broker 2' },
      },
    ])
    expect(() => decide(9, true)).toThrow(
      expect.objectContaining({
        code: 'BROKER_ID_NOT_REGISTERED',
        message: 'Broker 9 is not registered. Registered brokers: [1, 2].',
      }),
    )
  })
})

describe('a broker is unregistered', () => {
  const stopped = withFencing(cordon(clusterOf([1, 2, 3]), 3), 3, { fenced: true })

  it('it has stopped and hosts nothing -> the cluster knows neither it nor its settings', () => {
    const configured = apply(stopped, [
      {
        type: 'broker-configs-changed',
        brokerId: 3,
        configs: [{ name: 'replica.lag.time.max.ms', value: '5000' }],
        cause: CAUSE,
      },
    ])
    const after = decided(configured, unregister(configured, 3))
    expect([...after.brokers.keys()]).toEqual([1, 2])
    expect(after.brokerConfigs.has(3)).toBe(false)
    expect(unregister(configured, 3).records).toMatchObject([
      { brokerEpoch: epochOf(configured, 3), cause: { detail: 'an operator unregistered broker 3' } },
    ])
  })

  it('its node votes -> its settings stay, as its controller has them, too', () => {
    const voters = [1, 3].map((nodeId) => ({ nodeId, directoryId: directory(nodeId), url: null }))
    const configs = [{ name: 'leader.imbalance.check.interval.seconds', value: '7' }]
    const image = apply(stopped, [
      { type: 'cluster-formed', clusterId: id128('cluster'), voters },
      { type: 'broker-configs-changed', brokerId: 3, configs, cause: CAUSE },
    ])
    const after = decided(image, unregister(image, 3))
    expect([after.brokers.has(3), after.brokerConfigs.has(3)]).toEqual([false, true])
  })

  it.each<[string, ClusterImage, NodeId, RunContact, RegExp]>([
    [
      'is alive',
      clusterOf([1, 2]),
      2,
      'silent',
      /^Broker 2 is not fenced\. Stop it first; the controller notices within broker\.session\.timeout\.ms\.$/,
    ],
    [
      'is fenced, and heard',
      stopped,
      3,
      'heard',
      /^Broker 3 is fenced, but its process at ws:\/\/broker-3:9092 runs/,
    ],
    [
      'is fenced, and the controller is new',
      stopped,
      3,
      'unknown',
      /^Broker 3 is fenced, but the controller has just become active and does not know yet whether .+ Ask again once/,
    ],
    [
      'hosts a replica',
      withTopic(stopped, [{ replicas: [1, 3], isr: [1] }]),
      3,
      'silent',
      /^Broker 3 hosts a replica of name-of-topic0*\/0\. Move them to others first \(vltava broker drain 3\)\.$/,
    ],
    [
      'hosts several',
      withTopic(stopped, [{ replicas: [1] }, { replicas: [1, 3], isr: [1] }, { replicas: [3, 1], isr: [1] }]),
      3,
      'silent',
      /^Broker 3 hosts 2 replicas, one of name-of-topic0*\/1\./,
    ],
  ])('it %s -> refused, and the error says what to do', (_what, image, brokerId, contact, message) => {
    expect(() => unregister(image, brokerId, contact)).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.stringMatching(message) }),
    )
  })

  it('a move brings a replica to it, or takes the last one away, and is under way -> refused', () => {
    const image = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2] }])
    const moving = (replicas: readonly NodeId[]): ClusterImage =>
      decided(image, decideReassign(contextOf(image), [{ topic: NAME, partition: 0, replicas }]))
    for (const [replicas, id] of [
      [[1, 3], 3],
      [[1, 3], 2],
    ] as const) {
      const fenced = moving(replicas)
      expect(() => unregister(fenced, id)).toThrow(/hosts a replica of/)
    }
  })

  it('it is asked for twice -> BROKER_ID_NOT_REGISTERED', () => {
    const after = decided(stopped, unregister(stopped, 3))
    expect(() => unregister(after, 3)).toThrow(
      /^Broker 3 is not registered\. Registered brokers: \[1, 2\]\.$/,
    )
  })

  it('its process was cut off and comes back -> its heartbeat is refused; a new start is a new broker', () => {
    const after = decided(stopped, unregister(stopped, 3))
    const beat = {
      brokerId: 3,
      brokerEpoch: epochOf(stopped, 3),
      metadataOffset: after.metadataOffset,
      wantUnfenced: true,
      wantShutdown: false,
      ...{ offlineLogs: [], damagedLogs: [], droppedTails: [], appliedByOthers: 0 },
    }
    expect(() => decideHeartbeat(contextOf(after), beat)).toThrow(
      expect.objectContaining({ code: 'BROKER_ID_NOT_REGISTERED' }),
    )
    const again = decideRegisterBroker(contextOf(after), {
      brokerId: 3,
      incarnationId: incarnation(3, 2),
      directoryId: directory(3),
      url: 'ws://broker-3:9092',
      previousBrokerEpoch: epochOf(stopped, 3),
      cleanShutdown: true,
      rack: null,
      isRunning: () => false,
    })
    const back = decided(after, again)
    expect(back.brokers.get(3)).toMatchObject({ fenced: true, cordoned: false, unfencedEpoch: -1 })
    expect(again.records).toMatchObject([{ cause: { detail: 'broker 3 registered: it is new' } }])
    expect(epochOf(back, 3)).toBeGreaterThan(epochOf(stopped, 3))
  })
})
