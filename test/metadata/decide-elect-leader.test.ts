import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import {
  decideElectLeaders,
  decidePreferredLeaders,
  type ElectLeaders,
} from '../../src/metadata/decide-elect-leader.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideHeartbeat } from '../../src/metadata/decide-heartbeat.ts'
import {
  clusterOf,
  contextOf,
  decided,
  epochOf,
  partition,
  registered,
  show,
  TOPIC,
  violations,
  withFencing,
  withTopic,
} from './cluster-fixture.ts'

const NAME = `name-of-${TOPIC}`

function electing(image: ClusterImage, fields: Partial<ElectLeaders>) {
  const request = { topic: NAME, partitions: [0], election: 'replica' as const, replica: null, ...fields }
  return decideElectLeaders(contextOf(image), request)
}

function outcome(image: ClusterImage, fields: Partial<ElectLeaders>): string {
  const decision = electing(image, fields)
  const next = decided(image, decision)
  expect(violations(next)).toEqual([])
  const { error } = decision.response.partitions[0]!
  return error === null ? show(partition(next)) : `${error.code}: ${error.detail.replace(NAME, 't')}`
}

function fenced(image: ClusterImage, brokerId: number): ClusterImage {
  const brokerEpoch = epochOf(image, brokerId)
  const due = { brokerId, brokerEpoch, evidence: 'link-closed', detail: 'test' } as const
  return decided(image, decideFenceBroker(contextOf(image), due))
}

describe('elect leaders: a replica that holds all acknowledged records', () => {
  const image = withTopic(clusterOf([1, 2, 3, 4]), [{ replicas: [1, 2, 3], isr: [2, 3] }])

  it.each<[string, Partial<ElectLeaders>, string]>([
    ['a member of the ISR leads', { replica: 3 }, 'leader 3 isr 2,3 epochs 1/1'],
    ['the present leader: nothing changes', { replica: 2 }, 'leader 2 isr 2,3 epochs 0/0'],
    [
      'a replica outside of the ISR',
      { replica: 1 },
      'ELIGIBLE_LEADERS_NOT_AVAILABLE: t/0 (ISR [2, 3], ELR []): broker 1 is not in the ISR; wait until it has caught up.',
    ],
    [
      'a broker that has no replica',
      { replica: 4 },
      'ELIGIBLE_LEADERS_NOT_AVAILABLE: t/0 (ISR [2, 3], ELR []): broker 4 is none of its replicas [1, 2, 3].',
    ],
    [
      'the preferred one, which is not in the ISR',
      { election: 'preferred' },
      'PREFERRED_LEADER_NOT_AVAILABLE: t/0 (ISR [2, 3], ELR []): broker 1 is not in the ISR; wait until it has caught up.',
    ],
    [
      'an unclean election although there is a leader',
      { election: 'unclean', replica: 1 },
      'ELECTION_NOT_NEEDED: t/0 (ISR [2, 3], ELR []): broker 2 leads; an unclean election is only for a partition without a leader.',
    ],
    [
      'an unknown partition',
      { partitions: [7], replica: 1 },
      'UNKNOWN_TOPIC_OR_PARTITION: Topic t has 1 partitions, none with index 7.',
    ],
  ])('%s', (_what, fields, expected) => {
    expect(outcome(image, fields)).toBe(expected)
  })

  it('the cause says who wanted it', () => {
    const ordered = electing(image, { replica: 3 }).records[0]
    expect(ordered).toMatchObject({ cause: { kind: 'operator', detail: 'an operator had broker 3 elected' } })
    const full = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], leader: 2 }])
    const preferred = electing(full, { election: 'preferred' }).records[0]
    expect(preferred).toMatchObject({ leader: 1, leaderEpoch: 1, cause: { kind: 'preferred-leader' } })
  })

  it('a broker that is stopping is not elected', () => {
    const two = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], isr: [2] }])
    const stopping = withFencing(two, 1, { shuttingDown: true })
    expect(outcome(stopping, { replica: 1 })).toMatch(/broker 1 is stopping/)
  })

  it('a topic, all its partitions, and each once', () => {
    const many = withTopic(clusterOf([1, 2]), [
      { replicas: [1, 2], leader: 2 },
      { replicas: [2, 1], leader: 2 },
      { replicas: [2, 1], leader: 1 },
    ])
    const all = electing(many, { election: 'preferred', partitions: null })
    expect(all.response.partitions.map(({ leader }) => leader)).toEqual([1, 2, 2])
    expect(all.records).toHaveLength(2)
    expect(electing(many, { election: 'preferred', partitions: [0, 0] }).records).toHaveLength(1)
  })

  it('an unknown topic, and a request that contradicts itself -> an error', () => {
    expect(() => electing(image, { topic: 'none', replica: 1 })).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_TOPIC_OR_PARTITION' }),
    )
    for (const fields of [{ replica: null }, { election: 'preferred' as const, replica: 2 }]) {
      expect(() => electing(image, fields)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
    }
  })
})

