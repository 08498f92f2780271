import { describe, expect, it } from 'vitest'
import type { Cause, MetadataRecord } from '../../src/metadata/metadata-records.ts'
import { PartitionStory } from '../../src/metadata/partition-story.ts'

const TOPIC = 'AAAAAAAAAAAAAAAAAAAAAA'
const OTHER = 'BBBBBBBBBBBBBBBBBBBBBB'

function cause(kind: Cause['kind'], detail: string): Cause {
  return { kind, observerId: 9, observedAtMs: 1_700_000_000_000, detail }
}

function registered(brokerId: number): MetadataRecord {
  return {
    type: 'broker-registered',
    brokerId,
    brokerEpoch: brokerId,
    incarnationId: OTHER,
    directoryId: OTHER,
    url: `ws://b${brokerId}:1`,
    cause: cause('broker-registered', 'it is new'),
    rack: null,
  }
}

function fencing(brokerId: number, state: { fenced: boolean; shuttingDown?: boolean }): MetadataRecord {
  return {
    type: 'broker-fencing-changed',
    brokerId,
    brokerEpoch: brokerId,
    fenced: state.fenced,
    shuttingDown: state.shuttingDown ?? false,
    cause: cause('heartbeat-missed', `no heartbeat of broker ${brokerId} for 3,012 ms`),
  }
}

const CREATED: readonly MetadataRecord[] = [
  { type: 'topic-created', topicId: TOPIC, name: 'orders', configs: [] },
  {
    type: 'partition-created',
    topicId: TOPIC,
    partition: 0,
    replicas: [1, 2, 3],
    isr: [1, 2, 3],
    leader: 1,
    synced: true,
    observers: [],
    cause: cause('topic-created', 'a client created the topic'),
  },
]

function changed(
  state: {
    isr: readonly number[]
    leader: number | null
    leaderEpoch: number
    elr?: readonly number[]
    synced?: boolean
    observers?: readonly number[]
    replicas?: readonly number[]
    reassignment?: { original: readonly number[]; target: readonly number[] }
  },
  partition = 0,
): MetadataRecord {
  return {
    type: 'partition-changed',
    topicId: TOPIC,
    partition,
    partitionEpoch: 1,
    elr: [],
    lastKnownElr: [],
    synced: true,
    droppedTails: [],
    observers: [],
    replicas: null,
    reassignment: null,
    ...state,
    cause: cause('leader-fenced', 'broker 1 was fenced'),
  }
}

function tell(batches: readonly (readonly MetadataRecord[])[]): readonly string[] {
  const story = new PartitionStory({ topicId: TOPIC, partition: 0 }, null)
  batches.forEach((records, i) => {
    story.batch(i + 1, records)
  })
  return story.events.map(({ metadataOffset, what }) => `${metadataOffset}: ${what}`)
}

