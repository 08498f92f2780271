import { describe, expect, it } from 'vitest'
import type { PartitionDescription } from '../../src/client/admin.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'

const TOPIC = 't'

async function until(
  cluster: TestCluster,
  fits: (partition: PartitionDescription) => boolean,
): Promise<PartitionDescription> {
  const { admin } = cluster.client()
  for (let i = 0; i < 4_000; i++) {
    const partition = (await admin.describeTopic(TOPIC)).partitions[0]!
    if (fits(partition)) return partition
    await new Promise<void>((resolve) => cluster.clock.setTimer(5, resolve))
  }
  throw new Error('never')
}

describe('lag of replicas', () => {
  it('a follower stops and comes back -> its lag in records, bytes and time shows, and goes', async () => {
    await using cluster = await startCluster({ brokers: 3 })
    const { admin } = cluster.client()
    await admin.createTopic({ name: TOPIC, replicationFactor: 3 })
    const producer = cluster.client().producer()
    await producer.send({ topic: TOPIC, partition: 0, value: 'a' })
    const isLevel = ({ replicaStates }: PartitionDescription): boolean =>
      replicaStates.length === 3 && replicaStates.every(({ lagRecords }) => lagRecords === 0)
    const { leader, replicas } = await until(cluster, isLevel)
    const absent = replicas.find((id) => id !== leader)!
    await cluster.kill(absent)
    const value = new Uint8Array(10_000)
    for (let i = 0; i < 5; i++) await producer.send({ topic: TOPIC, partition: 0, value })

    const behind = await until(cluster, ({ isr }) => isr.length === 2)
    expect(behind.replicaStates[0]).toMatchObject({
      brokerId: leader,
      isInSync: true,
      lagRecords: 0,
      lagMs: 0,
    })
    const state = behind.replicaStates.find(({ brokerId }) => brokerId === absent)!
    expect(state).toMatchObject({ isInSync: false, logEndOffset: 1, flushedOffset: 1, lagRecords: 5 })
    // Five batches of ten thousand bytes and their headers, and at most an index interval and a batch more.
    expect(state.lagBytes).toBeGreaterThanOrEqual(50_000)
    expect(state.lagBytes).toBeLessThan(50_000 + 5 * 100 + 4_096 + 10_100)
    expect(state.lagMs).toBeGreaterThanOrEqual(0)

    await cluster.restart(absent)
    const level = await until(cluster, isLevel)
    expect(level.replicaStates.map(({ lagBytes, lagMs }) => [lagBytes, lagMs])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ])
  }, 60_000)
})
