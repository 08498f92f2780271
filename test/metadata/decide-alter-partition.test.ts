import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import {
  type AlterPartitionAnswer,
  decideAlterPartition,
  type IsrProposal,
} from '../../src/metadata/decide-alter-partition.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideRegisterBroker } from '../../src/metadata/decide-register-broker.ts'
import { SpeculativeImage } from '../../src/metadata/speculative-image.ts'
import {
  clusterOf,
  contextOf,
  decided,
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

/** Broker 4 is fenced, 5 is stopping, 9 is not registered; 1 leads partition 0 in leader epoch 1, partition epoch 2. */
const base = ((): ClusterImage => {
  let image = clusterOf([1, 2, 3, 5])
  image = registered(image, 4)
  image = withFencing(image, 5, { shuttingDown: true })
  image = withTopic(image, [{ replicas: [1, 2, 3, 4, 5, 9], isr: [2, 1] }, { replicas: [2, 1] }])
  const fencing = { evidence: 'link-closed', detail: 'test' } as const
  image = decided(
    image,
    decideFenceBroker(contextOf(image), { brokerId: 2, brokerEpoch: epochOf(image, 2), ...fencing }),
  )
  image = withFencing(image, 2, { fenced: false })
  return decided(image, propose(image, { isr: [1, 3] }, { partitionEpoch: 1 }))
})()

interface Members {
  readonly isr: readonly number[]
  /** Broker epochs that differ from the registered ones. */
  readonly seen?: Readonly<Record<number, number>>
}

function proposalOf(image: ClusterImage, { isr, seen = {} }: Members): IsrProposal {
  return {
    topicId: TOPIC,
    partition: 0,
    leaderEpoch: 1,
    partitionEpoch: 2,
    isr: isr.map((brokerId) => ({
      brokerId,
      brokerEpoch: seen[brokerId] ?? image.brokers.get(brokerId)?.brokerEpoch ?? 1,
    })),
    reason: 'test',
    observedAtMs: 77,
  }
}

function propose(image: ClusterImage, members: Members, fields: Partial<IsrProposal> = {}, sender = 1) {
  return decideAlterPartition(contextOf(image), {
    brokerId: sender,
    brokerEpoch: epochOf(image, sender),
    partitions: [{ ...proposalOf(image, members), ...fields }],
  })
}

function outcome(answer: AlterPartitionAnswer): string {
  return answer.error === null ? show(answer.partition) : answer.error.code
}

describe('REP-21: alter partition, each check answers before all that follow it', () => {
  it('the fixture is as described', () => {
    expect(show(partition(base))).toBe('leader 1 isr 1,3 epochs 1/2')
  })

  // Every row breaks its own rule and, where it can, all the rules below it.
  const wrong = { isr: [9, 9] }
  it.each<[string, string, Members, Partial<IsrProposal>, number?]>([
    ['unknown topic', 'UNKNOWN_TOPIC_ID', wrong, { topicId: id128('none'), leaderEpoch: 9 }, 2],
    ['unknown partition', 'UNKNOWN_TOPIC_OR_PARTITION', wrong, { partition: 2, leaderEpoch: 9 }, 2],
    ['a leader epoch from the future', 'NOT_CONTROLLER', wrong, { leaderEpoch: 2, partitionEpoch: 0 }, 2],
    ['a partition epoch from the future', 'NOT_CONTROLLER', wrong, { leaderEpoch: 0, partitionEpoch: 3 }, 2],
    ['a leader epoch that has ended', 'FENCED_LEADER_EPOCH', wrong, { leaderEpoch: 0, partitionEpoch: 0 }, 2],
    ['the sender is not the leader', 'INVALID_REQUEST', wrong, { partitionEpoch: 0 }, 2],
    ['a partition epoch that has passed', 'INVALID_UPDATE_VERSION', wrong, { partitionEpoch: 1 }],
    ['an empty ISR', 'INVALID_REQUEST', { isr: [] }, {}],
    ['a member twice', 'INVALID_REQUEST', { isr: [1, 2, 2, 4] }, {}],
    ['a member that is no replica', 'INVALID_REQUEST', { isr: [1, 4, 7] }, {}],
    ['the leader is missing', 'INVALID_REQUEST', { isr: [2, 4] }, {}],
    ['a member that is not registered', 'INELIGIBLE_REPLICA', { isr: [1, 9] }, {}],
    ['REP-23: a fenced member', 'INELIGIBLE_REPLICA', { isr: [1, 3, 4] }, {}],
    ['REP-23: a member in controlled shutdown', 'INELIGIBLE_REPLICA', { isr: [1, 3, 5] }, {}],
    [
      'REP-24: a member seen under an older broker epoch',
      'INELIGIBLE_REPLICA',
      { isr: [1, 2], seen: { 2: 1 } },
      {},
    ],
    [
      'a member seen under a broker epoch from the future',
      'INELIGIBLE_REPLICA',
      { isr: [1, 2], seen: { 2: 999 } },
      {},
    ],
    [
      'the leader itself under an older broker epoch',
      'INELIGIBLE_REPLICA',
      { isr: [1, 2], seen: { 1: 0 } },
      {},
    ],
    ['an expansion', 'leader 1 isr 1,3,2 epochs 1/3', { isr: [1, 3, 2] }, {}],
    ['a shrink', 'leader 1 isr 1 elr 3 epochs 1/3', { isr: [1] }, {}],
    ['the same members in another order', 'leader 1 isr 1,3 epochs 1/2', { isr: [3, 1] }, {}],
  ])('%s -> %s', (_what, expected, members, fields, sender) => {
    const decision = propose(base, members, fields, sender)
    expect(decision.response.map(outcome)).toEqual([expected])
    const accepted = expected.startsWith('leader') && !expected.endsWith('1/2')
    expect(decision.records.length).toBe(accepted ? 1 : 0)
    if (accepted) expect(show(partition(decided(base, decision)))).toBe(expected)
  })

  it('a sender that is not the registered run -> STALE_BROKER_EPOCH for the whole request', () => {
    for (const [brokerId, brokerEpoch] of [
      [1, epochOf(base, 1) - 1],
      [1, epochOf(base, 1) + 1],
      [9, 1],
    ] as const) {
      expect(() => decideAlterPartition(contextOf(base), { brokerId, brokerEpoch, partitions: [] })).toThrow(
        expect.objectContaining({ code: 'STALE_BROKER_EPOCH' }),
      )
    }
  })

  it('the record carries what the leader saw', () => {
    const cause = { observerId: 1, observedAtMs: 77, detail: 'test' }
    expect(propose(base, { isr: [1, 3, 2] }).records).toMatchObject([
      { cause: { kind: 'replica-caught-up', ...cause } },
    ])
    expect(propose(base, { isr: [1] }).records).toMatchObject([
      { cause: { kind: 'replica-lagging', ...cause } },
    ])
  })

  it('one request that names a partition twice: the second proposal meets what the first left', () => {
    const first = proposalOf(base, { isr: [1] })
    const decision = decideAlterPartition(contextOf(base), {
      brokerId: 1,
      brokerEpoch: epochOf(base, 1),
      partitions: [
        first,
        { ...first, isr: proposalOf(base, { isr: [1, 2] }).isr },
        { ...first, isr: proposalOf(base, { isr: [1, 2] }).isr, partitionEpoch: 3 },
      ],
    })
    expect(decision.response.map(outcome)).toEqual([
      'leader 1 isr 1 elr 3 epochs 1/3',
      'INVALID_UPDATE_VERSION',
      'leader 1 isr 1,2 epochs 1/4',
    ])
    expect(show(partition(decided(base, decision)))).toBe('leader 1 isr 1,2 epochs 1/4')
  })
})

describe('alter partition: replays', () => {
  it('REP-10: a zombie leader adds a follower back that left with it -> fenced, nothing changes', () => {
    let image = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }])
    const zombie = { ...proposalOf(image, { isr: [1, 2] }), leaderEpoch: 0, partitionEpoch: 0 }
    const brokerEpoch = epochOf(image, 1)
    image = decided(
      image,
      decideFenceBroker(contextOf(image), {
        brokerId: 1,
        brokerEpoch,
        evidence: 'heartbeat-missed',
        detail: 'test',
      }),
    )
    const decision = decideAlterPartition(contextOf(image), {
      brokerId: 1,
      brokerEpoch,
      partitions: [zombie],
    })
    expect(decision.records).toEqual([])
    expect(decision.response.map(outcome)).toEqual(['FENCED_LEADER_EPOCH'])
  })

  it('REP-20: an expansion below min.insync.replicas is decided like any other', () => {
    const image = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3], isr: [1] }])
    const decision = propose(image, { isr: [1, 3] }, { leaderEpoch: 0, partitionEpoch: 0 })
    expect(decision.response.map(outcome)).toEqual(['leader 1 isr 1,3 epochs 0/1'])
  })

  it('REP-22: duplicated, reordered and late requests change nothing', () => {
    const first = propose(base, { isr: [1, 3, 2] })
    const image = decided(base, first)
    const duplicate = propose(image, { isr: [1, 3, 2] })
    expect(duplicate.records).toEqual([])
    expect(duplicate.response.map(outcome)).toEqual(['INVALID_UPDATE_VERSION'])
    const second = decided(image, propose(image, { isr: [1, 2] }, { partitionEpoch: 3 }))
    for (const partitionEpoch of [2, 3]) {
      const late = propose(second, { isr: [1, 3, 2] }, { partitionEpoch })
      expect(late.records).toEqual([])
      expect(late.response.map(outcome)).toEqual(['INVALID_UPDATE_VERSION'])
    }
  })

  it('REP-22: of two requests with the same partition epoch exactly one wins, before either is committed', () => {
    const speculative = new SpeculativeImage(base)
    const first = propose(speculative.image, { isr: [1] })
    speculative.accept(speculative.preview(first.records))
    const second = propose(speculative.image, { isr: [1, 3, 2] })
    expect(first.response.map(outcome)).toEqual(['leader 1 isr 1 elr 3 epochs 1/3'])
    expect(second.response.map(outcome)).toEqual(['INVALID_UPDATE_VERSION'])
    expect(second.records).toEqual([])
  })

  it('REP-24: a request delayed across a restart with an empty disk does not bring the member back', () => {
    let image = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], isr: [1] }])
    const delayed = { ...proposalOf(image, { isr: [1, 2] }), leaderEpoch: 0, partitionEpoch: 0 }
    image = decided(
      image,
      decideFenceBroker(contextOf(image), {
        brokerId: 2,
        brokerEpoch: epochOf(image, 2),
        evidence: 'link-closed',
        detail: 'test',
      }),
    )
    image = decided(
      image,
      decideRegisterBroker(contextOf(image), {
        brokerId: 2,
        incarnationId: incarnation(2, 2),
        directoryId: id128('empty-disk'),
        url: 'ws://broker-2:9092',
        previousBrokerEpoch: null,
        cleanShutdown: false,
        rack: null,
        isRunning: () => false,
      }),
    )
    image = withFencing(image, 2, { fenced: false })
    const decision = decideAlterPartition(contextOf(image), {
      brokerId: 1,
      brokerEpoch: epochOf(image, 1),
      partitions: [delayed],
    })
    expect(decision.records).toEqual([])
    expect(decision.response.map(outcome)).toEqual(['INELIGIBLE_REPLICA'])
    expect(image.brokers.get(2)?.directoryId).not.toBe(directory(2))
    const caughtUp = propose(image, { isr: [1, 2] }, { leaderEpoch: 0, partitionEpoch: 0 })
    expect(caughtUp.response.map(outcome)).toEqual(['leader 1 isr 1,2 epochs 0/1'])
  })
})

