import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clusterStatus } from '../../src/cli/cluster.ts'
import type { LocalCluster } from '../../src/cli/local-cluster.ts'
import type { Client } from '../../src/client/client.ts'
import { createClient } from '../../src/client/node.ts'
import type { Producer } from '../../src/client/producer.ts'
import { destroyCluster, logBytes, startCluster } from './command.ts'

const ROUNDS = 10
/** A deadline against hangs; each step takes a fraction of it. */
const STEP_TIMEOUT_MS = 30_000
const RECORDS_PER_STEP = 500

/** Polls until the condition gives a value; the deadline only turns a hang into a failure. */
async function eventually<T>(what: string, condition: () => Promise<T | null>): Promise<T> {
  const deadlineMs = performance.now() + STEP_TIMEOUT_MS
  for (;;) {
    const value = await condition()
    if (value !== null) return value
    if (performance.now() > deadlineMs) throw new Error(`not within ${STEP_TIMEOUT_MS} ms: ${what}`)
    await delay(10)
  }
}

/** Sends numbered records without pause and remembers which were acknowledged. */
class NumberedStream {
  readonly acknowledged: number[] = []
  readonly failures: string[] = []
  readonly #producer: Producer
  readonly #topic: string
  readonly #done: Promise<void>
  #stopped = false

  constructor(producer: Producer, topic: string) {
    this.#producer = producer
    this.#topic = topic
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
    await this.#producer.flush()
  }

  /** Resolves when so many more records were acknowledged than now. */
  async progress(records: number): Promise<void> {
    const target = this.acknowledged.length + records
    await eventually(`${records} more acknowledged records`, async () =>
      this.acknowledged.length >= target ? true : null,
    )
  }

  async #run(): Promise<void> {
    for (let number = 0; !this.#stopped; ) {
      for (let i = 0; i < 20; i++, number++) {
        const sent = number
        const taken = this.#producer.enqueue(
          { topic: this.#topic, value: String(sent), partition: 0 },
          (error) => {
            if (error === null) this.acknowledged.push(sent)
            else this.failures.push(error.message)
          },
        )
        if (!taken) break
      }
      await delay(2)
    }
  }
}

async function fullIsr(client: Client, topic: string): Promise<readonly number[] | null> {
  const described = await client.admin.describeTopic(topic).catch(() => null)
  const isr = described?.partitions[0]?.isr ?? []
  return isr.length === 3 ? isr : null
}

async function readNumbers(client: Client, topic: string): Promise<readonly number[]> {
  const consumer = client.consumer({ topic, from: 'beginning' })
  const end = (await consumer.endOffsets()).get(0) ?? 0
  const numbers: number[] = []
  for await (const record of consumer) {
    numbers.push(Number(new TextDecoder().decode(record.value!)))
    if (record.offset + 1 >= end) break
  }
  await consumer.close()
  return numbers
}

describe('kill -9 while producing', () => {
  let cluster: LocalCluster
  let client: Client

  beforeAll(async () => {
    cluster = await startCluster('failover')
    client = createClient({ bootstrap: cluster.bootstrap })
  })
  afterAll(async () => {
    await client.close()
    await destroyCluster(cluster)
  })

  const leaderOf = (topic: string) => async (): Promise<number | null> =>
    (await client.admin.describeTopic(topic).catch(() => null))?.partitions[0]?.leader ?? null
  const controllerOf = async (): Promise<number | null> => (await clusterStatus(cluster)).controller

  it.each(['leader', 'controller'])(
    '%s: ten rounds -> nothing acknowledged is lost, nothing is out of order, the replicas agree',
    async (victim) => {
      const topic = `kill-${victim}`
      await client.admin.createTopic({ name: topic, partitions: 1, replicationFactor: 3 })
      const stream = new NumberedStream(client.producer({ acks: 'all' }), topic)
      const findVictim = victim === 'leader' ? leaderOf(topic) : controllerOf
      for (let round = 0; round < ROUNDS; round++) {
        await stream.progress(RECORDS_PER_STEP)
        const killed = await eventually(`a ${victim} to kill`, findVictim)
        cluster.signal(killed, 'SIGKILL')
        expect(await cluster.whenStopped(killed, STEP_TIMEOUT_MS)).toBe(true)
        await stream.progress(RECORDS_PER_STEP)
        cluster.start(killed)
        await eventually('the killed broker back in the ISR', () => fullIsr(client, topic))
      }
      await stream.stop()
      expect(stream.failures).toEqual([])

      const read = await readNumbers(client, topic)
      const seen = new Set(read)
      expect(stream.acknowledged.filter((number) => !seen.has(number))).toEqual([])
      const firstCopies = [...seen]
      expect(firstCopies).toEqual([...firstCopies].sort((a, b) => a - b))

      const described = await eventually('equal log ends', async () => {
        const topicNow = await client.admin.describeTopic(topic)
        const [partition] = topicNow.partitions
        return partition!.highWatermark === partition!.logEndOffset ? topicNow : null
      })
      const logs = cluster.nodes.map((node) =>
        logBytes(node.dataDir, { topicId: described.id, partition: 0 }),
      )
      expect(logs[1]!.equals(logs[0]!)).toBe(true)
      expect(logs[2]!.equals(logs[0]!)).toBe(true)
      console.log(
        `${victim}: ${stream.acknowledged.length} acknowledged, ${read.length - seen.size} duplicates`,
      )
    },
    600_000,
  )
})
