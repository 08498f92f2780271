// Fetch sessions between whole nodes: idle partitions are not asked for again, and lose nothing by that.
import { describe, expect, it } from 'vitest'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'
import { VirtualTopic } from './virtual-topic.ts'

const PARTITIONS = 12

async function running(
  seed: number,
): Promise<{ readonly virtual: VirtualCluster; readonly topic: VirtualTopic }> {
  const virtual = new VirtualCluster({ seed, nodes: 3 })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const topic = await VirtualTopic.create(virtual, { name: 't', partitions: PARTITIONS })
  for (topic.partition = 0; topic.partition < PARTITIONS; topic.partition++) await topic.untilFull()
  topic.partition = 0
  return { virtual, topic }
}

const brokers = (virtual: VirtualCluster) => virtual.cluster.nodes.map((node) => node.server!.broker!)
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

describe('fetch sessions of whole nodes', () => {
  it('partitions without news -> watched in sessions, and no answer is about them', async () => {
    const { virtual, topic } = await running(71)
    const { client } = virtual.cluster.client()
    const consumer = client.consumer({ topic: 't', from: 'beginning' })
    const values: string[] = []
    const reading = (async () => {
      for await (const { value } of consumer) values.push(new TextDecoder().decode(value!))
    })()
    const watched = (): number => sum(brokers(virtual).map(({ fetchSessions }) => fetchSessions.partitions))
    // Two followers of each, and the consumer.
    await virtual.until(() => watched() === 3 * PARTITIONS)
    await virtual.pass(2_000)
    const answers = (): number =>
      sum(brokers(virtual).map(({ counters }) => counters.topic(topic.id).fetchRequests))
    const before = answers()
    await virtual.pass(20_000)
    expect(answers()).toBe(before)

    topic.partition = 7
    expect((await topic.send(['news'])).acknowledged).toEqual(['news'])
    await virtual.until(() => values.length === 1)
    const isEverywhere = (node: SimulatedNode): boolean => topic.replicaOn(node)?.highWatermark === 1
    await virtual.until(() => virtual.cluster.nodes.every(isEverywhere))
    expect(values).toEqual(['news'])
    expect(answers() - before).toBeLessThanOrEqual(2)
    await virtual.done(client.close())
    await virtual.done(reading)
    expect(watched()).toBe(2 * PARTITIONS)
    expect(virtual.failures).toEqual([])
  })

  it('REP-39: an idle follower is cut off from the controller alone and comes back -> in every in-sync set again', async () => {
    const { virtual, topic } = await running(72)
    const { nodes } = virtual.cluster
    const controller = nodes.find(({ server }) => server?.controller?.isActive)!
    const led = Array.from({ length: PARTITIONS }, (_, partition) => partition).filter((partition) => {
      topic.partition = partition
      return topic.leaders[0] !== controller
    })
    topic.partition = led[0]!
    const [leader] = topic.leaders
    const follower = nodes.find((node) => node !== leader && node !== controller)!
    virtual.network.partition([[follower.name], [controller.name]])
    await virtual.until(() => !topic.hasController || !topic.image.isr.includes(follower.id))
    virtual.network.heal()
    for (const partition of led) {
      topic.partition = partition
      await topic.untilFull(30_000)
    }
    expect(virtual.failures).toEqual([])
  })
})
