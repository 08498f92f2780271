import { describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { clusterMetadata } from '../../src/protocol/cluster-metadata.ts'
import { describeConfigs } from '../../src/protocol/configs.ts'
import { createTopic, deleteTopic } from '../../src/protocol/topics.ts'
import { never } from './fake-cluster.ts'
import { expectCleanClose, makeHarness, numbers, watch } from './harness.ts'
import { append } from './reading.ts'

describe('admin: createTopic', () => {
  it('what was asked for reaches the cluster; the answer says what was made', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const created = watch(
      client.admin.createTopic({
        name: 'orders',
        partitions: 2,
        replicationFactor: 2,
        configs: { 'retention.ms': '5' },
      }),
    )
    await clock.rest()
    const topic = cluster.topics.get('orders')!
    expect(created.value).toEqual({ topicId: topic.id, partitions: 2, replicationFactor: 2 })
    expect(topic.configs).toEqual([{ name: 'retention.ms', value: '5' }])
    await expectCleanClose(harness)
  })

  it('brokers that lag behind: waits until each knows the topic and its leaders', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.broker(3).onMetadata = (call) =>
      cluster.metadataOffset < 100
        ? { body: { ...cluster.metadataBody([]), metadataOffset: 10 } }
        : cluster.metadata(call)
    const created = watch(client.admin.createTopic({ name: 'orders' }))
    await clock.run(1_000)
    expect([cluster.topics.has('orders'), created.state]).toEqual([true, 'pending'])
    cluster.metadataOffset = 100
    cluster.topics.get('orders')!.partitions[0]!.leader = null
    await clock.run(1_000)
    expect(created.state).toBe('pending')
    cluster.topics.get('orders')!.partitions[0]!.leader = 2
    await clock.run(1_000)
    expect(created.state).toBe('done')
    await expectCleanClose(harness)
  })

  it('a broker that never catches up, one that is down: the call returns all the same, within 5 s', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.broker(2).kill()
    cluster.broker(3).onMetadata = () => ({ body: { ...cluster.metadataBody([]), metadataOffset: 10 } })
    const created = watch(client.admin.createTopic({ name: 'orders' }))
    await clock.run(4_000)
    expect(created.state).toBe('pending')
    await clock.run(1_100)
    expect(created.state).toBe('done')
    await expectCleanClose(harness)
  })

  it.each(['TOPIC_ALREADY_EXISTS', 'INVALID_PARTITIONS', 'INVALID_CONFIG'] as const)(
    '%s: at once',
    async (code) => {
      const harness = await makeHarness()
      for (const broker of harness.cluster.brokers.values()) {
        broker.onCreateTopic = () => {
          throw new VltavaError(code, 'what is wrong')
        }
      }
      const created = watch(harness.client.admin.createTopic({ name: 'orders' }))
      await harness.clock.rest()
      expect(created.error).toMatchObject({ code, message: 'what is wrong', definite: true })
      await expectCleanClose(harness)
    },
  )

  it('no active controller for a while: tried again until there is one', async () => {
    const harness = await makeHarness()
    let refusals = 10
    for (const broker of harness.cluster.brokers.values()) {
      broker.onCreateTopic = () => {
        if (refusals-- > 0) throw new VltavaError('NOT_CONTROLLER')
        return undefined
      }
    }
    const created = watch(harness.client.admin.createTopic({ name: 'orders' }))
    await harness.clock.run(5_000)
    expect([created.state, refusals]).toEqual(['done', -1])
    await expectCleanClose(harness)
  })

  it('an attempt that went unanswered: finding the topic then is not a definite failure', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    for (const broker of cluster.brokers.values()) {
      broker.onCreateTopic = (call) => {
        if (cluster.topics.has('orders')) return undefined
        cluster.createTopic(call)
        broker.breakConnections()
        return never()
      }
    }
    const created = watch(client.admin.createTopic({ name: 'orders' }))
    await clock.run(2_000)
    expect(created.error).toMatchObject({ code: 'TOPIC_ALREADY_EXISTS', definite: false })
    expect(created.error.message).toContain("may have been this call's doing")
    await expectCleanClose(harness)
  })

  it('nobody answers: the time is kept, and the outcome is unknown', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    for (const broker of cluster.brokers.values()) broker.onCreateTopic = never
    const created = watch(client.admin.createTopic({ name: 'orders', timeoutMs: 3_000 }))
    await clock.run(2_990)
    expect(created.state).toBe('pending')
    await clock.run(10)
    expect(created.error).toMatchObject({ code: 'REQUEST_TIMED_OUT', definite: false })
    expect(created.error.message).toContain('The outcome is unknown')
    const [call] = [...cluster.brokers.values()].flatMap((broker) => broker.callsOf(createTopic))
    expect((call!.body as RequestOf<typeof createTopic>).timeoutMs).toBe(2_700)
    await expectCleanClose(harness)
  })
})

