// Produce throughput through the client library: 100-byte records, three replicas, acks=all, fsync before each
// acknowledgement, three broker processes and the producer on the same machine. Beside it, in the same run, the bytes
// of the same records over a bare WebSocket.
import { createClient } from '../dist/client/node.js'
import type { VltavaError } from '../dist/model/errors.js'
import { bareTransfer } from './bare-ws.js'
import { median, withReadyCluster } from './cluster.js'
import type { BenchmarkOptions } from './main.js'

const RECORD_BYTES = 100
const PARTITIONS = 6
const ROUNDS = 5
const BATCH_BYTES = 256 * 1024

interface Round {
  readonly recordsPerSecond: number
  readonly failed: number
}

export async function benchmarkProduce(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const records = options.small ? 20_000 : 1_500_000
  const rounds = options.small ? 1 : ROUNDS
  return withReadyCluster(3, async (cluster) => {
    const client = createClient({ bootstrap: cluster.bootstrap })
    await client.admin.createTopic({ name: 'bench', partitions: PARTITIONS, replicationFactor: 3 })
    const bare: number[] = []
    const produced: Round[] = []
    for (let round = 0; round <= rounds; round++) {
      bare.push(await bareTransfer({ bytes: records * RECORD_BYTES, messageBytes: BATCH_BYTES }))
      produced.push(await produceRound(client, records))
    }
    await client.close()
    // The first round warms up files, connections and compiled code.
    const rate = median(produced.slice(1).map((round) => round.recordsPerSecond))
    const bareMegabytes = median(bare.slice(1))
    const failed = produced.reduce((sum, round) => sum + round.failed, 0)
    const ratio = (rate * RECORD_BYTES) / 1e6 / bareMegabytes
    options.print(
      `produce: ${Math.round(rate).toLocaleString('en-US')} records/s of ${RECORD_BYTES} B (RF 3, acks=all, fsync, ${PARTITIONS} partitions), ` +
        `${((rate * RECORD_BYTES) / 1e6).toFixed(1)} MB/s = ${(ratio * 100).toFixed(1)} % of a bare WebSocket (${bareMegabytes.toFixed(0)} MB/s)`,
    )
    if (failed > 0) throw new Error(`${failed} records failed`)
    return {
      recordsPerSecond: Math.round(rate),
      records,
      rounds,
      partitions: PARTITIONS,
      bareMegabytesPerSecond: Math.round(bareMegabytes),
      ratio,
      failed,
    }
  })
}

async function produceRound(client: ReturnType<typeof createClient>, records: number): Promise<Round> {
  const producer = client.producer({ acks: 'all', batchBytes: BATCH_BYTES })
  const value = new Uint8Array(RECORD_BYTES).fill(120)
  let failed = 0
  const settled = (error: VltavaError | null): void => {
    if (error !== null) failed++
  }
  const startMs = performance.now()
  for (let i = 0; i < records; i++) {
    const record = { topic: 'bench', value, partition: i % PARTITIONS }
    while (!producer.enqueue(record, settled)) await producer.writable()
  }
  await producer.flush()
  const seconds = (performance.now() - startMs) / 1_000
  await producer.close()
  return { recordsPerSecond: records / seconds, failed }
}
