import { describe, expect, it } from 'vitest'
import { type ClusterImage, EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { applyBatch } from '../../src/metadata/image-apply.ts'
import { metadataBatchSchema } from '../../src/metadata/metadata-records.ts'
import type { TopicId } from '../../src/model/ids.ts'
import type { RequestOf, ResponseOf } from '../../src/protocol/api.ts'
import type { fetchMetadata } from '../../src/protocol/broker-lifecycle.ts'
import { decodeWire } from '../../src/protocol/codec.ts'
import { findController } from '../../src/protocol/quorum.ts'
import { createTopic, deleteTopic } from '../../src/protocol/topics.ts'
import { ControllerCluster, codeOf } from './controller-cluster.ts'
import { liveBrokers, TestBroker } from './test-broker.ts'

const VOTERS = [1, 2, 3]
const ORDERS: RequestOf<typeof createTopic> = {
  name: 'orders',
  partitions: 1,
  replicationFactor: 3,
  configs: [],
  observers: 0,
  timeoutMs: 5_000,
}

async function cluster3(): Promise<ControllerCluster> {
  const cluster = new ControllerCluster(VOTERS)
  await cluster.startAll()
  await cluster.active()
  return cluster
}

function everywhere(cluster: ControllerCluster, metadataOffset: number): Promise<void> {
  return cluster.until(`all apply ${metadataOffset}`, () =>
    cluster.running.every(({ node }) => node.image.metadataOffset >= metadataOffset),
  )
}

async function withOrders(cluster: ControllerCluster): Promise<{
  readonly brokers: readonly TestBroker[]
  readonly leader: TestBroker
  readonly topic: ResponseOf<typeof createTopic>
}> {
  const brokers = await liveBrokers(cluster, [11, 12, 13])
  const topic = await brokers[0]!.request(createTopic, ORDERS)
  const { node } = await cluster.active()
  const leaderId = node.image.topics.get(topic.topicId)!.partitions[0]!.leader
  return { brokers, topic, leader: brokers.find(({ brokerId }) => brokerId === leaderId)! }
}

function partition0(image: ClusterImage, topicId: TopicId): string {
  const { leaderEpoch, partitionEpoch, isr } = image.topics.get(topicId)!.partitions[0]!
  return `epochs ${leaderEpoch}/${partitionEpoch} isr ${isr.length}`
}

describe('a quorum of three controllers', () => {
  it('one is active; the others name it', async () => {
    const cluster = await cluster3()
    const active = await cluster.active()
    await cluster.pass(500)
    for (const nodeId of VOTERS) {
      expect(cluster.get(nodeId).node.controllerId).toBe(active.nodeId)
      const broker = await new TestBroker(cluster, 11).connect(nodeId)
      const found = await broker.request(findController, {})
      expect(found.controllerId).toBe(active.nodeId)
      expect(found.term).toBeGreaterThan(0)
      if (nodeId === active.nodeId) continue
      const requests: readonly (() => Promise<unknown>)[] = [
        () => broker.register(),
        () => broker.heartbeat(),
        () => cluster.answer(broker.fetch({})),
        () => broker.request(createTopic, ORDERS),
      ]
      for (const request of requests) {
        await expect(request()).rejects.toThrow(
          expect.objectContaining({
            code: 'NOT_CONTROLLER',
            message: `Node ${nodeId} is not the active controller; node ${active.nodeId} is, as far as known.`,
          }),
        )
      }
    }
  })

  it('a topic is created and deleted on all of them', async () => {
    const cluster = await cluster3()
    const { brokers, topic } = await withOrders(cluster)
    await everywhere(cluster, topic.metadataOffset)
    expect(topic).toMatchObject({ partitions: 1, replicationFactor: 3 })
    for (const { node } of cluster.running) {
      expect(node.image.topics.get(topic.topicId)).toMatchObject({ name: 'orders' })
    }
    const deleted = await brokers[1]!.request(deleteTopic, { name: 'orders', timeoutMs: 1_000 })
    expect(deleted.topicId).toBe(topic.topicId)
    await everywhere(cluster, deleted.metadataOffset)
    for (const { node } of cluster.running) expect(node.image.topics.size).toBe(0)
  })

  it('the active one is killed -> another takes over with everything that was committed', async () => {
    const cluster = await cluster3()
    const { topic } = await withOrders(cluster)
    const { nodeId } = await cluster.active()
    const before = cluster.clock.monotonicMs()
    cluster.kill(nodeId)
    const next = await cluster.active()
    expect(next.nodeId).not.toBe(nodeId)
    // The closed link starts the election, not the timeout of 1 to 2 s.
    expect(cluster.clock.monotonicMs() - before).toBeLessThan(500)
    expect(next.node.image.topics.has(topic.topicId)).toBe(true)
    const broker = await new TestBroker(cluster, 14).connect()
    expect(await codeOf(broker.request(createTopic, ORDERS))).toBe('TOPIC_ALREADY_EXISTS')
  })

  it('power is cut everywhere -> the image is read from the disks again', async () => {
    const cluster = await cluster3()
    const { topic } = await withOrders(cluster)
    await everywhere(cluster, topic.metadataOffset)
    const { image } = cluster.get(1).node
    for (const nodeId of VOTERS) cluster.cutPower(nodeId)
    await cluster.startAll()
    const active = await cluster.active()
    expect(active.node.image).toMatchObject({
      topics: image.topics,
      brokers: image.brokers,
      voters: image.voters,
    })
  })

  it('one stops in order and comes back -> it follows again', async () => {
    const cluster = await cluster3()
    const { nodeId } = await cluster.active()
    await cluster.stop(nodeId)
    const next = await cluster.active()
    const brokers = await liveBrokers(cluster, [11])
    await cluster.start(nodeId)
    await everywhere(cluster, next.node.image.metadataOffset)
    expect(cluster.get(nodeId).node.image.brokers.has(brokers[0]!.brokerId)).toBe(true)
    expect(cluster.running.flatMap(({ process }) => process.failures)).toEqual([])
  })
})

describe('a command', () => {
  it('no majority -> REQUEST_TIMED_OUT, which says nothing about the outcome', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { nodeId } = await cluster.active()
    for (const other of VOTERS.filter((voter) => voter !== nodeId)) cluster.kill(other)
    const request = brokers[0]!.request(createTopic, { ...ORDERS, name: 'late', timeoutMs: 300 })
    await expect(request).rejects.toThrow(
      expect.objectContaining({ code: 'REQUEST_TIMED_OUT', definite: false }),
    )
  })

  it('leadership is lost on the way -> REQUEST_TIMED_OUT as well, never NOT_CONTROLLER', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { nodeId } = await cluster.active()
    for (const other of VOTERS.filter((voter) => voter !== nodeId)) cluster.kill(other)
    const request = brokers[0]!.request(createTopic, { ...ORDERS, name: 'late', timeoutMs: 60_000 })
    await expect(request).rejects.toThrow(
      expect.objectContaining({
        code: 'REQUEST_TIMED_OUT',
        message: expect.stringContaining('it may or may not take effect'),
      }),
    )
    expect(cluster.get(nodeId).node.isActive).toBe(false)
    expect(await codeOf(brokers[0]!.heartbeat())).toBe('NOT_CONTROLLER')
  })

  it('what was proposed and lost does not come back after a failover', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { nodeId } = await cluster.active()
    const others = VOTERS.filter((voter) => voter !== nodeId)
    for (const other of others) cluster.kill(other)
    const code = codeOf(brokers[0]!.request(createTopic, { ...ORDERS, name: 'lost', timeoutMs: 100 }))
    expect(await code).toBe('REQUEST_TIMED_OUT')
    cluster.kill(nodeId)
    for (const other of others) await cluster.start(other)
    await cluster.active()
    const next = await liveBrokers(cluster, [21, 22, 23])
    const created = await next[0]!.request(createTopic, { ...ORDERS, name: 'kept' })
    await cluster.start(nodeId)
    await everywhere(cluster, created.metadataOffset)
    for (const { node } of cluster.running) {
      expect([...node.image.topicIds.keys()]).toEqual(['orders', 'kept'])
    }
    expect(cluster.running.flatMap(({ process }) => process.failures)).toEqual([])
  })

  it('two that contradict each other, before either is committed -> the second one sees the first', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const twice = { ...ORDERS, name: 'twice' }
    const answers = Promise.all([
      codeOf(brokers[0]!.send(createTopic, twice)),
      codeOf(brokers[1]!.send(createTopic, twice)),
    ])
    expect((await cluster.answer(answers)).toSorted()).toEqual(['TOPIC_ALREADY_EXISTS', 'no error'])
  })

  it('REP-22: two proposals with the same partition epoch at once -> exactly one wins', async () => {
    const cluster = await cluster3()
    const { leader, topic, brokers } = await withOrders(cluster)
    const follower = brokers.find((broker) => broker !== leader)!
    const { topicId } = topic
    const [first, second] = await cluster.answer(
      Promise.all([
        leader.propose({ topicId, isr: [leader, follower], partitionEpoch: 0 }),
        leader.propose({ topicId, isr: [leader], partitionEpoch: 0 }),
      ]),
    )
    expect(first.partitions[0]).toMatchObject({ error: null, partitionEpoch: 1 })
    expect(second.partitions[0]?.error?.code).toBe(95)
    const { node } = await cluster.active()
    expect(partition0(node.image, topicId)).toBe('epochs 0/1 isr 2')
  })

  it('REP-26: a registration repeated before the first is committed -> the same epoch', async () => {
    const cluster = await cluster3()
    const broker = await new TestBroker(cluster, 11).connect()
    const first = broker.register()
    const second = broker.register()
    await cluster.answer(Promise.all([first, second]))
    const { node } = await cluster.active()
    expect(node.image.brokers.get(11)?.brokerEpoch).toBe(broker.brokerEpoch)
    expect(node.image.metadataOffset).toBe(broker.brokerEpoch)
  })

  it('an answer that rests on what is not committed waits for it, and is not given when it is lost', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { nodeId } = await cluster.active()
    for (const other of VOTERS.filter((voter) => voter !== nodeId)) cluster.kill(other)
    const creating = codeOf(brokers[0]!.send(createTopic, { ...ORDERS, name: 'lost', timeoutMs: 60_000 }))
    await cluster.settle()
    // To refuse the name would be wrong: the first one may never exist.
    const again = codeOf(brokers[1]!.send(createTopic, { ...ORDERS, name: 'lost', timeoutMs: 60_000 }))
    expect(await cluster.answer(Promise.all([creating, again]))).toEqual([
      'REQUEST_TIMED_OUT',
      'NOT_CONTROLLER',
    ])
  })

  it('more replicas than live brokers -> an error with both numbers and the brokers', async () => {
    const cluster = await cluster3()
    const [broker] = await liveBrokers(cluster, [11])
    await expect(broker!.request(createTopic, ORDERS)).rejects.toThrow(
      expect.objectContaining({
        code: 'INVALID_REPLICATION_FACTOR',
        message:
          'Replication factor 3 needs 3 live brokers that are not cordoned, but there are 1. Known brokers: 11 (alive).',
      }),
    )
  })

  it('a change that makes too large a batch -> INVALID_REQUEST, and the controller goes on', async () => {
    const cluster = new ControllerCluster([1])
    await cluster.start(1)
    const brokers = await liveBrokers(
      cluster,
      Array.from({ length: 64 }, (_, i) => 2 ** 31 - 1 - i),
    )
    const huge = { ...ORDERS, partitions: 10_000, replicationFactor: 64 }
    await expect(brokers[0]!.request(createTopic, huge)).rejects.toThrow(
      expect.objectContaining({
        code: 'INVALID_REQUEST',
        message: expect.stringContaining('at most 2097152'),
      }),
    )
    await brokers[0]!.request(createTopic, { ...ORDERS, partitions: 10 })
  })
})

