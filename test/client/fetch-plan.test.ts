import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { ClusterView } from '../../src/client/cluster-view.ts'
import { fetchBytes, planFetches } from '../../src/client/fetch-plan.ts'
import {
  querySpecOf,
  readsAllPartitions,
  type StartPosition,
  startingPositions,
  startOffsetOf,
} from '../../src/client/start-position.ts'
import { PartitionState } from '../../src/client/subscription-state.ts'

/** A topic whose partitions have these leaders, each in epoch 5; brokers 1 and 2 are known. */
function viewOf(leaders: readonly (number | null)[]): ClusterView {
  const view = new ClusterView()
  view.applyAnswer(
    {
      clusterId: 'AAAAAAAAAAAAAAAAAAAAAA',
      metadataOffset: 1,
      controllerId: null,
      brokers: [1, 2].map((brokerId) => ({
        brokerId,
        url: `ws://b${brokerId}:1`,
        fenced: false,
        isController: false,
        rack: null,
        cordoned: false,
      })),
      topics: [
        {
          error: null,
          name: 'orders',
          topicId: 'topic00000000000000001',
          configs: [],
          partitions: leaders.map((leader, partition) => {
            return {
              partition,
              leader,
              leaderEpoch: 5,
              partitionEpoch: 0,
              replicas: [],
              isr: [],
              elr: [],
              lastKnownElr: [],
              cutOff: [],
              observers: [],
            }
          }),
        },
      ],
    },
    0,
    () => true,
  )
  return view
}

function plan(states: readonly PartitionState[], leaders: readonly (number | null)[], nowMs = 100) {
  const view = viewOf(leaders)
  const { byBroker, leaderless, outdated, ...rest } = planFetches(states, {
    view,
    topic: view.topic('orders')!,
    nowMs,
    readFrom: 'leader',
    random: seededRandom(1),
  })
  return {
    ...rest,
    leaderless: leaderless.map(({ partition }) => partition),
    outdated: outdated.map(({ partition }) => partition),
    byBroker: [...byBroker].map(([id, { locate, fetch }]) => [
      id,
      locate.map(({ partition }) => partition),
      fetch.map(({ partition }) => partition),
    ]),
  }
}

describe('fetch plan', () => {
  it('partitions: grouped by leader; those to be located apart; those without a leader named', () => {
    const states = [0, 1, 2, 3].map((partition) => new PartitionState(partition, partition === 2 ? 'end' : 0))
    expect(plan(states, [1, 2, 1, null])).toEqual({
      byBroker: [
        [1, [2], [0]],
        [2, [], [1]],
      ],
      leaderless: [3],
      outdated: [],
      dueMs: Number.POSITIVE_INFINITY,
      lacksReplica: false,
      brokersCount: 2,
    })
  })

  it('REP-33: a position of a newer epoch than the leader: not asked; located all the same', () => {
    const states = [
      new PartitionState(0, { offset: 7, leaderEpoch: 5 }),
      new PartitionState(1, { offset: 7, leaderEpoch: 6 }),
      new PartitionState(2, 'end'),
    ]
    expect(plan(states, [1, 1, 1])).toMatchObject({ byBroker: [[1, [2], [0]]], outdated: [1] })
  })

  it('a leader that is not among the brokers: as good as none', () => {
    expect(plan([new PartitionState(0, 0)], [9]).leaderless).toEqual([0])
  })

  it('paused, failed, waiting, under way: left alone; located even while paused', () => {
    const states = [0, 1, 2, 3, 4].map(
      (partition) => new PartitionState(partition, partition === 4 ? 'end' : 0),
    )
    states[0]!.isPaused = true
    states[1]!.phase = 'failed'
    Object.assign(states[2]!, { notBeforeMs: 150, triedEpoch: 5 })
    Object.assign(states[3]!, {
      underWay: { brokerId: 1, leaderEpoch: 5, fromReplica: false },
      triedEpoch: 5,
    })
    states[4]!.isPaused = true
    expect(plan(states, [1, 1, 1, 1, 1])).toMatchObject({ byBroker: [[1, [4], []]], dueMs: 150 })
  })

  it('a higher leader epoch: ends the pause, and makes what is under way void', () => {
    const states = [0, 1].map((partition) => new PartitionState(partition, 0))
    Object.assign(states[0]!, { notBeforeMs: 150, triedEpoch: 4 })
    Object.assign(states[1]!, {
      underWay: { brokerId: 2, leaderEpoch: 4, fromReplica: false },
      triedEpoch: 4,
    })
    expect(plan(states, [1, 1]).byBroker).toEqual([[1, [], [0, 1]]])
    expect(states[1]!.underWay).toBeNull()
  })
})

