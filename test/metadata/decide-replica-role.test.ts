import { describe, expect, it } from 'vitest'
import type { ClusterImage, PartitionImage } from '../../src/metadata/cluster-image.ts'
import { decideAlterPartition } from '../../src/metadata/decide-alter-partition.ts'
import { decideElectLeaders, decidePreferredLeaders } from '../../src/metadata/decide-elect-leader.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideHeartbeat } from '../../src/metadata/decide-heartbeat.ts'
import { decideReassign } from '../../src/metadata/decide-reassign.ts'
import { decideReplicaRole, type ReplicaRole } from '../../src/metadata/decide-replica-role.ts'
import { minIsrOf } from '../../src/metadata/eligible-replicas.ts'
import { applyBatch } from '../../src/metadata/image-apply.ts'
import {
  clusterOf,
  contextOf,
  decided,
  epochOf,
  type PartitionFixture,
  partition,
  show,
  TOPIC,
  violations,
  withTopic,
} from './cluster-fixture.ts'

const NAME = `name-of-${TOPIC}`

function changing(image: ClusterImage, brokerId: number, role: ReplicaRole) {
  return decideReplicaRole(contextOf(image), { topic: NAME, partition: 0, brokerId, role })
}

/** The state in a line, with its observers; or the error. */
function outcome(image: ClusterImage, brokerId: number, role: ReplicaRole): string {
  try {
    const next = decided(image, changing(image, brokerId, role))
    expect(violations(next)).toEqual([])
    return shown(partition(next))
  } catch (thrown) {
    const { code, message } = thrown as { readonly code: string; readonly message: string }
    return `${code}: ${message.replace(NAME, 't')}`
  }
}

const shown = (state: PartitionImage): string =>
  `${show(state)} observers ${state.observers.join(',') || 'none'}`

const of = (fixture: PartitionFixture, configs: Readonly<Record<string, string>> = {}) =>
  withTopic(clusterOf([1, 2, 3, 4]), [fixture], TOPIC, configs)

function fenced(image: ClusterImage, ...brokers: readonly number[]): ClusterImage {
  return brokers.reduce((state, brokerId) => {
    const brokerEpoch = epochOf(state, brokerId)
    const due = { brokerId, brokerEpoch, evidence: 'link-closed', detail: 'test' } as const
    return decided(state, decideFenceBroker(contextOf(state), due))
  }, image)
}

function unfenced(image: ClusterImage, brokerId: number): ClusterImage {
  return decided(
    image,
    decideHeartbeat(contextOf(image), {
      brokerId,
      brokerEpoch: epochOf(image, brokerId),
      metadataOffset: image.metadataOffset,
      wantUnfenced: true,
      wantShutdown: false,
      offlineLogs: [],
      damagedLogs: [],
      droppedTails: [],
      appliedByOthers: Number.POSITIVE_INFINITY,
    }),
  )
}

const THREE = { replicas: [1, 2, 3] }
const OBSERVED = { replicas: [1, 2, 3], observers: [3] }

describe('promote an observer', () => {
  it.each<[string, ClusterImage, number, string]>([
    [
      'a voter from now on, outside of the ISR',
      of(OBSERVED),
      3,
      'leader 1 isr 1,2 epochs 0/1 observers none',
    ],
    ['a voter already: nothing changes', of(OBSERVED), 2, 'leader 1 isr 1,2 epochs 0/0 observers 3'],
    [
      'with it more members are needed: nobody is eligible any more',
      fenced(of(OBSERVED, { 'min.insync.replicas': '3' }), 2),
      3,
      'leader 1 isr 1 lost 2 epochs 0/2 observers none',
    ],
    [
      'as many are needed as before: who is eligible stays so',
      fenced(of(OBSERVED), 2),
      3,
      'leader 1 isr 1 elr 2 epochs 0/2 observers none',
    ],
    [
      'nobody leads: all stay eligible, whatever is needed',
      fenced(of(OBSERVED, { 'min.insync.replicas': '3' }), 2, 1),
      3,
      'leader none isr empty elr 1,2 epochs 1/3 observers none',
    ],
    [
      'no replica at all',
      of(OBSERVED),
      4,
      'INVALID_REQUEST: Broker 4 is none of the replicas [1, 2, 3] of t/0.',
    ],
  ])('%s', (_what, image, brokerId, expected) => {
    expect(outcome(image, brokerId, 'voter')).toBe(expected)
  })
})

