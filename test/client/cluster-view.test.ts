import { beforeEach, describe, expect, it } from 'vitest'
import { ClusterView, leaderOf } from '../../src/client/cluster-view.ts'
import { UNKNOWN_TOPIC_WAIT_MS, unknownTopicError } from '../../src/client/unknown-topic.ts'
import type { ErrorName } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import type { ResponseOf } from '../../src/protocol/api.ts'
import type { clusterMetadata } from '../../src/protocol/cluster-metadata.ts'
import { wireError } from '../../src/protocol/error-schema.ts'

type Answer = ResponseOf<typeof clusterMetadata>

const CLUSTER = 'AAAAAAAAAAAAAAAAAAAAAA'
const ID = 'topic00000000000000001'

/** Leaders and epochs of the partitions of one topic, in order. */
function topicOf(
  leaders: readonly (readonly [number | null, number])[],
  topicId = ID,
): Answer['topics'][number] {
  const partitions = leaders.map(([leader, leaderEpoch], partition) => {
    return {
      partition,
      leader,
      leaderEpoch,
      partitionEpoch: 0,
      replicas: [1, 2],
      isr: [1, 2],
      elr: [],
      lastKnownElr: [],
      cutOff: [],
      observers: [],
    }
  })
  return { error: null, name: 'orders', topicId, configs: [], partitions }
}

function answerOf(
  metadataOffset: number,
  topics: Answer['topics'],
  brokers: readonly number[] = [1, 2],
): Answer {
  return {
    clusterId: CLUSTER,
    metadataOffset,
    controllerId: 1,
    brokers: brokers.map((brokerId) => ({
      brokerId,
      url: `ws://b${brokerId}:1`,
      fenced: false,
      isController: false,
      rack: null,
      cordoned: false,
    })),
    topics,
  }
}

const unknown = (error: ErrorName = 'UNKNOWN_TOPIC_OR_PARTITION'): Answer['topics'][number] => {
  return { error: wireError(error), name: 'orders', topicId: null, configs: [], partitions: [] }
}

