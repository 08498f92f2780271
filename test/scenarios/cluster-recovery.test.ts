// Scenarios of whole nodes, in one process: what survives what, and who comes back how.
import { afterEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { Client } from '../../src/client/client.ts'
import { type FileOperation, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import { TestCluster } from '../../src/testing/test-cluster.ts'
import { readAll, send, TOPIC, waitingOn } from './text-topic.ts'

describe('a cluster of three nodes', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function start(seed: number): Promise<Client> {
    cluster = await startCluster({ seed })
    const client = cluster.client()
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3 })
    return client
  }

  const until = waitingOn(() => cluster, { despiteErrors: true })

  const partition = async (client: Client) => (await client.admin.describeTopic(TOPIC)).partitions[0]!
  const isFull = (client: Client) =>
    until('a full ISR', async () => (await partition(client)).isr.length === 3)
  const lines = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i}`)

  it.each([1, 2, 3])(
    'STO-30: all three lose their power at once, un-fsynced sectors kept or lost at random -> every acknowledged record is there (seed %i)',
    async (seed) => {
      const client = await start(seed)
      const sent = lines('acked', 60)
      for (let i = 0; i < sent.length; i += 10) await send(client, sent.slice(i, i + 10))
      const random = seededRandom(seed)
      for (const id of [1, 2, 3]) await cluster.losePower(id, randomPowerLoss(random))
      for (const id of [1, 2, 3]) await cluster.restart(id)
      await cluster.whenReady()
      const after = cluster.client()
      await isFull(after)
      expect(await readAll(after)).toEqual(sent)
      await send(after, ['goes on'])
      expect((await readAll(after)).at(-1)).toBe('goes on')
    },
  )

  it('STO-43: a node comes back with an empty disk -> it leaves the ISR, copies everything, and only then is in it again', async () => {
    const client = await start(4)
    await send(client, lines('before', 30))
    const victim = (await partition(client)).isr.at(-1)!
    await cluster.kill(victim)
    await until('the ISR shrinks', async () => !(await partition(client)).isr.includes(victim))
    cluster.replaceDisk(victim)
    await cluster.restart(victim)
    await isFull(client)
    // The other two go: what is readable now comes from the copy alone.
    const others = [1, 2, 3].filter((id) => id !== victim)
    const log = cluster.server(victim).broker!.registry
    expect([...log.hosted].map(({ log: { logEndOffset } }) => logEndOffset)).toEqual([30])
    expect(cluster.server(victim).controller!.isVoter).toBe(false)
    expect(others).toHaveLength(2)
    expect(cluster.failures(victim)).toEqual([])
  })

  it('a voter whose broker serves before its controller has settled dies in between -> it still votes', async () => {
    // The two roles of a node learn of the cluster on their own. The broker was faster once in some dozens of starts,
    // noted the cluster id, and the controller took its directory for one that had lost its votes.
    const slow = 3
    const neverSettles = (operation: FileOperation): Promise<undefined> | undefined =>
      operation.path.includes('/metadata/formation') &&
      operation.kind !== 'open' &&
      operation.kind !== 'exists'
        ? new Promise(() => {})
        : undefined
    cluster = await TestCluster.start({
      brokers: 3,
      sockets: false,
      storage: 'memory',
      seed: 8,
      disk: (id) => (id === slow ? { onOperation: neverSettles } : {}),
    })
    expect(cluster.server(slow).controller!.isVoter).toBe(null)
    await until(
      'the broker has applied metadata',
      async () => cluster.server(slow).broker!.image.clusterId !== null,
    )
    expect(cluster.server(slow).directory.clusterId).toBe(null)
    await cluster.kill(slow)
    await cluster.restart(slow)
    await until('the controller has settled', async () => cluster.server(slow).controller!.isVoter !== null)
    expect(cluster.server(slow).controller!.isVoter).toBe(true)
    expect(cluster.failures(slow)).toEqual([])
  })

  it('the log of one partition is gone when its broker returns at once -> reported, out of the ISR, copied anew', async () => {
    const client = await start(5)
    await send(client, lines('before', 30))
    const topicId = (await client.admin.describeTopic(TOPIC)).id
    const victim = (await partition(client)).leader!
    await cluster.kill(victim)
    const disk = cluster.fileSystem(victim)
    const directory = `/data/topics/${topicId}/0`
    for (const { name } of await disk.list(directory)) await disk.remove(`${directory}/${name}`)
    await disk.removeDirectory(directory)
    await disk.syncDirectory(`/data/topics/${topicId}`)
    await cluster.restart(victim)
    await cluster.whenReady()
    await isFull(client)
    expect(await readAll(client)).toEqual(lines('before', 30))
    expect((await partition(client)).leader).not.toBe(victim)
  })

  it('a batch with valid ones behind it is damaged on one replica -> that log is not served, the others go on', async () => {
    const client = await start(6)
    for (let i = 0; i < 3; i++) await send(client, lines(`before ${i}`, 10))
    const topicId = (await client.admin.describeTopic(TOPIC)).id
    const victim = (await partition(client)).isr.find((id) => id !== 1)!
    await cluster.stopNode(victim)
    const disk = cluster.fileSystem(victim)
    const directory = `/data/topics/${topicId}/0`
    const segment = (await disk.list(directory)).find(({ name }) => name.endsWith('.log'))!.name
    // An unclean start reads the log; a clean one would trust it until it is read.
    await disk.remove('/data/clean-shutdown')
    await disk.remove('/data/recovery-points').catch(() => {})
    const file = await disk.open(`${directory}/${segment}`, 'read-write')
    await file.write([Uint8Array.of(0xff, 0xff, 0xff)], 70)
    await file.sync()
    await file.close()
    await cluster.restart(victim)
    await cluster.whenReady()
    await until(
      'the damaged replica is out of the ISR',
      async () => !(await partition(client)).isr.includes(victim),
    )
    expect(await readAll(client)).toHaveLength(30)
    await send(client, ['goes on'])
    expect(cluster.failures(victim)).toEqual([])
  })

  it('an orderly rolling restart -> no record fails, and the clean stop is recognised', async () => {
    const client = await start(7)
    const producer = client.producer()
    let stopped = false
    const failures: string[] = []
    let acknowledged = 0
    const streaming = (async () => {
      for (let i = 0; !stopped; i++) {
        await producer.send({ topic: TOPIC, value: `record ${i}` }).then(
          () => acknowledged++,
          (error: Error) => failures.push(error.message),
        )
      }
    })()
    for (const id of [1, 2, 3]) {
      await cluster.stopNode(id)
      await cluster.restart(id)
      await cluster.whenReady()
      await isFull(client)
    }
    stopped = true
    await streaming
    expect(failures).toEqual([])
    expect(acknowledged).toBeGreaterThan(0)
    const values = await readAll(client)
    expect([...new Set(values)]).toEqual(Array.from({ length: acknowledged }, (_, i) => `record ${i}`))
  })

  it('REP-27: a broker that cannot find a controller -> registers nowhere and serves nothing', async () => {
    const client = await start(8)
    await send(client, ['a'])
    await cluster.kill(1)
    await cluster.kill(2)
    await cluster.kill(3)
    await cluster.restart(2)
    const alone = cluster.server(2)
    expect(alone.isReady).toBe(false)
    expect([...alone.broker!.registry.hosted]).toEqual([])
    expect(alone.broker!.brokerEpoch).toBeNull()
    await expect(cluster.client().admin.describeTopic(TOPIC)).rejects.toMatchObject({ name: 'VltavaError' })
  })
})

describe('one node alone', () => {
  it('STO-09: an entry of its offset index lost half of its bytes -> the log is found whole all the same', async () => {
    const cluster = await startCluster({ brokers: 1 })
    try {
      const client = cluster.client()
      const configs = { 'index.interval.bytes': '0' }
      await client.admin.createTopic({ name: TOPIC, partitions: 1, configs })
      const producer = client.producer()
      for (let i = 0; i < 30; i++) await producer.send({ topic: TOPIC, value: `record ${i}` })
      const { id } = await client.admin.describeTopic(TOPIC)
      await cluster.stopNode(1)
      const disk = cluster.fileSystem(1)
      const index = await disk.open(`/data/topics/${id}/0/00000000000000000000.index`, 'read-write')
      // Offset 20 at position 0: what a torn sector can leave of an entry.
      await index.write([Uint8Array.of(0, 0, 0, 20, 0, 0, 0, 0)], 0)
      await index.truncate(8)
      await index.close()
      await cluster.restart(1)
      await cluster.whenReady()
      const [partition] = (await client.admin.describeTopic(TOPIC)).partitions
      expect(partition).toMatchObject({ leader: 1, logStartOffset: 0, highWatermark: 30, logEndOffset: 30 })
    } finally {
      await cluster.stop()
    }
  })

  it('stopped, started, and without power -> the lock of the earlier run does not keep it from starting', async () => {
    const cluster = await startCluster({ brokers: 1 })
    try {
      await cluster.stopNode(1)
      await cluster.restart(1)
      await cluster.whenReady()
      await cluster.losePower(1)
      await cluster.restart(1)
      await cluster.whenReady()
      expect(cluster.server(1).isReady).toBe(true)
    } finally {
      await cluster.stop()
    }
  })

  it('killed between a topic and its log -> the topic is made anew at the next start and can be used', async () => {
    const cluster = await startCluster({ brokers: 1 })
    try {
      const client = cluster.client()
      await cluster.kill(1)
      const created = client.admin.createTopic({ name: TOPIC, partitions: 1 })
      await cluster.restart(1)
      await created
      const receipt = await client.producer().send({ topic: TOPIC, value: 'first' })
      expect(receipt.offset).toBe(0)
      expect((await client.admin.describeTopic(TOPIC)).partitions[0]!.isr).toEqual([1])
    } finally {
      await cluster.stop()
    }
  })
})
