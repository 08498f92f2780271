// A compacted topic on whole nodes in one process: what its consumers and its replicas find.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { batchesOf, keyedRecords, lastOf } from '../storage/compaction-fixtures.ts'
import { waitingOn } from './text-topic.ts'

const TOPIC = 't'
const KEYS = 10

describe('a compacted topic', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function start(): Promise<Client> {
    cluster = await startCluster({ seed: 7, settings: { 'log.cleaner.backoff.ms': 20 } })
    const client = cluster.client()
    await client.admin.createTopic({
      name: TOPIC,
      partitions: 1,
      replicationFactor: 3,
      configs: {
        'cleanup.policy': 'compact',
        'segment.bytes': '16384',
        'min.cleanable.dirty.ratio': '0.1',
        'delete.retention.ms': '0',
      },
    })
    return client
  }

  /** Sends values and tombstones of a few keys; the model gets what was acknowledged last. */
  async function send(client: Client, model: Map<string, string | null>, name: string): Promise<void> {
    const producer = client.producer({ batchBytes: 1_000 })
    const sends: Promise<unknown>[] = []
    for (let i = 0; i < 300; i++) {
      const key = `key ${i % KEYS}`
      const value = i % 17 === 3 ? null : `${name} ${i} `.padEnd(300, '.')
      model.set(key, value)
      sends.push(producer.send({ topic: TOPIC, key, value, partition: 0 }))
    }
    await Promise.all(sends)
    await producer.close()
  }

  /** For each key the last value that a consumer reads from the beginning, and how many records it got. */
  async function read(client: Client): Promise<{ last: Map<string, string | null>; offsets: number[] }> {
    const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
    const end = (await consumer.endOffsets()).get(0)!
    const last = new Map<string, string | null>()
    const offsets: number[] = []
    const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))
    for await (const record of consumer) {
      last.set(text(record.key)!, text(record.value))
      offsets.push(record.offset)
      if (record.offset + 1 === end) break
    }
    await consumer.close()
    return { last, offsets }
  }

  const logOf = (id: number) => [...cluster.server(id).broker!.registry.hosted][0]?.log

  const until = waitingOn(() => cluster)

  const values = (model: Map<string, string | null>) =>
    [...model].filter(([, value]) => value !== null).sort((a, b) => (a[0] < b[0] ? -1 : 1))

  it('STO-33: replicas compact, one loses its disk and copies a log with gaps -> consumers find the last value of each key', async () => {
    const client = await start()
    const model = new Map<string, string | null>()
    await send(client, model, 'first')
    const isCompacted = (id: number): boolean => (logOf(id)?.compaction.compactedBelow ?? 0) > 100
    await until('all replicas compact', () => [1, 2, 3].every(isCompacted))
    const first = await read(client)
    expect(values(first.last)).toEqual(values(model))
    expect(first.offsets).toEqual([...first.offsets].sort((a, b) => a - b))
    expect(first.offsets.length).toBeLessThan(300)

    await cluster.kill(3)
    cluster.replaceDisk(3)
    await send(client, model, 'second')
    await cluster.restart(3)
    await cluster.whenReady()
    const endOffset = 600
    await until('the copy is whole', () => logOf(3)?.logEndOffset === endOffset)
    const copied = await keyedRecords(logOf(3)!)
    const lastCopied = [...lastOf(copied)].map(([key, { value }]) => [key, value] as const)
    expect(values(new Map(lastCopied))).toEqual(values(model))
    expect(copied.length).toBeLessThan(endOffset)
    expect((await batchesOf(logOf(3)!)).at(-1)!.nextOffset).toBe(endOffset)
    expect(values((await read(client)).last)).toEqual(values(model))
    for (const id of [1, 2, 3]) expect(cluster.failures(id)).toEqual([])
  })

  it('a record without a key -> INVALID_RECORD that says why, and nothing is appended', async () => {
    const client = await start()
    const producer = client.producer()
    const sent = producer.send({ topic: TOPIC, value: 'no key' })
    await expect(sent).rejects.toMatchObject({ code: 'INVALID_RECORD', definite: true })
    await expect(sent).rejects.toThrow('give every record a key')
    await producer.close()
    expect(logOf(1)!.logEndOffset).toBe(0)
  })
})
