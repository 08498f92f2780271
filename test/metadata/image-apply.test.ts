import { describe, expect, it } from 'vitest'
import { EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { applyBatch } from '../../src/metadata/image-apply.ts'
import type { MetadataRecord, MetadataRecordOf } from '../../src/metadata/metadata-records.ts'
import {
  apply,
  CAUSE,
  clusterOf,
  directory,
  epochOf,
  id128,
  incarnation,
  partition,
  registered,
  show,
  TOPIC,
  withFencing,
  withTopic,
} from './cluster-fixture.ts'

const three = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }, { replicas: [2, 3, 1] }])

function changed(
  fields: Partial<MetadataRecordOf<'partition-changed'>>,
): MetadataRecordOf<'partition-changed'> {
  return {
    type: 'partition-changed',
    topicId: TOPIC,
    partition: 0,
    isr: [1, 2, 3],
    leader: 1,
    leaderEpoch: 0,
    partitionEpoch: 1,
    cause: CAUSE,
    elr: [],
    lastKnownElr: [],
    observers: [],
    synced: true,
    droppedTails: [],
    replicas: null,
    reassignment: null,
    ...fields,
  }
}

describe('apply a batch', () => {
  it('leaves the given image as it is and shares what did not change', () => {
    const other = withTopic(three, [{ replicas: [1] }], id128('other'))
    const before = partition(other)
    const next = apply(other, [changed({ isr: [1, 2] })])
    expect(partition(other)).toBe(before)
    expect(show(partition(next))).toBe('leader 1 isr 1,2 epochs 0/1')
    expect(partition(next, 1)).toBe(partition(other, 1))
    expect(next.topics.get(id128('other'))).toBe(other.topics.get(id128('other')))
    expect(next.brokers).toBe(other.brokers)
    expect(next.topicIds).toBe(other.topicIds)
  })

  it('an empty batch moves only the offset', () => {
    const next = apply(three, [])
    expect(next).toEqual({ ...three, metadataOffset: three.metadataOffset + 1 })
    expect(next.topics).toBe(three.topics)
  })

  it('several changes of one partition in one batch build on each other', () => {
    const next = apply(three, [
      changed({ isr: [1, 2] }),
      changed({ isr: [2], leader: 2, leaderEpoch: 1, partitionEpoch: 2 }),
    ])
    expect(show(partition(next))).toBe('leader 2 isr 2 epochs 1/2')
  })

  it('a broker registers fenced, with the metadata offset as its epoch', () => {
    const image = registered(clusterOf([1]), 2, { rack: 'eu-1a' })
    expect(image.brokers.get(2)).toEqual({
      rack: 'eu-1a',
      cordoned: false,
      brokerId: 2,
      brokerEpoch: image.metadataOffset,
      incarnationId: incarnation(2),
      directoryId: directory(2),
      url: 'ws://broker-2:9092',
      fenced: true,
      shuttingDown: false,
      unfencedEpoch: -1,
      stateOffset: image.metadataOffset,
    })
  })

  it('the formation fixes cluster id and voters', () => {
    const voters = [{ nodeId: 1, directoryId: directory(1), url: null }]
    const image = apply(EMPTY_IMAGE, [{ type: 'cluster-formed', clusterId: id128('cluster'), voters }])
    expect(image).toMatchObject({ clusterId: id128('cluster'), voters })
  })

  it('a deleted topic is gone with its name, which can be used again under another id', () => {
    const image = apply(three, [
      { type: 'topic-deleted', topicId: TOPIC },
      { type: 'topic-created', topicId: id128('again'), name: `name-of-${TOPIC}`, configs: [] },
      {
        type: 'partition-created',
        topicId: id128('again'),
        partition: 0,
        replicas: [3],
        isr: [3],
        leader: 3,
        cause: CAUSE,
        synced: true,
        observers: [],
      },
    ])
    expect([...image.topics.keys()]).toEqual([id128('again')])
    expect([...image.topicIds]).toEqual([[`name-of-${TOPIC}`, id128('again')]])
  })
})

