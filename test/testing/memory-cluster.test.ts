import { afterEach, describe, expect, it } from 'vitest'
import { MemoryCluster } from '../../src/testing/memory-cluster.ts'

describe('MemoryCluster', () => {
  let cluster: MemoryCluster | null = null
  afterEach(async () => {
    await cluster?.stop()
    cluster = null
  })

  it('one node alone: starts, takes records and gives them back', async () => {
    cluster = await MemoryCluster.start({ brokers: 1 })
    const client = cluster.client()
    await client.admin.createTopic({ name: 'solo', partitions: 1 })
    const producer = client.producer()
    const receipts = await Promise.all(
      ['a', 'b', 'c'].map((value) => producer.send({ topic: 'solo', value })),
    )
    expect(receipts.map(({ offset }) => offset)).toEqual([0, 1, 2])
    const values: string[] = []
    for await (const record of client.consumer({ topic: 'solo', from: 'beginning' })) {
      values.push(new TextDecoder().decode(record.value!))
      if (values.length === 3) break
    }
    expect(values).toEqual(['a', 'b', 'c'])
  })

  it('three nodes: the leader is killed -> another leads, nothing is lost, and the killed one comes back', async () => {
    cluster = await MemoryCluster.start()
    const client = cluster.client()
    await client.admin.createTopic({ name: 'three', partitions: 1, replicationFactor: 3 })
    const producer = client.producer()
    for (let i = 0; i < 20; i++) await producer.send({ topic: 'three', value: `before ${i}` })
    const before = (await client.admin.describeTopic('three')).partitions[0]!
    await cluster.kill(before.leader!)
    for (let i = 0; i < 20; i++) await producer.send({ topic: 'three', value: `after ${i}` })
    const after = (await client.admin.describeTopic('three')).partitions[0]!
    expect(after.leader).not.toBe(before.leader)
    expect(after.leaderEpoch).toBeGreaterThan(before.leaderEpoch)
    await cluster.restart(before.leader!)
    await cluster.whenReady()
    const values: string[] = []
    for await (const record of client.consumer({ topic: 'three', from: 'beginning' })) {
      values.push(new TextDecoder().decode(record.value!))
      if (values.at(-1) === 'after 19') break
    }
    const unique = [...new Set(values)]
    expect(unique).toEqual([
      ...Array.from({ length: 20 }, (_, i) => `before ${i}`),
      ...Array.from({ length: 20 }, (_, i) => `after ${i}`),
    ])
    for (const id of [1, 2, 3]) expect(cluster.failures(id)).toEqual([])
  })
})
