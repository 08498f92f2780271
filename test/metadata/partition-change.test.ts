import { describe, expect, it } from 'vitest'
import type { PartitionImage, TopicImage } from '../../src/metadata/cluster-image.ts'
import { type DroppedTail, withTail } from '../../src/metadata/dropped-tails.ts'
import { changePartition, sameMembers } from '../../src/metadata/partition-change.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { CAUSE, show, TOPIC } from './cluster-fixture.ts'

type Before = Pick<PartitionImage, 'leader' | 'isr'> & Partial<PartitionImage>

interface Change {
  /** Who serves and may be elected. */
  readonly live: readonly NodeId[]
  /** Who serves but is about to stop. */
  readonly stopping?: readonly NodeId[]
  readonly distrusted?: readonly NodeId[]
  /** What is reported with the change. */
  readonly cut?: DroppedTail
  /** Default 2. */
  readonly minIsr?: number
  readonly unclean?: boolean
  readonly mayBeUnclean?: boolean
}

function outcome(before: Before, change: Change): string {
  const { live, stopping = [], distrusted = [], minIsr = 2, unclean = false, mayBeUnclean = true } = change
  const configs = new Map([
    ['min.insync.replicas', String(minIsr)],
    ['unclean.leader.election.enable', String(unclean)],
  ])
  const topic: TopicImage = { topicId: TOPIC, name: 'orders', configs, partitions: [] }
  const partition: PartitionImage = {
    partition: 7,
    replicas: [1, 2, 3],
    leaderEpoch: 5,
    partitionEpoch: 9,
    elr: [],
    lastKnownElr: [],
    observers: [],
    synced: true,
    droppedTails: [],
    reassignment: null,
    ...before,
  }
  const record = changePartition({
    topic,
    partition,
    brokers: {
      serves: (brokerId) => live.includes(brokerId) || stopping.includes(brokerId),
      mayLead: (brokerId) => live.includes(brokerId),
    },
    distrusted,
    ...(change.cut === undefined ? {} : { droppedTails: withTail(partition.droppedTails, change.cut) }),
    mayBeUnclean,
    cause: CAUSE,
  })
  if (record === null) return 'no change'
  expect(record).toMatchObject({ topicId: TOPIC, partition: 7, synced: true })
  const kinds: Readonly<Record<string, string>> = {
    'unclean-election': 'unclean: ',
    'longest-log': 'longest: ',
  }
  const kind = kinds[record.cause.kind]
  expect(kind !== undefined || record.cause === CAUSE).toBe(true)
  return `${kind ?? ''}${show({ ...partition, ...record, replicas: partition.replicas })}`
}

describe('a change of a partition', () => {
  const all = { leader: 1, isr: [1, 2, 3] }
  it.each<[string, Before, Change, string]>([
    ['nothing changes', all, { live: [1, 2, 3] }, 'no change'],
    ['a follower is gone: the leader stays', all, { live: [1, 2] }, 'leader 1 isr 1,2 epochs 5/10'],
    [
      'the leader dies: the next replica in the ISR leads',
      all,
      { live: [2, 3] },
      'leader 2 isr 2,3 epochs 6/10',
    ],
    [
      'the next replica is not in the ISR: the one behind it leads',
      { leader: 1, isr: [1, 3] },
      { live: [2, 3] },
      'leader 3 isr 3 elr 1 epochs 6/10',
    ],
    [
      'the leader is preferred to an earlier replica',
      { leader: 3, isr: [1, 2, 3] },
      { live: [1, 3] },
      'leader 3 isr 1,3 epochs 5/10',
    ],
    [
      'a leader that is about to stop goes on to lead while nothing else changes for it',
      { leader: 1, isr: [1], elr: [2, 3] },
      { live: [2], stopping: [1], distrusted: [3] },
      'leader 1 isr 1 elr 2 lost 3 epochs 5/10',
    ],
  ])('%s', (_what, before, change, expected) => {
    expect(outcome(before, change)).toBe(expected)
  })
})