describe('apply a batch: what a correct controller never proposes is refused', () => {
  const offset = three.metadataOffset + 1
  const fencing = (fields: Partial<MetadataRecordOf<'broker-fencing-changed'>>): MetadataRecord => ({
    type: 'broker-fencing-changed',
    brokerId: 3,
    brokerEpoch: epochOf(three, 3),
    fenced: true,
    shuttingDown: false,
    cause: CAUSE,
    ...fields,
  })
  const unregistered = (brokerId: number, brokerEpoch: number): MetadataRecord => ({
    type: 'broker-unregistered',
    brokerId,
    brokerEpoch,
    cause: CAUSE,
  })
  const registration: MetadataRecordOf<'broker-registered'> = {
    type: 'broker-registered',
    brokerId: 4,
    brokerEpoch: offset,
    incarnationId: incarnation(4),
    directoryId: directory(4),
    url: 'ws://broker-4:9092',
    cause: CAUSE,
    rack: null,
  }
  const created: MetadataRecordOf<'partition-created'> = {
    type: 'partition-created',
    topicId: TOPIC,
    partition: 2,
    replicas: [1, 2],
    isr: [1, 2],
    leader: 1,
    cause: CAUSE,
    synced: true,
    observers: [],
  }
  const topicCreated: MetadataRecord = {
    type: 'topic-created',
    topicId: id128('new'),
    name: 'new',
    configs: [],
  }
  it.each<[string, readonly MetadataRecord[], RegExp]>([
    [
      'a cordon of a broker that is not registered',
      [{ type: 'broker-cordon-changed', brokerId: 9, cordoned: true, cause: CAUSE }],
      /cordon of broker 9, which is not registered/,
    ],
    [
      'a broker that is not registered is taken away',
      [unregistered(9, 0)],
      /broker 9 is taken away, which is not/,
    ],
    [
      'a broker is taken away under an earlier epoch',
      [unregistered(1, epochOf(three, 1) - 1)],
      /taken away under broker epoch 0, registered is 1/,
    ],
    [
      'a broker that is not fenced is taken away',
      [unregistered(1, epochOf(three, 1))],
      /registered is 1, unfenced/,
    ],
    [
      'a broker that hosts a replica is taken away',
      [changed({ isr: [1, 2] }), fencing({}), unregistered(3, epochOf(three, 3))],
      /broker 3 is taken away and hosts name-of-topic0*\/0/,
    ],
    ['a partition epoch that skips', [changed({ partitionEpoch: 2 })], /partition epoch 2 does not follow 0/],
    [
      'INV-23: a partition epoch that stays',
      [changed({ partitionEpoch: 0 })],
      /partition epoch 0 does not follow 0/,
    ],
    [
      'a leader epoch that skips',
      [changed({ leader: 2, leaderEpoch: 2 })],
      /leader epoch 2 does not follow 0/,
    ],
    [
      'INV-23: a leader epoch that falls',
      [changed({ leader: 2, leaderEpoch: 1 }), changed({ leader: 1, leaderEpoch: 0, partitionEpoch: 2 })],
      /leader epoch 0 does not follow 1/,
    ],
    ['a new leader in the same epoch', [changed({ leader: 2 })], /leader changes within leader epoch 0/],
    [
      'INV-3: a leader outside of the ISR',
      [changed({ isr: [2, 3] })],
      /leader 1 of partition 0 is not in its ISR/,
    ],
    ['INV-11: an ISR beyond the replicas', [changed({ isr: [1, 4] })], /not within its replicas/],
    [
      'INV-11: a broker both in the ISR and in the ELR',
      [changed({ isr: [1], elr: [1, 2] })],
      /ISR 1, ELR 1,2 and last known ELR {2}overlap/,
    ],
    [
      'INV-11: an ELR beyond the replicas',
      [changed({ isr: [1], elr: [4] })],
      /overlap or leave the replicas/,
    ],
    [
      'INV-11: an ELR beside an ISR that is large enough',
      [changed({ isr: [1, 2], elr: [3] })],
      /has the ELR 3 beside a large enough ISR 1,2/,
    ],
    [
      'INV-11: a fenced last member of the ISR beside an ELR',
      [
        changed({ isr: [3], leader: null, leaderEpoch: 1, elr: [1] }),
        changed({ partition: 1, isr: [2, 1], leader: 2, leaderEpoch: 0 }),
        fencing({}),
      ],
      /inactive member/,
    ],
    ['a broker twice in the ISR', [changed({ isr: [1, 2, 2] })], /names a replica twice/],
    [
      'INV-11: a fenced broker in the ISR',
      [fencing({}), changed({})],
      /inactive member that is not its last one/,
    ],
    [
      'a stopping broker in the ISR',
      [fencing({ fenced: false, shuttingDown: true }), changed({})],
      /inactive member/,
    ],
    [
      'a fenced leader',
      [fencing({ brokerId: 1, brokerEpoch: epochOf(three, 1) }), changed({ isr: [1] })],
      /leader 1 of partition 0 is fenced/,
    ],
    ['a change of an unknown partition', [changed({ partition: 9 })], /does not exist/],
    ['a change of an unknown topic', [changed({ topicId: id128('none') })], /does not exist/],
    ['a partition that leaves a gap', [{ ...created, partition: 3 }], /leaves a gap/],
    ['a partition that exists', [{ ...created, partition: 1 }], /leaves a gap or exists/],
    [
      'a partition without replicas',
      [{ ...created, replicas: [], isr: [], leader: null }],
      /has no replicas/,
    ],
    ['a replica list with a broker twice', [{ ...created, replicas: [1, 1] }], /names a replica twice/],
    [
      'a new partition that an unknown broker leads',
      [{ ...created, replicas: [9], isr: [9], leader: 9 }],
      /fenced or not registered/,
    ],
    ['a topic without partitions', [topicCreated], /has no partitions/],
    ['a topic id used twice', [{ ...topicCreated, topicId: TOPIC } as MetadataRecord], /is used twice/],
    [
      'a topic name used twice',
      [{ ...topicCreated, name: `name-of-${TOPIC}` } as MetadataRecord],
      /exists already/,
    ],
    ['an unknown topic deleted', [{ type: 'topic-deleted', topicId: id128('none') }], /does not exist/],
    [
      'a broker epoch that is not the offset',
      [{ ...registration, brokerEpoch: offset - 1 }],
      /is not the metadata offset/,
    ],
    [
      'REP-26: a registration over a run that is not fenced',
      [{ ...registration, brokerId: 3 }],
      /earlier run is not fenced/,
    ],
    ['a fencing of an unknown broker', [fencing({ brokerId: 9 })], /not registered/],
    ['a fencing of another run', [fencing({ brokerEpoch: 99 })], /fencing under broker epoch 99/],
    [
      'a second formation',
      [
        { type: 'cluster-formed', clusterId: id128('a'), voters: [] },
        { type: 'cluster-formed', clusterId: id128('b'), voters: [] },
      ],
      /formed once/,
    ],
  ])('%s', (_what, records, problem) => {
    expect(() => apply(three, records)).toThrow(problem)
  })

  it('a batch that does not follow the image', () => {
    expect(() => applyBatch(three, [], three.metadataOffset)).toThrow(/does not follow/)
    expect(() => applyBatch(three, [], three.metadataOffset + 2)).toThrow(/does not follow/)
  })

  it('a log from before there was an ELR: a fenced broker is the last member, without a leader -> accepted', () => {
    const image = apply(three, [
      changed({ isr: [3], leader: null, leaderEpoch: 1 }),
      changed({ partition: 1, isr: [2, 1], leader: 2, leaderEpoch: 0 }),
      fencing({}),
    ])
    expect(show(partition(image))).toBe('leader none isr 3 epochs 1/1')
    expect(withFencing(image, 3, { fenced: false }).brokers.get(3)).toMatchObject({ fenced: false })
  })
})
