// The last acknowledged batch of one replica is damaged while it is down, and its unclean start takes it for a torn write and
// cuts it off. Whatever the others do meanwhile, nothing acknowledged is lost, and the replicas end equal.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { batchSizeOf } from '../../src/record/batch-format.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { readAll, TOPIC, waitingOn } from './text-topic.ts'

const TEXTS = Array.from({ length: 12 }, (_, i) => `record ${i}`)
/** Replicas are three of the five, so the quorum stands while two of them are down. */
const BROKERS = 5

describe('the last acknowledged batch of one replica of three is flipped while it is down', () => {
  let cluster: TestCluster
  let client: Client
  let path: string
  afterEach(async () => {
    await cluster.stop()
  })

  const until = waitingOn(() => cluster, { despiteErrors: true })

  const partition = async () => (await client.admin.describeTopic(TOPIC)).partitions[0]!
  const isrOf = (count: number) =>
    until(`an ISR of ${count}`, async () => (await partition()).isr.length === count)

  async function start(seed: number): Promise<readonly NodeId[]> {
    cluster = await startCluster({
      seed,
      brokers: BROKERS,
      // Nothing but a clean stop moves the recovery point.
      settings: { 'replica.high.watermark.checkpoint.interval.ms': 86_400_000 },
    })
    client = cluster.client()
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3 })
    const producer = client.producer()
    for (const value of TEXTS) await producer.send({ topic: TOPIC, value })
    await producer.close()
    const topicId = (await client.admin.describeTopic(TOPIC)).id
    path = `/data/topics/${topicId}/0/${'0'.repeat(20)}.log`
    const { replicas, leader } = await partition()
    // The leader first.
    return [leader!, ...replicas.filter((id) => id !== leader)]
  }

  async function bytesOf(id: NodeId): Promise<Buffer> {
    const handle = await cluster.fileSystem(id).open(path, 'read')
    const bytes = Buffer.alloc(await handle.size())
    await handle.read(bytes, 0)
    await handle.close()
    return bytes
  }

  async function write(id: NodeId, bytes: Uint8Array, position: number): Promise<void> {
    const handle = await cluster.fileSystem(id).open(path, 'read-write')
    await handle.write([bytes], position)
    await handle.sync()
    await handle.close()
  }

  async function flipLastBatch(id: NodeId): Promise<void> {
    const bytes = await bytesOf(id)
    let last = 0
    for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) last = at
    await write(id, Uint8Array.of(bytes[last + 64]! ^ 2), last + 64)
  }

  /** A write that the loss of power cut short, as it stands at the end of many logs then. */
  async function tearAnother(id: NodeId): Promise<void> {
    const bytes = await bytesOf(id)
    await write(id, bytes.subarray(0, 40), bytes.length)
  }

  async function checkWhole(replicas: readonly NodeId[]): Promise<void> {
    await isrOf(3)
    await until('replicas that are equal', async () => {
      const contents = await Promise.all(replicas.map(async (id) => (await bytesOf(id)).toString('hex')))
      return contents.every((content) => content === contents[0])
    })
    expect(await readAll(client)).toEqual(TEXTS)
    expect((await partition()).elr).toEqual([])
    expect(replicas.flatMap((id) => cluster.failures(id))).toEqual([])
  }

  it.each([
    ['leader', 0],
    ['follower', 1],
  ])('REP-30: of the %s, while the others are there -> it copies what it lacks', async (role, victim) => {
    const replicas = await start(victim + 1)
    const id = replicas[victim]!
    await cluster.kill(id)
    await isrOf(2)
    await flipLastBatch(id)
    await cluster.restart(id)
    await checkWhole(replicas)
    expect(role).toBeDefined()
  })

  it.each([
    ['leader', 0, 1],
    ['follower', 1, 0],
    ['follower', 2, 0],
  ])(
    'REP-28, REP-30: of the %s, and the others come back later -> it is not elected meanwhile',
    async (_role, victim, last) => {
      const replicas = await start(10 + victim)
      const id = replicas[victim]!
      const whole = replicas[last]!
      const other = replicas.find((one) => one !== id && one !== whole)!
      await cluster.kill(other)
      await isrOf(2)
      await cluster.kill(id)
      await isrOf(1)
      await flipLastBatch(id)
      await cluster.kill(whole)
      await cluster.restart(id)
      await cluster.whenReady()
      await until('nobody leads', async () => (await partition()).leader === null)
      await cluster.restart(other)
      await cluster.whenReady()
      const waiting = await partition()
      expect(waiting).toMatchObject({ leader: null, isr: [] })
      expect(new Set(waiting.elr)).toEqual(new Set([id, whole]))
      await cluster.restart(whole)
      await checkWhole(replicas)
    },
  )

  it.each([
    ['it is back first', true],
    ['it is back last', false],
  ])('REP-30: all others have torn writes, and %s -> one of the longest leads', async (_order, isFirst) => {
    const replicas = await start(isFirst ? 20 : 21)
    const [whole, id, other] = replicas as [NodeId, NodeId, NodeId]
    await cluster.kill(other)
    await isrOf(2)
    await cluster.kill(id)
    await isrOf(1)
    await cluster.kill(whole)
    await flipLastBatch(id)
    await tearAnother(whole)
    await tearAnother(other)
    for (const one of isFirst ? [id, other, whole] : [whole, other, id]) {
      await cluster.restart(one)
      await cluster.whenReady()
    }
    await checkWhole(replicas)
  })

  it('REP-31: all lose their power with torn writes at the ends of all logs -> they come back by themselves', async () => {
    const replicas = await start(30)
    for (const id of replicas) await cluster.losePower(id)
    for (const id of replicas) await tearAnother(id)
    for (const id of replicas) await cluster.restart(id)
    await cluster.whenReady()
    await checkWhole(replicas)
  })
})
