import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/node.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { type StartClusterOptions, startCluster } from '../../src/testing/start-cluster.ts'
import { TestCluster } from '../../src/testing/test-cluster.ts'

const TOPIC = 't'
const decoder = new TextDecoder()

let cluster: TestCluster | null = null
afterEach(async () => {
  await cluster?.stop()
  cluster = null
})

async function start(options: StartClusterOptions = {}): Promise<TestCluster> {
  cluster = await startCluster(options)
  return cluster
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 4_000; i++) {
    if (await condition().catch(() => false)) return
    await new Promise<void>((resolve) => cluster!.clock.setTimer(5, resolve))
  }
  throw new Error(`never: ${what}`)
}

/** What waits for a node that is cut off gives up soon. */
const IMPATIENT = { connectTimeoutMs: 300, requestTimeoutMs: 300 }

const partitionOf = async (of: TestCluster) =>
  (await of.client(IMPATIENT).admin.describeTopic(TOPIC)).partitions[0]!

async function readValues(of: TestCluster, count: number): Promise<readonly string[]> {
  const values: string[] = []
  for await (const { value } of of.client().consumer({ topic: TOPIC, from: 'beginning' })) {
    values.push(decoder.decode(value!))
    if (values.length === count) break
  }
  return values
}

/** Whether anybody takes a TCP connection there. */
function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

const KINDS: readonly Pick<StartClusterOptions, 'sockets' | 'storage'>[] = [
  { sockets: false, storage: 'memory' },
  { sockets: true, storage: 'memory' },
  { sockets: false, storage: 'directory' },
  { sockets: true, storage: 'directory' },
]

describe.each(KINDS)('startCluster: %o', (kind) => {
  it('one broker: takes records and gives them back', async () => {
    const { client } = { client: (await start({ ...kind, brokers: 1 })).client() }
    await client.admin.createTopic({ name: TOPIC })
    const producer = client.producer()
    const receipts = await Promise.all(['a', 'b'].map((value) => producer.send({ topic: TOPIC, value })))
    expect(receipts.map(({ offset }) => offset)).toEqual([0, 1])
    expect(await readValues(cluster!, 2)).toEqual(['a', 'b'])
  })

  it('the leader is killed -> another leads, nothing is lost, and the killed one comes back at its address', async () => {
    const { bootstrap } = await start(kind)
    const client = cluster!.client()
    await client.admin.createTopic({ name: TOPIC, replicationFactor: 3 })
    const producer = client.producer()
    const sent = Array.from({ length: 20 }, (_, i) => `record ${i}`)
    for (const value of sent.slice(0, 10)) await producer.send({ topic: TOPIC, value })
    const before = await partitionOf(cluster!)
    await cluster!.kill(before.leader!)
    for (const value of sent.slice(10)) await producer.send({ topic: TOPIC, value })
    const after = await partitionOf(cluster!)
    expect(after.leader).not.toBe(before.leader)
    await cluster!.restart(before.leader!)
    await cluster!.whenReady()
    await until('a full ISR', async () => (await partitionOf(cluster!)).isr.length === 3)
    expect([...new Set(await readValues(cluster!, 20))]).toEqual(sent)
    expect(cluster!.bootstrap).toBe(bootstrap)
    expect([1, 2, 3].map((id) => cluster!.failures(id))).toEqual([[], [], []])
  })

  it('all nodes are killed and started again -> what was acknowledged is there', async () => {
    await start(kind)
    const client = cluster!.client()
    await client.admin.createTopic({ name: TOPIC, replicationFactor: 3 })
    await client.producer().send({ topic: TOPIC, value: 'kept' })
    await Promise.all([1, 2, 3].map((id) => cluster!.kill(id)))
    await Promise.all([1, 2, 3].map((id) => cluster!.restart(id)))
    await cluster!.whenReady()
    expect(await readValues(cluster!, 1)).toEqual(['kept'])
  })
})

describe.each([KINDS[0]!, KINDS[3]!])('startCluster: a partition of %o', (kind) => {
  it('the leader is cut off from the others -> they elect, it comes back as a follower, and nothing is lost', async () => {
    await start(kind)
    const client = cluster!.client(IMPATIENT)
    await client.admin.createTopic({ name: TOPIC, replicationFactor: 3 })
    const producer = client.producer({ requestTimeoutMs: 300 })
    await producer.send({ topic: TOPIC, value: 'before' })
    const { leader } = await partitionOf(cluster!)
    const others = [1, 2, 3].filter((id) => id !== leader)
    cluster!.partition([leader!], [...others, 'clients'])
    await producer.send({ topic: TOPIC, value: 'meanwhile' })
    const after = await partitionOf(cluster!)
    expect(others).toContain(after.leader)
    expect(after.isr).not.toContain(leader)
    cluster!.heal()
    await until('a full ISR', async () => (await partitionOf(cluster!)).isr.length === 3)
    expect([...new Set(await readValues(cluster!, 2))]).toEqual(['before', 'meanwhile'])
  })
})

