// What many partitions cost that nothing happens to: three broker processes hold 10,000 idle partitions with three
// replicas each. Processor time and memory of each broker while idle, how fast a client gets their metadata, how fast
// 1,000 partitions are led again whose leader was killed.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../dist/client/node.js'
import { median, withReadyCluster } from './cluster.js'
import type { BenchmarkOptions } from './main.js'

const BROKERS = 3
const READY_MS = 60_000
/** Making a log takes some fsyncs, and there are 30,000. */
const WHOLE_MS = 1_200_000
const SETTLE_MS = 10_000
const IDLE_MS = 20_000
const METADATA_ROUNDS = 7
/** Between two looks at who leads; each is about thousands of partitions, and the brokers have other things to do. */
const LOOK_MS = 50
const PARTITIONS_PER_CREATE = 1_000
/** Of the clock of /proc/<pid>/stat; Linux has no other value on the machines Node runs on. */
const TICKS_PER_SECOND = 100

type Client = ReturnType<typeof createClient>
type Cluster = Parameters<Parameters<typeof withReadyCluster<void>>[1]>[0]

interface BrokerCost {
  readonly broker: number
  /** Of one core. */
  readonly cpuPercent: number
  readonly residentMebibytes: number
}

function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name before it may hold spaces, but no closing bracket follows it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024
}

async function idleCosts(cluster: Cluster, idleMs: number): Promise<readonly BrokerCost[]> {
  const pids = cluster.nodes.map(({ id }) => cluster.node(id).process!.pid)
  const before = pids.map(processorSeconds)
  const startMs = performance.now()
  await delay(idleMs)
  const seconds = (performance.now() - startMs) / 1_000
  return pids.map((pid, i) => ({
    broker: cluster.nodes[i]!.id,
    cpuPercent: Math.round(((processorSeconds(pid) - before[i]!) / seconds) * 1_000) / 10,
    residentMebibytes: Math.round(residentMebibytes(pid)),
  }))
}

/** One topic after the other: brokers that make thousands of logs answer late. */
async function makeWholeTopics(client: Client, name: string, partitions: number): Promise<void> {
  for (let left = partitions; left > 0; left -= PARTITIONS_PER_CREATE) {
    const topic = `${name}-${partitions - left}`
    await createTopic(client, topic, Math.min(left, PARTITIONS_PER_CREATE))
    await whenWhole(client, [topic])
  }
}

