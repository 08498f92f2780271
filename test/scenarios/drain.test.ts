// A broker gives all its replicas to others, on whole nodes.
import { afterEach, describe, expect, it } from 'vitest'
import type { Drained } from '../../src/client/broker-admin.ts'
import type { Client } from '../../src/client/client.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'

const RECORDS = 60
const decoder = new TextDecoder()

describe('a broker that is drained', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function begin(brokers: number): Promise<Client> {
    cluster = await startCluster({ seed: 7, brokers })
    const client = cluster.client()
    await client.admin.createTopic({ name: 't', partitions: 6, replicationFactor: 3 })
    const producer = client.producer()
    for (let i = 0; i < RECORDS; i++)
      await producer.send({ topic: 't', key: `k${i % 20}`, value: `record ${i}` })
    await producer.close()
    return client
  }

  /** As the command does it. @returns each answer. */
  async function drainAll(client: Client, movesMax: number): Promise<readonly Drained[]> {
    const answers: Drained[] = []
    for (let i = 0; i < 2_000; i++) {
      const drained = await client.admin.brokers.drain({ broker: 1, movesMax })
      answers.push(drained)
      if (drained.moves.length === 0 && drained.underWay === 0) return answers
      await new Promise<void>((resolve) => cluster.clock.setTimer(20, resolve))
    }
    throw new Error('never drained')
  }

  const replicasOn = async (client: Client, id: number): Promise<number> =>
    (await client.admin.brokers.list()).find((broker) => broker.id === id)!.replicas

  it('its replicas move a few at a time, and every record stays', async () => {
    const client = await begin(4)
    expect(await replicasOn(client, 1)).toBeGreaterThan(2)
    const answers = await drainAll(client, 2)
    expect(Math.max(...answers.map(({ underWay, results }) => underWay + results.length))).toBe(2)
    expect(answers.at(-1)).toEqual({ moves: [], underWay: 0, stuck: [], results: [] })
    expect(await replicasOn(client, 1)).toBe(0)
    await cluster.kill(1)
    const values = new Set<string>()
    for await (const { value } of client.consumer({ topic: 't', from: 'beginning' })) {
      values.add(decoder.decode(value!))
      if (values.size === RECORDS) break
    }
    expect(values.size).toBe(RECORDS)
  })

  it('nobody is there to take them -> says so, and nothing moves', async () => {
    const client = await begin(3)
    const drained = await client.admin.brokers.drain({ broker: 1 })
    expect(drained).toMatchObject({ moves: [], underWay: 0, results: [] })
    expect(drained.stuck).toHaveLength(6)
    expect(await replicasOn(client, 1)).toBe(6)
  })

  it('a broker that nobody knows, or a number that is none -> an error', async () => {
    const { admin } = await begin(3)
    await expect(admin.brokers.drain({ broker: 9 })).rejects.toThrow(
      /Broker 9 is not registered. Registered brokers: \[1, 2, 3\]/,
    )
    await expect(admin.brokers.drain({ broker: -1 })).rejects.toThrow(/must be a whole number from 0, got -1/)
    await expect(admin.brokers.drain({ broker: 1, movesMax: 10_001 })).rejects.toThrow(/from 0 to 10000/)
  })
})
