import { describe, expect, it } from 'vitest'
import type { MetadataRecord } from '../../../../src/metadata/metadata-records.ts'
import type { NodeId } from '../../../../src/model/ids.ts'
import { Placements } from '../../../../src/testing/simulation/invariants/placements.ts'
import { CAUSE, id128, TOPIC } from '../../../metadata/cluster-fixture.ts'
import { violationOf } from './fixtures.ts'

const cause = CAUSE

function registered(brokerId: number, rack: string | null = null): MetadataRecord {
  const run = {
    brokerEpoch: brokerId,
    incarnationId: id128('run'),
    directoryId: id128('disk'),
    url: 'ws://a:1',
  }
  return { type: 'broker-registered', brokerId, ...run, cause, rack }
}

function fencing(brokerId: number, fenced: boolean, shuttingDown = false): MetadataRecord {
  return { type: 'broker-fencing-changed', brokerId, brokerEpoch: brokerId, fenced, shuttingDown, cause }
}

function cordon(brokerId: NodeId, cordoned = true): MetadataRecord {
  return { type: 'broker-cordon-changed', brokerId, cordoned, cause }
}

function unregistered(brokerId: number): MetadataRecord {
  return { type: 'broker-unregistered', brokerId, brokerEpoch: brokerId, cause }
}

function created(replicas: readonly NodeId[], partition = 0): MetadataRecord {
  const state = { replicas, isr: replicas, leader: replicas[0]!, observers: [], synced: true }
  return { type: 'partition-created', topicId: TOPIC, partition, ...state, cause }
}

function moved(replicas: readonly NodeId[] | null): MetadataRecord {
  const none = {
    elr: [],
    lastKnownElr: [],
    droppedTails: [],
    observers: [],
    synced: true,
    reassignment: null,
  }
  const state = { isr: [1], leader: 1, leaderEpoch: 1, partitionEpoch: 1, ...none }
  return { type: 'partition-changed', topicId: TOPIC, partition: 0, ...state, replicas, cause }
}

/** Four brokers that are alive, in two racks: 1 and 3, 2 and 4. */
const inRacks = [1, 2, 3, 4].flatMap((id) => [
  registered(id, id % 2 === 0 ? 'even' : 'odd'),
  fencing(id, false),
])
const alive = [1, 2, 3].flatMap((id) => [registered(id), fencing(id, false)])

function check(records: readonly MetadataRecord[]): {
  readonly violation: string | null
  readonly placements: Placements
} {
  const placements = new Placements()
  const violation = violationOf(() => {
    for (const [at, record] of records.entries()) placements.committed([record], at + 1)
  })
  return { violation, placements }
}

const found = (...records: readonly MetadataRecord[]): string | null => check(records).violation

describe('RACKS: where a new partition begins', () => {
  const spread = (...records: readonly MetadataRecord[]): [string | null, number] => {
    const { violation, placements } = check([...inRacks, ...records])
    return [violation, placements.spread]
  }

  it('in as many racks as it can -> counted where it could have been in fewer', () => {
    expect(spread(created([1, 2]))).toEqual([null, 1])
    expect(spread(created([3, 4, 1]))).toEqual([null, 1])
    expect(spread(created([2]))).toEqual([null, 0])
    expect(spread(created([1, 2, 3, 4]))).toEqual([null, 0])
  })

  it('in fewer -> violation', () => {
    expect(spread(created([1, 3]))[0]).toBe('RACKS')
  })

  it('a fenced, stopping or cordoned broker takes nothing -> its rack, and whether it has one, do not count', () => {
    const third = registered(5, 'a third')
    const none = [registered(5), fencing(5, false)]
    expect(spread(third, created([1, 2, 3]))[0]).toBe(null)
    expect(spread(third, fencing(5, false), created([1, 2, 3]))[0]).toBe('RACKS')
    expect(spread(third, fencing(5, false), cordon(5), created([1, 2, 3]))[0]).toBe(null)
    expect(spread(...none, created([1, 3]))).toEqual([null, 0])
    expect(spread(...none, fencing(5, false, true), created([1, 3]))[0]).toBe('RACKS')
    expect(spread(...none, cordon(5), created([1, 3]))[0]).toBe('RACKS')
  })

  it('a partition that is moved -> not asked', () => {
    expect(spread(created([1, 2]), moved([1, 3]))).toEqual([null, 1])
  })
})

describe('REMOVAL: brokers that are taken away', () => {
  it('a new partition, or a move, brings a replica to a cordoned broker -> violation', () => {
    expect(found(...alive, cordon(3), created([1, 3]))).toBe('REMOVAL')
    expect(found(...alive, created([1, 2]), cordon(3), moved([1, 2, 3]))).toBe('REMOVAL')
    expect(found(...alive, cordon(3), fencing(3, true), registered(3), fencing(3, false), created([3]))).toBe(
      'REMOVAL',
    )
  })

  it('it keeps what it has, and gets replicas again once it is uncordoned -> none; what passes it over is counted', () => {
    expect(found(...alive, created([1, 3]), cordon(3), moved([3, 2]), moved(null))).toBe(null)
    expect(found(...alive, cordon(3), cordon(3, false), created([1, 3]))).toBe(null)
    const { placements } = check([
      ...alive,
      created([1, 2]),
      cordon(3),
      created([1, 2], 1),
      moved([1]),
      moved([1, 2]),
    ])
    expect(placements.passedOver).toBe(2)
  })

  it('a replica comes to a broker that nobody knows -> violation', () => {
    expect(found(...alive, created([1, 4]))).toBe('REMOVAL')
    expect(found(...alive, fencing(3, true), unregistered(3), created([1, 3]))).toBe('REMOVAL')
  })

  it('a broker goes that is not fenced, or hosts a replica -> violation', () => {
    expect(found(...alive, unregistered(3))).toBe('REMOVAL')
    expect(found(...alive, created([1, 3]), fencing(3, true), unregistered(3))).toBe('REMOVAL')
    expect(found(...alive, created([1]), created([1, 3], 1), fencing(3, true), unregistered(3))).toBe(
      'REMOVAL',
    )
  })

  it('it hosts nothing any more -> none; one that comes back is not cordoned', () => {
    const gone = [fencing(3, true), unregistered(3)]
    expect(found(...alive, created([1, 3]), moved([1, 2]), ...gone)).toBe(null)
    expect(found(...alive, created([1, 3]), { type: 'topic-deleted', topicId: TOPIC }, ...gone)).toBe(null)
    const back = [registered(3), fencing(3, false)]
    expect(found(...alive, cordon(3), ...gone, ...back, created([1, 3]))).toBe(null)
  })
})