describe('the largest topic', () => {
  it('10,000 partitions are created, lose a broker and are deleted, each in one batch', async () => {
    const cluster = await cluster3()
    const brokers = await liveBrokers(cluster, [11, 12, 13])
    const largest = await brokers[0]!.request(createTopic, { ...ORDERS, partitions: 10_000 })
    brokers[2]!.connection.abort()
    const { node } = await cluster.active()
    await cluster.until('broker 13 is fenced', () => node.image.brokers.get(13)?.fenced === true)
    const { partitions } = node.image.topics.get(largest.topicId)!
    expect(partitions.filter(({ isr }) => isr.length === 2 && !isr.includes(13)).length).toBe(10_000)
    expect(partitions.filter(({ leader }) => leader === null || leader === 13).length).toBe(0)
    await brokers[0]!.request(deleteTopic, { name: 'orders', timeoutMs: 5_000 })
    await everywhere(cluster, node.image.metadataOffset)
    expect(cluster.running.flatMap(({ process }) => process.failures)).toEqual([])
  })
})

describe('the metadata log for brokers', () => {
  it('INV-10: applying what is fetched gives the image of the controller', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { node } = await cluster.active()
    let image = EMPTY_IMAGE
    while (image.metadataOffset < node.image.metadataOffset) {
      const fetched = await cluster.answer(
        brokers[0]!.fetch({ fromOffset: image.metadataOffset + 1, maxBytes: 200 }),
      )
      expect(fetched.entries.length).toBeGreaterThan(0)
      expect(fetched.committedOffset).toBe(node.image.metadataOffset)
      for (const entry of fetched.entries) {
        const records = entry === null ? [] : decodeWire(metadataBatchSchema, entry)
        image = applyBatch(image, records, image.metadataOffset + 1)
      }
    }
    expect(image).toEqual(node.image)
  })

  it('nothing new -> it waits for the next commit', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const active = await cluster.active()
    const fromOffset = active.node.image.metadataOffset + 1
    let answer: ResponseOf<typeof fetchMetadata> | null = null
    const waiting = brokers[0]!.fetch({ fromOffset, maxWaitMs: 30_000 }).then((response) => {
      answer = response
    })
    await cluster.pass(1_000)
    expect(answer).toBe(null)
    const created = await brokers[1]!.request(createTopic, { ...ORDERS, name: 'next' })
    await cluster.answer(waiting)
    expect(answer).toMatchObject({ controllerId: active.nodeId, committedOffset: created.metadataOffset })
  })

  it('nothing new until the time is up -> no entries', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { node } = await cluster.active()
    const fromOffset = node.image.metadataOffset + 1
    const before = cluster.clock.monotonicMs()
    const fetched = await cluster.answer(brokers[0]!.fetch({ fromOffset, maxWaitMs: 700 }))
    expect(fetched.entries).toEqual([])
    expect(cluster.clock.monotonicMs() - before).toBeGreaterThanOrEqual(700)
  })

  it('leadership is lost meanwhile -> NOT_CONTROLLER at once', async () => {
    const cluster = await cluster3()
    const { brokers } = await withOrders(cluster)
    const { node, nodeId } = await cluster.active()
    const fromOffset = node.image.metadataOffset + 1
    const code = codeOf(brokers[0]!.fetch({ fromOffset, maxWaitMs: 60_000 }))
    await cluster.settle()
    for (const other of VOTERS.filter((voter) => voter !== nodeId)) cluster.kill(other)
    expect(await cluster.answer(code)).toBe('NOT_CONTROLLER')
  })

  it.each([0, 1_000])(
    'from offset %i, which is outside of the log -> OFFSET_OUT_OF_RANGE',
    async (fromOffset) => {
      const cluster = await cluster3()
      const [broker] = await liveBrokers(cluster, [11])
      expect(await cluster.answer(codeOf(broker!.fetch({ fromOffset })))).toBe('OFFSET_OUT_OF_RANGE')
    },
  )
})
