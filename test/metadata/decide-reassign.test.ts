import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { decideAlterPartition } from '../../src/metadata/decide-alter-partition.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideReassign } from '../../src/metadata/decide-reassign.ts'
import { imageOfRecords, recordsOfImage } from '../../src/metadata/image-snapshot.ts'
import { addingReplicas, reassignmentsOf, removingReplicas } from '../../src/metadata/reassignment.ts'
import type { NodeId } from '../../src/model/ids.ts'
import {
  apply,
  clusterOf,
  contextOf,
  decided,
  epochOf,
  partition,
  registered,
  show,
  TOPIC,
  withFencing,
  withTopic,
} from './cluster-fixture.ts'

const NAME = `name-of-${TOPIC}`

/** Brokers 1 to 6 are alive, 7 is fenced, 8 is stopping, 9 is not known. */
function base(replicas: readonly NodeId[] = [1, 2, 3], isr = replicas): ClusterImage {
  let image = registered(clusterOf([1, 2, 3, 4, 5, 6, 8]), 7)
  image = withFencing(image, 8, { shuttingDown: true })
  return withTopic(image, [{ replicas, isr }])
}

function decide(image: ClusterImage, replicas: readonly NodeId[] | null) {
  return decideReassign(contextOf(image), [{ topic: NAME, partition: 0, replicas }])
}

function move(image: ClusterImage, replicas: readonly NodeId[] | null): ClusterImage {
  const decision = decide(image, replicas)
  expect(decision.response.partitions[0]!.error).toBe(null)
  return decided(image, decision)
}

