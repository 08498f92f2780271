// Settings of topics that change while the topics are in use, on whole nodes.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { send, TOPIC, waitingOn } from './text-topic.ts'

describe('settings of a topic in use', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function start(seed: number, configs: Readonly<Record<string, string>> = {}): Promise<Client> {
    cluster = await startCluster({ seed })
    const client = cluster.client()
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3, configs })
    return client
  }

  const until = waitingOn(() => cluster)

  const settingsOf = (id: number) => [...cluster.server(id).broker!.registry.hosted][0]!.log.settings
  const logOf = (id: number) => [...cluster.server(id).broker!.registry.hosted][0]!.log
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `record ${i}`)
  const settingOf = async (client: Client, name: string) =>
    (await client.admin.describeConfigs(TOPIC)).find((config) => config.name === name)!

  it('alter -> the open logs of all replicas have the new settings, and describe shows them', async () => {
    const client = await start(41, { 'segment.ms': '1000000' })
    expect(await settingOf(client, 'retention.ms')).toMatchObject({ value: '604800000', isDefault: true })
    await client.admin.alterConfigs({
      topic: TOPIC,
      set: { 'retention.ms': '1234', 'cleanup.policy': 'compact,delete' },
      delete: ['segment.ms'],
    })
    for (const id of [1, 2, 3]) {
      await until('the new settings', () => settingsOf(id).retentionMs === 1234)
      expect(settingsOf(id)).toMatchObject({
        cleanupCompacts: true,
        cleanupDeletes: true,
        segmentMs: 604_800_000,
      })
    }
    expect(await settingOf(client, 'retention.ms')).toMatchObject({ value: '1234', isDefault: false })
    expect(await settingOf(client, 'segment.ms')).toMatchObject({ value: '604800000', isDefault: true })
  })

  it('a value that is not allowed -> refused with what is, and nothing has changed', async () => {
    const client = await start(42)
    const alter = client.admin.alterConfigs({ topic: TOPIC, set: { 'retention.ms': '5', 'flush.ms': '0' } })
    await expect(alter).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/flush.ms must be a whole number of ms from 1 to .*, got "0"/),
    })
    await client.admin.alterConfigs({ topic: TOPIC, set: { 'retention.ms': '6' }, validateOnly: true })
    expect(await settingOf(client, 'retention.ms')).toMatchObject({ isDefault: true })
  })

  it('max.message.bytes is lowered -> the leader refuses what is larger from then on', async () => {
    const client = await start(43)
    await send(client, ['x'.repeat(2_000)])
    await client.admin.alterConfigs({ topic: TOPIC, set: { 'max.message.bytes': '1024' } })
    const producer = client.producer()
    await expect(producer.send({ topic: TOPIC, value: 'y'.repeat(2_000) })).rejects.toMatchObject({
      definite: true,
    })
    await producer.close()
  })

  it('min.insync.replicas is lowered while too few are in sync -> what waited is acknowledged', async () => {
    const client = await start(44, { 'min.insync.replicas': '3' })
    await send(client, ['a'])
    const { leader } = (await client.admin.describeTopic(TOPIC)).partitions[0]!
    const victim = [1, 2, 3].find((id) => id !== leader)!
    await cluster.stopNode(victim)
    await until('a smaller ISR', async () => {
      return (await client.admin.describeTopic(TOPIC)).partitions[0]!.isr.length === 2
    })
    const sending = send(client, ['b'])
    await client.admin.alterConfigs({ topic: TOPIC, set: { 'min.insync.replicas': '2' } })
    await sending
    expect((await client.admin.describeTopic(TOPIC)).partitions[0]).toMatchObject({
      highWatermark: 2,
      elr: [],
      lastKnownElr: [],
    })
  })

  it('flush.messages is raised and lowered again -> everything is fsynced without another record', async () => {
    const client = await start(45)
    await client.admin.alterConfigs({ topic: TOPIC, set: { 'flush.messages': '1000000' } })
    for (const id of [1, 2, 3]) await until('the setting', () => settingsOf(id).flushMessages === 1_000_000)
    await send(client, lines(10))
    for (const id of [1, 2, 3]) expect(logOf(id).flushedOffset).toBe(0)
    await client.admin.alterConfigs({ topic: TOPIC, delete: ['flush.messages'] })
    for (const id of [1, 2, 3]) await until('an fsync', () => logOf(id).flushedOffset === 10)
  })

  it('flush.messages is lowered to 1 -> once all is fsynced, all may lose their power at once again', async () => {
    const client = await start(46, { 'flush.messages': '1000000' })
    await send(client, lines(20))
    const synced = (id: number) =>
      [...cluster.server(id).broker!.image.topics.values()][0]!.partitions[0]!.synced
    expect(synced(1)).toBe(false)
    await client.admin.alterConfigs({ topic: TOPIC, set: { 'flush.messages': '1' } })
    for (const id of [1, 2, 3]) await until('synced', () => synced(id))
    for (const id of [1, 2, 3]) await cluster.losePower(id)
    for (const id of [1, 2, 3]) await cluster.restart(id)
    await cluster.whenReady()
    const again = cluster.client()
    await until('a leader', async () => {
      const { highWatermark } = (await again.admin.describeTopic(TOPIC)).partitions[0]!
      return highWatermark === 20
    })
  })
})
