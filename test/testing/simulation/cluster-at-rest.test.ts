import { beforeEach, describe, expect, it } from 'vitest'
import { type AtRestOptions, ClusterAtRest } from '../../../src/testing/simulation/cluster-at-rest.ts'
import type { SimulatedCluster } from '../../../src/testing/simulation/simulated-cluster.ts'
import { batchOf, record, utf8 } from '../../record/batches.ts'
import {
  batch,
  clusterImage,
  type FakeNode,
  ReplicaFiles,
  SoundCluster,
  violationOf,
} from './invariants/fixtures.ts'

let sound: SoundCluster
let nodes: readonly [FakeNode, FakeNode, FakeNode]
let down: Set<number>
let notReady: Set<number>

beforeEach(async () => {
  sound = await SoundCluster.create()
  nodes = sound.nodes
  for (const node of nodes) node.image = sound.image
  down = new Set()
  notReady = new Set()
})

/** The cluster as the simulator has it, of nodes made by hand. */
function atRest(options: Partial<AtRestOptions> = {}): ClusterAtRest {
  const cluster = {
    get nodes(): readonly object[] {
      return nodes.map(({ id }) => ({
        id,
        name: `node-${id}`,
        run: down.has(id) ? null : {},
        isReady: !down.has(id) && !notReady.has(id),
      }))
    },
    observed: () => nodes.filter(({ id }) => !down.has(id)).map((node) => node.observed()),
    node: (id: number) => ({ disk: { fileSystem: nodes[id - 1]!.files.fileSystem } }),
  }
  return new ClusterAtRest(cluster as unknown as SimulatedCluster, {
    dead: null,
    plan: { topics: [{ name: 'orders', partitions: 1, replicationFactor: 3, configs: {} }] },
    ...options,
  })
}

describe('ClusterAtRest whole and level', () => {
  it('SIM-12: all is well -> whole, level and equal', () => {
    const rest = atRest()
    expect([rest.whyNotWhole(), rest.whyNotLevel(), rest.needsTheDead()]).toEqual([null, null, false])
    expect(violationOf(() => rest.checkEqual())).toBe(null)
  })

  it('SIM-12: a node is down or not ready -> says which; the dead one is not missed', () => {
    notReady.add(3)
    expect(atRest().whyNotWhole()).toBe('node-3 is not ready')
    down.add(3)
    expect(atRest().whyNotWhole()).toBe('node-3 is down')
    sound.setImage({ partition: { isr: [1, 2] } })
    expect(atRest({ dead: 3 }).whyNotWhole()).toBe(null)
    expect(atRest({ dead: 3 }).whyNotLevel()).toBe(null)
  })

  it('SIM-12: no active controller, no topic, no leader, a small ISR -> says so', () => {
    sound.setImage({ partition: { leader: null } })
    expect(atRest().whyNotWhole()).toBe('orders/0 has no leader (ISR 1,2,3, ELR )')
    sound.setImage({ partition: { isr: [1, 3] } })
    expect(atRest().whyNotWhole()).toBe('orders/0 has the ISR 1,3 of 1,2,3')
    const plan = { topics: [{ name: 'bills', partitions: 1, replicationFactor: 3, configs: {} }] }
    expect(atRest({ plan }).whyNotWhole()).toBe('topic bills is not there yet')
    nodes[0].controller!.isLeader = false
    expect(atRest().whyNotWhole()).toBe('there is no active controller')
  })

  it('SIM-12: a broker is behind with metadata -> says which', () => {
    nodes[1].image = clusterImage({ metadataOffset: 29 })
    expect(atRest().whyNotLevel()).toBe('broker 2 has applied metadata to 29 of 30')
  })

  it('SIM-12: a replica is behind, in any of its ends -> says where all are', () => {
    const changes = [
      () => (nodes[2].replica!.highWatermark = 20),
      () => (nodes[2].replica!.log.flushedOffset = 20),
      () => (nodes[2].replica!.log.logEndOffset = 20),
    ]
    for (const change of changes) {
      nodes[2].replica!.reach(30)
      expect(atRest().whyNotLevel()).toBe(null)
      change()
      expect(atRest().whyNotLevel()).toMatch(/node 1 ends at 30.*node 3 ends at .*20/)
    }
  })
})

