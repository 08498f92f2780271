import { describe, expect, it } from 'vitest'
import type { BrokerImage, ClusterImage, PartitionImage } from '../../../../src/metadata/cluster-image.ts'
import { RackSpread } from '../../../../src/testing/simulation/invariants/rack-spread.ts'
import { brokerImage, clusterImage, violationOf } from './fixtures.ts'

/** Four brokers in two racks: 1 and 3, 2 and 4. */
function brokers(change: Partial<BrokerImage> = {}): readonly BrokerImage[] {
  return [1, 2, 3, 4].map((id) =>
    brokerImage(id, { rack: id % 2 === 0 ? 'even' : 'odd', ...(id === 4 ? change : {}) }),
  )
}

const imageBefore = (change: Partial<BrokerImage> = {}): ClusterImage => ({
  ...clusterImage({ metadataOffset: 30, brokers: brokers(change) }),
  topics: new Map(),
})

const imageAfter = (partition: Partial<PartitionImage>, change: Partial<BrokerImage> = {}): ClusterImage =>
  clusterImage({
    metadataOffset: 31,
    brokers: brokers(change),
    partition: { leaderEpoch: 0, isr: partition.replicas ?? [], ...partition },
  })

function found(
  partition: Partial<PartitionImage>,
  change: Partial<BrokerImage> = {},
): [string | null, number] {
  const racks = new RackSpread()
  const violation = violationOf(() =>
    racks.check(imageBefore(change), imageAfter(partition, change), 'broker 1'),
  )
  return [violation, racks.spread]
}

describe('RackSpread', () => {
  it('a new partition in as many racks as it can -> counted where it could have been in fewer', () => {
    expect(found({ replicas: [1, 2] })).toEqual([null, 1])
    expect(found({ replicas: [3, 4, 1] })).toEqual([null, 1])
    expect(found({ replicas: [2] })).toEqual([null, 0])
    expect(found({ replicas: [1, 2, 3, 4] })).toEqual([null, 0])
  })

  it('a new partition in fewer racks -> violation', () => {
    expect(found({ replicas: [1, 3] })[0]).toBe('RACKS')
  })

  it('a fenced or stopping broker takes nothing -> its rack and whether it has one do not count', () => {
    const alone = { rack: 'a third', fenced: true }
    expect(found({ replicas: [1, 2, 3] }, alone)[0]).toBe(null)
    expect(found({ replicas: [1, 2, 3] }, { ...alone, fenced: false })[0]).toBe('RACKS')
    expect(found({ replicas: [1, 3] }, { rack: null, shuttingDown: true })[0]).toBe('RACKS')
  })

  it('a broker has no rack, or its state has changed meanwhile -> nothing is demanded', () => {
    expect(found({ replicas: [1, 3] }, { rack: null })).toEqual([null, 0])
    expect(found({ replicas: [1, 3] }, { stateOffset: 31 })).toEqual([null, 0])
  })

  it('a partition that has moved, moves or was there before -> not asked', () => {
    expect(found({ replicas: [1, 3], leaderEpoch: 1 })).toEqual([null, 0])
    const reassignment = { original: [1, 2], target: [1, 3] }
    expect(found({ replicas: [1, 3], reassignment })).toEqual([null, 0])
    const racks = new RackSpread()
    const known = imageAfter({ replicas: [1, 3] })
    racks.check(known, { ...imageAfter({ replicas: [1, 3] }), metadataOffset: 32 }, 'broker 1')
    expect(racks.spread).toBe(0)
  })
})
