// A topic gets more partitions while it is read and written, on whole nodes on virtual time.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { VirtualCluster } from './virtual-cluster.ts'

/** The default of the client. */
const METADATA_MAX_AGE_MS = 300_000
const decoder = new TextDecoder()

async function begin() {
  const virtual = new VirtualCluster({ seed: 23, nodes: 3 })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const { client: operator } = virtual.cluster.client()
  await virtual.done(operator.admin.createTopic({ name: 't', partitions: 1, replicationFactor: 3 }))
  const { client, name } = virtual.cluster.client()
  const consumer = client.consumer({ topic: 't', from: 'end' })
  const values: string[] = []
  const read = async (): Promise<void> => {
    for await (const { value } of consumer) values.push(decoder.decode(value!))
  }
  read().catch((error: unknown) => values.push(String(error)))
  await virtual.done(consumer.ready())
  return { virtual, operator, name, values }
}

async function send(virtual: VirtualCluster, client: Client, partition: number): Promise<string> {
  const producer = client.producer()
  const value = `record of partition ${partition}`
  await virtual.done(producer.send({ topic: 't', partition, value }))
  await virtual.done(producer.close())
  return value
}

describe('a topic gets more partitions', () => {
  it('a consumer reads from the end -> it gets what is sent to the new ones, also before it has heard of them', async () => {
    const { virtual, operator, values } = await begin()
    await virtual.done(operator.admin.createPartitions('t', 4))
    expect(values).toEqual([])
    const sent: string[] = []
    for (const partition of [3, 1, 2]) sent.push(await send(virtual, operator, partition))
    await virtual.until(() => values.length === sent.length)
    expect(new Set(values)).toEqual(new Set(sent))
  })

  it('it is cut off while brokers tell of them -> it gets all of it once its metadata is old enough', async () => {
    const { virtual, operator, name, values } = await begin()
    virtual.network.partition([[name], ['node-1', 'node-2', 'node-3']])
    await virtual.done(operator.admin.createPartitions('t', 2))
    const expected = await send(virtual, operator, 1)
    // Long enough for its connections, and what they were to bring, to be given up.
    await virtual.pass(60_000)
    virtual.network.heal()
    await virtual.until(() => values.length > 0, METADATA_MAX_AGE_MS)
    expect(values).toEqual([expected])
  })
})
