import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClusterImage, isEligible, votersOf } from '../../src/metadata/cluster-image.ts'
import { minIsrOf } from '../../src/metadata/eligible-replicas.ts'
import { deltaFor } from '../../src/metadata/image-delta.ts'
import { partitionsOf } from '../../src/metadata/partition-change.ts'
import { addingReplicas } from '../../src/metadata/reassignment.ts'
import { topicConfigOf } from '../../src/metadata/topic-configs.ts'
import { type PartitionKey, partitionKey } from '../../src/model/ids.ts'
import { violations } from './cluster-fixture.ts'
import { type Command, commands, obey, startingImage } from './random-cluster.ts'

const runs = { numRuns: 300, seed: 20_240 }

function hosts(image: ClusterImage, brokerId: number): boolean {
  return [...partitionsOf(image)].some(({ partition }) => partition.replicas.includes(brokerId))
}

function walk(list: readonly Command[]): readonly ClusterImage[] {
  const images = [startingImage()]
  for (const command of list) images.push(obey(images.at(-1)!, command))
  return images
}

function epochs(image: ClusterImage): ReadonlyMap<string, readonly number[]> {
  const found = new Map<string, readonly number[]>()
  for (const { topic, partition } of partitionsOf(image)) {
    const { leaderEpoch, partitionEpoch } = partition
    found.set(partitionKey(topic.topicId, partition.partition), [leaderEpoch, partitionEpoch])
  }
  for (const { brokerId, brokerEpoch } of image.brokers.values())
    found.set(`broker ${brokerId}`, [brokerEpoch])
  return found
}

describe('any sequence of commands', () => {
  it('INV-3, INV-11, INV-12: every image obeys the rules of leaders and ISRs', () => {
    fc.assert(
      fc.property(commands, (list) => {
        for (const image of walk(list)) expect(violations(image)).toEqual([])
      }),
      runs,
    )
  })

  it('every replica is on a registered broker, and no new one on a broker that was cordoned', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const images = walk(list)
        for (const [i, image] of images.entries()) {
          const before = images[i - 1]
          for (const { topic, partition } of partitionsOf(image)) {
            const { replicas } = partition
            expect(replicas.filter((id) => !image.brokers.has(id))).toEqual([])
            const had = before?.topics.get(topic.topicId)?.partitions[partition.partition]?.replicas ?? []
            const isNew = (id: number): boolean => before !== undefined && !had.includes(id)
            expect(replicas.filter((id) => isNew(id) && before?.brokers.get(id)?.cordoned !== false)).toEqual(
              [],
            )
          }
        }
      }),
      runs,
    )
  })

  it('INV-23: no epoch of a partition or broker goes backwards, and a new leader has a new leader epoch', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const images = walk(list)
        for (const [i, image] of images.entries()) {
          if (i === 0) continue
          const before = epochs(images[i - 1]!)
          for (const [what, now] of epochs(image)) {
            const past = before.get(what) ?? now
            expect(now.every((epoch, j) => epoch >= past[j]!)).toBe(true)
          }
          for (const { before: old, after } of deltaFor(0, images[i - 1]!, image).changed) {
            if (old === null) continue
            expect(after.partitionEpoch).toBe(old.partitionEpoch + 1)
            const moves = after.replicas !== old.replicas
            if (after.leader !== old.leader || moves) expect(after.leaderEpoch).toBe(old.leaderEpoch + 1)
          }
        }
      }),
      runs,
    )
  })

  it('nobody becomes eligible except by a proposal of the leader: whoever is elected was in the ISR or the ELR', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const images = walk(list)
        for (const [i, command] of list.entries()) {
          if (command.type === 'alter') continue
          for (const { topic, before, after } of deltaFor(0, images[i]!, images[i + 1]!).changed) {
            if (before === null || topicConfigOf(topic.configs).uncleanLeaderElection) continue
            const eligible = [...after.isr, ...after.elr]
            expect(eligible.every((brokerId) => isEligible(before, brokerId))).toBe(true)
            const elected = after.leader !== before.leader && !before.isr.includes(after.leader ?? -1)
            if (elected && after.leader !== null) expect(after.isr).toEqual([after.leader])
          }
        }
      }),
      runs,
    )
  })

  it('REP-37: a move ends with all of its target in the ISR, or where it began, and the others never go before', () => {
    const ends = { completed: 0, cancelled: 0 }
    fc.assert(
      fc.property(commands, (list) => {
        const images = walk(list)
        for (let i = 1; i < images.length; i++) {
          for (const { topic, before, after } of deltaFor(0, images[i - 1]!, images[i]!).changed) {
            if (before === null || before.replicas === after.replicas) continue
            const gone = before.replicas.filter((id) => !after.replicas.includes(id))
            if (gone.length === 0) continue
            expect(after.reassignment).toBe(null)
            if (after.replicas === before.reassignment?.original) {
              ends.cancelled++
              expect(gone.every((id) => addingReplicas(before).includes(id))).toBe(true)
              expect(after.isr.length + after.elr.length).toBeGreaterThan(0)
              expect(after.isr.length).toBeGreaterThanOrEqual(
                Math.min(minIsrOf(topic, after), before.isr.length),
              )
            } else {
              ends.completed++
              expect(new Set(after.isr)).toEqual(new Set(votersOf(after)))
              expect(after.isr.length).toBeGreaterThanOrEqual(minIsrOf(topic, after))
            }
          }
        }
      }),
      runs,
    )
    expect(Math.min(ends.completed, ends.cancelled), JSON.stringify(ends)).toBeGreaterThan(20)
  })

  it('the random commands reach the states that matter', () => {
    const seen = {
      leaderless: 0,
      emptyIsr: 0,
      shrunk: 0,
      stopping: 0,
      fenced: 0,
      eligible: 0,
      lost: 0,
      unsynced: 0,
      cut: 0,
      observed: 0,
      moving: 0,
      addedInSync: 0,
      cordoned: 0,
      cordonedHosting: 0,
      unregistered: 0,
    }
    for (const list of fc.sample(commands, { numRuns: 800, seed: 42 })) {
      for (const image of walk(list)) {
        for (const { partition } of partitionsOf(image)) {
          if (partition.droppedTails.length > 0) seen.cut++
          if (partition.leader === null) seen.leaderless++
          if (partition.isr.length === 0) seen.emptyIsr++
          if (partition.isr.length < partition.replicas.length) seen.shrunk++
          if (partition.elr.length > 0) seen.eligible++
          if (partition.isr.length + partition.elr.length === 0) seen.lost++
          if (!partition.synced) seen.unsynced++
          if (partition.observers.length > 0) seen.observed++
          if (partition.reassignment !== null) seen.moving++
          if (addingReplicas(partition).some((id) => partition.isr.includes(id))) seen.addedInSync++
        }
        for (const broker of image.brokers.values()) {
          if (broker.shuttingDown) seen.stopping++
          if (broker.fenced) seen.fenced++
          if (broker.cordoned) seen.cordoned++
          if (broker.cordoned && hosts(image, broker.brokerId)) seen.cordonedHosting++
        }
        if (image.brokers.size < 4) seen.unregistered++
      }
    }
    expect(Object.entries(seen).filter(([, times]) => times <= 50)).toEqual([])
  })
})

