// One partition, written with acks 0, 1 and all at the same time, and a leader that is replaced without knowing it.
import { describe, expect, it } from 'vitest'
import { VirtualCluster } from './virtual-cluster.ts'
import { lines, VirtualTopic } from './virtual-topic.ts'

describe('REP-36: records of different acks in one partition', () => {
  it.each([1, 2, 3])(
    'REP-36: the leader is replaced while it goes on to take acks 0 and 1 (seed %i) -> only those are lost, and they are counted',
    async (seed) => {
      const virtual = new VirtualCluster({ seed, nodes: 3 })
      const { nodes } = virtual.cluster
      for (const node of nodes) node.start()
      await virtual.untilAllReady()
      const topic = await VirtualTopic.create(virtual, { name: 'mixed' })
      await topic.untilFull()
      const acksOf = [0, 1, 'all'] as const
      // One for each: a client that was not answered looks for another leader, and is slow to come back to this one.
      const writers = acksOf.map((acks) => virtual.cluster.client({ name: `writer-${acks}` }))
      /** In turns, so that records of each kind lie between those of the others. @returns what was acknowledged, by acks */
      const write = async (what: string, rounds: number): Promise<Record<string, string[]>> => {
        const acknowledged: Record<string, string[]> = { 0: [], 1: [], all: [] }
        for (let round = 0; round < rounds; round++) {
          for (const [i, acks] of acksOf.entries()) {
            const sent = await topic.send([`${what} ${acks} ${round}`], {
              client: writers[i]!.client,
              acks,
              requestTimeoutMs: acks === 'all' ? 300 : 1_000,
              deliveryTimeoutMs: acks === 'all' ? 600 : 15_000,
            })
            acknowledged[acks]!.push(...sent.acknowledged)
          }
        }
        return acknowledged
      }
      const before = await write('before', 4)
      const expected = lines('before all', 4)
      expect(before).toEqual({
        0: lines('before 0', 4),
        1: lines('before 1', 4),
        all: expected,
      })

      const [old] = topic.leaders
      const others = nodes.filter((node) => node !== old)
      // The writers reach only the old leader, and the old leader nobody.
      virtual.network.partition([[old!.name], others.map((node) => node.name)])
      virtual.network.partition([writers.map(({ name }) => name), others.map((node) => node.name)])
      const during = await write('during', 3)
      expect(during['1']).toEqual(lines('during 1', 3))
      expect(during['all']).toEqual([])
      await virtual.until(() => topic.leaders.some((node) => node !== old))

      const after = await topic.send(lines('after', 5))
      expect(after.acknowledged).toEqual(lines('after', 5))
      const lateEnd = topic.replicaOn(old!)!.log.logEndOffset
      expect(lateEnd).toBeGreaterThanOrEqual(12 + 3)
      virtual.network.heal()
      await topic.untilFull()
      const kept = await topic.readAll()
      // All of acks=all, in order and once.
      expect(kept.filter((value) => / all |after/.test(value))).toEqual([...expected, ...lines('after', 5)])
      // What was lost had acks 0 or 1, or no acknowledgement, and was written by a leader that stood alone.
      expect(kept.filter((value) => value.startsWith('during'))).toEqual([])
      expect(kept).toHaveLength(17)
      const counted = nodes.map(({ server }) => server!.broker!.counters.topic(topic.id).truncatedRecords)
      expect(counted).toEqual(nodes.map((node) => (node === old ? lateEnd - 12 : 0)))
      expect(virtual.failures).toEqual([])
    },
  )
})