async function createTopic(client: Client, name: string, partitions: number): Promise<void> {
  try {
    await client.admin.createTopic({ name, partitions, replicationFactor: BROKERS, timeoutMs: READY_MS })
  } catch (error) {
    // The answer to the first attempt came too late.
    if (!hasCode(error, 'TOPIC_ALREADY_EXISTS')) throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

async function whenWhole(client: Client, topics: readonly string[]): Promise<void> {
  const deadlineMs = performance.now() + WHOLE_MS
  for (const topic of topics) {
    while (!(await isWhole(client, topic))) {
      if (performance.now() > deadlineMs) throw new Error(`${topic} is not whole after ${WHOLE_MS} ms`)
      await delay(500)
    }
  }
}

async function isWhole(client: Client, topic: string): Promise<boolean> {
  const { partitions } = await describe(client, topic)
  // A new partition has its in-sync set from the start; that its logs are there shows when its followers have fetched.
  return partitions.every(
    ({ isr, leader, replicaStates }) =>
      isr.length === BROKERS &&
      leader !== null &&
      replicaStates.filter(({ lagRecords }) => lagRecords !== null).length === BROKERS,
  )
}

async function describe(client: Client, topic: string): ReturnType<Client['admin']['describeTopic']> {
  for (;;) {
    try {
      return await client.admin.describeTopic(topic, { timeoutMs: READY_MS })
    } catch (error) {
      // The broker that was asked may be behind with thousands of logs to make.
      if (!hasCode(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
    }
  }
}

/** A client that knows nothing yet, from its first request to the metadata of all topics in its hands. */
async function metadataMs(cluster: Cluster): Promise<number> {
  const client = createClient({ bootstrap: cluster.bootstrap })
  try {
    // The connection is made before; its cost does not grow with the partitions.
    await client.admin.describeCluster()
    const startMs = performance.now()
    await client.admin.listTopics()
    return performance.now() - startMs
  } finally {
    await client.close()
  }
}

/** Kills a broker; @returns after how long each partition that it led has another leader, as a client sees it. */
async function ledAgainMs(
  cluster: Cluster,
  of: { readonly partitions: number },
): Promise<{ readonly led: number; readonly ms: number }> {
  const client = createClient({ bootstrap: cluster.bootstrap })
  try {
    const topic = 'led-by-one'
    await createTopic(client, topic, of.partitions * BROKERS)
    await whenWhole(client, [topic])
    const { controllerId } = await client.admin.describeCluster()
    const victim = cluster.nodes.find(({ id }) => id !== controllerId)!.id
    const before = await describe(client, topic)
    const led = before.partitions.filter(({ leader }) => leader === victim).length
    cluster.signal(victim, 'SIGKILL')
    const startMs = performance.now()
    for (;;) {
      // Metadata alone; a description would ask the brokers for the offsets of all partitions each time.
      const listed = await client.admin.listTopics({ timeoutMs: READY_MS })
      const partitions = listed.find(({ name }) => name === topic)?.partitions ?? []
      if (partitions.length > 0 && partitions.every(({ leader }) => leader !== null && leader !== victim))
        break
      if (performance.now() - startMs > WHOLE_MS)
        throw new Error(`${topic} is not led again after ${WHOLE_MS} ms`)
      await delay(LOOK_MS)
    }
    return { led, ms: Math.round(performance.now() - startMs) }
  } finally {
    await client.close()
  }
}

async function idlePartitions(options: BenchmarkOptions): Promise<Readonly<Record<string, unknown>>> {
  const count = options.small ? 100 : Number(process.env['BENCH_PARTITIONS'] ?? 10_000)
  return withReadyCluster(BROKERS, async (cluster) => {
    const [empty] = [await idleCosts(cluster, options.small ? 500 : IDLE_MS)]
    const client = createClient({ bootstrap: cluster.bootstrap })
    const startMs = performance.now()
    try {
      await makeWholeTopics(client, 'idle', count)
    } finally {
      await client.close()
    }
    const wholeSeconds = Math.round((performance.now() - startMs) / 100) / 10
    await delay(options.small ? 0 : SETTLE_MS)
    const costs = await idleCosts(cluster, options.small ? 500 : IDLE_MS)
    const rounds: number[] = []
    for (let i = 0; i < (options.small ? 1 : METADATA_ROUNDS); i++) rounds.push(await metadataMs(cluster))
    const loadMs = Math.round(median(rounds))
    const shown = (each: readonly BrokerCost[]): string =>
      each.map(({ cpuPercent, residentMebibytes: rss }) => `${cpuPercent} % and ${rss} MiB`).join(', ')
    options.print(
      `partitions: ${count} idle ones made and in sync in ${wholeSeconds} s; then each broker takes ${shown(costs)} ` +
        `(targets: below 10 % of a core, 400 MiB; without partitions ${shown(empty!)}); metadata in ${loadMs} ms (target 200)`,
    )
    return {
      count,
      wholeSeconds,
      empty,
      idle: costs,
      metadataMs: loadMs,
      metadataMaxMs: Math.round(Math.max(...rounds)),
    }
  })
}

async function killedLeader(options: BenchmarkOptions): Promise<Readonly<Record<string, unknown>>> {
  return withReadyCluster(BROKERS, async (cluster) => {
    const { led, ms } = await ledAgainMs(cluster, { partitions: options.small ? 10 : 1_000 })
    options.print(
      `partitions: ${led} led by one broker are led again ${ms} ms after it was killed (target 2,000)`,
    )
    return { led, ms }
  })
}

export async function benchmarkPartitions(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  return { ...(await idlePartitions(options)), killed: await killedLeader(options) }
}
