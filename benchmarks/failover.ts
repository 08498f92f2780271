// How long producers wait when a broker goes: the longest time between two acknowledged records of the partition it led.
// Three broker processes, default settings, acks=all, one record under way at a time. The broker is killed (once one that is
// not the active controller, once the one that is), or stopped without a word, or told to stop as in a rolling restart; or it
// lives on and only its leadership is moved.
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '../dist/client/node.js'
import { median, withReadyCluster } from './cluster.js'
import type { BenchmarkOptions } from './main.js'

type Client = ReturnType<typeof createClient>
type Cluster = Parameters<Parameters<typeof withReadyCluster<void>>[1]>[0]

const BROKERS = 3
const READY_MS = 60_000
const STEADY_MS = 300
const AFTERMATH_MS = 30_000
const MOVES = 50
/** Processes that have just started run the code of a move for the first time; these moves are told apart. */
const COLD_MOVES = 2

/** What one stream of records saw. */
interface Stream {
  acknowledged: number
  failed: number
  longestGapMs: number
}

/** Sends one record after the other to a partition until told to stop. */
class Streamer {
  readonly stream: Stream = { acknowledged: 0, failed: 0, longestGapMs: 0 }
  readonly #done: Promise<void>
  #isStopped = false

  constructor(client: Client, target: { readonly topic: string; readonly partition: number }) {
    this.#done = this.#run(client, target)
  }

  async stop(): Promise<Stream> {
    this.#isStopped = true
    await this.#done
    return this.stream
  }

  async #run(client: Client, target: { readonly topic: string; readonly partition: number }): Promise<void> {
    const producer = client.producer()
    // The first one has the partition looked up and connections made.
    let lastMs: number | null = null
    while (!this.#isStopped) {
      try {
        await producer.send({ ...target, value: 'x'.repeat(100) })
        this.stream.acknowledged++
      } catch {
        this.stream.failed++
      }
      const nowMs = performance.now()
      if (lastMs !== null) this.stream.longestGapMs = Math.max(this.stream.longestGapMs, nowMs - lastMs)
      lastMs = nowMs
    }
  }
}

interface Victim {
  readonly broker: number
  readonly topic: string
  readonly partition: number
}

/** A new topic whose partitions are led by all brokers, and the broker to harm with a partition that it leads. */
async function chooseVictim(client: Client, round: string, isController: boolean): Promise<Victim> {
  const topic = `failover-${round}`
  await client.admin.createTopic({ name: topic, partitions: BROKERS, replicationFactor: BROKERS })
  const { controllerId } = await client.admin.describeCluster()
  const { partitions } = await client.admin.describeTopic(topic)
  const led = partitions.find(({ leader }) => leader !== null && (leader === controllerId) === isController)
  if (led === undefined) throw new Error(`no broker to harm leads a partition of ${topic}`)
  return { broker: led.leader!, topic, partition: led.partition }
}

async function whenWhole(client: Client, topic: string): Promise<void> {
  const deadlineMs = performance.now() + READY_MS
  for (;;) {
    const { partitions } = await client.admin.describeTopic(topic)
    if (partitions.every(({ isr, leader }) => isr.length === BROKERS && leader !== null)) return
    if (performance.now() > deadlineMs) throw new Error(`${topic} is not whole again after ${READY_MS} ms`)
    await delay(20)
  }
}

/** One round: harm under load, the longest gap, and everything as it was. */
async function round(
  cluster: Cluster,
  of: { readonly name: string; readonly isController: boolean; readonly harm: 'SIGKILL' | 'SIGSTOP' },
): Promise<Stream> {
  const client = createClient({ bootstrap: cluster.bootstrap })
  try {
    const victim = await chooseVictim(client, of.name, of.isController)
    await whenWhole(client, victim.topic)
    const streamer = new Streamer(client, victim)
    await delay(STEADY_MS)
    cluster.signal(victim.broker, of.harm)
    const before = streamer.stream.acknowledged
    const deadlineMs = performance.now() + AFTERMATH_MS
    while (streamer.stream.acknowledged < before + 20 && performance.now() < deadlineMs) await delay(10)
    const stream = await streamer.stop()
    if (of.harm === 'SIGSTOP') cluster.signal(victim.broker, 'SIGCONT')
    await revive(cluster, victim.broker)
    await whenWhole(client, victim.topic)
    await client.admin.deleteTopic(victim.topic)
    return stream
  } finally {
    await client.close()
  }
}

/** One that was stopped without a word may end itself when it learns what happened meanwhile. */
async function revive(cluster: Cluster, broker: number): Promise<void> {
  await delay(100)
  cluster.start(broker)
  await cluster.whenReady(READY_MS)
}