describe('fetch bytes', () => {
  const room = {
    maxBufferedBytes: 1_000,
    takenBytes: 0,
    brokersCount: 1,
    maxBytes: 800,
    maxPartitionBytes: 100,
  }

  it.each([
    ['all is free', {}, 800],
    ['some is taken', { takenBytes: 500 }, 500],
    ['just enough for a partition', { takenBytes: 900 }, 100],
    ['less than that', { takenBytes: 901 }, null],
    ['more than there should be', { takenBytes: 5_000 }, null],
    ['two brokers', { brokersCount: 2 }, 500],
    ['a share below a partition', { brokersCount: 20 }, 50],
    ['a partition above the whole', { maxPartitionBytes: 5_000 }, 800],
    ['a partition above the whole, some taken', { maxPartitionBytes: 5_000, takenBytes: 1 }, null],
  ])('%s', (_name, part, bytes) => {
    expect(fetchBytes({ ...room, ...part })).toBe(bytes)
  })
})

describe('start positions', () => {
  const topic = { name: 'orders', partitionsCount: 3, chosen: null }
  const bounds = { offset: 15, logStartOffset: 10, highWatermark: 20 }

  it.each<[StartPosition, string | null, number]>([
    [7, null, 7],
    [{ offset: 7 }, null, 7],
    [{ offset: 7, leaderEpoch: 2 }, null, 7],
    ['beginning', 'earliest', 15],
    ['end', 'latest', 15],
    [{ last: 3 }, 'latest', 17],
    [{ last: 0 }, 'latest', 20],
    [{ last: 50 }, 'latest', 10],
    [{ timestampMs: 5 }, 'timestamp', 15],
  ])('%j: asks for %s, starts at %d', (position, spec, offset) => {
    expect(querySpecOf(position)?.type ?? null).toBe(spec)
    expect(startOffsetOf(position, bounds)).toBe(offset)
  })

  it('a time after the last record: the end', () => {
    expect(startOffsetOf({ timestampMs: 5 }, { ...bounds, offset: null })).toBe(20)
  })

  it('one for all, a map, chosen partitions', () => {
    const entries = (from: Parameters<typeof startingPositions>[0], chosen: readonly number[] | null) => [
      ...startingPositions(from, { ...topic, chosen }),
    ]
    expect(entries('end', null)).toEqual([
      [0, 'end'],
      [1, 'end'],
      [2, 'end'],
    ])
    expect(entries('end', [2, 1])).toEqual([
      [1, 'end'],
      [2, 'end'],
    ])
    expect(entries({ 2: 5, 0: 'end' }, null)).toEqual([
      [0, 'end'],
      [2, 5],
    ])
    expect(entries(new Map([[1, 5]]), [1])).toEqual([[1, 5]])
  })

  it('all partitions are read where neither option names any', () => {
    const all: readonly StartPosition[] = ['end', 'beginning', 7, { offset: 7, leaderEpoch: 1 }]
    for (const from of [...all, { last: 3 }, { timestampMs: 5 }]) {
      expect([from, readsAllPartitions(from, null), readsAllPartitions(from, [0, 1, 2])]).toEqual([
        from,
        true,
        false,
      ])
    }
    expect(readsAllPartitions({ 0: 'end', 1: 'end', 2: 'end' }, null)).toBe(false)
    expect(readsAllPartitions(new Map([[0, 'end' as const]]), null)).toBe(false)
  })

  it('partitions that are not there, or have no position: refused', () => {
    expect(() => startingPositions('end', { ...topic, chosen: [3] })).toThrowError(/no partition 3; it has 3/)
    expect(() => startingPositions({ 0: 5 }, { ...topic, chosen: [0, 1] })).toThrowError(
      /option "from" has no position for partition 1/,
    )
  })
})