describe('startCluster: sockets', () => {
  it('a client from outside: uses the cluster, also while its nodes are cut off from the clients of the cluster', async () => {
    const { bootstrap } = await start({ brokers: 1, sockets: true })
    cluster!.partition([1], ['clients'])
    const client = createClient({ bootstrap })
    await client.admin.createTopic({ name: TOPIC })
    expect((await client.producer().send({ topic: TOPIC, value: 'a' })).offset).toBe(0)
    await client.close()
    await expect(
      cluster!.client({ bootstrapTimeoutMs: 100, connectTimeoutMs: 100 }).admin.listTopics(),
    ).rejects.toMatchObject({ code: 'BOOTSTRAP_UNREACHABLE' })
  })

  it('a node: its port is closed while it is down, and the same afterwards', async () => {
    const { bootstrap } = await start({ brokers: 2, sockets: true })
    const [first, second] = bootstrap.split(',').map((url) => Number(new URL(url).port)) as [number, number]
    expect(first).not.toBe(second)
    expect(await isListening(second)).toBe(true)
    await cluster!.kill(2)
    expect(await isListening(second)).toBe(false)
    await cluster!.restart(2)
    expect(await isListening(second)).toBe(true)
    await cluster!.stopNode(2)
    expect(await isListening(second)).toBe(false)
    await cluster!.stop()
    expect(await isListening(first)).toBe(false)
  })

  it('two clusters: on different ports', async () => {
    const { bootstrap } = await start({ brokers: 1, sockets: true })
    await using other = await startCluster({ brokers: 1, sockets: true })
    expect(other.bootstrap).not.toBe(bootstrap)
  })
})

describe('startCluster: storage', () => {
  it("'directory': a temporary one, gone in the end", async () => {
    const { directory } = await start({ brokers: 1, storage: 'directory' })
    expect(existsSync(`${directory}/node-1/meta.json`)).toBe(true)
    await cluster!.stop()
    expect(existsSync(directory!)).toBe(false)
  })

  it("'directory': a node cannot lose its power -> an error that says what can, and the node goes on", async () => {
    await start({ brokers: 1, storage: 'directory' })
    await expect(cluster!.losePower(1)).rejects.toThrow(/losePower: .* storage: 'memory'/)
    expect(cluster!.server(1).isReady).toBe(true)
  })

  it('all nodes lose their power, and what was not fsynced -> what was acknowledged is there', async () => {
    await start()
    const client = cluster!.client()
    await client.admin.createTopic({ name: TOPIC, replicationFactor: 3 })
    await client.producer().send({ topic: TOPIC, value: 'kept' })
    await Promise.all([1, 2, 3].map((id) => cluster!.losePower(id)))
    await Promise.all([1, 2, 3].map((id) => cluster!.restart(id)))
    await cluster!.whenReady()
    expect(await readValues(cluster!, 1)).toEqual(['kept'])
  })

  it.each(['memory', 'directory'] as const)(
    '%s: a disk is replaced -> the node starts from nothing',
    async (storage) => {
      await start({ storage })
      await cluster!.kill(3)
      cluster!.replaceDisk(3)
      await cluster!.restart(3)
      await cluster!.whenReady()
      await until('it knows', async () => cluster!.server(3).controller!.isVoter !== null)
      expect(cluster!.server(3).controller!.isVoter).toBe(false)
    },
  )
})

/** A disk whose logs cannot be synced. */
const fails = (kind: string, path: string): boolean =>
  kind === 'sync' && path.endsWith('.log') && path.includes('/topics/')

