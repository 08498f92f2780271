// Replicas that move under a limit of bytes per second, on whole nodes. Time is virtual: the same in every run.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { PartitionImage } from '../../src/metadata/cluster-image.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const LEADER_RATE = 'leader.replication.throttled.rate'
const FOLLOWER_RATE = 'follower.replication.throttled.rate'
const BATCH_BYTES = 50_000
const BATCHES = 12
/** Without the second that is saved up, and what the last fetch brought: a second's worth, or a whole batch that is larger. */
function leastMs(rate: number): number {
  return ((BATCH_BYTES * BATCHES - Math.max(BATCH_BYTES, rate)) / rate - 1) * 1_000
}

interface Started {
  readonly virtual: VirtualCluster
  readonly client: Client
  /** Sends values of 50,000 bytes, each in a batch of its own. */
  readonly send: (topic: string, count: number) => Promise<void>
  readonly partitionOf: (topic: string) => PartitionImage
  /** Moves the only replica of `moved` to another broker. */
  readonly move: () => Promise<void>
  readonly isMoved: () => boolean
  readonly end: () => Promise<void>
}

/** Three nodes, a topic `moved` with one replica and records, and a topic `steady` with three replicas. */
async function start(seed: number): Promise<Started> {
  const virtual = new VirtualCluster({ seed, nodes: 3 })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const { client } = virtual.cluster.client()
  const done = <T>(work: Promise<T>): Promise<T> => virtual.done(work)
  const { admin } = client
  await done(admin.createTopic({ name: 'moved', partitions: 1, replicationFactor: 1 }))
  await done(admin.createTopic({ name: 'steady', partitions: 1, replicationFactor: 3 }))
  const imageOf = (node: SimulatedNode) => node.server?.broker?.image
  const partitionOf = (topic: string): PartitionImage => {
    const images = virtual.cluster.nodes.flatMap((node) => imageOf(node) ?? [])
    const newest = images.reduce((a, b) => (a.metadataOffset > b.metadataOffset ? a : b))
    return newest.topics.get(newest.topicIds.get(topic)!)!.partitions[0]!
  }
  const send = async (topic: string, count: number): Promise<void> => {
    const producer = client.producer()
    for (let i = 0; i < count; i++)
      await done(producer.send({ topic, value: new Uint8Array(BATCH_BYTES - 200) }))
    await done(producer.close())
  }
  await send('moved', BATCHES)
  const target = [1, 2, 3].find((id) => !partitionOf('moved').replicas.includes(id))!
  return {
    virtual,
    client,
    send,
    partitionOf,
    async move() {
      const wanted = [{ topic: 'moved', partition: 0, replicas: [target] }]
      const [result] = await done(admin.reassignPartitions(wanted))
      expect(result!.error).toBe(null)
    },
    isMoved: () => partitionOf('moved').replicas.join() === String(target),
    async end() {
      await done(client.close())
      for (const node of virtual.cluster.nodes) node.stop()
      // SimulatedNode reports timers that are left as a failure.
      await virtual.until(() => virtual.cluster.nodes.every((node) => node.run === null))
      expect(virtual.failures).toEqual([])
      expect(virtual.logged).toEqual([])
    },
  }
}

