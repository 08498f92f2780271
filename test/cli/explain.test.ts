import { describe, expect, it } from 'vitest'
import { lineOf, parseSince, tellStory } from '../../src/cli/explain.ts'
import { startCluster } from '../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../src/testing/test-cluster.ts'

async function until(cluster: TestCluster, condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 4_000; i++) {
    if (await condition().catch(() => false)) return
    await new Promise<void>((resolve) => cluster.clock.setTimer(5, resolve))
  }
  throw new Error('never')
}

describe('vltava explain', () => {
  it('--since -> a duration before now or a time; anything else -> says what to give', () => {
    const nowMs = Date.UTC(2026, 0, 2)
    expect(['90s', '15m', '2h', '1d'].map((text) => nowMs - parseSince(text, nowMs))).toEqual([
      ...[90_000, 900_000, 7_200_000, 86_400_000],
    ])
    expect(parseSince('2026-01-01T00:00:00Z', nowMs)).toBe(Date.UTC(2026, 0, 1))
    for (const wrong of ['', '5', '5 m', '-5m', 'yesterday', '2026-13-45'])
      expect(() => parseSince(wrong, nowMs)).toThrow(/--since/)
  })

  it('a leader is killed and comes back -> who led when, and who saw why', async () => {
    await using cluster = await startCluster({ brokers: 3 })
    const { admin } = cluster.client()
    await admin.createTopic({ name: 'orders', partitions: 2, replicationFactor: 3 })
    const leaderOf = async (): Promise<number | null> =>
      (await admin.describeTopic('orders')).partitions[1]!.leader
    const first = (await leaderOf())!
    await cluster.kill(first)
    await until(cluster, async () => ![null, first].includes(await leaderOf()))
    await cluster.restart(first)
    await until(cluster, async () => (await admin.describeTopic('orders')).partitions[1]!.isr.length === 3)

    const { story, startOffset } = await tellStory(cluster.client(), 'orders', 1)
    expect(startOffset).toBe(1)
    const told = story.events.map(({ what }) => what)
    expect(told[0]).toMatch(
      /^orders\/1 was created with replicas [123, ]+\. Broker \d leads in leader epoch 0\.$/,
    )
    expect(told).toContain(`Broker ${first} was fenced.`)
    expect(told.some((what) => what.includes(`in place of broker ${first}`))).toBe(true)
    expect(told.at(-1)).toContain(`Broker ${first} joined the in-sync set`)
    for (const event of story.events) {
      expect(event.observerId).toBeGreaterThan(0)
      expect(event.observedAtMs).toBeGreaterThan(Date.UTC(2020, 0, 1))
      expect(lineOf(event)).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {2}#\d+ {2}\S.*\(node \d: .+\)$/)
    }

    await expect(tellStory(cluster.client(), 'orders', 2)).rejects.toThrow(/has the partitions 0 to 1, not 2/)
    await expect(tellStory(cluster.client(), 'nothing', 0)).rejects.toThrow(/There is no topic "nothing"/)
    await admin.deleteTopic('orders')
    const after = await tellStory(cluster.client(), 'orders', 1)
    expect(after.story.events.at(-1)?.what).toBe('Topic orders was deleted.')
  }, 60_000)
})