describe('PartitionStory', () => {
  it('a life from creation to deletion -> each change as a sentence, with its offset', () => {
    expect(
      tell([
        [registered(1)],
        CREATED,
        [fencing(1, { fenced: true }), changed({ isr: [2, 3], leader: 2, leaderEpoch: 1 })],
        [changed({ isr: [2], leader: 2, leaderEpoch: 1 })],
        [changed({ isr: [2], leader: null, leaderEpoch: 2 })],
        [changed({ isr: [2], leader: 2, leaderEpoch: 3 })],
        [registered(1)],
        [fencing(1, { fenced: false })],
        [changed({ isr: [2, 1, 3], leader: 2, leaderEpoch: 3 })],
        [
          fencing(2, { fenced: false, shuttingDown: true }),
          changed({ isr: [1, 3], leader: 1, leaderEpoch: 4 }),
        ],
        [{ type: 'topic-deleted', topicId: TOPIC }],
      ]),
    ).toEqual([
      '2: orders/0 was created with replicas 1, 2, 3. Broker 1 leads in leader epoch 0.',
      '3: Broker 1 was fenced.',
      '3: Broker 2 leads in leader epoch 1, in place of broker 1. Broker 1 left the in-sync set, which is 2, 3 now.',
      '4: Broker 3 left the in-sync set, which is 2 now.',
      '5: Broker 2 leads no more, and nobody does: the partition waits for 2.',
      '6: Broker 2 leads in leader epoch 3; nobody led before.',
      '7: Broker 1 registered a new run, at ws://b1:1.',
      '8: Broker 1 was unfenced.',
      '9: Brokers 1, 3 joined the in-sync set, which is 2, 1, 3 now.',
      '10: Broker 2 asked for leave to stop.',
      '10: Broker 1 leads in leader epoch 4, in place of broker 2. Broker 2 left the in-sync set, which is 1, 3 now.',
      '11: Topic orders was deleted.',
    ])
  })

  it('other partitions, other topics, brokers without a replica -> not told', () => {
    const story = new PartitionStory({ topicId: TOPIC, partition: 0 }, null)
    story.batch(1, CREATED)
    story.batch(2, [
      changed({ isr: [1], leader: 1, leaderEpoch: 1 }, 1),
      { type: 'topic-deleted', topicId: OTHER },
      fencing(4, { fenced: true }),
      registered(4),
    ])
    expect(story.events).toHaveLength(1)
  })

  it('the cause -> who saw what, and when', () => {
    const story = new PartitionStory({ topicId: TOPIC, partition: 0 }, null)
    story.batch(1, CREATED)
    story.batch(2, [fencing(3, { fenced: true })])
    expect(story.events[1]).toEqual({
      metadataOffset: 2,
      observedAtMs: 1_700_000_000_000,
      observerId: 9,
      cause: 'heartbeat-missed',
      what: 'Broker 3 was fenced.',
      why: 'no heartbeat of broker 3 for 3,012 ms',
      record: fencing(3, { fenced: true }),
    })
  })

  it('a log whose beginning is gone -> goes on from what was known before', () => {
    const story = new PartitionStory(
      { topicId: TOPIC, partition: 0 },
      { topicName: 'orders', replicas: [1, 2] },
    )
    story.batch(51, [fencing(2, { fenced: true }), changed({ isr: [1], leader: 1, leaderEpoch: 7 })])
    story.batch(52, [changed({ isr: [1, 2], leader: 1, leaderEpoch: 7 })])
    expect(story.events.map(({ what }) => what)).toEqual([
      'Broker 2 was fenced.',
      'Broker 1 leads in leader epoch 7. The in-sync set is 1.',
      'Broker 2 joined the in-sync set, which is 1, 2 now.',
    ])
  })

  it('replicas that move -> told from the start to the end', () => {
    const reassignment = { original: [1, 2, 3], target: [4, 1] }
    const moving = { leader: 1, leaderEpoch: 1, isr: [1, 2, 3], reassignment }
    expect(
      tell([
        CREATED,
        [changed({ ...moving, replicas: [1, 2, 3, 4] })],
        [changed({ ...moving, observers: [3] })],
        [changed({ leader: 1, leaderEpoch: 2, isr: [1, 4], replicas: [4, 1] })],
        [changed({ leader: 1, leaderEpoch: 3, isr: [1, 4], replicas: [1, 4] })],
      ]).slice(1),
    ).toEqual([
      '2: Broker 4 joined the replicas, which are 1, 2, 3, 4 now. The replicas move from 1, 2, 3 to 4, 1. Broker 1 leads on, in leader epoch 1.',
      '3: Broker 3 is an observer now.',
      '4: Brokers 2, 3 left the replicas, which are 4, 1 now. The move of the replicas ended. Broker 1 leads on, in leader epoch 2. Brokers 2, 3 left the in-sync set and broker 4 joined the in-sync set, which is 1, 4 now.',
      '5: The order of the replicas is 1, 4 now. Broker 1 leads on, in leader epoch 3.',
    ])
  })

  it('eligible replicas, levels and settings -> told as well', () => {
    const same = { leader: 1, leaderEpoch: 0 }
    expect(
      tell([
        CREATED,
        [changed({ ...same, isr: [1], elr: [2] })],
        [
          {
            type: 'topic-configs-changed',
            topicId: TOPIC,
            configs: [],
            cause: cause('configs-changed', 'x'),
          },
          changed({ ...same, isr: [1], synced: false }),
        ],
        [changed({ ...same, isr: [1], synced: false })],
        [changed({ ...same, isr: [1] })],
        [changed({ ...same, isr: [1], observers: [3] })],
        [changed({ isr: [], elr: [1], leader: null, leaderEpoch: 1 })],
      ]).slice(1),
    ).toEqual([
      '2: Brokers 2, 3 left the in-sync set, which is 1 now. Outside of the in-sync set broker 2 may be elected as well.',
      '3: The settings of topic orders changed.',
      '3: Nobody else is eligible any more. Records may count that are only written.',
      '4: Nothing changed but the partition epoch, which is 1 now.',
      '5: Every record that counts is fsynced where it counts.',
      '6: Broker 3 is an observer now.',
      '7: Broker 3 is a voter now. Broker 1 leads no more, and nobody does: the partition waits for 1. Broker 1 left the in-sync set, which is empty now. Outside of the in-sync set broker 1 may be elected as well.',
    ])
  })
})
