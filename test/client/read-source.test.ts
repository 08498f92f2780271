import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { ClusterView } from '../../src/client/cluster-view.ts'
import { planFetches } from '../../src/client/fetch-plan.ts'
import { type ReadFrom, readSourceOf } from '../../src/client/read-source.ts'
import { PartitionState } from '../../src/client/subscription-state.ts'

interface Known {
  readonly leader: number | null
  readonly replicas: readonly number[]
  readonly isr: readonly number[]
  readonly observers?: readonly number[]
  readonly fenced?: readonly number[]
  readonly unknown?: readonly number[]
}

/** Led by 1; 2 and 3 are in sync, 4 is not, 5 observes. */
const USUAL: Known = { leader: 1, replicas: [1, 2, 3, 4, 5], isr: [1, 2, 3], observers: [5] }

function contextOf(known: Known, readFrom: ReadFrom, seed = 1) {
  const { leader, replicas, isr, observers = [], fenced = [], unknown = [] } = known
  const view = new ClusterView()
  const partition = { partition: 0, leader, leaderEpoch: 5, partitionEpoch: 0, replicas, isr, observers }
  const answer = {
    ...{ clusterId: 'AAAAAAAAAAAAAAAAAAAAAA', metadataOffset: 1, controllerId: null },
    brokers: [1, 2, 3, 4, 5]
      .filter((brokerId) => !unknown.includes(brokerId))
      .map((brokerId) => ({
        ...{ brokerId, url: `ws://b${brokerId}:1`, isController: false, rack: null, cordoned: false },
        fenced: fenced.includes(brokerId),
      })),
    topics: [
      {
        ...{ error: null, name: 'orders', topicId: 'topic00000000000000001', configs: [] },
        partitions: [{ ...partition, elr: [], lastKnownElr: [], cutOff: [] }],
      },
    ],
  }
  view.applyAnswer(answer, 0, () => true)
  return { view, topic: view.topic('orders')!, nowMs: 100, readFrom, random: seededRandom(seed) }
}

const sourceOf = (known: Known, readFrom: ReadFrom, state = new PartitionState(0, 0)): number | null =>
  readSourceOf(state, contextOf(known, readFrom))?.brokerId ?? null

/** All that chance chooses. */
const sourcesOf = (known: Known, state = () => new PartitionState(0, 0)): readonly number[] => {
  const found = new Set<number>()
  for (let seed = 1; seed <= 50; seed++)
    found.add(readSourceOf(state(), contextOf(known, 'any', seed))!.brokerId)
  return [...found].toSorted((a, b) => a - b)
}

describe('the replica that a consumer reads from', () => {
  it('REP-34: any -> those in sync and observers, not the leader, and none that is fenced or unknown', () => {
    expect(sourcesOf(USUAL)).toEqual([2, 3, 5])
    expect(sourcesOf({ ...USUAL, fenced: [2], unknown: [5] })).toEqual([3])
    expect(sourcesOf({ ...USUAL, isr: [1], observers: [] })).toEqual([1])
    expect(sourcesOf({ ...USUAL, leader: 2 })).toEqual([1, 3, 5])
  })

  it.each<[ReadFrom, number | null]>([
    ['leader', 1],
    [1, 1],
    [2, 2],
    [5, 5],
    [4, 1],
    [9, 1],
  ])('REP-34: %s -> broker %s: one that is not in sync is not read from', (readFrom, expected) => {
    expect(sourceOf(USUAL, readFrom)).toBe(expected)
  })

  it.each<ReadFrom>(['leader', 'any', 2])('without a leader: %s -> nobody', (readFrom) => {
    expect(sourceOf({ ...USUAL, leader: null }, readFrom)).toBeNull()
    expect(sourceOf({ ...USUAL, unknown: [1] }, readFrom)).toBeNull()
  })

  it('any -> the same one from then on, until it is not in sync any more', () => {
    const state = new PartitionState(0, 0)
    const first = readSourceOf(state, contextOf(USUAL, 'any', 7))!.brokerId
    for (let seed = 1; seed <= 20; seed++)
      expect(readSourceOf(state, contextOf(USUAL, 'any', seed))!.brokerId).toBe(first)
    const gone = { ...USUAL, isr: USUAL.isr.filter((id) => id !== first), observers: [] }
    expect(readSourceOf(state, contextOf(gone, 'any'))!.brokerId).not.toBe(first)
  })

  it('one that has failed -> the leader for a while, then another, and the same again where there is no other', () => {
    const failed = (leaderUntilMs: number) => () =>
      Object.assign(new PartitionState(0, 0), { leaderUntilMs, failedReplicaId: 2 })
    expect(sourcesOf(USUAL, failed(101))).toEqual([1])
    expect(sourcesOf(USUAL, failed(100))).toEqual([3, 5])
    expect(sourcesOf({ ...USUAL, isr: [1, 2], observers: [] }, failed(100))).toEqual([2])
    expect(sourceOf(USUAL, 2, failed(101)())).toBe(1)
    expect(sourceOf(USUAL, 2, failed(100)())).toBe(2)
  })
})

