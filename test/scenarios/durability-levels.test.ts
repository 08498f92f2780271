// The levels of durability that docs/guarantees.md promises, each with whole nodes that lose their power.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { readAll, send, TOPIC, waitingOn } from './text-topic.ts'

describe('STO-30: levels of durability', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function start(seed: number, flushMessages: string): Promise<Client> {
    cluster = await startCluster({ seed })
    const client = cluster.client()
    const configs = { 'flush.messages': flushMessages }
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3, configs })
    return client
  }

  const until = waitingOn(() => cluster, { despiteErrors: true })

  const partition = async (client: Client) => (await client.admin.describeTopic(TOPIC)).partitions[0]!
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `record ${i}`)
  const logOf = (id: number) => [...cluster.server(id).broker!.registry.hosted][0]!.log

  it('STO-30: flush.messages=1 -> what is acknowledged survives that all lose their power', async () => {
    const client = await start(21, '1')
    await send(client, lines(30))
    for (const id of [1, 2, 3]) expect(logOf(id).flushedOffset).toBe(30)
    for (const id of [1, 2, 3]) await cluster.losePower(id)
    for (const id of [1, 2, 3]) await cluster.restart(id)
    await cluster.whenReady()
    expect(await readAll(cluster.client())).toEqual(lines(30))
  })

  it('STO-30: flush.messages above 1 -> acknowledged before any fsync, and it survives the power of one broker', async () => {
    const client = await start(22, '1000000')
    await send(client, lines(30))
    for (const id of [1, 2, 3]) expect(logOf(id).flushedOffset).toBe(0)
    const victim = (await partition(client)).leader!
    await cluster.losePower(victim)
    await cluster.restart(victim)
    await cluster.whenReady()
    await until('a full ISR', async () => (await partition(client)).isr.length === 3)
    expect((await partition(client)).leader).not.toBe(victim)
    expect(await readAll(client)).toEqual(lines(30))
  })

  it('STO-20: flush.messages above 1 and a clean stop of all -> nobody loses its place, and everything is flushed', async () => {
    const client = await start(23, '1000000')
    await send(client, lines(30))
    const topicId = (await client.admin.describeTopic(TOPIC)).id
    for (const id of [1, 2, 3]) await cluster.stopNode(id)
    const segment = `/data/topics/${topicId}/0/${'0'.repeat(20)}.log`
    for (const id of [1, 2, 3]) {
      const disk = cluster.fileSystem(id) as MemoryFileSystem
      const written = disk.peek(segment)!
      expect(written.length).toBeGreaterThan(0)
      // What it finds is not what it starts from: this only shows what would be left.
      expect(disk.afterPowerLoss().peek(segment)).toEqual(written)
    }
  })

  it('REP-29: flush.messages above 1 and a rolling restart -> nobody loses its place', async () => {
    const client = await start(24, '1000000')
    await send(client, lines(30))
    for (const id of [1, 2, 3]) {
      await cluster.stopNode(id)
      await cluster.restart(id)
      await cluster.whenReady()
      await until('a full ISR', async () => (await partition(client)).isr.length === 3)
    }
    expect(await readAll(client)).toEqual(lines(30))
  })

  it('STO-30: flush.messages above 1 and one replica -> offline after power loss; an operator brings back what was fsynced', async () => {
    cluster = await startCluster({ seed: 25 })
    const client = cluster.client()
    const configs = { 'flush.messages': '10' }
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 1, configs })
    for (const line of lines(25)) await send(client, [line])
    const victim = (await partition(client)).leader!
    await cluster.losePower(victim)
    await cluster.restart(victim)
    await cluster.whenReady()
    await until(
      'the replica is not eligible',
      async () => (await partition(client)).lastKnownElr.length === 1,
    )
    expect(await partition(client)).toMatchObject({ leader: null, isr: [], elr: [] })
    const topic = TOPIC
    const [refused] = await client.admin.electLeaders({
      topic,
      election: { kind: 'replica', replica: victim },
    })
    expect(refused!.error).toMatchObject({ code: 'ELIGIBLE_LEADERS_NOT_AVAILABLE' })
    const [elected] = await client.admin.electLeaders({ topic, election: { kind: 'unclean', replica: null } })
    expect(elected).toMatchObject({ leader: victim, unclean: true, error: null })
    await until('the leader serves', async () => (await partition(client)).logEndOffset !== null)
    const kept = await readAll(client)
    expect(kept.length).toBeGreaterThanOrEqual(20)
    expect(kept).toEqual(lines(kept.length))
  })

  it('REP-28: the last replica loses its tail with its power -> an eligible one leads, nothing acknowledged is lost', async () => {
    const client = await start(26, '1000000')
    await send(client, lines(10))
    const last = (await partition(client)).leader!
    const others = [1, 2, 3].filter((id) => id !== last)
    // The first to leave lacks what comes then; the second is eligible, because nothing is committed without it.
    await cluster.stopNode(others[0]!)
    await until('two are in sync', async () => (await partition(client)).isr.length === 2)
    await send(client, ['the last that is acknowledged'])
    await cluster.stopNode(others[1]!)
    await cluster.losePower(last)
    await cluster.restart(last)
    await cluster.restart(others[1]!)
    const after = cluster.client()
    await until('there is a leader', async () => (await partition(after)).leader === others[1])
    await cluster.restart(others[0]!)
    await cluster.whenReady()
    await until('a full ISR', async () => (await partition(after)).isr.length === 3)
    expect(await readAll(after)).toEqual([...lines(10), 'the last that is acknowledged'])
  })
})
