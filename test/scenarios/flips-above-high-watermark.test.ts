// A flipped bit in records that one replica of three has beyond the high watermark. Nobody reads them yet and nobody was told
// of them, so they may be cut off; but the replicas must end equal, and nothing acknowledged may go with them.
import { afterEach, describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { NodeId, Offset } from '../../src/model/ids.ts'
import { baseOffsetOf, batchSizeOf, HEADER_BYTES } from '../../src/record/batch-format.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { TOPIC, waitingOn } from './text-topic.ts'

const NODES: readonly NodeId[] = [1, 2, 3]
const COMMITTED = 4
const ABOVE = 5
const text = (i: number): string => `record ${i} ${'x'.repeat(300)}`

/** Where a flip is made in a batch: a byte from its start on, and a bit of it. Those before 20 are outside of the checksum. */
const FIELDS: readonly (readonly [field: string, at: number, bit: number])[] = [
  ['base offset', 7, 0],
  ['base offset, far away', 3, 6],
  ['length', 11, 2],
  ['length, beyond the file', 9, 5],
  ['leader epoch, a later one', 15, 6],
  ['leader epoch, an earlier or later one', 15, 0],
  ['magic', 16, 0],
  ['checksum', 18, 3],
  ['last offset delta', 26, 1],
  ['a record', HEADER_BYTES + 40, 5],
]

describe('a flipped bit above the high watermark of one replica of three', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  const until = waitingOn(() => cluster, { despiteErrors: true })

  const partition = async (client: Client) => (await client.admin.describeTopic(TOPIC)).partitions[0]!

  const pathOf = (topicId: string): string => `/data/topics/${topicId}/0/${'0'.repeat(20)}.log`

  async function bytesOf(id: NodeId, path: string): Promise<Buffer> {
    const handle = await cluster.fileSystem(id).open(path, 'read')
    const bytes = Buffer.alloc(await handle.size())
    await handle.read(bytes, 0)
    await handle.close()
    return bytes
  }

  async function flip(id: NodeId, place: { path: string; position: number; bit: number }): Promise<void> {
    const handle = await cluster.fileSystem(id).open(place.path, 'read-write')
    const byte = new Uint8Array(1)
    await handle.read(byte, place.position)
    byte[0]! ^= 1 << place.bit
    await handle.write([byte], place.position)
    await handle.sync()
    await handle.close()
  }

  const hosted = (id: NodeId) => [...cluster.server(id).broker!.registry.hosted][0]!

  /** Everybody has the first records; only two of three have the others, which waits for the third. */
  async function start(seed: number): Promise<{ client: Client; path: string; absent: NodeId }> {
    cluster = await startCluster({
      seed,
      settings: {
        'log.tail.cache.bytes': 0,
        'log.scrub.interval.ms': 200,
        // Nothing but a clean stop moves the recovery point, so an unclean start looks at everything.
        'replica.high.watermark.checkpoint.interval.ms': 86_400_000,
      },
    })
    const client = cluster.client()
    const configs = { 'min.insync.replicas': '3' }
    await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3, configs })
    const committed = client.producer()
    for (let i = 0; i < COMMITTED; i++) await committed.send({ topic: TOPIC, value: text(i) })
    await committed.close()
    const { leader } = await partition(client)
    const absent = NODES.find((id) => id !== leader)!
    await cluster.stopNode(absent)
    await until('an ISR of two', async () => (await partition(client)).isr.length === 2)
    const written = client.producer({ acks: 1 })
    for (let i = 0; i < ABOVE; i++) await written.send({ topic: TOPIC, value: text(COMMITTED + i) })
    await written.close()
    return { client, path: pathOf((await client.admin.describeTopic(TOPIC)).id), absent }
  }

  /** Where the batches above the high watermark begin. */
  function positionsAbove(bytes: Buffer, highWatermark: Offset): number[] {
    const positions: number[] = []
    for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at))
      if (baseOffsetOf(bytes, at) >= highWatermark) positions.push(at)
    return positions
  }

  async function readAll(client: Client): Promise<string[]> {
    const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
    const values: string[] = []
    for await (const record of consumer) {
      values.push(new TextDecoder().decode(record.value!))
      if (values.length === COMMITTED + ABOVE) break
    }
    await consumer.close()
    return values
  }

  const CASES = (['running', 'clean restart', 'unclean restart'] as const).flatMap((stop) =>
    (['leader', 'follower'] as const).map((role) => ({ stop, role })),
  )

  it.each(CASES)(
    'STO-05: of the $role, $stop -> the replicas end equal, with everything that was acknowledged',
    async ({ stop, role }) => {
      const seed = CASES.findIndex((one) => one.stop === stop && one.role === role)
      const { client, path, absent } = await start(100 + seed)
      const present = NODES.filter((id) => id !== absent)
      const content = (await bytesOf(present[0]!, path)).toString('hex')
      const equal = async (ids: readonly NodeId[]): Promise<boolean> => {
        for (const id of ids) if ((await bytesOf(id, path)).toString('hex') !== content) return false
        return true
      }
      await until('the same on both', () => equal(present))
      const above = positionsAbove(await bytesOf(present[0]!, path), COMMITTED)
      expect(above).toHaveLength(ABOVE)
      const batches = { first: above[0]!, middle: above[2]!, last: above.at(-1)! }
      for (const [f, [field, at, bit]] of FIELDS.entries()) {
        for (const [batch, position] of Object.entries(batches)) {
          // Each field in one batch for each role and stop, but the last batch always: its end is the end of the log.
          if (batch !== 'last' && f % 2 !== (batch === 'first' ? 0 : 1)) continue
          const { leader } = await partition(client)
          const id = role === 'leader' ? leader! : present.find((one) => one !== leader)!
          const what = `node ${id}: ${field} of the ${batch} batch`
          if (stop === 'clean restart') await cluster.stopNode(id)
          if (stop === 'unclean restart') await cluster.kill(id)
          await flip(id, { path, position: position + at, bit })
          if (stop !== 'running') await cluster.restart(id)
          await until(`equal after ${what}`, () => equal(present))
          await until(`an ISR of two after ${what}`, async () => {
            const { isr, leader: leads } = await partition(client)
            return isr.length === 2 && leads !== null
          })
          for (const one of present) expect(hosted(one).highWatermark, what).toBeLessThanOrEqual(COMMITTED)
        }
      }
      await cluster.restart(absent)
      await until('equal at last', () => equal(NODES))
      const end = COMMITTED + ABOVE
      await until('the same high watermark', () => NODES.every((id) => hosted(id).highWatermark === end))
      expect(await readAll(client)).toEqual(Array.from({ length: end }, (_, i) => text(i)))
      expect(NODES.flatMap((id) => cluster.failures(id))).toEqual([])
    },
    60_000,
  )
})
