// A flipped bit in the log of one replica of three, on whole nodes: nobody reads anything else for it, and the replica is
// repaired from the others.
import { afterEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { Client } from '../../src/client/client.ts'
import type { NodeId } from '../../src/model/ids.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'
import { TOPIC, waitingOn } from './text-topic.ts'

const NODES: readonly NodeId[] = [1, 2, 3]
const TEXTS = Array.from({ length: 40 }, (_, i) => `record ${i} ${'x'.repeat(900)}`)

describe('a flipped bit in one replica of three', () => {
  let cluster: TestCluster
  afterEach(async () => {
    await cluster.stop()
  })

  async function start(): Promise<Client> {
    cluster = await startCluster({
      seed: 1,
      // Nothing is in memory, so that every read sees the disk; what nobody reads the scrub finds.
      settings: { 'log.tail.cache.bytes': 0, 'log.scrub.interval.ms': 300 },
    })
    const client = cluster.client()
    await client.admin.createTopic({
      name: TOPIC,
      partitions: 1,
      replicationFactor: 3,
      configs: { 'segment.bytes': '16384' },
    })
    const producer = client.producer()
    for (const value of TEXTS) await producer.send({ topic: TOPIC, value })
    await producer.close()
    return client
  }

  const until = waitingOn(() => cluster, { despiteErrors: true })

  async function readAll(client: Client): Promise<string[]> {
    const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
    const values: string[] = []
    for await (const record of consumer) {
      values.push(new TextDecoder().decode(record.value!))
      if (values.length === TEXTS.length) break
    }
    await consumer.close()
    return values
  }

  const partition = async (client: Client) => (await client.admin.describeTopic(TOPIC)).partitions[0]!

  const directoryOf = async (): Promise<string> =>
    `/data/topics/${(await cluster.fileSystem(1).list('/data/topics'))[0]!.name}/0`

  async function logsOf(disk: FileSystem, directory: string): Promise<Map<string, Buffer>> {
    const files = new Map<string, Buffer>()
    for (const { name } of await disk.list(directory)) {
      if (!name.endsWith('.log')) continue
      const handle = await disk.open(`${directory}/${name}`, 'read')
      const bytes = Buffer.alloc(await handle.size())
      await handle.read(bytes, 0)
      await handle.close()
      files.set(name, bytes)
    }
    return files
  }

  /** All bytes of the log, however it is cut into segments. */
  const contentOf = async (id: NodeId, directory: string): Promise<string> =>
    Buffer.concat([...(await logsOf(cluster.fileSystem(id), directory)).values()]).toString('hex')

  async function flip(
    id: NodeId,
    place: { readonly directory: string; readonly name: string; readonly position: number },
  ): Promise<void> {
    const handle = await cluster.fileSystem(id).open(`${place.directory}/${place.name}`, 'read-write')
    const byte = new Uint8Array(1)
    await handle.read(byte, place.position)
    byte[0]! ^= 1 << (place.position % 8)
    await handle.write([byte], place.position)
    await handle.sync()
    await handle.close()
  }

  const whole = async (client: Client, directory: string, content: string): Promise<void> => {
    await until('all replicas are equal', async () => {
      for (const id of NODES) if ((await contentOf(id, directory)) !== content) return false
      return true
    })
    await until('a full ISR', async () => (await partition(client)).isr.length === NODES.length)
  }

  const CASES = (['running', 'clean restart', 'unclean restart', 'power loss'] as const).flatMap((stop) =>
    (['leader', 'follower'] as const).map((role) => ({ stop, role })),
  )

  it.each(CASES)(
    'STO-05: of the $role, $stop -> consumers read the same, and the replicas end equal',
    async ({ stop, role }) => {
      const client = await start()
      const directory = await directoryOf()
      await until('a full ISR', async () => (await partition(client)).isr.length === NODES.length)
      const content = await contentOf(1, directory)
      await whole(client, directory, content)
      const random = seededRandom(CASES.findIndex((one) => one.stop === stop && one.role === role) + 1)
      for (let round = 0; round < 6; round++) {
        const { leader } = await partition(client)
        const id = role === 'leader' ? leader! : NODES.find((one) => one !== leader)!
        if (stop === 'clean restart') await cluster.stopNode(id)
        if (stop === 'unclean restart') await cluster.kill(id)
        if (stop === 'power loss') await cluster.losePower(id)
        const files = [...(await logsOf(cluster.fileSystem(id), directory))].filter(
          ([, bytes]) => bytes.length > 0,
        )
        // The active one in every other round, and a header in two of three: most bytes are payload.
        const [name, bytes] = round % 2 === 0 ? files.at(-1)! : files[random.below(files.length)]!
        const position = round % 3 === 0 ? random.below(bytes.length) : random.below(61)
        await flip(id, { directory, name, position })
        if (stop !== 'running') await cluster.restart(id)
        const what = `node ${id}, ${name} at ${position}`
        expect(await readAll(client), what).toEqual(TEXTS)
        await whole(client, directory, content)
        expect(await readAll(client), what).toEqual(TEXTS)
        expect(NODES.flatMap((one) => cluster.failures(one))).toEqual([])
      }
    },
    60_000,
  )
})