describe('ClusterAtRest the dead', () => {
  it('SIM-13: a partition has nobody but the dead in its ISR -> needs it, until it is revived', () => {
    down.add(3)
    sound.setImage({ partition: { leader: null, isr: [3] } })
    const rest = atRest({ dead: 3 })
    expect([rest.dead, rest.needsTheDead()]).toEqual([3, true])
    rest.reviveTheDead()
    expect([rest.dead, rest.needsTheDead()]).toEqual([null, false])
  })

  it('SIM-13: others could lead, or nobody is dead -> does not need it', () => {
    sound.setImage({ partition: { leader: null, isr: [2, 3] } })
    expect(atRest({ dead: 3 }).needsTheDead()).toBe(false)
    sound.setImage({ metadataOffset: 32, partition: { leader: null, isr: [3] } })
    expect(atRest().needsTheDead()).toBe(false)
    expect(atRest({ dead: 2 }).needsTheDead()).toBe(false)
  })
})

describe('ClusterAtRest what is stored', () => {
  it('SIM-14: one replica holds another batch, one fewer or one more -> violation', async () => {
    const [a, b, c] = [0, 10, 20].map((baseOffset) => batch({ baseOffset })) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    const others: readonly (readonly Uint8Array[])[] = [
      [a, batch({ baseOffset: 10, text: 'another' }), c],
      [a, b],
      [a, b, batch({ baseOffset: 20, leaderEpoch: 2 })],
      [a, b, batch({ baseOffset: 20, records: 4 }), batch({ baseOffset: 24, records: 6 })],
    ]
    for (const batches of others) {
      nodes[1].files = new ReplicaFiles()
      await nodes[1].files.append(...batches)
      expect(violationOf(() => atRest().checkEqual())).toBe('SIM-14')
    }
    nodes[1].files = new ReplicaFiles()
    await nodes[1].files.append(a, b, c)
    expect(violationOf(() => atRest().checkEqual())).toBe(null)
    // What stands behind the log end is no part of the log.
    await nodes[1].files.append(batch({ baseOffset: 30 }))
    expect(violationOf(() => atRest().checkEqual())).toBe(null)
  })

  it('SIM-14: one replica is just removing old records -> what is left is compared', async () => {
    nodes[1].files = new ReplicaFiles()
    nodes[1].files.roll(10)
    await nodes[1].files.append(batch({ baseOffset: 10 }), batch({ baseOffset: 20 }))
    expect(violationOf(() => atRest().checkEqual())).toBe('SIM-14')
    nodes[1].replica!.log.trimmingTo = 10
    expect(violationOf(() => atRest().checkEqual())).toBe(null)
  })

  it('JEP-21: a topic is missing or came back -> violation; of an unknown outcome -> either', () => {
    const check = (name: string, state: 'there' | 'gone' | 'unknown'): string | null =>
      violationOf(() => atRest().checkTopics(new Map([[name, state]])))
    expect([check('orders', 'there'), check('orders', 'gone'), check('orders', 'unknown')]).toEqual([
      ...[null, 'JEP-21', null],
    ])
    expect([check('bills', 'there'), check('bills', 'gone'), check('bills', 'unknown')]).toEqual([
      ...['JEP-21', null, null],
    ])
    expect(violationOf(() => atRest().checkTopics(new Map()))).toBe(null)
  })

  it('GROWTH: fewer partitions than somebody was told -> violation', () => {
    const check = (name: string, count: number): string | null =>
      violationOf(() => atRest().checkPartitions(new Map([[name, count]])))
    expect([check('orders', 1), check('orders', 2), check('bills', 1)]).toEqual([null, 'GROWTH', 'GROWTH'])
  })

  it('SIM-14: compacted logs -> may lack records that have a later one of their key, and must have the latest', async () => {
    const keyed = (baseOffset: number, key: string, value: string): Uint8Array =>
      batchOf([{ ...record(value), key: utf8(key) }], { baseOffset, leaderEpoch: 1 })
    const logs: readonly (readonly Uint8Array[])[] = [
      [keyed(0, 'a', '1'), keyed(1, 'b', '1'), keyed(2, 'a', '2')],
      [keyed(1, 'b', '1'), keyed(2, 'a', '2')],
      [keyed(0, 'a', '1'), keyed(2, 'a', '2')],
    ]
    for (const [i, batches] of logs.entries()) {
      nodes[i]!.files = new ReplicaFiles()
      await nodes[i]!.files.append(...batches)
      nodes[i]!.replica!.reach(3)
    }
    down.add(3)
    expect(violationOf(() => atRest().checkEqual())).toBe('SIM-14')
    nodes[1].replica!.log.compaction.compactedBelow = 2
    expect(violationOf(() => atRest().checkEqual())).toBe(null)
    expect(violationOf(() => atRest().checkLatest())).toBe(null)
    down.delete(3)
    expect(violationOf(() => atRest().checkLatest())).toBe('SIM-14')
  })
})
