import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../client/client.ts'
import { VltavaError } from '../model/errors.ts'
import type { LocalCluster } from './local-cluster.ts'
import { count, seconds } from './output.ts'

const TOPIC = 'demo'
/** Long enough to see the cluster at work before and after the kill. */
const STREAM_MS = 6_000
const KILL_AFTER_MS = STREAM_MS / 2
/** Well below what the cluster can take, so that the gap shows the failover and not a full queue. */
const RECORDS_PER_SECOND = 20_000
const PACE_MS = 10
const LEADER_TIMEOUT_MS = 15_000
const REJOIN_TIMEOUT_MS = 30_000

export interface DemoResult {
  readonly acknowledged: number
  readonly bytes: number
  readonly failed: number
  /** Acknowledged, but not read back. */
  readonly lost: number
  readonly duplicates: number
  /** Records whose first copy stands behind that of a later one. */
  readonly reordered: number
  readonly leaderBefore: number
  readonly leaderAfter: number
  readonly longestGapMs: number
  readonly streamMs: number
  readonly rejoinMs: number
}

export interface DemoStory {
  readonly client: Client
  readonly cluster: LocalCluster
  readonly lines: readonly Uint8Array[]
  readonly tell: (text: string) => void
  readonly signal: AbortSignal
}

/** Acknowledgements as they came: which numbers, and the longest time without one. */
class Acknowledgements {
  readonly numbers = new Set<number>()
  bytes = 0
  failed = 0
  longestGapMs = 0
  #lastMs = performance.now()

  acknowledged(number: number, bytes: number): void {
    const nowMs = performance.now()
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    this.numbers.add(number)
    this.bytes += bytes
  }
}

/** Streams numbered lines, kills the leader halfway, restarts it, reads everything back and compares. */
export async function runDemoStory(story: DemoStory): Promise<DemoResult> {
  const { client, cluster, tell } = story
  await client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3 })
  const leaderBefore = await leaderOf(client)
  tell(
    `topic "${TOPIC}": 1 partition, 3 replicas, acks=all, fsync before each acknowledgement; broker ${leaderBefore} leads`,
  )
  const acks = new Acknowledgements()
  const startMs = performance.now()
  const killed = delay(KILL_AFTER_MS, undefined, { signal: story.signal }).then(() => {
    cluster.signal(leaderBefore, 'SIGKILL')
    tell(
      `SIGKILL to broker ${leaderBefore}, the leader, after ${count(acks.numbers.size)} acknowledged records`,
    )
    return newLeader(story, leaderBefore)
  })
  const [leaderAfter] = await Promise.all([killed, stream(story, acks)])
  const streamMs = performance.now() - startMs
  tell(
    `stream ended: ${count(acks.numbers.size)} records acknowledged, the longest gap was ${seconds(acks.longestGapMs)}`,
  )
  const rejoinMs = await rejoin(story, leaderBefore)
  const read = await readBack(story, acks)
  return {
    ...read,
    acknowledged: acks.numbers.size,
    bytes: acks.bytes,
    failed: acks.failed,
    leaderBefore,
    leaderAfter,
    longestGapMs: Math.round(acks.longestGapMs),
    streamMs: Math.round(streamMs),
    rejoinMs: Math.round(rejoinMs),
  }
}

async function leaderOf(client: Client): Promise<number> {
  const topic = await client.admin.describeTopic(TOPIC)
  const leader = topic.partitions[0]?.leader ?? null
  if (leader === null) throw new VltavaError('LEADER_NOT_AVAILABLE', `Topic ${TOPIC} has no leader.`)
  return leader
}

/** Asks until another broker leads. */
async function newLeader({ client, tell, signal }: DemoStory, previous: number): Promise<number> {
  const startMs = performance.now()
  while (performance.now() - startMs < LEADER_TIMEOUT_MS) {
    signal.throwIfAborted()
    const leader = await leaderOf(client).catch(() => previous)
    if (leader !== previous) {
      tell(`broker ${leader} leads, ${seconds(performance.now() - startMs)} after the kill`)
      return leader
    }
    await delay(20)
  }
  throw new VltavaError(
    'LEADER_NOT_AVAILABLE',
    `No other broker took over within ${LEADER_TIMEOUT_MS / 1_000} s.`,
  )
}

/** Sends numbered lines at a steady rate, the file over and over. */
async function stream({ client, lines, signal }: DemoStory, acks: Acknowledgements): Promise<void> {
  const producer = client.producer({ acks: 'all' })
  const startMs = performance.now()
  let number = 0
  for (let elapsedMs = 0; elapsedMs < STREAM_MS; elapsedMs = performance.now() - startMs) {
    signal.throwIfAborted()
    const due = Math.floor((elapsedMs * RECORDS_PER_SECOND) / 1_000)
    while (number < due) {
      const line = lines[number % lines.length]!
      const value = Buffer.concat([Buffer.from(`${number} `), line])
      const sent = number
      const taken = producer.enqueue({ topic: TOPIC, value }, (error) => {
        if (error === null) acks.acknowledged(sent, value.length)
        else acks.failed++
      })
      if (!taken) break
      number++
    }
    await delay(PACE_MS)
  }
  await producer.flush()
  await producer.close()
}

/** Starts the killed broker again and waits until it is in the in-sync set. Returns how long that took. */
async function rejoin({ client, cluster, tell, signal }: DemoStory, id: number): Promise<number> {
  const startMs = performance.now()
  cluster.start(id)
  while (performance.now() - startMs < REJOIN_TIMEOUT_MS) {
    signal.throwIfAborted()
    const topic = await client.admin.describeTopic(TOPIC).catch(() => null)
    if (topic?.partitions[0]?.isr.includes(id) === true) {
      const tookMs = performance.now() - startMs
      tell(`broker ${id} was started again and is back in the in-sync set after ${seconds(tookMs)}`)
      return tookMs
    }
    await delay(20)
  }
  throw new VltavaError(
    'REQUEST_TIMED_OUT',
    `Broker ${id} did not come back into the in-sync set within ${REJOIN_TIMEOUT_MS / 1_000} s.`,
  )
}

async function readBack(
  { client, tell }: DemoStory,
  acks: Acknowledgements,
): Promise<Pick<DemoResult, 'lost' | 'duplicates' | 'reordered'>> {
  const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
  const end = (await consumer.endOffsets()).get(0) ?? 0
  const seen = new Set<number>()
  let duplicates = 0
  let reordered = 0
  let highest = -1
  if (end > 0) {
    for await (const record of consumer) {
      const text = Buffer.from(record.value ?? []).toString('latin1')
      const number = Number(text.slice(0, text.indexOf(' ')))
      if (seen.has(number)) duplicates++
      else if (number < highest) reordered++
      seen.add(number)
      highest = Math.max(highest, number)
      if (record.offset + 1 >= end) break
    }
  }
  await consumer.close()
  let lost = 0
  for (const number of acks.numbers) if (!seen.has(number)) lost++
  tell(`read back ${count(end)} records and compared them with the acknowledgements`)
  return { lost, duplicates, reordered }
}