/** The leader proposes an ISR. */
function alter(image: ClusterImage, isr: readonly NodeId[]) {
  const { leader, leaderEpoch, partitionEpoch } = partition(image)
  return decideAlterPartition(contextOf(image), {
    brokerId: leader!,
    brokerEpoch: epochOf(image, leader!),
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

function inSync(image: ClusterImage, isr: readonly NodeId[]): ClusterImage {
  return decided(image, alter(image, isr))
}

function fenced(image: ClusterImage, brokerId: NodeId): ClusterImage {
  const broker = { brokerId, brokerEpoch: epochOf(image, brokerId) }
  return decided(
    image,
    decideFenceBroker(contextOf(image), { ...broker, evidence: 'link-closed', detail: 'test' }),
  )
}

function shown(image: ClusterImage): string {
  const state = partition(image)
  return `${state.replicas.join(',')}${state.reassignment === null ? '' : ' moving'}: ${show(state)}`
}

describe('a move of a partition with observers', () => {
  const observed = (observers: readonly NodeId[]): ClusterImage => {
    const image = clusterOf([1, 2, 3, 4, 5, 6])
    return withTopic(image, [{ replicas: [1, 2, 3], observers }])
  }

  it('an observer that stays is not waited for, and is one afterwards', () => {
    const image = inSync(move(observed([3]), [1, 4, 3]), [1, 2, 4])
    expect(shown(image)).toBe('1,4,3: leader 1 isr 1,4 epochs 2/2')
    expect(partition(image).observers).toEqual([3])
  })

  it('an observer that goes is none afterwards', () => {
    const image = inSync(move(observed([3]), [4, 5]), [1, 2, 4, 5])
    expect(shown(image)).toBe('4,5: leader 4 isr 4,5 epochs 2/2')
    expect(partition(image).observers).toEqual([])
  })

  it('an observer that is to lead the list -> the first voter leads', () => {
    const image = inSync(move(observed([3]), [3, 4, 5]), [1, 2, 4, 5])
    expect(shown(image)).toBe('3,4,5: leader 4 isr 4,5 epochs 2/2')
  })

  it('a new replica is a voter and is waited for', () => {
    expect(shown(inSync(move(observed([3]), [1, 3, 4, 5]), [1, 2, 4]))).toBe(
      '1,2,3,4,5 moving: leader 1 isr 1,2,4 epochs 1/2',
    )
  })

  it('cancelled -> the observers of before', () => {
    const image = move(move(observed([3]), [4, 5]), null)
    expect(shown(image)).toBe('1,2,3: leader 1 isr 1,2 epochs 2/2')
    expect(partition(image).observers).toEqual([3])
  })

  it('observers and too few voters -> refused', () => {
    expect(decide(observed([2, 3]), [2, 3]).response.partitions[0]!.error).toEqual({
      code: 'INVALID_REPLICA_ASSIGNMENT',
      detail: `${NAME}/0: [2, 3] has fewer replicas that are not observers [2, 3] than min.insync.replicas asks for, which is 1.`,
    })
  })
})

describe('starting a move', () => {
  it('REP-37: new replicas come beside those of before, with a new leader epoch', () => {
    const image = move(base(), [1, 4, 5])
    expect(shown(image)).toBe('1,2,3,4,5 moving: leader 1 isr 1,2,3 epochs 1/1')
    expect(addingReplicas(partition(image))).toEqual([4, 5])
    expect(removingReplicas(partition(image))).toEqual([2, 3])
    expect([...reassignmentsOf(image)]).toMatchObject([
      { topic: NAME, partition: 0, leader: 1, original: [1, 2, 3], target: [1, 4, 5] },
    ])
  })

  it('only replicas go, and the others are in sync -> done at once; the leader moves with it', () => {
    expect(shown(move(base(), [2, 3]))).toBe('2,3: leader 2 isr 2,3 epochs 1/1')
  })

  it('only the order changes -> done at once, the leader stays', () => {
    expect(shown(move(base(), [3, 2, 1]))).toBe('3,2,1: leader 1 isr 1,2,3 epochs 1/1')
  })

  it('what is so already, or is under way already -> nothing changes', () => {
    expect(decide(base(), [1, 2, 3]).records).toEqual([])
    expect(decide(move(base(), [4, 5, 6]), [4, 5, 6]).records).toEqual([])
  })

  it.each<[string, readonly NodeId[], RegExp]>([
    ['none', [], /list of replicas is empty/],
    ['one twice', [1, 4, 4], /\[1, 4, 4\] names a broker twice/],
    ['a broker nobody knows', [1, 2, 9], /broker 9 is not known\. Known brokers: \[1, 2, 3,/],
    ['a fenced broker', [1, 2, 7], /broker 7 is not alive; start it first/],
    ['a stopping broker', [1, 2, 8], /broker 8 is stopping/],
    [
      'fewer than min.insync.replicas',
      [4],
      /\[4\] has fewer replicas than min.insync.replicas asks for, which is 2/,
    ],
    ['more than there are brokers', [1, 2, 3, 4, 5, 6, 10], /broker 10 is not known/],
  ])('%s -> INVALID_REPLICA_ASSIGNMENT, and nothing changes', (_, replicas, detail) => {
    const { records, response } = decide(base(), replicas)
    expect(records).toEqual([])
    expect(response.partitions[0]!.error!.code).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(response.partitions[0]!.error!.detail).toMatch(detail)
  })

  it('topic or partition unknown, another move under way -> refused each for itself, the others go on', () => {
    const image = withTopic(move(base(), [1, 2, 4]), [{ replicas: [1, 2] }], 'other'.padEnd(22, '0'))
    const other = `name-of-${'other'.padEnd(22, '0')}`
    const { response, records } = decideReassign(contextOf(image), [
      { topic: 'none', partition: 0, replicas: [1] },
      { topic: NAME, partition: 1, replicas: [1] },
      { topic: NAME, partition: 0, replicas: [1, 2, 5] },
      { topic: other, partition: 0, replicas: null },
      { topic: other, partition: 0, replicas: [3, 4] },
    ])
    expect(response.partitions.map(({ error }) => error?.code ?? null)).toEqual([
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'REASSIGNMENT_IN_PROGRESS',
      'NO_REASSIGNMENT_IN_PROGRESS',
      null,
    ])
    expect(records).toHaveLength(1)
    expect(response.metadataOffset).toBe(image.metadataOffset + 1)
  })

  it('a replica that stays may be away; the move waits for it', () => {
    let image = move(fenced(base(), 3), [1, 3, 4])
    image = inSync(image, [1, 2, 4])
    expect(shown(image)).toBe('1,2,3,4 moving: leader 1 isr 1,2,4 epochs 1/3')
    image = inSync(withFencing(image, 3, { fenced: false }), [1, 2, 3, 4])
    expect(shown(image)).toBe('1,3,4: leader 1 isr 1,3,4 epochs 2/4')
  })
})

describe('the end of a move', () => {
  it('REP-37: not before all of the target are in the ISR', () => {
    let image = inSync(move(base(), [1, 4, 5]), [1, 2, 3, 4])
    expect(shown(image)).toBe('1,2,3,4,5 moving: leader 1 isr 1,2,3,4 epochs 1/2')
    const decision = alter(image, [1, 2, 3, 4, 5])
    expect(decision.response).toMatchObject([{ error: { code: 'NEW_LEADER_ELECTED' } }])
    image = decided(image, decision)
    expect(shown(image)).toBe('1,4,5: leader 1 isr 1,4,5 epochs 2/3')
  })

  it('REP-37: the leader is not one of the target -> the first of it that may lead does', () => {
    const image = inSync(move(base(), [4, 5]), [1, 2, 3, 4, 5])
    expect(shown(image)).toBe('4,5: leader 4 isr 4,5 epochs 2/2')
  })

  it('one replica becomes three -> it can be written to all the time', () => {
    let image = move(base([1]), [1, 2, 3])
    expect(shown(image)).toBe('1,2,3 moving: leader 1 isr 1 epochs 1/1')
    image = inSync(inSync(image, [1, 2]), [1, 2, 3])
    expect(shown(image)).toBe('1,2,3: leader 1 isr 1,2,3 epochs 2/3')
  })

  it('the leader dies in the middle -> another leads, also one that was added and is in sync', () => {
    let image = inSync(move(base(), [4, 5, 6]), [1, 2, 3, 4])
    image = fenced(image, 1)
    expect(shown(image)).toBe('1,2,3,4,5,6 moving: leader 2 isr 2,3,4 epochs 2/3')
    image = fenced(fenced(image, 2), 3)
    expect(shown(image)).toBe('1,2,3,4,5,6 moving: leader 4 isr 4 elr 3 epochs 4/5')
    image = inSync(image, [4, 5, 6])
    expect(shown(image)).toBe('4,5,6: leader 4 isr 4,5,6 epochs 5/6')
  })

  it('REP-37: removed replicas leave the ELR as well', () => {
    let image = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2] }])
    image = inSync(move(image, [3, 2]), [1])
    expect(shown(image)).toBe('1,2,3 moving: leader 1 isr 1 elr 2 epochs 1/2')
    image = inSync(image, [1, 2, 3])
    expect(shown(image)).toBe('3,2: leader 3 isr 2,3 epochs 2/3')
  })
})