describe('elect leaders: a partition without a leader', () => {
  // Broker 3 left the ISR first; 1 and 2 have all that is acknowledged, and are both down.
  const down = [3, 2, 1].reduce(fenced, withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }]))
  const image = decided(
    down,
    decideHeartbeat(contextOf(down), {
      brokerId: 3,
      brokerEpoch: epochOf(down, 3),
      metadataOffset: down.metadataOffset,
      wantUnfenced: true,
      wantShutdown: false,
      offlineLogs: [],
      damagedLogs: [],
      droppedTails: [],
      appliedByOthers: Number.POSITIVE_INFINITY,
    }),
  )

  it('waits for its eligible replicas', () => {
    expect(show(partition(image))).toBe('leader none isr empty elr 1,2 epochs 1/3')
  })

  it.each<[string, Partial<ElectLeaders>, string]>([
    [
      'a replica that may lack records: the error names who has them',
      { replica: 3 },
      'ELIGIBLE_LEADERS_NOT_AVAILABLE: t/0 (ISR [], ELR [1, 2]): broker 3 lacks acknowledged records, or may lack some. Start ' +
        'one of the brokers [1, 2], which have them all; only when none of them can come back, order an unclean election.',
    ],
    [
      'an eligible one that is down',
      { replica: 1 },
      'ELIGIBLE_LEADERS_NOT_AVAILABLE: t/0 (ISR [], ELR [1, 2]): broker 1 is not alive; start it first.',
    ],
    [
      'uncleanly one that is down',
      { election: 'unclean', replica: 1 },
      'ELIGIBLE_LEADERS_NOT_AVAILABLE: t/0 (ISR [], ELR [1, 2]): broker 1 is not alive; start it first.',
    ],
    ['uncleanly, by name', { election: 'unclean', replica: 3 }, 'leader 3 isr 3 lost 1,2 epochs 2/4'],
    ['uncleanly, whoever is alive', { election: 'unclean' }, 'leader 3 isr 3 lost 1,2 epochs 2/4'],
    [
      'uncleanly a broker that has no replica',
      { election: 'unclean', replica: 9 },
      'INVALID_REQUEST: t/0 (ISR [], ELR [1, 2]): broker 9 is none of its replicas.',
    ],
  ])('%s', (_what, fields, expected) => {
    expect(outcome(image, fields)).toBe(expected)
  })

  it('an unclean election is recorded as possible data loss, with who was known to have the records', () => {
    const decision = electing(image, { election: 'unclean' })
    expect(decision.response.partitions).toMatchObject([{ leader: 3, unclean: true, error: null }])
    expect(decision.records[0]).toMatchObject({
      cause: {
        kind: 'unclean-election',
        detail:
          'possible data loss: replica 3 was elected uncleanly, with ISR [] and ELR [1, 2] not alive or cut off; an operator ordered it',
      },
    })
  })

  it('REP-30: logs that were cut off -> an unclean election takes the longest that is alive, and others are told whom to start', () => {
    const topic = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }], TOPIC, {
      'min.insync.replicas': '3',
    })
    const waiting = [1, 2].reduce(
      (before, brokerId) => {
        const back = registered(before, brokerId, { run: 2 })
        const tail = { topicId: TOPIC, partition: 0, leaderEpoch: 0, endOffset: 6 + brokerId }
        const asks = {
          wantUnfenced: true,
          wantShutdown: false,
          offlineLogs: [],
          damagedLogs: [],
          droppedTails: [tail],
        }
        const beat = decideHeartbeat(contextOf(back), {
          ...asks,
          brokerId,
          brokerEpoch: epochOf(back, brokerId),
          metadataOffset: back.metadataOffset,
          appliedByOthers: Number.POSITIVE_INFINITY,
        })
        return decided(back, beat)
      },
      [3, 2, 1].reduce(fenced, topic),
    )
    expect(show(partition(waiting))).toBe('leader none isr empty elr 1,2,3 cut 1@0:7,2@0:8 epochs 1/5')
    expect(outcome(waiting, { replica: 2 })).toMatch(/Start one of the brokers \[3\], which have them all/)
    expect(outcome(waiting, { election: 'unclean' })).toBe('leader 2 isr 2 lost 1,3 epochs 2/6')
  })

  it('nobody is alive -> nobody is elected', () => {
    expect(outcome(down, { election: 'unclean' })).toMatch(/none of its replicas is alive; start one first/)
  })
})

describe('the balance of leaderships', () => {
  it('moves to the preferred replicas that are in sync and alive, and no others', () => {
    const image = withTopic(clusterOf([1, 2, 3]), [
      { replicas: [1, 2], leader: 2 },
      { replicas: [1, 2], isr: [2] },
      { replicas: [2, 1] },
      { replicas: [3, 1], leader: 1 },
    ])
    const without3 = fenced(image, 3)
    const next = decided(without3, decidePreferredLeaders(contextOf(without3)))
    expect([0, 1, 2, 3].map((index) => partition(next, index).leader)).toEqual([1, 2, 2, 1])
    expect(violations(next)).toEqual([])
    expect(decidePreferredLeaders(contextOf(next)).records).toEqual([])
  })
})
