// Consumers that read from followers and observers of whole nodes, while these fail, lag and change places.
import { describe, expect, it } from 'vitest'
import type { Consumer } from '../../src/client/consumer.ts'
import type { ReadFrom } from '../../src/client/read-source.ts'
import { toVltavaError } from '../../src/model/errors.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'
import { lines, VirtualTopic } from './virtual-topic.ts'

const LAG_TIME_MS = 2_000

/** A program that reads all there is, from the beginning on. */
class Reader {
  readonly values: string[] = []
  readonly offsets: number[] = []
  readonly consumer: Consumer
  error: unknown = null

  constructor(virtual: VirtualCluster, readFrom: ReadFrom) {
    const { client } = virtual.cluster.client()
    this.consumer = client.consumer({ topic: 't', from: 'beginning', readFrom, requestTimeoutMs: 2_000 })
    this.#run().catch((error: unknown) => {
      this.error = toVltavaError(error).code
    })
  }

  get brokerId(): number | null {
    return this.consumer.health().partitions[0]?.brokerId ?? null
  }

  async #run(): Promise<void> {
    for await (const { value, offset } of this.consumer) {
      this.values.push(new TextDecoder().decode(value!))
      this.offsets.push(offset)
    }
  }
}

interface Cast {
  readonly virtual: VirtualCluster
  readonly topic: VirtualTopic
  readonly leader: SimulatedNode
  readonly followers: readonly [SimulatedNode, SimulatedNode]
}

async function cast(seed: number, placed: { readonly observers?: number } = {}): Promise<Cast> {
  const settings = {
    'replica.lag.time.max.ms': LAG_TIME_MS,
    'leader.imbalance.check.interval.seconds': 3_600,
  }
  const virtual = new VirtualCluster({ seed, nodes: 3, settings })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const { client } = virtual.cluster.client()
  const { observers = 0 } = placed
  const replicationFactor = 3 - observers
  await virtual.done(client.admin.createTopic({ name: 't', partitions: 1, replicationFactor, observers }))
  const topic = await VirtualTopic.find(virtual, 't')
  await virtual.until(() => topic.leaders.length > 0 && topic.image.isr.length === replicationFactor)
  const [leader] = topic.leaders
  const [first, second] = virtual.cluster.nodes.filter((node) => node !== leader)
  return { virtual, topic, leader: leader!, followers: [first!, second!] }
}

async function untilRead(virtual: VirtualCluster, readers: readonly Reader[], count: number): Promise<void> {
  await virtual.until(() => readers.every(({ values }) => values.length >= count), 60_000)
}

function separate(virtual: VirtualCluster, a: SimulatedNode, b: SimulatedNode): void {
  virtual.network.partition([[a.name], [b.name]])
}

