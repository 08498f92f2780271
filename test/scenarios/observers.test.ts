// Observers on whole nodes: they get every record and hold nobody up.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { PartitionView } from '../../src/client/cluster-view.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { send, TOPIC, waitingOn } from './text-topic.ts'

describe('a topic with an observer', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function start(seed: number): Promise<Client> {
    cluster = await startCluster({ seed })
    const client = cluster.client()
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 2, observers: 1 })
    return client
  }

  const until = waitingOn(() => cluster)

  const state = async (client: Client): Promise<PartitionView> =>
    (await client.admin.describeTopic(TOPIC)).partitions[0]!
  const partitionOf = (id: number) => [...cluster.server(id).broker!.registry.hosted][0]!
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `record ${i}`)

  it('records are sent -> the observer gets them and their high watermark, and is in no ISR', async () => {
    const client = await start(61)
    await send(client, lines(20))
    const { observers, isr, replicas } = await state(client)
    expect([observers.length, isr.length, replicas.length]).toEqual([1, 2, 3])
    const [observer] = observers
    expect(isr).not.toContain(observer)
    await until('all records', () => partitionOf(observer!).log.flushedOffset === 20)
    await until('the high watermark', () => partitionOf(observer!).highWatermark === 20)
    expect((await state(client)).isr).toEqual(isr)
  })

  it('the observer is down -> nobody waits for it; back, it catches up', async () => {
    const client = await start(62)
    const before = await state(client)
    const [observer] = before.observers
    await cluster.stopNode(observer!)
    await send(client, lines(20))
    expect(await state(client)).toMatchObject({
      leader: before.leader,
      leaderEpoch: before.leaderEpoch,
      partitionEpoch: before.partitionEpoch,
      isr: before.isr,
    })
    await cluster.restart(observer!)
    await cluster.whenReady()
    await until('all records', () => partitionOf(observer!).log.flushedOffset === 20)
  })

  it('promoted -> it joins the ISR; then another may be demoted, and leaves it', async () => {
    const client = await start(63)
    await send(client, lines(5))
    const { observers, isr, leader } = await state(client)
    const follower = isr.find((member) => member !== leader)!
    const target = { topic: TOPIC, partition: 0 }
    await expect(client.admin.demoteReplica({ ...target, broker: follower })).rejects.toMatchObject({
      code: 'POLICY_VIOLATION',
    })
    await client.admin.promoteReplica({ ...target, broker: observers[0]! })
    await until('a full ISR', async () => (await state(client)).isr.length === 3)
    await expect(client.admin.demoteReplica({ ...target, broker: leader! })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
    await client.admin.demoteReplica({ ...target, broker: follower })
    const after = await state(client)
    expect(after.observers).toEqual([follower])
    expect(new Set(after.isr)).toEqual(new Set([leader!, observers[0]!]))
    await send(client, lines(5))
    await until('all records', () => partitionOf(follower).log.flushedOffset === 10)
    expect((await state(client)).isr).not.toContain(follower)
  })

  it('the leader stops -> the other voter leads, never the observer', async () => {
    const client = await start(64)
    await send(client, lines(5))
    const { observers, isr, leader } = await state(client)
    const other = isr.find((member) => member !== leader)!
    await until('the records', () => partitionOf(observers[0]!).log.flushedOffset === 5)
    await cluster.stopNode(leader!)
    await until('another leader', async () => (await state(client)).leader === other)
    expect(await state(client)).toMatchObject({ isr: [other], elr: [leader], observers })
  })
})