/** What a broker makes of deltas: its role and epochs in each partition it hosts, and its hints for clients. */
class ReplicaModel {
  readonly replicas = new Map<PartitionKey, string>()
  readonly hints = new Map<PartitionKey, string>()

  apply(brokerId: number, before: ClusterImage, after: ClusterImage): void {
    const delta = deltaFor(brokerId, before, after)
    for (const topic of delta.deletedTopics) {
      for (const { partition } of topic.partitions) {
        this.replicas.delete(partitionKey(topic.topicId, partition))
        this.hints.delete(partitionKey(topic.topicId, partition))
      }
    }
    for (const role of ['lead', 'follow'] as const) {
      for (const { topic, after: state } of delta[role]) {
        const { leaderEpoch, partitionEpoch, isr, elr } = state
        const shown = `${role} ${leaderEpoch}/${partitionEpoch} ${isr.join(',')} ${elr.join(',')}`
        this.replicas.set(partitionKey(topic.topicId, state.partition), shown)
      }
    }
    for (const { topic, before: state } of delta.stop) {
      this.replicas.delete(partitionKey(topic.topicId, state.partition))
    }
    for (const { topic, after: state } of delta.changed) {
      this.hints.set(partitionKey(topic.topicId, state.partition), `${state.leader} ${state.leaderEpoch}`)
    }
  }
}

describe('the delta for a broker', () => {
  it('REP-42: batches applied one by one or merged in any way end in the same state', () => {
    fc.assert(
      fc.property(commands, fc.array(fc.nat(120)), (list, cuts) => {
        const images = walk(list)
        const oneByOne = new ReplicaModel()
        const merged = new ReplicaModel()
        for (let i = 1; i < images.length; i++) oneByOne.apply(1, images[i - 1]!, images[i]!)
        const stops = [...new Set([...cuts.filter((cut) => cut < images.length), images.length - 1])]
        stops.sort((a, b) => a - b)
        let from = 0
        for (const to of stops) {
          merged.apply(1, images[from]!, images[to]!)
          from = to
        }
        expect(merged).toEqual(oneByOne)
      }),
      runs,
    )
  })

  it('equal images have no delta', () => {
    const image = startingImage()
    expect(deltaFor(1, image, image)).toEqual({
      lead: [],
      follow: [],
      stop: [],
      deletedTopics: [],
      changed: [],
      configured: [],
      brokers: [],
    })
  })

  it('every partition is in at most one of lead, follow and stop, and in changed', () => {
    fc.assert(
      fc.property(commands, fc.constantFrom(1, 2, 3, 4), (list, brokerId) => {
        const images = walk(list)
        const { lead, follow, stop, changed } = deltaFor(brokerId, images[0]!, images.at(-1)!)
        const mine = [...lead, ...follow].map(({ topic, after }) =>
          partitionKey(topic.topicId, after.partition),
        )
        mine.push(...stop.map(({ topic, before }) => partitionKey(topic.topicId, before.partition)))
        const all = changed.map(({ topic, after }) => partitionKey(topic.topicId, after.partition))
        expect(new Set(mine).size).toBe(mine.length)
        expect(mine.every((key) => all.includes(key))).toBe(true)
        for (const { after } of lead) expect(after.leader).toBe(brokerId)
        for (const { after } of follow) expect(after.replicas).toContain(brokerId)
      }),
      { numRuns: 100, seed: 20_241 },
    )
  })
})
