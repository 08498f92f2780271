// Two replicas of whole nodes whose logs have parted on disk: after they have met again, their files are equal.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { TopicId } from '../../src/model/ids.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { baseOffsetsOf } from '../storage/fixtures.ts'
import { waitingOn } from './text-topic.ts'

const TOPIC = 't'
const SEGMENT = '00000000000000000000.log'

describe('logs that have parted', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  const until = waitingOn(() => cluster, { despiteErrors: true })

  const partition = async (client: Client) => (await client.admin.describeTopic(TOPIC)).partitions[0]!

  async function readAll(client: Client, end: number): Promise<{ offset: number; text: string }[]> {
    const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
    const records: { offset: number; text: string }[] = []
    for await (const { offset, value } of consumer) {
      records.push({ offset, text: new TextDecoder().decode(value!) })
      if (offset + 1 === end) break
    }
    await consumer.close()
    return records
  }

  const segmentOf = (topicId: TopicId): string => `/data/topics/${topicId}/0/${SEGMENT}`

  async function bytesOn(node: number, topicId: TopicId): Promise<Uint8Array> {
    const file = await cluster.fileSystem(node).open(segmentOf(topicId), 'read')
    const bytes = new Uint8Array(await file.size())
    await file.read(bytes, 0)
    await file.close()
    return bytes
  }

  /** Takes away the end of a log and every trace of a clean stop, as a disk does that forgot what it had synced. */
  async function loseHalf(node: number, topicId: TopicId): Promise<void> {
    const disk = cluster.fileSystem(node)
    for (const name of ['clean-shutdown', 'recovery-points', 'high-watermarks']) {
      await disk.remove(`/data/${name}`).catch(() => {})
    }
    const file = await disk.open(segmentOf(topicId), 'read-write')
    // Inside of a batch, so that the batch is torn.
    await file.truncate(Math.floor((await file.size()) / 2) + 7)
    await file.sync()
    await file.close()
  }

  it.each([
    {
      name: 'REP-04: single records, larger than those that were lost',
      records: 10,
      later: Array.from({ length: 10 }, () => 1),
      paddingBytes: 400,
    },
    {
      name: 'REP-03: batches, in one of which the other log ends',
      records: 100,
      later: [77, 77],
      paddingBytes: 0,
    },
  ])(
    '$name: a replica loses half of $records records, leads and appends -> the other cuts its own and has the same file',
    async ({ records, later, paddingBytes }) => {
      cluster = await startCluster({ seed: records })
      const client = cluster.client()
      await client.admin.createTopic({
        name: TOPIC,
        partitions: 1,
        replicationFactor: 2,
        configs: { 'min.insync.replicas': '1' },
      })
      const { id: topicId } = await client.admin.describeTopic(TOPIC)
      const producer = client.producer()
      for (let i = 0; i < records; i++) await producer.send({ topic: TOPIC, value: `old ${i}` })
      const [a, b] = (await partition(client)).replicas as [number, number]
      await until('both have all', async () => (await partition(client)).isr.length === 2)
      const before = await bytesOn(a, topicId)
      expect(await bytesOn(b, topicId)).toEqual(before)

      await cluster.kill(b)
      await cluster.kill(a)
      await loseHalf(a, topicId)
      await cluster.restart(a)
      await until('the broker is back', async () => cluster.server(a).isReady)
      // Left to itself, the partition waits for the other or is led by what is left; here an operator decides.
      await until('it leads', async () => {
        const { leader } = await partition(client)
        if (leader === a) return true
        await client.admin.electLeaders({ topic: TOPIC, election: { kind: 'replica', replica: a } })
        await client.admin.electLeaders({ topic: TOPIC, election: { kind: 'unclean', replica: a } })
        return false
      })
      const kept = cluster.server(a).broker!.registry.hosted.next().value!.log.logEndOffset
      expect(kept).toBeGreaterThan(0)
      expect(kept).toBeLessThan(records)
      const batches = client.producer({ lingerMs: 20 })
      const value = (i: number) => `new ${i}${'x'.repeat(paddingBytes)}`
      let sent = 0
      for (const size of later) {
        const batch = Array.from({ length: size }, () => value(sent++))
        await Promise.all(batch.map((text) => batches.send({ topic: TOPIC, value: text })))
      }

      await cluster.restart(b)
      await until('both are in sync', async () => (await partition(client)).isr.length === 2)
      const after = await bytesOn(a, topicId)
      expect(await bytesOn(b, topicId)).toEqual(after)
      expect(after).not.toEqual(before)
      const bases = baseOffsetsOf([after])
      expect(bases.slice(-later.length)).toEqual(later.map((size, i) => kept + i * size))
      // Where the other log ended: the first record of a batch, or inside of one.
      expect(bases.includes(records)).toBe(paddingBytes > 0)
      // And what the other one serves has every offset once.
      await cluster.kill(a)
      await until('the other leads', async () => (await partition(client)).leader === b)
      const end = kept + sent
      const read = await readAll(client, end)
      expect(read.map(({ offset }) => offset)).toEqual(Array.from({ length: end }, (_, i) => i))
      expect(read.map(({ text }) => text)).toEqual([
        ...Array.from({ length: kept }, (_, i) => `old ${i}`),
        ...Array.from({ length: sent }, (_, i) => value(i)),
      ])
      expect([...cluster.failures(a), ...cluster.failures(b)]).toEqual([])
    },
  )
})
