// Replicas move to other brokers while the partition is in use, on whole nodes.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { waitingOn } from './text-topic.ts'

const TOPIC = 't'
const decoder = new TextDecoder()

describe('replicas that move', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  const until = waitingOn(() => cluster)

  /** A topic of one partition on three of five brokers. */
  async function start(seed: number): Promise<Client> {
    cluster = await startCluster({ seed, brokers: 5 })
    const client = cluster.client()
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3 })
    return client
  }

  const partitionOf = async (client: Client) => (await client.admin.describeTopic(TOPIC)).partitions[0]!
  const others = (replicas: readonly number[]) => [1, 2, 3, 4, 5].filter((id) => !replicas.includes(id))
  /** How many directories of partitions a node has on its disk. */
  async function logsOf(id: number): Promise<number> {
    const disk = cluster.fileSystem(id)
    const topics = await disk.list('/data/topics').catch(() => [])
    const partitions = await Promise.all(
      topics.map(({ name }) => disk.list(`/data/topics/${name}`).catch(() => [])),
    )
    return partitions.flat().length
  }

  async function move(client: Client, replicas: readonly number[] | null): Promise<void> {
    const [result] = await client.admin.reassignPartitions([{ topic: TOPIC, partition: 0, replicas }])
    expect(result!.error).toBe(null)
  }

  async function whenMoved(client: Client, replicas: readonly number[]): Promise<void> {
    await until('the move is complete', async () => (await client.admin.listReassignments()).length === 0)
    await until('the replicas', async () => {
      const now = await partitionOf(client)
      return now.replicas.join() === replicas.join() && now.isr.length === replicas.length
    })
  }

  /** The active controller. While one is elected, no broker knows any: the one that was just killed may have been it. */
  async function controllerOf(client: Client): Promise<number> {
    let active: number | null = null
    await until('a controller', async () => {
      active = (await client.admin.describeCluster()).controllerId
      return active !== null
    })
    return active!
  }

  /** Sends until it is told to stop. @returns what was acknowledged, in order. */
  function load(client: Client): { readonly acknowledged: string[]; readonly stop: () => Promise<void> } {
    const acknowledged: string[] = []
    const producer = client.producer()
    let isStopped = false
    const sending = (async () => {
      for (let i = 0; !isStopped; i++) {
        const value = `record ${i}`
        await producer.send({ topic: TOPIC, value })
        acknowledged.push(value)
      }
    })()
    const stop = async (): Promise<void> => {
      isStopped = true
      await sending
      await producer.close()
    }
    return { acknowledged, stop }
  }

  async function expectAll(acknowledged: readonly string[]): Promise<void> {
    const missing = new Set(acknowledged)
    for await (const { value } of cluster.client().consumer({ topic: TOPIC, from: 'beginning' })) {
      missing.delete(decoder.decode(value!))
      if (missing.size === 0) break
    }
    expect(missing.size).toBe(0)
  }

  it('REP-37: a partition moves under load and its leader dies meanwhile -> nothing acknowledged is lost', async () => {
    const client = await start(71)
    const before = await partitionOf(client)
    const leader = before.leader!
    const target = [...others(before.replicas), before.replicas.find((id) => id !== leader)!]
    const { acknowledged, stop } = load(client)
    await until('some records', () => acknowledged.length >= 20)
    await move(client, target)
    await cluster.kill(leader)
    await whenMoved(client, target)
    const count = acknowledged.length
    await until('records at the new replicas', () => acknowledged.length >= count + 20)
    await stop()
    await expectAll(acknowledged)
    await cluster.restart(leader)
    await cluster.whenReady()
    await until('the files of the old leader are gone', async () => (await logsOf(leader)) === 0)
    const gone = before.replicas.filter((id) => !target.includes(id))
    for (const id of gone)
      await until('the files of removed replicas are gone', async () => (await logsOf(id)) === 0)
  })

  it('REP-37: a move that waits for a broker is cancelled -> the replicas of before, and no files of it remain', async () => {
    const client = await start(72)
    const before = await partitionOf(client)
    const [added, away] = others(before.replicas) as [number, number]
    const { acknowledged, stop } = load(client)
    await until('some records', () => acknowledged.length >= 20)
    await move(client, [before.replicas[0]!, added, away])
    await cluster.kill(away)
    await move(client, null)
    await whenMoved(client, before.replicas)
    await stop()
    await expectAll(acknowledged)
    await until('the files of the added replica are gone', async () => (await logsOf(added)) === 0)
  })

  it.each([false, true])(
    'REP-37: the controller dies in the middle of a move (cancelled after it: %s) -> the next one ends it',
    async (isCancelled) => {
      const client = await start(isCancelled ? 75 : 74)
      const before = await partitionOf(client)
      const [added, away] = others(before.replicas) as [number, number]
      const { acknowledged, stop } = load(client)
      await until('some records', () => acknowledged.length >= 20)
      const target = [before.replicas[0]!, added, away]
      // What the move waits for is dead, so it stays in the middle.
      await move(client, target)
      await cluster.kill(away)
      const controller = await controllerOf(client)
      if (controller !== away) await cluster.kill(controller)
      await until('another controller', async () => {
        const { controllerId } = await client.admin.describeCluster()
        return controllerId !== null && controllerId !== controller
      })
      if (isCancelled) {
        await until('the move is cancelled', async () => {
          const asked = [{ topic: TOPIC, partition: 0, replicas: null }]
          const [result] = await client.admin.reassignPartitions(asked)
          return result!.error === null || result!.error.code === 'NO_REASSIGNMENT_IN_PROGRESS'
        })
      }
      for (const id of new Set([controller, away])) await cluster.restart(id)
      await cluster.whenReady()
      await whenMoved(client, isCancelled ? before.replicas : target)
      await stop()
      await expectAll(acknowledged)
    },
  )

  it('partitions are added under load -> they are served, and nothing acknowledged is lost', async () => {
    const client = await start(73)
    const { acknowledged, stop } = load(client)
    await until('some records', () => acknowledged.length >= 20)
    await client.admin.createPartitions(TOPIC, 4)
    const { partitions } = await client.admin.describeTopic(TOPIC)
    expect(partitions.map(({ replicas }) => replicas.length)).toEqual([3, 3, 3, 3])
    await until('records of the old producer in all partitions', async () => {
      const now = (await client.admin.describeTopic(TOPIC)).partitions
      return now.every(({ highWatermark }) => highWatermark !== null && highWatermark > 0)
    })
    await stop()
    await expectAll(acknowledged)
    await expect(client.admin.createPartitions(TOPIC, 3)).rejects.toMatchObject({
      code: 'INVALID_PARTITIONS',
      definite: true,
    })
  })
})
