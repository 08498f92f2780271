// Records that leave whole clusters, on virtual time.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { toVltavaError } from '../../src/model/errors.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const TOPIC = 'trimmed'
const INTERVAL_MS = 500
const SMALL = { 'segment.bytes': '16384', 'file.delete.delay.ms': '1000' }

interface Started {
  readonly virtual: VirtualCluster
  readonly client: Client
  /** Runs what clients do while virtual time goes on. */
  readonly wait: <T>(work: Promise<T>) => Promise<T>
}

async function started(nodes: number, configs: Readonly<Record<string, string>>): Promise<Started> {
  const settings = {
    'log.retention.check.interval.ms': INTERVAL_MS,
    'replica.high.watermark.checkpoint.interval.ms': 500,
  }
  const virtual = new VirtualCluster({ seed: nodes, nodes, settings })
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const { client } = virtual.cluster.client()
  const wait = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false
    const settle = (): void => {
      isDone = true
    }
    work.then(settle, settle)
    await virtual.until(() => isDone, 120_000)
    return work
  }
  await wait(client.admin.createTopic({ name: TOPIC, configs: { ...SMALL, ...configs } }))
  return { virtual, client, wait }
}

/** About 2 KiB each, each in a batch of its own. */
async function fill({ client, wait }: Started, count: number): Promise<void> {
  const producer = client.producer({ batchBytes: 512 })
  const value = 'x'.repeat(2_000)
  for (let i = 0; i < count; i++) await wait(producer.send({ topic: TOPIC, value }))
  await wait(producer.close())
}

const replicas = (nodes: readonly SimulatedNode[]) =>
  nodes.flatMap(({ server }) => [...(server?.broker?.registry.hosted ?? [])])

const starts = ({ virtual }: Started): number[] =>
  replicas(virtual.cluster.nodes).map(({ log }) => log.logStartOffset)

const sizes = ({ virtual }: Started): number[] =>
  replicas(virtual.cluster.nodes).map(({ log }) => log.logEndOffset - log.logStartOffset)

async function firstRead({ client, wait }: Started): Promise<number> {
  const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
  const { value } = await wait(consumer[Symbol.asyncIterator]().next())
  await wait(consumer.close())
  return value!.offset
}

describe('retention in a cluster', () => {
  it('retention.bytes: more is written -> all replicas drop the oldest, and consumers begin at the log start', async () => {
    const started3 = await started(3, { 'retention.bytes': '40000' })
    await fill(started3, 80)
    await started3.virtual.until(() => new Set(starts(started3)).size === 1 && starts(started3)[0]! > 40)
    await started3.virtual.kernel.run({ untilMs: started3.virtual.kernel.nowMs + 3 * INTERVAL_MS })
    // 40,000 bytes and what is in one more segment.
    for (const records of sizes(started3)) expect(records).toBeLessThan(30)
    expect(new Set(starts(started3)).size).toBe(1)
    expect(await firstRead(started3)).toBe(starts(started3)[0])
    expect([started3.virtual.failures, started3.virtual.logged]).toEqual([[], []])
  })

  it('retention.ms: nothing is written any more -> everything goes, the active segment as well', async () => {
    const one = await started(1, { 'retention.ms': '5000', 'min.insync.replicas': '1' })
    await fill(one, 10)
    await one.virtual.kernel.run({ untilMs: one.virtual.kernel.nowMs + 3_000 })
    expect(starts(one)).toEqual([0])
    await one.virtual.until(() => starts(one)[0] === 10)
    await fill(one, 1)
    expect(await firstRead(one)).toBe(10)
    expect(one.virtual.failures).toEqual([])
  })

  it('STO-25: the clock of the leader jumps to 2100 -> nothing goes before its time', async () => {
    const one = await started(1, { 'retention.ms': '60000', 'min.insync.replicas': '1' })
    await fill(one, 10)
    await one.virtual.kernel.run({ untilMs: one.virtual.kernel.nowMs + 2 * INTERVAL_MS })
    one.virtual.cluster.nodes[0]!.run!.clock.jumpWall(74 * 365 * 86_400_000)
    await one.virtual.kernel.run({ untilMs: one.virtual.kernel.nowMs + 50_000 })
    expect(starts(one)).toEqual([0])
    await one.virtual.kernel.run({ untilMs: one.virtual.kernel.nowMs + 20_000 })
    expect(starts(one)).toEqual([10])
  })
})

