// A topic gets more partitions while it is read and written, on whole nodes on virtual time.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { ConsumerOptions } from '../../src/client/consumer-options.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

/** The default of the client. */
const METADATA_MAX_AGE_MS = 300_000
const decoder = new TextDecoder()

async function begin(options: Partial<ConsumerOptions> = {}, seed = 23) {
  const virtual = new VirtualCluster({ seed, nodes: 3 })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const { client: operator } = virtual.cluster.client()
  await virtual.done(operator.admin.createTopic({ name: 't', partitions: 1, replicationFactor: 3 }))
  const { client, name } = virtual.cluster.client()
  const consumer = client.consumer({ topic: 't', from: 'end', ...options })
  const values: string[] = []
  const read = async (): Promise<void> => {
    for await (const { value } of consumer) values.push(decoder.decode(value!))
  }
  read().catch((error: unknown) => values.push(String(error)))
  await virtual.done(consumer.ready())
  return { virtual, operator, consumer, name, values }
}

async function send(virtual: VirtualCluster, client: Client, partition: number): Promise<string> {
  const producer = client.producer()
  const value = `record of partition ${partition}`
  await virtual.done(producer.send({ topic: 't', partition, value }))
  await virtual.done(producer.close())
  return value
}

/** How many partitions of the topic the broker of this node knows. */
function partitionsKnownTo({ server }: SimulatedNode): number {
  const topics = [...server!.broker!.image.topics.values()]
  return topics.find(({ name }) => name === 't')?.partitions.length ?? 0
}

describe('a topic gets more partitions', () => {
  it('a consumer reads from the end -> it gets what is sent to the new ones, also before it has heard of them', async () => {
    const { virtual, operator, consumer, name, values } = await begin()
    virtual.network.partition([[name], ['node-1', 'node-2', 'node-3']])
    await virtual.done(operator.admin.createPartitions('t', 4))
    const sent: string[] = []
    for (const partition of [3, 1, 2]) sent.push(await send(virtual, operator, partition))
    expect(consumer.health().partitions).toHaveLength(1)
    virtual.network.heal()
    await virtual.until(() => values.length === sent.length)
    sent.push(await send(virtual, operator, 0))
    await virtual.until(() => values.length === sent.length)
    expect(new Set(values)).toEqual(new Set(sent))
    expect(await virtual.done(consumer.positions())).toEqual(new Map([0, 1, 2, 3].map((i) => [i, 1])))
    expect(await virtual.done(consumer.endOffsets())).toEqual(await virtual.done(consumer.positions()))
    expect(virtual.failures).toEqual([])
  })

  it.each([1, 2, 3, 4, 5])(
    'seed %i: all its connections break while brokers tell of them -> it gets what is sent within seconds',
    async (seed) => {
      const { virtual, operator, name, values } = await begin({}, seed)
      const { nodes } = virtual.cluster
      const created = operator.admin.createPartitions('t', 2)
      await virtual.until(() => nodes.some((node) => partitionsKnownTo(node) === 2))
      const broken = nodes.map((node) => virtual.network.breakChannels(name, node.name))
      expect(Math.max(...broken)).toBe(1)
      await virtual.done(created)
      const sent = await send(virtual, operator, 1)
      await virtual.until(() => values.length > 0)
      expect(values).toEqual([sent])
    },
  )

  it('nobody can tell it any more, and what it reads goes on -> it gets all once what it knows is old', async () => {
    const { virtual, operator, consumer, name, values } = await begin()
    const { nodes } = virtual.cluster
    const leader = consumer.health().partitions[0]!.brokerId
    // Who was asked for metadata would tell; without a question nobody does.
    const broken = nodes
      .filter(({ id }) => id !== leader)
      .map((node) => virtual.network.breakChannels(name, node.name))
    expect(Math.max(...broken)).toBe(1)
    await virtual.pass(2_000)
    await virtual.done(operator.admin.createPartitions('t', 2))
    const expected = await send(virtual, operator, 1)
    const tookMs = await virtual.until(() => values.length > 0, METADATA_MAX_AGE_MS + 2_000)
    expect(values).toEqual([expected])
    expect(tookMs, 'it was told all the same, so this tests nothing').toBeGreaterThan(60_000)
  })

  it('it reads from any replica -> the new ones as well, in its fetch sessions', async () => {
    const { virtual, operator, consumer, values } = await begin({ readFrom: 'any' })
    await virtual.done(operator.admin.createPartitions('t', 6))
    const sent: string[] = []
    for (let partition = 0; partition < 6; partition++) sent.push(await send(virtual, operator, partition))
    await virtual.until(() => values.length === sent.length)
    expect(new Set(values)).toEqual(new Set(sent))
    const { partitions } = await virtual.done(operator.admin.describeTopic('t'))
    const isOfReplica = (partition: number): boolean => {
      const { brokerId } = consumer.health().partitions[partition]!
      return brokerId !== partitions[partition]!.leader
    }
    await virtual.until(() => partitions.every(({ partition }) => isOfReplica(partition)))
    // Two followers of each, and the consumer.
    const watched = (): number =>
      virtual.cluster.nodes.reduce((sum, { server }) => sum + server!.broker!.fetchSessions.partitions, 0)
    await virtual.until(() => watched() === 3 * 6)
    await virtual.done(consumer.close())
    expect(virtual.failures).toEqual([])
  })
})
