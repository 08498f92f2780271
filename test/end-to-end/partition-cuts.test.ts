import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { ChaosCluster } from '../../src/cli/chaos-cluster.ts'
import type { Direction } from '../../src/cli/chaos-network.ts'
import { whenEqual, whenInSync } from '../../src/cli/chaos-replicas.ts'
import { paddedCodec } from '../../src/cli/chaos-values.ts'
import { ChaosWorkload } from '../../src/cli/chaos-workload.ts'
import { createClient } from '../../src/client/node.ts'
import { checkHistory } from '../../src/history/check-history.ts'
import { HistoryRecorder } from '../../src/history/history-recorder.ts'
import { createNodeEnvironment } from '../../src/server/node-environment.ts'
import { RecordedProducer } from '../../src/testing/recording/recorded-producer.ts'
import { makeDirectory, removeDirectory } from './command.ts'

const TOPIC = 'cut'
const PARTITIONS = 3
const SEED = 11
/** A deadline against hangs; each step takes a few seconds. */
const STEP_TIMEOUT_MS = 60_000
/** A follower whose fetches do not arrive leaves the ISR after this time, so that each cut is over soon. */
const SETTINGS = { 'replica.lag.time.max.ms': '2000' }

/** Every pair of three nodes: cut in both directions, and each direction by itself. */
const CUTS: readonly (readonly Direction[])[] = [
  [1, 2],
  [1, 3],
  [2, 3],
].flatMap(([a, b]) => {
  const [there, back] = [
    { from: a!, to: b! },
    { from: b!, to: a! },
  ]
  return [[there, back], [there], [back]]
})

/** Which nodes led each partition in each leader epoch, by what they logged. */
function leadersByEpoch(nodes: ChaosCluster['nodes']): ReadonlyMap<string, ReadonlySet<number>> {
  const leaders = new Map<string, Set<number>>()
  for (const { id, logFile } of nodes) {
    for (const line of readFileSync(logFile, 'utf8').split('\n')) {
      if (!line.includes('"partition-role"') || !line.includes('"role":"leader"')) continue
      const { topicId, partition, leaderEpoch } = JSON.parse(line) as Record<string, unknown>
      const key = `${String(topicId)}/${String(partition)} epoch ${String(leaderEpoch)}`
      leaders.set(key, (leaders.get(key) ?? new Set()).add(id))
    }
  }
  return leaders
}

describe('three real brokers and their network', () => {
  const scratch = makeDirectory('cuts')
  afterAll(() => removeDirectory(scratch))

  it('JEP-17: each pair cut, and each direction by itself, under load -> nothing acknowledged is lost, one leader per epoch', async () => {
    const cluster = await ChaosCluster.create({
      dataDir: join(scratch, 'data'),
      brokers: 3,
      settings: SETTINGS,
    })
    const never = new AbortController().signal
    const startMs = performance.now()
    const recorder = new HistoryRecorder()
    const nowMs = (): number => performance.now() - startMs
    const wait = { topic: TOPIC, timeoutMs: STEP_TIMEOUT_MS, signal: never }
    try {
      cluster.startAll()
      await cluster.whenReady(STEP_TIMEOUT_MS, never)
      const client = createClient({ bootstrap: cluster.bootstrap })
      await client.admin.createTopic({ name: TOPIC, partitions: PARTITIONS, replicationFactor: 3 })
      const workload = new ChaosWorkload({
        ...{ bootstrap: cluster.bootstrap, topic: TOPIC, partitions: PARTITIONS },
        ...{ producers: 2, consumers: 1, seed: SEED, recorder, nowMs, signal: never },
        clock: createNodeEnvironment(silentLog).clock,
      })
      const probe = new RecordedProducer({
        ...{ client, recorder, nowMs, nextProcess: () => recorder.newProcess() },
        codec: paddedCodec(seededRandom(SEED), 1),
        producer: { deliveryTimeoutMs: STEP_TIMEOUT_MS },
      })
      for (const [number, cut] of CUTS.entries()) {
        const heal = cluster.network.disturb({ cut })
        // Whoever was cut off has to be replaced or left out while the cut lasts: clients reach all three.
        for (const key of workload.keys) {
          const { type, error } = await probe.send(key, `probe-${number}`)
          expect({ cut, key, type, error }).toMatchObject({ type: 'ok' })
        }
        heal()
        expect({ cut, missing: await whenInSync({ ...wait, client }) }).toEqual({ cut, missing: [] })
      }
      await probe.close()
      await workload.stopProducing()
      expect(await whenEqual({ ...wait, client, nodes: cluster.nodes })).toEqual([])
      await workload.stopConsuming()
      const behind = (await workload.readAll(STEP_TIMEOUT_MS)).flatMap((drained) => [...drained.behind])
      expect(behind).toEqual([])
      expect(workload.failures).toEqual([])
      await client.close()
      await cluster.stopAll()
    } finally {
      await cluster.close()
    }
    expect(cluster.unexpectedEnds).toEqual([])

    const { findings, statistics } = checkHistory(recorder.events, { allowed: ['duplicate'] })
    expect(findings.filter(({ isAllowed }) => !isAllowed)).toEqual([])
    expect(statistics.acknowledged).toBeGreaterThan(CUTS.length * PARTITIONS)
    expect(statistics.unread).toBe(0)
    const leaders = leadersByEpoch(cluster.nodes)
    expect([...leaders].filter(([, ids]) => ids.size > 1)).toEqual([])
    // Each cut of a leader from the controller moves its partitions: without that, the test would show nothing.
    expect(leaders.size).toBeGreaterThan(PARTITIONS)
  }, 600_000)
})