describe('admin: deleteTopic', () => {
  it('a topic: gone; unknown: UNKNOWN_TOPIC_OR_PARTITION', async () => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [1])
    const deleted = watch(harness.client.admin.deleteTopic('orders'))
    await harness.clock.rest()
    expect([deleted.state, harness.cluster.topics.size]).toEqual(['done', 0])
    const again = watch(harness.client.admin.deleteTopic('orders'))
    await harness.clock.rest()
    expect(again.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', definite: true })
    expect(
      [...harness.cluster.brokers.values()].flatMap((broker) => broker.callsOf(deleteTopic)).length,
    ).toBe(2)
    await expectCleanClose(harness)
  })
})

describe('admin: describing', () => {
  it('listTopics: sorted by name, with partitions', async () => {
    const harness = await makeHarness()
    const b = harness.cluster.addTopic('b', [1, 2])
    const a = harness.cluster.addTopic('a', [3])
    const listed = watch(harness.client.admin.listTopics())
    await harness.clock.rest()
    expect(listed.value.map(({ name, id, partitions }) => [name, id, partitions.length])).toEqual([
      ['a', a.id, 1],
      ['b', b.id, 2],
    ])
    await expectCleanClose(harness)
  })

  it('describeTopic: metadata and the offsets of each leader', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1, 2, null], [{ name: 'retention.ms', value: '5' }])
    append(topic.partitions[0]!, numbers(0, 4))
    topic.partitions[0]!.highWatermark = 3
    topic.partitions[1]!.logStartOffset = 7
    const described = watch(client.admin.describeTopic('orders'))
    await clock.rest()
    expect(described.value).toMatchObject({ name: 'orders', id: topic.id, configs: { 'retention.ms': '5' } })
    expect(described.value.partitions).toMatchObject([
      { partition: 0, leader: 1, logStartOffset: 0, highWatermark: 3, logEndOffset: 4, isr: [1, 2, 3] },
      { partition: 1, leader: 2, logStartOffset: 7, highWatermark: 7, logEndOffset: 7 },
      { partition: 2, leader: null, logStartOffset: null, highWatermark: null, logEndOffset: null },
    ])
    const several = watch(client.admin.describeTopics(['orders', 'orders']))
    await clock.rest()
    expect(several.value.map(({ id }) => id)).toEqual([topic.id, topic.id])
    await expectCleanClose(harness)
  })

  it('describeTopic while a leader is down: nulls for its partitions, soon', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1, 2])
    cluster.broker(1).kill()
    const described = watch(client.admin.describeTopic('orders'))
    await clock.rest()
    expect(described.value.partitions).toMatchObject([
      { leader: 1, logEndOffset: null },
      { leader: 2, logEndOffset: 0 },
    ])
    await expectCleanClose(harness)
  })

  it('describeTopic just when the leader moved: asked again with fresh metadata', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    let moved = false
    cluster.broker(1).onListOffsets = () => {
      if (!moved) cluster.moveLeader(topic, 0, 2)
      moved = true
      return undefined
    }
    const described = watch(client.admin.describeTopic('orders'))
    await clock.rest()
    expect(described.value.partitions).toMatchObject([{ leader: 2, leaderEpoch: 1, logEndOffset: 0 }])
    await expectCleanClose(harness)
  })

  it('describeTopic of an unknown one: UNKNOWN_TOPIC_OR_PARTITION after about a second', async () => {
    const harness = await makeHarness()
    const described = watch(harness.client.admin.describeTopic('missing'))
    await harness.clock.run(900)
    expect(described.state).toBe('pending')
    await harness.clock.run(400)
    expect(described.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    await expectCleanClose(harness)
  })

  it('describeCluster: id, controller, brokers', async () => {
    const harness = await makeHarness()
    harness.cluster.broker(2).isFenced = true
    const described = watch(harness.client.admin.describeCluster())
    await harness.clock.rest()
    expect(described.value).toMatchObject({
      clusterId: harness.cluster.clusterId,
      controllerId: 1,
      brokers: [
        { brokerId: 1, fenced: false, url: 'ws://broker-1:9092' },
        { brokerId: 2, fenced: true },
        { brokerId: 3 },
      ],
    })
    await expectCleanClose(harness)
  })
})

