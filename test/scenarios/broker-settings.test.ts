// Settings of brokers that change while the brokers run, on whole nodes.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { send, TOPIC, waitingOn } from './text-topic.ts'

const LAG = 'replica.lag.time.max.ms'

describe('settings of running brokers', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })
  const until = waitingOn(() => cluster)

  const settingOf = async (client: Client, broker: number | null, name: string) =>
    (await client.admin.brokers.describeConfigs(broker)).find((config) => config.name === name)!

  it('for one, for all, and as started -> each broker shows what counts for it and why', async () => {
    cluster = await startCluster({ seed: 51, settings: { [LAG]: 12_000 } })
    const client = cluster.client()
    expect(await settingOf(client, 1, LAG)).toMatchObject({
      value: '12000',
      source: 'node',
      isDefault: false,
      dynamic: true,
    })
    await client.admin.brokers.alterConfigs({ broker: null, set: { [LAG]: '15000' } })
    await client.admin.brokers.alterConfigs({ broker: 2, set: { [LAG]: '16000' } })
    expect(await settingOf(client, 1, LAG)).toMatchObject({ value: '15000', source: 'all-brokers' })
    expect(await settingOf(client, 2, LAG)).toMatchObject({ value: '16000', source: 'broker' })
    expect(await settingOf(client, null, LAG)).toMatchObject({ value: '15000', isDefault: false })
    await client.admin.brokers.alterConfigs({ broker: 2, delete: [LAG] })
    expect(await settingOf(client, 2, LAG)).toMatchObject({ value: '15000', source: 'all-brokers' })
    await client.admin.brokers.alterConfigs({ broker: null, delete: [LAG] })
    expect(await settingOf(client, 2, LAG)).toMatchObject({ value: '12000', source: 'node' })
    expect(await settingOf(client, 2, 'node.id')).toMatchObject({ value: '2', dynamic: false })
    expect(await settingOf(client, 2, 'cluster.secret')).not.toMatchObject({ source: 'broker' })
  })

  it('what is set -> outlives a restart of all nodes, with and without a snapshot', async () => {
    cluster = await startCluster({
      seed: 52,
      settings: { 'metadata.log.max.record.bytes.between.snapshots': 1_024 },
    })
    const client = cluster.client()
    await client.admin.brokers.alterConfigs({ broker: 3, set: { [LAG]: '17000' } })
    for (let i = 0; i < 8; i++)
      await client.admin.brokers.alterConfigs({ broker: 1, set: { [LAG]: String(20_000 + i) } })
    for (const id of [1, 2, 3]) await cluster.stopNode(id)
    for (const id of [1, 2, 3]) await cluster.restart(id)
    await until('brokers that are back', async () => {
      const { brokers } = await client.admin.describeCluster()
      return brokers.length === 3 && brokers.every(({ fenced }) => !fenced)
    })
    expect(await settingOf(client, 3, LAG)).toMatchObject({ value: '17000', source: 'broker' })
    expect(await settingOf(client, 1, LAG)).toMatchObject({ value: '20007', source: 'broker' })
  })

  it('a lag time that is lowered -> a follower that is cut off leaves the in-sync set by it', async () => {
    const settings = {
      [LAG]: 86_400_000,
      'broker.session.timeout.ms': 600_000,
      'broker.disconnect.grace.ms': 60_000,
    }
    cluster = await startCluster({ seed: 53, settings })
    const client = cluster.client()
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3 })
    await send(client, ['a'])
    const { leader } = (await client.admin.describeTopic(TOPIC)).partitions[0]!
    const { controllerId } = await client.admin.describeCluster()
    const follower = [1, 2, 3].find((id) => id !== leader && id !== controllerId)!
    cluster.partition([leader!], [follower])
    const sending = send(client, ['b'])
    await client.admin.brokers.alterConfigs({ broker: null, set: { [LAG]: '100' }, timeoutMs: 2_000 })
    await sending
    // Any broker may be asked, and hears of it a moment later than the leader.
    await until('metadata without the follower', async () => {
      const { partitions } = await client.admin.describeTopic(TOPIC)
      return !partitions[0]!.isr.includes(follower)
    })
  })

  it('a setting that needs a restart, a broker that is not there -> says so, and changes nothing', async () => {
    cluster = await startCluster({ seed: 54 })
    const { brokers } = cluster.client().admin
    const alter = (broker: number | null, name: string) =>
      brokers.alterConfigs({ broker, set: { [name]: '500' } })
    await expect(alter(1, 'broker.heartbeat.interval.ms')).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/broker.heartbeat.interval.ms needs a restart/),
    })
    await expect(alter(1, 'no.such.name')).rejects.toMatchObject({ code: 'INVALID_CONFIG' })
    await expect(alter(9, LAG)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(/Broker 9 is not known/),
    })
    await expect(brokers.describeConfigs(9)).rejects.toMatchObject({ code: 'BROKER_ID_NOT_REGISTERED' })
    await brokers.alterConfigs({ broker: 1, set: { [LAG]: '500' }, validateOnly: true })
    expect(await settingOf(cluster.client(), 1, LAG)).toMatchObject({ isDefault: true })
  })
})
