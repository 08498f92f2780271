// A broker is taken away for good, on whole nodes on virtual time: cordoned, drained, stopped and unregistered.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { VirtualCluster } from './virtual-cluster.ts'

/** Brokers 1 to 3 are controllers as well; 4 is the one that goes. */
async function begin(settings: Readonly<Record<string, number>> = {}): Promise<{
  readonly virtual: VirtualCluster
  readonly client: Client
}> {
  const virtual = new VirtualCluster({ seed: 11, nodes: 4, voters: 3, settings })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const { client } = virtual.cluster.client()
  await virtual.done(client.admin.createTopic({ name: 't', partitions: 8, replicationFactor: 2 }))
  return { virtual, client }
}

async function drained(virtual: VirtualCluster, client: Client): Promise<void> {
  for (let i = 0; i < 60; i++) {
    const { moves, underWay, stuck } = await virtual.done(client.admin.brokers.drain({ broker: 4 }))
    expect(stuck).toEqual([])
    if (moves.length === 0 && underWay === 0) return
    await virtual.pass(500)
  }
  throw new Error('never drained')
}

async function listed(virtual: VirtualCluster, client: Client) {
  const brokers = await virtual.done(client.admin.brokers.list())
  return brokers.map(({ id, isFenced, isCordoned, replicas }) => ({ id, isFenced, isCordoned, replicas }))
}

async function replicasOf(virtual: VirtualCluster, client: Client, topic: string): Promise<Set<number>> {
  const { partitions } = await virtual.done(client.admin.describeTopic(topic))
  return new Set(partitions.flatMap(({ replicas }) => replicas))
}

describe('a broker is taken away for good', () => {
  it('drained while topics are made, stopped, unregistered -> the cluster knows three; started again it is a new one', async () => {
    const { virtual, client } = await begin()
    const { admin } = client
    const gone = virtual.cluster.node(4)
    expect(await replicasOf(virtual, client, 't')).toContain(4)
    await expect(virtual.done(admin.brokers.unregister({ broker: 4 }))).rejects.toThrow(
      /^Broker 4 hosts 4 replicas, one of t\/\d\. Move them to others first \(vltava broker drain 4\)\.$/,
    )
    await virtual.done(admin.brokers.drain({ broker: 4 }))
    await virtual.done(admin.createTopic({ name: 'new', partitions: 8, replicationFactor: 3 }))
    await virtual.done(admin.createPartitions('t', 16))
    await drained(virtual, client)
    expect(await replicasOf(virtual, client, 'new')).toEqual(new Set([1, 2, 3]))
    expect(await replicasOf(virtual, client, 't')).toEqual(new Set([1, 2, 3]))
    await expect(virtual.done(admin.brokers.unregister({ broker: 4 }))).rejects.toThrow(
      'Broker 4 is not fenced. Stop it first; the controller notices within broker.session.timeout.ms.',
    )

    gone.stop()
    const { nodes } = virtual.cluster
    await virtual.until(() =>
      nodes.slice(0, 3).every(({ server }) => server!.broker!.image.brokers.get(4)?.fenced === true),
    )
    expect((await listed(virtual, client)).at(-1)).toEqual({
      ...{ id: 4, isFenced: true, isCordoned: true, replicas: 0 },
    })
    // Its link told of the end at once: the controller has been active for less than a session.
    await expect(virtual.done(admin.brokers.unregister({ broker: 4 }))).rejects.toThrow(
      /^Broker 4 is fenced, but the controller has just become active and does not know yet whether/,
    )
    await virtual.pass(3_000)
    await virtual.done(admin.brokers.unregister({ broker: 4 }))
    expect((await listed(virtual, client)).map(({ id }) => id)).toEqual([1, 2, 3])
    await expect(virtual.done(admin.brokers.cordon({ broker: 4 }))).rejects.toThrow(
      /^Broker 4 is not registered/,
    )

    gone.start()
    await virtual.untilAllReady()
    expect((await listed(virtual, client)).at(-1)).toEqual({
      ...{ id: 4, isFenced: false, isCordoned: false, replicas: 0 },
    })
    await virtual.done(admin.createTopic({ name: 'again', partitions: 8, replicationFactor: 2 }))
    expect(await replicasOf(virtual, client, 'again')).toContain(4)
    expect(virtual.failures).toEqual([])
  })

  it('cordoned, and all nodes start again from a snapshot -> still cordoned; unregistered, and again -> still unknown', async () => {
    const { virtual, client } = await begin({ 'metadata.log.max.record.bytes.between.snapshots': 1_024 })
    const { admin } = client
    const { nodes } = virtual.cluster
    const fromSnapshots = async (): Promise<void> => {
      const { metadataOffset } = nodes[0]!.server!.controller!.image
      for (let i = 0; i < 8; i++)
        await virtual.done(
          admin.createTopic({ name: `x${metadataOffset}-${i}`, partitions: 3, replicationFactor: 2 }),
        )
      for (const node of nodes) node.kill()
      for (const node of nodes.slice(0, 3)) node.start()
      await virtual.until(() => nodes.slice(0, 3).every(({ isReady }) => isReady))
      const { committedLog } = nodes[0]!.server!.controller!.voter!.controller
      expect(committedLog.startOffset).toBeGreaterThan(metadataOffset)
    }
    await virtual.done(admin.brokers.cordon({ broker: 4 }))
    await fromSnapshots()
    expect((await listed(virtual, client)).map(({ isCordoned }) => isCordoned)).toEqual([
      false,
      false,
      false,
      true,
    ])
    nodes[3]!.start()
    await virtual.untilAllReady()
    await drained(virtual, client)
    nodes[3]!.kill()
    await virtual.until(() => nodes[0]!.server!.controller!.image.brokers.get(4)?.fenced === true)
    await virtual.done(admin.brokers.unregister({ broker: 4 }))
    await fromSnapshots()
    expect((await listed(virtual, client)).map(({ id }) => id)).toEqual([1, 2, 3])
    expect(virtual.failures).toEqual([])
  })

  it('its process is cut off, and so unregistered unheard -> it ends when it is back; the next start is a new broker', async () => {
    const { virtual, client } = await begin()
    const { admin } = client
    const { nodes } = virtual.cluster
    await drained(virtual, client)
    virtual.network.partition([['node-4'], ['node-1', 'node-2', 'node-3']])
    const image = () => nodes[0]!.server!.controller!.image
    await virtual.until(() => image().brokers.get(4)?.fenced === true)
    await expect(virtual.done(admin.brokers.unregister({ broker: 4 }))).resolves.toBeUndefined()
    await virtual.until(() => !image().brokers.has(4))
    expect(virtual.failures).toEqual([])

    virtual.network.heal()
    await virtual.until(() => virtual.failures.length > 0)
    expect(virtual.failures).toEqual([
      expect.stringMatching(
        /^node 4: an operator unregistered this broker; a new start registers it as a new one: /,
      ),
    ])
    await virtual.until(() => nodes[3]!.run === null)
    nodes[3]!.start()
    await virtual.untilAllReady()
    expect((await listed(virtual, client)).at(-1)).toMatchObject({
      id: 4,
      isFenced: false,
      isCordoned: false,
    })
    expect(virtual.failures).toHaveLength(1)
  })
})