describe('admin: listOffsets', () => {
  it('beginning, end, a time; all or some partitions', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1, 2])
    append(topic.partitions[0]!, numbers(0, 4), 1_000)
    append(topic.partitions[0]!, numbers(4, 6), 2_000)
    topic.partitions[1]!.logStartOffset = 7
    const offsets = async (options: Parameters<typeof client.admin.listOffsets>[0]) => {
      const listed = watch(client.admin.listOffsets(options))
      await clock.rest()
      return [...listed.value].map(([partition, { offset }]) => [partition, offset])
    }
    expect(await offsets({ topic: 'orders', at: 'beginning' })).toEqual([
      [0, 0],
      [1, 7],
    ])
    expect(await offsets({ topic: 'orders' })).toEqual([
      [0, 6],
      [1, 7],
    ])
    expect(await offsets({ topic: 'orders', at: { timestampMs: 1_500 } })).toEqual([
      [0, 4],
      [1, null],
    ])
    expect(await offsets({ topic: 'orders', partitions: [1] })).toEqual([[1, 7]])
    await expectCleanClose(harness)
  })

  it('a partition without a leader: tried until the time is up, then LEADER_NOT_AVAILABLE', async () => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [1, null])
    const listed = watch(harness.client.admin.listOffsets({ topic: 'orders', timeoutMs: 2_000 }))
    const missing = watch(harness.client.admin.listOffsets({ topic: 'orders', partitions: [5] }))
    await harness.clock.run(2_100)
    expect(listed.error).toMatchObject({ code: 'LEADER_NOT_AVAILABLE' })
    expect(missing.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    await expectCleanClose(harness)
  })
})