describe('cancelling', () => {
  it.each<[string, readonly NodeId[]]>([
    ['nobody new is in sync', [1, 2, 3]],
    ['one that is new is in sync', [1, 2, 3, 4]],
  ])('REP-37: %s -> back to the replicas of before, in their order', (_, isr) => {
    const moving = inSync(move(base([3, 1, 2]), [4, 5, 6]), isr)
    const image = move(moving, null)
    expect(partition(image)).toMatchObject({ replicas: [3, 1, 2], reassignment: null, leader: 3 })
    expect([...partition(image).isr].toSorted((a, b) => a - b)).toEqual([1, 2, 3])
    expect(partition(image).leaderEpoch).toBe(partition(moving).leaderEpoch + 1)
  })

  it('REP-37: a new replica leads -> one of those of before does', () => {
    let image = inSync(move(base(), [4, 5, 6]), [1, 2, 3, 4])
    image = fenced(image, 1)
    const { leaderEpoch, partitionEpoch } = partition(image)
    image = apply(image, [
      {
        type: 'partition-changed',
        topicId: TOPIC,
        partition: 0,
        isr: [2, 3, 4],
        leader: 4,
        leaderEpoch: leaderEpoch + 1,
        partitionEpoch: partitionEpoch + 1,
        cause: { kind: 'operator', observerId: 1, observedAtMs: 1, detail: 'test' },
        elr: [],
        lastKnownElr: [],
        synced: true,
        droppedTails: [],
        observers: [],
        replicas: null,
        reassignment: partition(image).reassignment,
      },
    ])
    expect(shown(move(image, null))).toBe('1,2,3: leader 2 isr 2,3 epochs 4/5')
  })

  it('REP-37: too few of those of before are in sync -> refused, nothing is lost', () => {
    let image = inSync(move(base(), [4, 5, 6]), [1, 2, 3, 4])
    image = fenced(fenced(image, 1), 2)
    const { records, response } = decide(image, null)
    expect(records).toEqual([])
    expect(response.partitions[0]!.error).toMatchObject({
      code: 'INVALID_REPLICA_ASSIGNMENT',
      detail: expect.stringMatching(/only \[3\] are in sync, where min.insync.replicas asks for 2/),
    })
  })

  it('REP-37: a new replica that is away is one of the few with all records -> refused until others have them', () => {
    let image = inSync(move(base(), [4, 5, 6]), [1, 2, 3, 4])
    image = fenced(inSync(image, [1, 4]), 4)
    expect(shown(image)).toBe('1,2,3,4,5,6 moving: leader 1 isr 1 elr 4 epochs 1/4')
    const { records, response } = decide(image, null)
    expect(records).toEqual([])
    expect(response.partitions[0]!.error!.detail).toMatch(/only \[1\] surely have all records/)
    image = move(inSync(image, [1, 2]), null)
    expect(shown(image)).toBe('1,2,3: leader 1 isr 1,2 epochs 2/6')
  })

  it('nothing is under way -> NO_REASSIGNMENT_IN_PROGRESS', () => {
    expect(decide(base(), null).response.partitions[0]!.error!.code).toBe('NO_REASSIGNMENT_IN_PROGRESS')
  })
})

it('RAFT-29: a snapshot carries moves that are under way', () => {
  const image = inSync(move(base(), [4, 5, 6]), [1, 2, 3, 4])
  expect(imageOfRecords([...recordsOfImage(image)])).toEqual(image)
})
