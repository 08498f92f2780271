// Brokers that stand in racks, on whole nodes: from their settings to where replicas are.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { VirtualCluster } from './virtual-cluster.ts'

/** Brokers 1, 3 and 5 in one rack, 2 and 4 in another one; 1 to 3 are controllers. */
async function begin(settings: Readonly<Record<string, number>> = {}): Promise<VirtualCluster> {
  const virtual = new VirtualCluster({ seed: 5, nodes: 5, voters: 3, racks: 2, settings })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  return virtual
}

const RACKS = ['rack-1', 'rack-2', 'rack-1', 'rack-2', 'rack-1']
const rackOf = (id: number): string => RACKS[id - 1]!

/** The racks of the replicas of each partition. */
async function racksOf(virtual: VirtualCluster, client: Client): Promise<readonly (readonly string[])[]> {
  const { partitions } = await virtual.done(client.admin.describeTopic('t'))
  return partitions.map(({ replicas }) => replicas.map(rackOf).toSorted((a, b) => (a < b ? -1 : 1)))
}

describe('brokers in racks', () => {
  it('a topic, and the partitions that it gets later -> each in both racks; clients see who stands where', async () => {
    const virtual = await begin()
    const { client } = virtual.cluster.client()
    const { admin } = client
    const listed = await virtual.done(admin.brokers.list())
    expect(listed.map(({ id, rack }) => [id, rack])).toEqual(RACKS.map((rack, i) => [i + 1, rack]))
    const { brokers } = await virtual.done(admin.describeCluster())
    for (const { brokerId, rack } of brokers) expect(rack).toBe(rackOf(brokerId))
    await virtual.done(admin.createTopic({ name: 't', partitions: 5, replicationFactor: 2 }))
    await virtual.done(admin.createPartitions('t', 10))
    expect(await racksOf(virtual, client)).toEqual(Array.from({ length: 10 }, () => ['rack-1', 'rack-2']))
    const leaders = (await virtual.done(admin.describeTopic('t'))).partitions.map(({ leader }) => leader)
    for (const id of [1, 2, 3, 4, 5]) expect(leaders.filter((leader) => leader === id)).toHaveLength(2)
    // More replicas than racks is no error: what is left is spread evenly.
    await virtual.done(admin.createTopic({ name: 'u', partitions: 5, replicationFactor: 4 }))
    for (const { replicas } of (await virtual.done(admin.describeTopic('u'))).partitions)
      expect(replicas.filter((id) => rackOf(id) === 'rack-2')).toHaveLength(2)
  })

  it('all nodes start again, and what they know of each other comes from a snapshot -> the same racks', async () => {
    const virtual = await begin({ 'metadata.log.max.record.bytes.between.snapshots': 1_024 })
    const { nodes } = virtual.cluster
    const { admin } = virtual.cluster.client().client
    for (let i = 0; i < 20; i++)
      await virtual.done(admin.createTopic({ name: `t${i}`, partitions: 3, replicationFactor: 2 }))
    for (const node of nodes) node.kill()
    for (const node of nodes.slice(0, 3)) node.start()
    await virtual.until(() => nodes.slice(0, 3).every(({ isReady }) => isReady))
    // Brokers 4 and 5 stay away: nobody has told anew where they stand, and the log begins behind what told it.
    const { image, voter } = nodes[0]!.server!.controller!
    for (const id of [4, 5])
      expect(voter!.controller.committedLog.startOffset).toBeGreaterThan(image.brokers.get(id)!.brokerEpoch)
    const listed = await virtual.done(admin.brokers.list())
    expect(listed.map(({ rack }) => rack)).toEqual(RACKS)
  })

  it('a broker is drained -> every partition stays in both racks, whoever has less to do', async () => {
    const virtual = await begin()
    const { client } = virtual.cluster.client()
    await virtual.done(client.admin.createTopic({ name: 't', partitions: 10, replicationFactor: 2 }))
    const drain = () => virtual.done(client.admin.brokers.drain({ broker: 2 }))
    const { moves, stuck } = await drain()
    expect(moves.length).toBeGreaterThan(0)
    expect(stuck).toEqual([])
    for (const { replicas } of moves) expect(replicas).toContain(4)
    await virtual.pass(3_000)
    expect(await drain()).toEqual({ moves: [], underWay: 0, stuck: [], results: [] })
    expect(await racksOf(virtual, client)).toEqual(Array.from({ length: 10 }, () => ['rack-1', 'rack-2']))
  })
})
