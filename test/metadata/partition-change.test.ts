import { describe, expect, it } from 'vitest'
import type { PartitionImage, TopicImage } from '../../src/metadata/cluster-image.ts'
import {
  changePartition,
  isrWithout,
  isrWithoutEvenLast,
  sameMembers,
} from '../../src/metadata/partition-change.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { CAUSE, TOPIC } from './cluster-fixture.ts'

const topic: TopicImage = { topicId: TOPIC, name: 'orders', configs: new Map(), partitions: [] }

function outcome(
  before: { leader: NodeId | null; isr: readonly NodeId[] },
  change: { isr: readonly NodeId[]; live: readonly NodeId[] },
): string {
  const partition: PartitionImage = {
    partition: 7,
    replicas: [1, 2, 3],
    leaderEpoch: 5,
    partitionEpoch: 9,
    ...before,
  }
  const record = changePartition({
    topic,
    partition,
    isr: change.isr,
    mayLead: (brokerId) => change.live.includes(brokerId),
    cause: CAUSE,
  })
  if (record === null) return 'no change'
  expect(record).toMatchObject({ topicId: TOPIC, partition: 7, cause: CAUSE, isr: change.isr })
  return `leader ${record.leader ?? 'none'} epochs ${record.leaderEpoch}/${record.partitionEpoch}`
}

describe('a change of a partition', () => {
  const all = { leader: 1, isr: [1, 2, 3] }
  it.each([
    ['nothing changes', all, { isr: [1, 2, 3], live: [1, 2, 3] }, 'no change'],
    ['the same ISR in another order', all, { isr: [3, 2, 1], live: [1, 2, 3] }, 'no change'],
    [
      'a follower leaves the ISR: the leader stays',
      all,
      { isr: [1, 2], live: [1, 2] },
      'leader 1 epochs 5/10',
    ],
    [
      'the leader dies: the next replica in the ISR leads',
      all,
      { isr: [2, 3], live: [2, 3] },
      'leader 2 epochs 6/10',
    ],
    [
      'the next replica is not in the ISR',
      { leader: 1, isr: [1, 3] },
      { isr: [3], live: [2, 3] },
      'leader 3 epochs 6/10',
    ],
    ['the next replica may not lead', all, { isr: [2, 3], live: [3] }, 'leader 3 epochs 6/10'],
    ['the last member dies', { leader: 1, isr: [1] }, { isr: [1], live: [2, 3] }, 'leader none epochs 6/10'],
    ['the ISR becomes empty', { leader: 1, isr: [1] }, { isr: [], live: [2, 3] }, 'leader none epochs 6/10'],
    [
      'the last member is back',
      { leader: null, isr: [1] },
      { isr: [1], live: [1, 2] },
      'leader 1 epochs 6/10',
    ],
    ['somebody else is back', { leader: null, isr: [1] }, { isr: [1], live: [2] }, 'no change'],
    [
      'the leader is preferred to an earlier replica',
      { leader: 3, isr: [1, 2, 3] },
      { isr: [1, 3], live: [1, 3] },
      'leader 3 epochs 5/10',
    ],
  ])('%s', (_what, before, change, expected) => {
    expect(outcome(before, change)).toBe(expected)
  })
})

describe('the ISR without a broker', () => {
  it.each([
    [[1, 2, 3], 2, [1, 3], [1, 3]],
    [[1, 2], 1, [2], [2]],
    [[1], 1, [1], []],
    [[1], 2, [1], [1]],
    [[], 1, [], []],
  ])('%j without %i', (isr, brokerId, kept, keptEvenLast) => {
    expect(isrWithout(isr, brokerId)).toEqual(kept)
    expect(isrWithoutEvenLast(isr, brokerId)).toEqual(keptEvenLast)
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
