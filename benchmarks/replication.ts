// How fast one partition is replicated: a partition with one replica is filled, then gets a second replica on another broker,
// which fetches all of it, checks, writes and fsyncs it. Beside it, in the same run and in turn, the same bytes over a bare
// WebSocket between two processes.
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../dist/client/node.js'
import { bareTransfer } from './bare-ws.js'
import { median, withReadyCluster } from './cluster.js'
import type { BenchmarkOptions } from './main.js'

const ROUNDS = 5
const DONE_MS = 300_000
const LOOK_MS = 5
const BATCH_BYTES = 256 * 1024
/** As `replica.fetch.max.bytes` is by itself. */
const MESSAGE_BYTES = 4 * 1024 * 1024
const RECORD_BYTES = 1_000

type Client = ReturnType<typeof createClient>

export async function benchmarkReplication(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const bytes = options.small ? 4 * MESSAGE_BYTES : 128 * MESSAGE_BYTES
  const rounds = options.small ? 1 : ROUNDS
  return withReadyCluster(3, async (cluster) => {
    const client = createClient({ bootstrap: cluster.bootstrap })
    try {
      const bare: number[] = []
      const replicated: number[] = []
      // The first round warms up files, connections and compiled code.
      for (let round = 0; round <= rounds; round++) {
        bare.push(await bareTransfer({ bytes, messageBytes: MESSAGE_BYTES }))
        replicated.push(await replicationRound(client, { topic: `replicated-${round}`, bytes }))
      }
      const megabytes = median(replicated.slice(1))
      const bareMegabytes = median(bare.slice(1))
      const ratio = megabytes / bareMegabytes
      options.print(
        `replication: one partition of ${Math.round(bytes / 1e6)} MB to another broker at ${megabytes.toFixed(0)} MB/s, written and fsynced there, ` +
          `= ${(ratio * 100).toFixed(0)} % of a bare WebSocket (${bareMegabytes.toFixed(0)} MB/s)`,
      )
      return {
        bytes,
        rounds,
        megabytesPerSecond: Math.round(megabytes),
        bareMegabytesPerSecond: Math.round(bareMegabytes),
        ratio,
      }
    } finally {
      await client.close()
    }
  })
}

/** @returns megabytes (10^6) per second, from the order to copy until the new replica is in sync. */
async function replicationRound(
  client: Client,
  of: { readonly topic: string; readonly bytes: number },
): Promise<number> {
  const { topic } = of
  await client.admin.createTopic({ name: topic, partitions: 1, replicationFactor: 1 })
  await fill(client, of)
  const { leader } = (await client.admin.describeTopic(topic)).partitions[0]!
  const { brokers } = await client.admin.describeCluster()
  const other = brokers.find(({ brokerId }) => brokerId !== leader)!.brokerId
  const startMs = performance.now()
  const [started] = await client.admin.reassignPartitions([
    { topic, partition: 0, replicas: [leader!, other] },
  ])
  if (started!.error !== null) throw started!.error
  while (!(await isCopied(client, topic))) {
    if (performance.now() - startMs > DONE_MS) throw new Error(`${topic} was not copied within ${DONE_MS} ms`)
    await delay(LOOK_MS)
  }
  const seconds = (performance.now() - startMs) / 1_000
  await client.admin.deleteTopic(topic)
  return of.bytes / 1e6 / seconds
}

/** By metadata alone: offsets would have to be asked for at the broker that is busy. */
async function isCopied(client: Client, topic: string): Promise<boolean> {
  const listed = (await client.admin.listTopics()).find(({ name }) => name === topic)
  return listed?.partitions[0]?.isr.length === 2
}

async function fill(
  client: Client,
  { topic, bytes }: { readonly topic: string; readonly bytes: number },
): Promise<void> {
  const producer = client.producer({ acks: 1, batchBytes: BATCH_BYTES })
  const value = new Uint8Array(RECORD_BYTES).fill(120)
  let failed = 0
  const settled = (error: Error | null): void => {
    if (error !== null) failed++
  }
  for (let sent = 0; sent < bytes; sent += RECORD_BYTES)
    while (!producer.enqueue({ topic, value, partition: 0 }, settled)) await producer.writable()
  await producer.flush()
  await producer.close()
  if (failed > 0) throw new Error(`${failed} records of ${topic} failed`)
}