describe('the speculative image', () => {
  it('a replica that a pending shrink removes is not elected before the shrink is committed', () => {
    const committed = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }])
    const speculative = new SpeculativeImage(committed)
    const shrink = propose(speculative.image, { isr: [1, 3] }, { leaderEpoch: 0, partitionEpoch: 0 })
    speculative.accept(speculative.preview(shrink.records))
    const fence = decideFenceBroker(
      { ...contextOf(speculative.image), nextOffset: speculative.nextOffset },
      { brokerId: 1, brokerEpoch: epochOf(committed, 1), evidence: 'link-closed', detail: 'test' },
    )
    speculative.accept(speculative.preview(fence.records))
    expect(show(partition(speculative.image))).toBe('leader 3 isr 3 elr 1 epochs 1/2')
    expect(show(partition(committed))).toBe('leader 1 isr 1,2,3 epochs 0/0')
    expect(speculative.nextOffset).toBe(committed.metadataOffset + 3)
  })

  it('a preview that is not accepted leaves no trace', () => {
    const committed = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2] }])
    const speculative = new SpeculativeImage(committed)
    speculative.preview(propose(committed, { isr: [1] }, { leaderEpoch: 0, partitionEpoch: 0 }).records)
    expect(speculative.image).toBe(committed)
    expect(speculative.nextOffset).toBe(committed.metadataOffset + 1)
  })
})