describe('admin: the bootstrap servers', () => {
  it('none answers: BOOTSTRAP_UNREACHABLE with each address and reason, within the bound', async () => {
    const harness = await makeHarness({
      bootstrap: 'nobody:1,nowhere:2',
      settings: { bootstrapTimeoutMs: 1_000 },
    })
    const described = watch(harness.client.admin.describeCluster())
    await harness.clock.run(1_100)
    expect(described.error).toMatchObject({ code: 'BOOTSTRAP_UNREACHABLE', retriable: true })
    expect(described.error.message).toMatch(
      /ws:\/\/nobody:1 \(.*refused.*\).*Check the addresses, and that the brokers run/,
    )
    expect(described.error.message).toContain('ws://nowhere:2')
    await expectCleanClose(harness)
  })

  it('one of them answers: that is enough', async () => {
    const harness = await makeHarness({ bootstrap: ['nobody:1', 'broker-2:9092'] })
    const described = watch(harness.client.admin.describeCluster())
    await harness.clock.rest()
    expect(described.value.brokers.length).toBe(3)
    await expectCleanClose(harness)
  })

  it('one that does not answer the hello: the next is tried after connectTimeoutMs', async () => {
    const harness = await makeHarness({
      bootstrap: ['silent:1', 'broker-2:9092'],
      settings: { connectTimeoutMs: 1_000 },
      seed: 3,
    })
    await harness.network.listen({
      host: 'silent',
      port: 1,
      onChannel: (channel) => channel.start({ onMessage() {}, onClose() {} }),
    })
    const described = watch(harness.client.admin.describeCluster())
    await harness.clock.run(1_000)
    expect(described.state).toBe('done')
    await expectCleanClose(harness)
  })

  it('a controller without the broker role: of no use as a bootstrap server, and named', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-4:9092', settings: { bootstrapTimeoutMs: 500 } })
    const { FakeBroker } = await import('./fake-cluster.ts')
    const controller = new FakeBroker(harness.cluster, 4)
    controller.isBroker = false
    await controller.start()
    const described = watch(harness.client.admin.describeCluster())
    await harness.clock.run(1_000)
    expect(described.error.message).toContain('Node 4 at ws://broker-4:9092 is a controller only')
    await expectCleanClose(harness)
  })

  it('all known brokers replaced by others: found again by the bootstrap servers', async () => {
    const harness = await makeHarness({ brokers: 1 })
    const { clock, cluster, client } = harness
    const first = watch(client.admin.describeCluster())
    await clock.rest()
    expect(first.state).toBe('done')
    cluster.broker(1).kill()
    const second = watch(client.admin.describeCluster())
    await clock.run(3_000)
    expect(second.state).toBe('pending')
    await cluster.broker(1).start()
    await clock.run(2_000)
    expect([second.state, cluster.broker(1).callsOf(clusterMetadata).length]).toEqual(['done', 2])
    await expectCleanClose(harness)
  })

  it('another cluster at a known address: INCONSISTENT_CLUSTER_ID, nothing of it is believed', async () => {
    const harness = await makeHarness({ brokers: 1 })
    const { clock, cluster, client } = harness
    const first = watch(client.admin.describeCluster())
    await clock.rest()
    expect(first.state).toBe('done')
    cluster.broker(1).onMetadata = () => ({
      body: { ...cluster.metadataBody([]), clusterId: 'BBBBBBBBBBBBBBBBBBBBBB' },
    })
    const second = watch(client.admin.describeCluster())
    await clock.rest()
    expect(second.error).toMatchObject({ code: 'INCONSISTENT_CLUSTER_ID' })
    await expectCleanClose(harness)
  })
})

describe('admin: the settings of a broker', () => {
  const starting = () => {
    throw new VltavaError('BROKER_FENCED', 'Broker 2 is starting.')
  }

  it('it is starting: asked again until it has started', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.broker(2).onDescribeConfigs = starting
    const described = watch(client.admin.brokers.describeConfigs(2))
    await clock.run(3_000)
    expect(described.state).toBe('pending')
    cluster.broker(2).onDescribeConfigs = () => undefined
    await clock.run(1_100)
    expect(described.value).toEqual([])
    expect(cluster.broker(2).callsOf(describeConfigs).length).toBeGreaterThan(3)
    expect(cluster.broker(1).callsOf(describeConfigs)).toEqual([])
    await expectCleanClose(harness)
  })

  it('it does not get to an end of starting: its answer, at the deadline', async () => {
    const harness = await makeHarness()
    harness.cluster.broker(2).onDescribeConfigs = starting
    const described = watch(harness.client.admin.brokers.describeConfigs(2, { timeoutMs: 2_000 }))
    await harness.clock.run(2_000)
    expect(described.error).toMatchObject({ code: 'BROKER_FENCED', message: 'Broker 2 is starting.' })
    await expectCleanClose(harness)
  })

  it('another answer, and a broker that is down: not asked again', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.broker(2).onDescribeConfigs = () => {
      throw new VltavaError('SERVER_BUSY')
    }
    const busy = watch(client.admin.brokers.describeConfigs(2))
    await clock.rest()
    expect(busy.error).toMatchObject({ code: 'SERVER_BUSY' })
    cluster.broker(3).kill()
    const down = watch(client.admin.brokers.describeConfigs(3))
    await clock.run(1_000)
    expect(down.error).toMatchObject({ code: 'CONNECTION_FAILED' })
    await expectCleanClose(harness)
  })
})