describe('REP-28: eligible leader replicas', () => {
  const one = { leader: 1, isr: [1], elr: [2] }
  const none = { leader: null, isr: [], elr: [1, 2] }
  it.each<[string, Before, Change, string]>([
    [
      'the ISR falls below min.insync.replicas: who leaves is eligible',
      { leader: 1, isr: [1, 2] },
      { live: [1, 3] },
      'leader 1 isr 1 elr 2 epochs 5/10',
    ],
    [
      'two leave at once: both are',
      { leader: 1, isr: [1, 2, 3] },
      { live: [1] },
      'leader 1 isr 1 elr 2,3 epochs 5/10',
    ],
    [
      'the ISR stays large enough: nobody is',
      { leader: 1, isr: [1, 2, 3] },
      { live: [1, 2] },
      'leader 1 isr 1,2 epochs 5/10',
    ],
    [
      'the last member dies: the ISR is empty',
      one,
      { live: [3] },
      'leader none isr empty elr 1,2 epochs 6/10',
    ],
    [
      'the last member dies while an eligible one lives: that one leads, alone in the ISR',
      one,
      { live: [2, 3] },
      'leader 2 isr 2 elr 1 epochs 6/10',
    ],
    ['an eligible one is back', none, { live: [2, 3] }, 'leader 2 isr 2 elr 1 epochs 6/10'],
    [
      'two are back: the order of the replicas decides',
      none,
      { live: [1, 2] },
      'leader 1 isr 1 elr 2 epochs 6/10',
    ],
    ['somebody else is back', none, { live: [3] }, 'no change'],
    ['an eligible one that is about to stop is not elected', none, { live: [], stopping: [2] }, 'no change'],
    [
      'min.insync.replicas 1: the last member is the only eligible one, and alone in the ISR when it is back',
      { leader: null, isr: [], elr: [1] },
      { live: [1, 2, 3], minIsr: 1 },
      'leader 1 isr 1 epochs 6/10',
    ],
    [
      'the log of an eligible one is lost: it is not eligible any more, and known to have been',
      none,
      { live: [3], distrusted: [2] },
      'leader none isr empty elr 1 lost 2 epochs 5/10',
    ],
    [
      'the log of the leader is lost: an eligible one leads',
      one,
      { live: [1, 2, 3], distrusted: [1] },
      'leader 2 isr 2 lost 1 epochs 6/10',
    ],
    [
      'the last eligible one is lost: nobody is elected',
      { leader: null, isr: [], elr: [2], lastKnownElr: [1] },
      { live: [1, 2, 3], distrusted: [2] },
      'leader none isr empty lost 1,2 epochs 5/10',
    ],
    [
      'a log from before there was an ELR: its fenced last member becomes eligible',
      { leader: null, isr: [1] },
      { live: [2] },
      'leader none isr empty elr 1 epochs 5/10',
    ],
  ])('%s', (_what, before, change, expected) => {
    expect(outcome(before, change)).toBe(expected)
  })
})