describe('demote a voter', () => {
  it.each<[string, ClusterImage, number, string]>([
    ['it leaves the ISR', of(THREE), 2, 'leader 1 isr 1,3 epochs 0/1 observers 2'],
    ['it was not in the ISR', of({ ...THREE, isr: [1, 3] }), 2, 'leader 1 isr 1,3 epochs 0/1 observers 2'],
    ['it is not alive', fenced(of(THREE), 2), 2, 'leader 1 isr 1,3 epochs 0/2 observers 2'],
    ['an observer already: nothing changes', of(OBSERVED), 3, 'leader 1 isr 1,2 epochs 0/0 observers 3'],
    [
      'it leads',
      of(THREE),
      1,
      'INVALID_REQUEST: Broker 1 leads t/0. Have another replica elected first (vltava partition elect --to), ' +
        'and mind that the preferred one is elected again when it is in sync.',
    ],
    [
      'too few would be in sync',
      of(THREE, { 'min.insync.replicas': '3' }),
      2,
      'POLICY_VIOLATION: Without broker 2 the ISR of t/0 would be [1, 3], and min.insync.replicas asks for 3 members. ' +
        'Wait until more replicas are in sync, promote another observer, or lower min.insync.replicas.',
    ],
    [
      'what min.insync.replicas asks for must not fall with the number of voters',
      of({ replicas: [1, 2] }),
      2,
      'POLICY_VIOLATION: Without broker 2 the ISR of t/0 would be [1], and min.insync.replicas asks for 2 members. ' +
        'Wait until more replicas are in sync, promote another observer, or lower min.insync.replicas.',
    ],
    [
      'nobody leads: eligible replicas must not become observers',
      fenced(of(THREE, { 'min.insync.replicas': '1' }), 3, 2, 1),
      1,
      'POLICY_VIOLATION: Without broker 1 the ISR of t/0 would be [], and min.insync.replicas asks for 1 members. ' +
        'Wait until more replicas are in sync, promote another observer, or lower min.insync.replicas.',
    ],
  ])('%s', (_what, image, brokerId, expected) => {
    expect(outcome(image, brokerId, 'observer')).toBe(expected)
  })

  it('while its replicas move -> refused: the end of the move depends on who is a voter', () => {
    const moving = decided(
      of(OBSERVED),
      decideReassign(contextOf(of(OBSERVED)), [
        { topic: `name-of-${TOPIC}`, partition: 0, replicas: [1, 2, 3, 4] },
      ]),
    )
    expect(outcome(moving, 3, 'voter')).toBe(
      'REASSIGNMENT_IN_PROGRESS: t/0 moves from [1, 2, 3] to [1, 2, 3, 4], which counts on the roles there are; ' +
        'wait for the end or cancel it first.',
    )
  })

  it('unknown topics and partitions -> refused', () => {
    const role = 'voter' as const
    const request = { topic: 'none', partition: 0, brokerId: 1, role }
    expect(() => decideReplicaRole(contextOf(of(THREE)), request)).toThrow(/There is no topic "none"/)
    expect(() => decideReplicaRole(contextOf(of(THREE)), { ...request, topic: NAME, partition: 7 })).toThrow(
      /has 1 partitions, none with index 7/,
    )
  })
})