describe('the plan of fetches from replicas', () => {
  it.each<[string, ReadFrom, Known, boolean]>([
    ['the leader is wanted', 'leader', { ...USUAL, isr: [1], observers: [] }, false],
    ['one is in sync', 'any', USUAL, false],
    ['none is in sync', 'any', { ...USUAL, isr: [1], observers: [] }, true],
    ['there is none', 'any', { ...USUAL, replicas: [1], isr: [1], observers: [] }, false],
    ['the wanted one is not in sync', 4, USUAL, true],
    ['the wanted one is in sync', 2, USUAL, false],
    ['the wanted one is no replica', 9, USUAL, false],
    ['the wanted one leads', 1, USUAL, false],
  ])(
    'fresh metadata may know of a replica: %s -> asked for once in a while',
    (_name, readFrom, known, expected) => {
      const state = new PartitionState(0, 7)
      const lacks = (nowMs: number): boolean => {
        state.underWay = null
        return planFetches([state], { ...contextOf(known, readFrom), nowMs }).lacksReplica
      }
      expect([lacks(100), lacks(101), lacks(4_000), lacks(6_200)]).toEqual([expected, false, false, expected])
    },
  )

  it('REP-34: where a log starts or ends, only the leader is asked', () => {
    const states = [new PartitionState(0, 'beginning'), new PartitionState(0, 7)]
    const { byBroker, brokersCount } = planFetches(states, contextOf(USUAL, 5))
    expect([...byBroker].map(([id, { locate, fetch }]) => [id, locate.length, fetch.length])).toEqual([
      [1, 1, 0],
      [5, 0, 1],
    ])
    expect(brokersCount).toBe(2)
    expect(states.map(({ brokerId }) => brokerId)).toEqual([1, 5])
  })

  it.each([
    ['it is in sync', USUAL, true],
    ['it is not in sync any more', { ...USUAL, isr: [1, 3] }, false],
    ['it is fenced', { ...USUAL, fenced: [2] }, false],
  ] as const)('a question under way at a replica: %s -> waited for: %s', (_name, known, waits) => {
    const state = new PartitionState(0, 7)
    state.underWay = { brokerId: 2, leaderEpoch: 5, fromReplica: true }
    planFetches([state], contextOf(known, 2))
    expect(state.underWay !== null).toBe(waits)
  })

  it('a question under way at the leader -> waited for, though a replica may be read again', () => {
    const state = new PartitionState(0, 7)
    state.underWay = { brokerId: 1, leaderEpoch: 5, fromReplica: false }
    planFetches([state], contextOf(USUAL, 2))
    expect(state.underWay).not.toBeNull()
  })
})