describe('cluster view', () => {
  let view: ClusterView
  const apply = (answer: Answer, nowMs = 0): boolean => view.applyAnswer(answer, nowMs, () => true)
  const leaders = (): readonly unknown[] =>
    view.topic('orders')?.partitions.map(({ leader, leaderEpoch }) => [leader, leaderEpoch]) ?? []

  beforeEach(() => {
    view = new ClusterView()
  })

  it('an answer: brokers, topics, the configs that matter', () => {
    apply(
      answerOf(5, [
        {
          ...topicOf([
            [1, 0],
            [null, 3],
          ]),
          configs: [{ name: 'max.message.bytes', value: '500' }],
        },
      ]),
      7,
    )
    const topic = view.topic('orders')!
    expect([view.clusterId, view.controllerId, view.broker(2)?.url]).toEqual([CLUSTER, 1, 'ws://b2:1'])
    expect([topic.available, topic.maxMessageBytes, topic.refreshedAtMs]).toEqual([[0], 500, 7])
    expect(leaderOf(view, topic, 0)?.brokerId).toBe(1)
    expect([leaderOf(view, topic, 1), leaderOf(view, topic, 9)]).toEqual([null, null])
  })

  it.each([undefined, 'many', '-1', '0', '1.5'])('max.message.bytes %j: the default', (value) => {
    const configs = value === undefined ? [] : [{ name: 'max.message.bytes', value }]
    apply(answerOf(5, [{ ...topicOf([[1, 0]]), configs }]))
    expect(view.topic('orders')!.maxMessageBytes).toBe(1_048_588)
  })

  it('an answer of a lower metadata offset: ignored for what is known newer, brokers included', () => {
    apply(answerOf(9, [topicOf([[2, 4]])], [1, 2, 3]))
    apply(answerOf(8, [topicOf([[1, 3]])], [1]))
    apply(answerOf(8, [unknown()], [1]))
    expect([leaders(), view.brokers().length, view.unknownTopic('orders')]).toEqual([[[2, 4]], 3, null])
    apply(answerOf(9, [topicOf([[1, 5]])]))
    expect(leaders()).toEqual([[1, 5]])
  })

  it('an answer of a lower offset: taken for a topic that is not known otherwise', () => {
    apply(answerOf(9, []))
    apply(answerOf(8, [topicOf([[1, 3]])]))
    expect(leaders()).toEqual([[1, 3]])
  })

  it('a hint: the higher leader epoch wins, whatever the metadata offsets', () => {
    apply(
      answerOf(9, [
        topicOf([
          [1, 3],
          [2, 3],
        ]),
      ]),
    )
    const hint = (
      partition: number,
      leader: number | null,
      leaderEpoch: number,
      topicId = ID,
    ): readonly string[] => [
      ...view.applyHint({ metadataOffset: 5, partitions: [{ topicId, partition, leader, leaderEpoch }] }),
    ]
    expect(hint(0, 2, 4)).toEqual(['orders'])
    expect(leaders()).toEqual([
      [2, 4],
      [2, 3],
    ])
    const told = (partition: number, topicId: string = ID) =>
      view.tellsOfMore({ metadataOffset: 5, partitions: [{ topicId, partition, leader: 1, leaderEpoch: 9 }] })
    expect([told(0), told(7), told(7, 'another')]).toEqual([false, true, false])
    expect([hint(0, 1, 4), hint(0, 1, 3), hint(7, 1, 9), hint(0, 1, 9, 'another')]).toEqual([[], [], [], []])
    expect(leaders()).toEqual([
      [2, 4],
      [2, 3],
    ])
    expect(hint(1, null, 4)).toEqual(['orders'])
    expect(view.topic('orders')!.available).toEqual([0])
  })

  it('an answer after a hint: newer in general, but never back to a lower leader epoch', () => {
    apply(
      answerOf(9, [
        topicOf([
          [1, 3],
          [1, 3],
        ]),
      ]),
    )
    view.applyHint({
      metadataOffset: 12,
      partitions: [{ topicId: ID, partition: 0, leader: 2, leaderEpoch: 4 }],
    })
    apply(
      answerOf(10, [
        topicOf([
          [1, 3],
          [2, 4],
        ]),
      ]),
    )
    expect(leaders()).toEqual([
      [2, 4],
      [2, 4],
    ])
    apply(
      answerOf(13, [
        topicOf([
          [1, 5],
          [2, 4],
        ]),
      ]),
    )
    expect(leaders()).toEqual([
      [1, 5],
      [2, 4],
    ])
  })

  it('a topic that was created again: taken as it is, and hints of the old one mean nothing', () => {
    apply(answerOf(9, [topicOf([[1, 8]])]))
    apply(answerOf(10, [topicOf([[2, 0]], 'topic00000000000000002')]))
    expect(leaders()).toEqual([[2, 0]])
    expect(
      view.applyHint({
        metadataOffset: 11,
        partitions: [{ topicId: ID, partition: 0, leader: 1, leaderEpoch: 9 }],
      }).size,
    ).toBe(0)
  })

  it('an unknown topic: forgotten, with the time of the first such answer in a row', () => {
    apply(answerOf(9, [topicOf([[1, 0]])]))
    apply(answerOf(10, [unknown()]), 100)
    apply(answerOf(11, [unknown()]), 200)
    expect([view.topic('orders'), view.unknownTopic('orders')?.sinceMs]).toEqual([null, 100])
    apply(answerOf(12, [topicOf([[1, 0]])]), 300)
    expect([leaders(), view.unknownTopic('orders')]).toEqual([[[1, 0]], null])
    view.forget('orders')
    expect(view.topic('orders')).toBeNull()
  })

  it('whether anything changed: leaders, epochs, topics that come and go; nothing else', () => {
    const changes = [
      answerOf(9, [topicOf([[1, 0]])]),
      answerOf(10, [topicOf([[1, 0]])], [1, 2, 3]),
      answerOf(11, [topicOf([[2, 1]])]),
      answerOf(10, [topicOf([[1, 5]])]),
      answerOf(12, [unknown()]),
      answerOf(13, [unknown()]),
      answerOf(14, [topicOf([[2, 1]], 'topic00000000000000002')]),
      answerOf(15, [
        topicOf(
          [
            [2, 1],
            [2, 1],
          ],
          'topic00000000000000002',
        ),
      ]),
    ].map((answer) => apply(answer))
    expect(changes).toEqual([true, false, true, false, true, false, true, true])
  })

  it('topics nobody wants: not kept', () => {
    view.applyAnswer(answerOf(9, [topicOf([[1, 0]])]), 0, () => false)
    expect([view.topic('orders'), view.brokers().length]).toEqual([null, 2])
  })

  it('another cluster: refused, nothing changes', () => {
    apply(answerOf(9, [topicOf([[1, 0]])]))
    const other = { ...answerOf(10, [topicOf([[2, 1]])], [7]), clusterId: 'BBBBBBBBBBBBBBBBBBBBBB' }
    expect(() => apply(other)).toThrowError(expect.objectContaining({ code: 'INCONSISTENT_CLUSTER_ID' }))
    expect([leaders(), view.brokers().length]).toEqual([[[1, 0]], 2])
  })

  it.each<[string, Partial<Answer['topics'][number]>]>([
    ['no topic id', { topicId: null }],
    ['no partitions', { partitions: [] }],
    [
      'a gap',
      {
        partitions: [
          topicOf([
            [1, 0],
            [1, 0],
          ]).partitions[1]!,
        ],
      },
    ],
    ['a double', { partitions: [...topicOf([[1, 0]]).partitions, ...topicOf([[1, 0]]).partitions] }],
  ])('a topic with %s: PROTOCOL_VIOLATION, nothing changes', (_name, part) => {
    expect(() => apply(answerOf(9, [{ ...topicOf([[1, 0]]), ...part }]))).toThrowError(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    )
    expect([view.clusterId, view.brokers().length]).toEqual([null, 0])
  })
})

describe('unknown topic', () => {
  it.each<[ErrorName, number, ErrorName | null]>([
    ['UNKNOWN_TOPIC_OR_PARTITION', 999, null],
    ['UNKNOWN_TOPIC_OR_PARTITION', 1_000, 'UNKNOWN_TOPIC_OR_PARTITION'],
    ['INVALID_TOPIC', 0, 'INVALID_TOPIC'],
    ['LEADER_NOT_AVAILABLE', 5_000, null],
  ])('%s for %d ms: %s', (code, nowMs, expected) => {
    const state = {
      unknown: { error: new VltavaError(code), sinceMs: 0 },
      nowMs,
      waitMs: UNKNOWN_TOPIC_WAIT_MS,
    }
    expect(unknownTopicError('orders', state)?.code ?? null).toBe(expected)
  })
})