describe('an observer', () => {
  function proposing(image: ClusterImage, isr: readonly number[]) {
    const { leaderEpoch, partitionEpoch } = partition(image)
    return decideAlterPartition(contextOf(image), {
      brokerId: 1,
      brokerEpoch: epochOf(image, 1),
      partitions: [
        {
          topicId: TOPIC,
          partition: 0,
          leaderEpoch,
          partitionEpoch,
          isr: isr.map((brokerId) => ({ brokerId, brokerEpoch: epochOf(image, brokerId) })),
          reason: 'test',
          observedAtMs: 1,
        },
      ],
    })
  }

  it('in a proposed ISR -> INELIGIBLE_REPLICA; once promoted it joins as any other', () => {
    const image = of(OBSERVED)
    expect(proposing(image, [1, 2, 3])).toMatchObject({
      records: [],
      response: [
        { error: { code: 'INELIGIBLE_REPLICA', detail: expect.stringMatching(/broker 3 is an observer/) } },
      ],
    })
    const promoted = decided(image, changing(image, 3, 'voter'))
    expect(shown(partition(decided(promoted, proposing(promoted, [1, 2, 3]))))).toBe(
      'leader 1 isr 1,2,3 epochs 0/2 observers none',
    )
  })

  it('a proposal from before a demotion that names it -> refused by the partition epoch', () => {
    const before = of({ ...THREE, isr: [1, 2] })
    const after = decided(before, changing(before, 3, 'observer'))
    const stale = proposing(before, [1, 2, 3])
    expect(stale.records).not.toEqual([])
    expect(
      decideAlterPartition(contextOf(after), {
        brokerId: 1,
        brokerEpoch: epochOf(after, 1),
        partitions: [
          {
            topicId: TOPIC,
            partition: 0,
            leaderEpoch: 0,
            partitionEpoch: 0,
            isr: [1, 2, 3].map((brokerId) => ({ brokerId, brokerEpoch: epochOf(after, brokerId) })),
            reason: 'test',
            observedAtMs: 1,
          },
        ],
      }).response,
    ).toMatchObject([{ error: { code: 'INVALID_UPDATE_VERSION' } }])
  })

  it('does not count as a replica for min.insync.replicas', () => {
    const image = of(OBSERVED, { 'min.insync.replicas': '3' })
    expect(minIsrOf(image.topics.get(TOPIC)!, partition(image))).toBe(2)
  })

  it('alone alive -> the partition waits, also where the topic allows unclean elections', () => {
    const image = fenced(of(OBSERVED, { 'unclean.leader.election.enable': 'true' }), 1, 2)
    expect(shown(partition(image))).toBe('leader none isr empty elr 1,2 epochs 2/2 observers 3')
    expect(shown(partition(unfenced(fenced(image, 3), 3)))).toBe(shown(partition(image)))
  })

  it('is elected only by an order that names it, as possible data loss, and is a voter then', () => {
    const image = fenced(of(OBSERVED), 1, 2)
    const electing = (replica: number | null) =>
      decideElectLeaders(contextOf(image), { topic: NAME, partitions: [0], election: 'unclean', replica })
    expect(electing(null).response.partitions[0]!.error).toMatchObject({
      code: 'ELIGIBLE_LEADERS_NOT_AVAILABLE',
      detail: expect.stringMatching(/or name one of the observers \[3\], which lag behind/),
    })
    const decision = electing(3)
    expect(decision.response.partitions[0]).toMatchObject({ leader: 3, unclean: true, error: null })
    const next = decided(image, decision)
    expect(violations(next)).toEqual([])
    expect(partition(next)).toMatchObject({ leader: 3, isr: [3], elr: [], observers: [] })
  })

  it('elected cleanly -> refused, with what to do', () => {
    const request = { topic: NAME, partitions: [0], election: 'replica', replica: 3 } as const
    expect(decideElectLeaders(contextOf(of(OBSERVED)), request).response.partitions[0]!.error).toMatchObject({
      detail: expect.stringMatching(/broker 3 is an observer; promote it first/),
    })
  })

  it('first in the list of replicas -> the next voter is the preferred one', () => {
    const image = of({ replicas: [3, 2, 1], observers: [3], isr: [1, 2] })
    const next = decided(image, decidePreferredLeaders(contextOf(image)))
    expect(partition(next).leader).toBe(2)
  })

  it('stops and comes back, in order or not -> nothing changes for the partition', () => {
    const image = of(OBSERVED)
    expect(partition(fenced(image, 3))).toBe(partition(image))
    expect(partition(unfenced(fenced(image, 3), 3))).toBe(partition(image))
  })

  it.each<[string, Partial<PartitionImage>, RegExp]>([
    ['in the ISR', { isr: [1, 2, 3] }, /an observer of 3 is in the ISR/],
    ['in the ELR', { isr: [1], elr: [3] }, /an observer of 3 is in the ISR/],
    ['that is no replica', { observers: [4] }, /are not within its replicas/],
    ['twice', { observers: [3, 3] }, /are not within its replicas/],
  ])('INV-11: a record with an observer %s -> never applied', (_what, fields, message) => {
    const image = of(OBSERVED)
    const record = {
      ...partition(image),
      replicas: null,
      ...fields,
      type: 'partition-changed' as const,
      topicId: TOPIC,
      partitionEpoch: 1,
      cause: { kind: 'operator' as const, observerId: 1, observedAtMs: 1, detail: 'test' },
    }
    expect(() => applyBatch(image, [record], image.metadataOffset + 1)).toThrow(message)
  })
})