describe('REP-30: logs that were cut off at an unclean start', () => {
  const cut = (brokerId: NodeId, leaderEpoch: number, endOffset: number): DroppedTail => ({
    brokerId,
    leaderEpoch,
    endOffset,
  })
  const none = { leader: null, isr: [], elr: [1, 2] }
  const three = { leader: null, isr: [], elr: [1, 2, 3] }
  it.each<[string, Before, Change, string]>([
    [
      'it is back, the other eligible one is not: the partition waits',
      none,
      { live: [1], cut: cut(1, 4, 17) },
      'leader none isr empty elr 1,2 cut 1@4:17 epochs 5/10',
    ],
    [
      'an eligible one is back whose log is whole: that one leads',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [1, 2] },
      'leader 2 isr 2 elr 1 cut 1@4:17 epochs 6/10',
    ],
    [
      'all of them were cut off: the longest leads, as if it were whole',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [1, 2], cut: cut(2, 4, 18) },
      'longest: leader 2 isr 2 elr 1 cut 1@4:17 epochs 6/10',
    ],
    [
      'the one that reports last is the shorter one: the other leads',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [1, 2], cut: cut(2, 4, 16) },
      'longest: leader 1 isr 1 elr 2 cut 2@4:16 epochs 6/10',
    ],
    [
      'a later leader epoch counts more than length',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [1, 2], cut: cut(2, 3, 99) },
      'longest: leader 1 isr 1 elr 2 cut 2@3:99 epochs 6/10',
    ],
    [
      'the same length: the order of the replicas decides',
      { ...none, droppedTails: [cut(2, 4, 17)] },
      { live: [1, 2], cut: cut(1, 4, 17) },
      'longest: leader 1 isr 1 elr 2 cut 2@4:17 epochs 6/10',
    ],
    [
      'the same length, the first of them is not alive: the other leads',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [2], cut: cut(2, 4, 17) },
      'longest: leader 2 isr 2 elr 1 cut 1@4:17 epochs 6/10',
    ],
    [
      'the longest has reported and is not alive: the partition waits for it',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [2], cut: cut(2, 4, 16) },
      'leader none isr empty elr 1,2 cut 1@4:17,2@4:16 epochs 5/10',
    ],
    [
      'two of three have reported: the partition waits for the third',
      { ...three, droppedTails: [cut(1, 4, 17)] },
      { live: [1, 2], cut: cut(2, 4, 18) },
      'leader none isr empty elr 1,2,3 cut 1@4:17,2@4:18 epochs 5/10',
    ],
    [
      'the third has lost its log: the longest of the others leads',
      { ...three, droppedTails: [cut(1, 4, 17), cut(2, 4, 18)] },
      { live: [1, 2], distrusted: [3] },
      'longest: leader 2 isr 2 elr 1 lost 3 cut 1@4:17 epochs 6/10',
    ],
    [
      'the only eligible one was cut off: it leads',
      { leader: null, isr: [], elr: [1] },
      { live: [1], minIsr: 1, cut: cut(1, -1, 0) },
      'longest: leader 1 isr 1 epochs 6/10',
    ],
    [
      'a broker that reports again takes the place of its older report',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [1], cut: cut(1, 4, 19) },
      'leader none isr empty elr 1,2 cut 1@4:19 epochs 5/10',
    ],
    [
      'it loses its place: it is known no more',
      { ...none, droppedTails: [cut(1, 4, 17)] },
      { live: [], distrusted: [1] },
      'leader none isr empty elr 2 lost 1 epochs 5/10',
    ],
    [
      'somebody leads: it is only noted',
      { leader: 1, isr: [1], elr: [2] },
      { live: [1, 2], cut: cut(2, 4, 17) },
      'leader 1 isr 1 elr 2 cut 2@4:17 epochs 5/10',
    ],
    [
      'the leader dies: it does not lead, and the partition waits for the leader',
      { leader: 1, isr: [1], elr: [2], droppedTails: [cut(2, 4, 17)] },
      { live: [2] },
      'leader none isr empty elr 1,2 cut 2@4:17 epochs 6/10',
    ],
    [
      'an unclean election is allowed: the longest of those alive leads',
      { ...three, droppedTails: [cut(1, 4, 17), cut(2, 4, 18)] },
      { live: [1, 2], unclean: true },
      'unclean: leader 2 isr 2 lost 1,3 epochs 6/10',
    ],
  ])('%s', (_what, before, change, expected) => {
    expect(outcome(before, change)).toBe(expected)
  })

  it('the election of the longest is recorded as possible data loss, with what the choice was made of', () => {
    const topic: TopicImage = { topicId: TOPIC, name: 'orders', configs: new Map(), partitions: [] }
    const partition: PartitionImage = {
      partition: 7,
      replicas: [1, 2, 3],
      leader: null,
      isr: [],
      leaderEpoch: 5,
      partitionEpoch: 9,
      elr: [1, 2],
      lastKnownElr: [],
      synced: true,
      droppedTails: [cut(1, 4, 17), cut(2, 4, 18)],
      reassignment: null,
      observers: [],
    }
    const everybody = { serves: () => true, mayLead: () => true }
    const record = changePartition({ topic, partition, brokers: everybody, cause: CAUSE })
    expect(record).toMatchObject({ leader: 2, cause: { kind: 'longest-log', observerId: CAUSE.observerId } })
    expect(record!.cause.detail).toBe(
      'possible data loss, if records in all of them were damaged: the logs of all eligible replicas [1, 2] were cut off at an ' +
        'unclean start, and broker 2 has the longest (leader epoch 4, end 18); test',
    )
  })
})

describe('an unclean election', () => {
  const lost = { leader: null, isr: [], elr: [1], lastKnownElr: [2] }
  const allowed = { live: [3], unclean: true }
  it.each<[string, Before, Change, string]>([
    ['the topic does not allow it', lost, { live: [3] }, 'no change'],
    [
      'the topic allows it: any replica leads, alone, and nobody else is eligible',
      lost,
      allowed,
      'unclean: leader 3 isr 3 lost 1,2 epochs 6/10',
    ],
    [
      'an eligible one is preferred',
      lost,
      { live: [1, 3], unclean: true },
      'leader 1 isr 1 lost 2 epochs 6/10',
    ],
    [
      'a replica without its log is not elected',
      lost,
      { ...allowed, distrusted: [1, 3] },
      'leader none isr empty lost 1,2 epochs 5/10',
    ],
    ['the change is not to bring one about', lost, { ...allowed, mayBeUnclean: false }, 'no change'],
  ])('%s', (_what, before, change, expected) => {
    expect(outcome(before, change)).toBe(expected)
  })
})

describe('the same members', () => {
  it.each([
    [[1, 2], [2, 1], true],
    [[1, 2], [1], false],
    [[1], [1, 2], false],
    [[1, 2], [1, 3], false],
    [[], [], true],
  ])('%j and %j -> %s', (a, b, expected) => {
    expect(sameMembers(a, b)).toBe(expected)
  })
})
