import { describe, expect, it } from 'vitest'
import type { PartitionImage, TopicImage } from '../../src/metadata/cluster-image.ts'
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
    synced: true,
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
    mayBeUnclean,
    cause: CAUSE,
  })
  if (record === null) return 'no change'
  expect(record).toMatchObject({ topicId: TOPIC, partition: 7, synced: true })
  const isUnclean = record.cause.kind === 'unclean-election'
  expect(isUnclean || record.cause === CAUSE).toBe(true)
  return `${isUnclean ? 'unclean: ' : ''}${show({ ...partition, ...record })}`
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