describe('alter partition: what counted is fsynced by now', () => {
  const unsynced = (isr: readonly number[], configs: Readonly<Record<string, string>> = {}) =>
    withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3], isr, synced: false }], TOPIC, configs)

  function noting(image: ClusterImage, isr: readonly number[]) {
    return decideAlterPartition(contextOf(image), {
      brokerId: 1,
      brokerEpoch: epochOf(image, 1),
      partitions: [{ ...proposalOf(image, { isr }), leaderEpoch: 0, partitionEpoch: 0, synced: true }],
    })
  }

  it('flush.messages is 1 and the ISR large enough -> noted, and nothing else changes', () => {
    const image = unsynced([1, 2])
    const decision = noting(image, [2, 1])
    expect(decision.records).toMatchObject([{ synced: true, cause: { kind: 'synced-again' } }])
    expect(partition(decided(image, decision))).toMatchObject({
      synced: true,
      leader: 1,
      leaderEpoch: 0,
      partitionEpoch: 1,
    })
  })

  it.each<[string, ClusterImage, readonly number[], RegExp]>([
    [
      'flush.messages is above 1',
      unsynced([1, 2], { 'flush.messages': '2' }),
      [1, 2],
      /flush.messages is above 1/,
    ],
    ['the ISR is too small', unsynced([1]), [1], /others are eligible/],
    ['the ISR would change', unsynced([1, 2]), [1, 2, 3], /the ISR would change/],
  ])('%s -> OPERATION_NOT_ATTEMPTED', (_what, image, isr, detail) => {
    const { records, response } = noting(image, isr)
    expect(records).toEqual([])
    expect(response).toMatchObject([
      { error: { code: 'OPERATION_NOT_ATTEMPTED', detail: expect.stringMatching(detail) } },
    ])
  })

  it('a proposal that does not speak of it -> leaves it as it is', () => {
    const image = unsynced([1, 2])
    const proposal = { ...proposalOf(image, { isr: [1, 2, 3] }), leaderEpoch: 0, partitionEpoch: 0 }
    const decision = decideAlterPartition(contextOf(image), {
      brokerId: 1,
      brokerEpoch: epochOf(image, 1),
      partitions: [proposal],
    })
    expect(decision.records).toMatchObject([{ isr: [1, 2, 3], synced: false }])
  })
})