describe('consumers that read from replicas', () => {
  it('REP-34: one at each broker, and one at any -> all read the same, the followers themselves serve it', async () => {
    const { virtual, topic, leader, followers } = await cast(341)
    const readers = ['leader' as const, leader.id, followers[0].id, followers[1].id, 'any' as const].map(
      (readFrom) => new Reader(virtual, readFrom),
    )
    const { acknowledged } = await topic.send(lines('a', 30))
    await untilRead(virtual, readers, 30)
    for (const { values, offsets } of readers) {
      expect(values).toEqual(acknowledged)
      expect(offsets).toEqual(acknowledged.map((_, i) => i))
    }
    expect(readers.slice(0, 4).map(({ brokerId }) => brokerId)).toEqual([
      ...[leader.id, leader.id, followers[0].id, followers[1].id],
    ])
    expect(followers.map(({ id }) => id)).toContain(readers[4]!.brokerId)
    expect(virtual.failures).toEqual([])
  })

  it('REP-34: the follower that is read from dies -> the leader goes on, and later the follower again', async () => {
    const { virtual, topic, followers } = await cast(342)
    const [follower] = followers
    const reader = new Reader(virtual, follower.id)
    await topic.send(lines('a', 5))
    await untilRead(virtual, [reader], 5)
    expect(reader.brokerId).toBe(follower.id)
    follower.kill()
    await topic.send(lines('b', 5))
    await untilRead(virtual, [reader], 10)
    expect(reader.brokerId).not.toBe(follower.id)
    follower.start()
    await topic.untilFull()
    const later: string[] = []
    for (const name of ['c', 'd', 'e', 'f']) {
      await virtual.pass(6_000)
      later.push(...lines(name, 3))
      await topic.send(lines(name, 3))
    }
    await untilRead(virtual, [reader], 22)
    expect(reader.values).toEqual([...lines('a', 5), ...lines('b', 5), ...later])
    expect(reader.brokerId).toBe(follower.id)
    expect(reader.error).toBeNull()
    expect(virtual.failures).toEqual([])
  })

  it('REP-34: the leader dies -> who reads from a follower reads on, whoever leads then', async () => {
    const { virtual, topic, leader, followers } = await cast(343)
    const readers = followers.map(({ id }) => new Reader(virtual, id))
    await topic.send(lines('a', 5))
    await untilRead(virtual, readers, 5)
    leader.kill()
    await topic.send(lines('b', 5))
    await untilRead(virtual, readers, 10)
    leader.start()
    await topic.untilFull()
    await topic.send(lines('c', 5))
    await untilRead(virtual, readers, 15)
    for (const { values } of readers)
      expect(values).toEqual([...lines('a', 5), ...lines('b', 5), ...lines('c', 5)])
    expect(virtual.failures).toEqual([])
  })

  it('REP-34: a follower that is cut off from its leader alone -> it sends consumers away once it is not in sync, and nothing is missed', async () => {
    const { virtual, topic, leader, followers } = await cast(344)
    const [follower] = followers
    const reader = new Reader(virtual, follower.id)
    await topic.send(lines('a', 5))
    await untilRead(virtual, [reader], 5)
    separate(virtual, leader, follower)
    const { acknowledged } = await topic.send(lines('b', 5), { requestTimeoutMs: 15_000 })
    expect(acknowledged).toHaveLength(5)
    expect(topic.image.isr).not.toContain(follower.id)
    await untilRead(virtual, [reader], 10)
    expect(reader.brokerId).toBe(leader.id)
    expect(topic.replicaOn(follower)!.log.logEndOffset).toBeLessThan(10)
    // A reader that begins now is not sent there either.
    const late = new Reader(virtual, follower.id)
    await untilRead(virtual, [late], 10)
    expect([late.values, late.brokerId]).toEqual([reader.values, leader.id])
    virtual.network.heal()
    expect(virtual.failures).toEqual([])
  })

  it('REP-34: an observer that is cut off from its leader -> it is in no in-sync set to fall out of, and sends consumers away all the same', async () => {
    const { virtual, topic, leader } = await cast(345, { observers: 1 })
    const observer = virtual.cluster.nodes.find(({ id }) => topic.image.observers.includes(id))!
    const reader = new Reader(virtual, 'any')
    const there = new Reader(virtual, observer.id)
    await topic.send(lines('a', 5))
    await untilRead(virtual, [reader, there], 5)
    expect(there.brokerId).toBe(observer.id)
    separate(virtual, leader, observer)
    const before = virtual.kernel.nowMs
    await topic.send(lines('b', 5))
    await untilRead(virtual, [reader, there], 10)
    expect(there.brokerId).toBe(leader.id)
    expect(virtual.kernel.nowMs - before).toBeLessThan(LAG_TIME_MS + 5_000)
    virtual.network.heal()
    expect(there.values).toEqual([...lines('a', 5), ...lines('b', 5)])
    expect(virtual.failures).toEqual([])
  })

  it('REP-34: records of a leader that nobody else has yet -> not served by its followers, and read when they are committed', async () => {
    const { virtual, topic, followers } = await cast(346)
    const readers = followers.map(({ id }) => new Reader(virtual, id))
    await topic.send(lines('a', 4))
    // It knows the leader before a node stops that it could ask for it.
    const producer = virtual.cluster.client().client.producer()
    await virtual.done(producer.send({ topic: 't', value: 'a 4' }))
    await untilRead(virtual, readers, 5)
    // One follower stops to fetch, so the high watermark stays, while the other one gets the records.
    const [paused, other] = followers
    paused.pause()
    const sent = producer.send({ topic: 't', value: 'waits' })
    await virtual.until(() => topic.replicaOn(other)!.log.logEndOffset === 6)
    expect(topic.replicaOn(other)!.highWatermark).toBe(5)
    await virtual.pass(500)
    expect(readers[1]!.values).toEqual(lines('a', 5))
    paused.resume()
    await virtual.done(sent)
    await untilRead(virtual, readers, 6)
    expect(readers[1]!.values).toEqual([...lines('a', 5), 'waits'])
    expect(virtual.failures).toEqual([])
  })
})