describe('a move of a replica', () => {
  it.each([
    ['at the leader', { [LEADER_RATE]: '100000' }, 100_000],
    ['at the follower', { [FOLLOWER_RATE]: '100000' }, 100_000],
    ['at both', { [LEADER_RATE]: '200000', [FOLLOWER_RATE]: '100000' }, 100_000],
    ['at the leader, to less than a batch', { [LEADER_RATE]: '20000' }, 20_000],
    ['at the follower, to less than a batch', { [FOLLOWER_RATE]: '20000' }, 20_000],
  ])('limited %s -> keeps to the rate, and holds up no other partition', async (_, set, rate) => {
    const { virtual, client, send, move, isMoved, end } = await start(61)
    await virtual.done(client.admin.brokers.alterConfigs({ broker: null, set }))
    const startMs = virtual.kernel.nowMs
    await move()
    while (!isMoved()) {
      const sentMs = virtual.kernel.nowMs
      await send('steady', 1)
      // Far less than a throttled fetch would take.
      expect(virtual.kernel.nowMs - sentMs).toBeLessThan(400)
      await virtual.pass(500)
      expect(virtual.kernel.nowMs - startMs).toBeLessThan(2 * leastMs(rate) + 5_000)
    }
    expect(virtual.kernel.nowMs - startMs).toBeGreaterThan(leastMs(rate))
    await end()
  })

  it('without a limit -> takes no time to speak of; with one that is taken away, no more from then on', async () => {
    const { virtual, client, move, isMoved, end } = await start(62)
    const set = { [LEADER_RATE]: '1024', [FOLLOWER_RATE]: '1024' }
    await virtual.done(client.admin.brokers.alterConfigs({ broker: null, set }))
    await move()
    await virtual.pass(5_000)
    expect(isMoved()).toBe(false)
    const names = Object.keys(set)
    await virtual.done(client.admin.brokers.alterConfigs({ broker: null, delete: names }))
    expect(await virtual.until(isMoved)).toBeLessThan(2_000)
    await end()
  })

  it.each([LEADER_RATE, FOLLOWER_RATE])(
    'many partitions under one limit (%s), and a leader that dies meanwhile -> all of them arrive',
    async (rate) => {
      const { virtual, client, end } = await start(64)
      const { admin } = client
      const partitions = 4
      const wide = { name: 'wide', partitions, replicationFactor: 2 }
      await virtual.done(admin.createTopic({ ...wide, configs: { 'min.insync.replicas': '1' } }))
      const producer = client.producer()
      const value = new Uint8Array(BATCH_BYTES - 200)
      for (let i = 0; i < 3 * partitions; i++)
        await virtual.done(producer.send({ topic: 'wide', partition: i % partitions, value }))
      await virtual.done(producer.close())
      await virtual.done(admin.brokers.alterConfigs({ broker: null, set: { [rate]: '100000' } }))
      const before = (await virtual.done(admin.describeTopic('wide'))).partitions
      const wanted = before.map(({ partition, replicas }) => {
        const added = [1, 2, 3].find((id) => !replicas.includes(id))!
        return { topic: 'wide', partition, replicas: [added, replicas[1]!] }
      })
      const startMs = virtual.kernel.nowMs
      for (const { error } of await virtual.done(admin.reassignPartitions(wanted))) expect(error).toBe(null)
      await virtual.pass(500)
      const victim = virtual.cluster.nodes.find(({ id }) => id === before[0]!.leader)!
      victim.kill()
      await virtual.pass(2_000)
      victim.start()
      await virtual.until(
        () => wanted.every(({ partition, replicas }) => isAt('wide', partition, replicas)),
        120_000,
      )
      expect(virtual.kernel.nowMs - startMs).toBeGreaterThan(1_000)
      await end()

      function isAt(topic: string, partition: number, replicas: readonly number[]): boolean {
        return virtual.cluster.nodes.every((node) => {
          const image = node.server?.broker?.image
          const found = image?.topics.get(image.topicIds.get(topic)!)?.partitions[partition]
          return found?.replicas.join() === replicas.join() && found.isr.length === replicas.length
        })
      }
    },
  )

  it('a replica that catches up after a restart -> is not held up by the limits of moves', async () => {
    const { virtual, client, send, partitionOf, end } = await start(63)
    const set = { [LEADER_RATE]: '1024', [FOLLOWER_RATE]: '1024' }
    await virtual.done(client.admin.brokers.alterConfigs({ broker: null, set }))
    const follower = [1, 2, 3].find((id) => id !== partitionOf('steady').leader)!
    const node = virtual.cluster.nodes.find(({ id }) => id === follower)!
    node.kill()
    await virtual.until(() => !partitionOf('steady').isr.includes(follower))
    await send('steady', 10)
    node.start()
    const tookMs = await virtual.until(() => partitionOf('steady').isr.includes(follower))
    // 500,000 bytes at 1,024 bytes per second would take eight minutes.
    expect(tookMs).toBeLessThan(10_000)
    await end()
  })
})