describe('deleteRecords', () => {
  it('REP-44: below an offset -> gone on every replica, also after all of them were killed', async () => {
    const three = await started(3, {})
    await fill(three, 30)
    const { client, wait, virtual } = three
    expect(await wait(client.admin.deleteRecords({ topic: TOPIC, partition: 0, before: 13 }))).toEqual({
      logStartOffset: 13,
    })
    expect(starts(three)).toEqual([13, 13, 13])
    expect(await firstRead(three)).toBe(13)
    for (const node of virtual.cluster.nodes) node.kill()
    for (const node of virtual.cluster.nodes) node.start()
    await virtual.untilAllReady()
    expect(starts(three)).toEqual([13, 13, 13])
    expect(await firstRead(three)).toBe(13)
    expect(virtual.failures).toEqual([])
  })

  it('to the end -> an empty log, and the next record follows', async () => {
    const three = await started(3, {})
    await fill(three, 5)
    const { client, wait } = three
    const deleted = await wait(client.admin.deleteRecords({ topic: TOPIC, partition: 0, before: 'end' }))
    expect(deleted).toEqual({ logStartOffset: 5 })
    await fill(three, 1)
    expect(await firstRead(three)).toBe(5)
  })

  it('beyond the end, a compacted topic, no such partition -> an error that says what is allowed', async () => {
    const one = await started(1, { 'cleanup.policy': 'compact', 'min.insync.replicas': '1' })
    const { client, wait } = one
    await wait(client.admin.createTopic({ name: 'plain', configs: { 'min.insync.replicas': '1' } }))
    const failing = (topic: string, partition: number, before: number) =>
      wait(client.admin.deleteRecords({ topic, partition, before })).catch(toVltavaError)
    expect(await failing('plain', 0, 1)).toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      message:
        'Records below offset 1 cannot be deleted: the log goes from 0 to 0, committed up to 0. Name an offset up to 0.',
    })
    expect(await failing(TOPIC, 0, 0)).toMatchObject({ code: 'POLICY_VIOLATION' })
    expect(await failing('plain', 3, 0)).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
  })

  it('REP-43: a follower was away -> it goes on from where the log starts now', async () => {
    const three = await started(3, {})
    await fill(three, 5)
    const { client, wait, virtual } = three
    const leader = replicas(virtual.cluster.nodes).find((partition) => partition.leader !== null)!
    const away = virtual.cluster.nodes.find(({ id }) => id !== leader.options.nodeId)!
    away.kill()
    await fill(three, 30)
    const deletion = client.admin.deleteRecords({
      topic: TOPIC,
      partition: 0,
      before: 20,
      timeoutMs: 100_000,
    })
    await wait(deletion)
    away.start()
    await virtual.untilAllReady()
    await virtual.until(
      () => starts(three).every((start) => start === 20) && sizes(three).every((size) => size === 15),
    )
    expect(virtual.failures).toEqual([])
  })

  it('REP-43: the log starts inside of a batch -> a follower that begins there takes the whole batch', async () => {
    const three = await started(3, {})
    const { client, wait, virtual } = three
    const producer = client.producer({ lingerMs: 50 })
    for (let round = 0; round < 3; round++) {
      const sends = Array.from({ length: 10 }, (_, i) =>
        producer.send({ topic: TOPIC, value: `${round}-${i}` }),
      )
      await wait(Promise.all(sends))
    }
    const leader = replicas(virtual.cluster.nodes).find((partition) => partition.leader !== null)!
    const away = virtual.cluster.nodes.find(({ id }) => id !== leader.options.nodeId)!
    away.kill()
    await wait(client.admin.deleteRecords({ topic: TOPIC, partition: 0, before: 15, timeoutMs: 100_000 }))
    await wait(producer.send({ topic: TOPIC, value: 'last' }))
    away.disk.replace()
    away.start()
    await virtual.untilAllReady()
    await virtual.until(
      () => starts(three).every((start) => start === 15) && sizes(three).every((size) => size === 16),
    )
    expect(virtual.failures).toEqual([])
  })
})