describe('startCluster: a node', () => {
  it('killed while it starts -> the start fails, and the next one succeeds', async () => {
    await start()
    await cluster!.kill(2)
    const starting = cluster!.restart(2)
    const failed = expect(starting).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'node 2 ended meanwhile',
    })
    await cluster!.kill(2)
    await failed
    await cluster!.restart(2)
    await cluster!.whenReady()
    expect(cluster!.server(2).isReady).toBe(true)
  })

  it('killed while it stops -> the stop fails, and the next start succeeds', async () => {
    await start()
    const stopping = cluster!.stopNode(2)
    const failed = expect(stopping).rejects.toMatchObject({ message: 'node 2 ended meanwhile' })
    await cluster!.kill(2)
    await failed
    await cluster!.restart(2)
    await cluster!.whenReady()
    expect(cluster!.server(2).isReady).toBe(true)
  })

  it('killed: says nothing more, and its log is silent', async () => {
    const log = new RecordingLog()
    await start({ log })
    await cluster!.kill(1)
    const count = (): number =>
      log.events.filter(({ level, fields }) => level !== 'debug' && fields['nodeId'] === 1).length
    const before = count()
    await cluster!.restart(2).catch(() => {})
    const client = cluster!.client()
    await client.admin.createTopic({ name: TOPIC, replicationFactor: 2 })
    expect(count()).toBe(before)
  })

  it('cannot start on what its disk holds -> restart says why, and it does not run', async () => {
    await start({ brokers: 1 })
    await cluster!.kill(1)
    const meta = await cluster!.fileSystem(1).open('/data/meta.json', 'read-write')
    await meta.write([new TextEncoder().encode('not JSON')], 0)
    await meta.close()
    await expect(cluster!.restart(1)).rejects.toMatchObject({ name: 'VltavaError' })
    await expect(cluster!.kill(1)).rejects.toThrow('node 1 does not run')
  })

  it('ends by itself -> it does not run, and whenReady tells which and why', async () => {
    cluster = await TestCluster.start({
      brokers: 1,
      sockets: true,
      storage: 'memory',
      disk: () => ({
        onOperation: ({ kind, path }) => (fails(kind, path) ? new Error('EIO: broken') : undefined),
      }),
    })
    const client = cluster.client()
    await client.admin.createTopic({ name: TOPIC })
    void client
      .producer()
      .send({ topic: TOPIC, value: 'a' })
      .catch(() => {})
    await until('it has ended', async () => cluster!.failures(1).length > 0)
    await expect(cluster.whenReady()).rejects.toThrow(
      /^Node 1 has ended by itself: the data directory \/data failed: .*EIO: broken/,
    )
    await expect(cluster.kill(1)).rejects.toThrow('node 1 does not run')
  })
})

describe('startCluster: bad input', () => {
  it.each([
    [{ brokers: 0 }, /startCluster: option "brokers" must be an integer from 1 to 9, got 0/],
    [{ brokers: '3' }, /option "brokers" must be an integer from 1 to 9, got "3"/],
    [{ sockets: 'yes' }, /option "sockets" must be true or false, got "yes"/],
    [{ storage: 'disk' }, /option "storage" must be one of "memory", "directory", got "disk"/],
    [{ seed: -1 }, /option "seed" must be an integer from 0 to 4294967295, or null, got -1/],
    [{ log: console.log }, /option "log" must be an object with debug, info, warn, error and child/],
    [{ broker: 3 }, /there is no option "broker"; there are brokers, sockets, storage, seed, log, settings/],
    [{ settings: { 'no.such': 1 } }, /settings: there is no setting "no.such"; there are .*allowed.origins/],
    [{ settings: { 'node.id': 1 } }, /settings: the cluster sets "node.id" by itself/],
    [{ settings: 7 }, /option "settings" must be an object of settings by name, got 7/],
    [
      { settings: { 'broker.session.timeout.ms': 1 } },
      /broker.session.timeout.ms: must be an integer from 50/,
    ],
    [
      { settings: { 'broker.session.timeout.ms': 150 } },
      /must be at least twice broker.heartbeat.interval.ms/,
    ],
  ])('%j -> says what, and what is allowed', async (options, message) => {
    await expect(startCluster(options as StartClusterOptions)).rejects.toThrow(message)
  })

  it('a node that there is not, or that is in the wrong state -> says so', async () => {
    await start({ brokers: 2 })
    await expect(cluster!.kill(3)).rejects.toThrow('There is no node 3; they are 1 to 2.')
    await expect(cluster!.restart(1.5)).rejects.toThrow('There is no node 1.5; they are 1 to 2.')
    await expect(cluster!.restart(1)).rejects.toThrow('node 1 runs already')
    await cluster!.kill(2)
    await expect(cluster!.kill(2)).rejects.toThrow('node 2 does not run')
    await expect(cluster!.stopNode(2)).rejects.toThrow('node 2 does not run')
    expect(() => cluster!.replaceDisk(1)).toThrow('node 1 runs')
    expect(() => cluster!.partition([1], [1, 2])).toThrow('partition: 1 is in both groups')
    expect(() => cluster!.partition([1], [4])).toThrow('There is no node 4; they are 1 to 2.')
    expect(() => cluster!.client({ retryBackoffMs: 0 })).toThrow(/option "retryBackoffMs" must be an integer/)
  })

  it('a cluster that was stopped -> CLOSED', async () => {
    await start({ brokers: 1 })
    await cluster!.stop()
    await cluster!.stop()
    await expect(cluster!.kill(1)).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(cluster!.whenReady()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(() => cluster!.client()).toThrow('The cluster has been stopped.')
    expect(() => cluster!.heal()).toThrow('The cluster has been stopped.')
  })
})
