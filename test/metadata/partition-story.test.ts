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
    cause: cause('topic-created', 'a client created the topic'),
  },
]

function changed(
  state: { isr: readonly number[]; leader: number | null; leaderEpoch: number },
  partition = 0,
): MetadataRecord {
  return {
    type: 'partition-changed',
    topicId: TOPIC,
    partition,
    partitionEpoch: 1,
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
    })
  })

  it('a log whose beginning is gone -> goes on from what was known before', () => {
    const story = new PartitionStory(
      { topicId: TOPIC, partition: 0 },
      { topicName: 'orders', partition: { replicas: [1, 2], isr: [1, 2], leader: 1, leaderEpoch: 7 } },
    )
    story.batch(51, [changed({ isr: [2], leader: 2, leaderEpoch: 8 })])
    expect(story.events.map(({ what }) => what)).toEqual([
      'Broker 2 leads in leader epoch 8, in place of broker 1. Broker 1 left the in-sync set, which is 2 now.',
    ])
  })
})