async function rounds(
  options: BenchmarkOptions,
  of: {
    readonly what: string
    readonly count: number
    readonly isController: boolean
    readonly harm: 'SIGKILL' | 'SIGSTOP'
  },
): Promise<Readonly<Record<string, number>>> {
  const { what, harm, isController } = of
  const streams: Stream[] = []
  await withReadyCluster(BROKERS, async (cluster) => {
    for (let i = 0; i < (options.small ? 1 : of.count); i++) {
      const name = `${harm === 'SIGKILL' ? 'k' : 's'}${isController ? 'c' : 'b'}${i}`
      streams.push(await round(cluster, { name, isController, harm }))
    }
  })
  return summary(options, what, streams)
}

/** Of streams that all saw the same. */
function summary(
  options: BenchmarkOptions,
  what: string,
  streams: readonly Stream[],
): Readonly<Record<string, number>> {
  const gaps = streams.map(({ longestGapMs }) => longestGapMs)
  const failed = streams.reduce((sum, stream) => sum + stream.failed, 0)
  const result = {
    medianMs: Math.round(median(gaps)),
    maxMs: Math.round(Math.max(...gaps)),
    failed,
    rounds: gaps.length,
  }
  options.print(
    `failover, ${what}: longest gap between acknowledged records ${result.medianMs} ms (median of ${result.rounds}), ` +
      `at most ${result.maxMs} ms; ${failed} sends failed`,
  )
  return result
}

/** Every broker is told to stop and started again, one after the other, under load on all partitions. */
async function rollingRestart(options: BenchmarkOptions): Promise<Readonly<Record<string, number>>> {
  return withReadyCluster(BROKERS, async (cluster) => {
    const client = createClient({ bootstrap: cluster.bootstrap })
    try {
      const topic = 'rolling'
      await client.admin.createTopic({ name: topic, partitions: BROKERS, replicationFactor: BROKERS })
      await whenWhole(client, topic)
      const streamers = Array.from(
        { length: BROKERS },
        (_, partition) => new Streamer(client, { topic, partition }),
      )
      await delay(STEADY_MS)
      for (const { id } of cluster.nodes) {
        cluster.signal(id, 'SIGTERM')
        if (!(await cluster.whenStopped(id, READY_MS))) throw new Error(`broker ${id} did not stop`)
        cluster.start(id)
        await cluster.whenReady(READY_MS)
        await whenWhole(client, topic)
      }
      const streams = await Promise.all(streamers.map((streamer) => streamer.stop()))
      const failed = streams.reduce((sum, stream) => sum + stream.failed, 0)
      const acknowledged = streams.reduce((sum, stream) => sum + stream.acknowledged, 0)
      const maxMs = Math.round(Math.max(...streams.map(({ longestGapMs }) => longestGapMs)))
      options.print(
        `failover, rolling restart of ${BROKERS} brokers: ${failed} of ${acknowledged + failed} sends failed, longest gap ${maxMs} ms`,
      )
      return { failed, acknowledged, maxMs }
    } finally {
      await client.close()
    }
  })
}

/** The leadership of a partition is moved to another replica under load, again and again. */
async function plannedMoves(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, Readonly<Record<string, number>>>>> {
  return withReadyCluster(BROKERS, async (cluster) => {
    const client = createClient({ bootstrap: cluster.bootstrap })
    try {
      const topic = 'moves'
      await client.admin.createTopic({ name: topic, partitions: 1, replicationFactor: BROKERS })
      await whenWhole(client, topic)
      const moves = async (count: number): Promise<readonly Stream[]> => {
        const streams: Stream[] = []
        for (let i = 0; i < count; i++) streams.push(await moveUnderLoad(client, topic))
        return streams
      }
      const cold = await moves(COLD_MOVES)
      const warm = await moves(options.small ? 3 : MOVES)
      return {
        plannedMoveCold: summary(options, 'the first planned moves of a cluster', cold),
        plannedMove: summary(options, 'planned move of a leader', warm),
      }
    } finally {
      await client.close()
    }
  })
}

async function moveUnderLoad(client: Client, topic: string): Promise<Stream> {
  const [partition] = (await client.admin.describeTopic(topic)).partitions
  const replica = partition!.isr.find((id) => id !== partition!.leader)!
  const streamer = new Streamer(client, { topic, partition: 0 })
  await delay(STEADY_MS)
  const [elected] = await client.admin.electLeaders({
    topic,
    partitions: [0],
    election: { kind: 'replica', replica },
  })
  if (elected!.error !== null) throw elected!.error
  await delay(STEADY_MS)
  const stream = await streamer.stop()
  await whenWhole(client, topic)
  return stream
}

export async function benchmarkFailover(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const kill = { harm: 'SIGKILL', isController: false } as const
  return {
    killLeader: await rounds(options, { ...kill, what: 'kill -9 of a leader', count: 50 }),
    killLeaderAndController: await rounds(options, {
      ...kill,
      isController: true,
      what: 'kill -9 of a leader that is the active controller',
      count: 20,
    }),
    stopLeader: await rounds(options, {
      harm: 'SIGSTOP',
      isController: false,
      what: 'SIGSTOP of a leader (session 3,000 ms)',
      count: 5,
    }),
    ...(await plannedMoves(options)),
    rollingRestart: await rollingRestart(options),
  }
}
