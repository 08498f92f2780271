import { beforeEach, describe, expect, it } from 'vitest'
import {
  type ClusterImage,
  EMPTY_IMAGE,
  type PartitionImage,
} from '../../../../src/metadata/cluster-image.ts'
import { MetadataInvariants } from '../../../../src/testing/simulation/invariants/metadata-invariants.ts'
import {
  brokerImage,
  clusterImage,
  type FakeNode,
  type ImageChange,
  metadataEntry,
  SoundCluster,
  TOPIC_ID,
  violationOf,
} from './fixtures.ts'

let cluster: SoundCluster
let nodes: readonly [FakeNode, FakeNode, FakeNode]
let invariants: MetadataInvariants

beforeEach(async () => {
  cluster = await SoundCluster.create()
  nodes = cluster.nodes
  invariants = new MetadataInvariants()
  for (const node of nodes)
    node.controller ??= {
      image: cluster.image,
      term: 3,
      isLeader: false,
      entries: [null, metadataEntry('entry')],
    }
})

function check(): string | null {
  return violationOf(() => invariants.check(cluster.observed))
}

/** What is found when everybody gets this picture. */
function withImage(change: ImageChange): string | null {
  cluster.setImage(change)
  return check()
}

function withPartition(partition: Partial<PartitionImage>): string | null {
  return withImage({ partition })
}

describe('a sound cluster', () => {
  it('every check, again and again -> no violation, and the newest committed metadata', () => {
    expect(invariants.newest).toBe(null)
    for (let i = 0; i < 3; i++) expect(check()).toBe(null)
    expect(invariants.newest).toBe(cluster.image)
  })

  it('nodes that are about to start, brokers without a voter -> not asked', () => {
    nodes[1].controller = null
    nodes[2].image = EMPTY_IMAGE
    expect(check()).toBe(null)
  })
})

describe('INV-3 and INV-11: the state of a partition', () => {
  it('INV-3: the leader is not in the ISR -> violation; no leader -> none', () => {
    expect(withPartition({ leader: 1, isr: [2, 3] })).toBe('INV-3')
    expect(withImage({ metadataOffset: 32, partition: { leader: null, isr: [2, 3] } })).toBe(null)
  })

  it('INV-11: a member of the ISR is no replica -> violation', () => {
    expect(withPartition({ replicas: [1, 2], isr: [1, 2, 3] })).toBe('INV-11')
  })

  it('INV-12: nobody is eligible -> violation, unless enough are known that were', () => {
    const nobody = { leader: null, isr: [] }
    expect(withPartition(nobody)).toBe('INV-12')
    expect(withImage({ metadataOffset: 32, partition: { ...nobody, lastKnownElr: [1] } })).toBe('INV-12')
    expect(withImage({ metadataOffset: 33, partition: { ...nobody, lastKnownElr: [1, 3] } })).toBe(null)
    expect(withImage({ metadataOffset: 34, partition: { ...nobody, elr: [2] } })).toBe(null)
  })

  it('INV-11: the ELR overlaps the ISR, leaves the replicas or stands beside a large enough ISR -> violation', () => {
    expect(withPartition({ isr: [1], elr: [1] })).toBe('INV-11')
    expect(withImage({ metadataOffset: 32, partition: { isr: [1], elr: [4] } })).toBe('INV-11')
    expect(withImage({ metadataOffset: 33, partition: { isr: [1, 2], elr: [3] } })).toBe('INV-11')
    expect(withImage({ metadataOffset: 34, partition: { isr: [1], elr: [2, 3] } })).toBe(null)
  })

  it('INV-11: a fenced or unknown broker in the ISR -> violation', () => {
    const brokers = [brokerImage(1), brokerImage(2), brokerImage(3, { fenced: true })]
    expect(withImage({ brokers })).toBe('INV-11')
    expect(withImage({ metadataOffset: 32, brokers: brokers.slice(0, 2) })).toBe('INV-11')
  })

  it('INV-11: a fenced broker as the last member of the ISR -> violation; in the ELR -> none', () => {
    const brokers = [brokerImage(1), brokerImage(2), brokerImage(3, { fenced: true })]
    expect(withImage({ brokers, partition: { leader: null, isr: [3] } })).toBe('INV-11')
    expect(withImage({ metadataOffset: 32, brokers, partition: { leader: null, isr: [], elr: [3] } })).toBe(
      null,
    )
  })

  it('INV-3: only one of the controllers has it wrong -> violation', () => {
    nodes[2].controller!.image = clusterImage({ metadataOffset: 31, partition: { isr: [2, 3] } })
    expect(check()).toBe('INV-3')
  })
})

describe('INV-10: the same metadata everywhere', () => {
  it('INV-10: two nodes have different pictures at one offset -> violation, also between voter and broker', () => {
    nodes[1].image = clusterImage({ partition: { isr: [1, 2] } })
    expect(check()).toBe('INV-10')
  })

  it('INV-10: one had it, another has it differently later -> violation', () => {
    expect(check()).toBe(null)
    cluster.setImage({})
    expect(check()).toBe(null)
    nodes[2].image = clusterImage({ metadataOffset: 32, partition: { partitionEpoch: 6 } })
    expect(check()).toBe(null)
    nodes[0].controller!.image = clusterImage({ metadataOffset: 32, partition: { partitionEpoch: 7 } })
    expect(check()).toBe('INV-10')
  })

  it('INV-10: another order within a map, or one node behind -> none', () => {
    const brokers = [3, 1, 2].map((id) => brokerImage(id))
    nodes[1].image = clusterImage({ brokers })
    expect(check()).toBe(null)
    const { image } = nodes[1]
    cluster.setImage({})
    nodes[1].image = image
    expect(check()).toBe(null)
  })
})

describe('INV-17 and INV-22: the quorum', () => {
  it('INV-17: the term goes back in a run -> violation; in a new run -> none', () => {
    nodes[1].controller!.term = 7
    expect(check()).toBe(null)
    nodes[1].controller!.term = 6
    expect(check()).toBe('INV-17')
    nodes[1].run = 2
    expect(check()).toBe(null)
  })

  it('INV-22: two leaders in one term, at once or ever -> violation', () => {
    nodes[1].controller!.isLeader = true
    expect(check()).toBe('INV-22')
    nodes[1].controller!.term = 4
    expect(check()).toBe(null)
    nodes[1].controller!.isLeader = false
    Object.assign(nodes[2].controller!, { term: 4, isLeader: true })
    expect(check()).toBe('INV-22')
  })

  it('INV-22: one leads again in its term after a restart -> none', () => {
    expect(check()).toBe(null)
    nodes[0].run = 2
    expect(check()).toBe(null)
  })

  it('INV-22: a node has committed another entry than others -> violation, at any index', () => {
    for (const node of nodes)
      node.controller!.entries = [null, metadataEntry('a'), metadataEntry('b'), null, metadataEntry('c')]
    expect(check()).toBe(null)
    nodes[0].controller!.entries.push(metadataEntry('d'))
    expect(check()).toBe(null)
    nodes[1].controller!.entries.push(metadataEntry('e'))
    expect(check()).toBe('INV-22')
  })

  it('INV-22: an empty entry instead of one with data, or the reverse -> violation', async () => {
    nodes[1].controller!.entries = [null, null]
    expect(check()).toBe('INV-22')
    invariants = new MetadataInvariants()
    nodes[1].controller!.entries = [metadataEntry(''), metadataEntry('entry')]
    expect(check()).toBe('INV-22')
  })

  it('INV-22: a restarted node hands out all of its entries again -> all of them are compared', () => {
    expect(check()).toBe(null)
    nodes[1].run = 2
    nodes[1].controller!.entries = [null, metadataEntry('something else')]
    expect(check()).toBe('INV-22')
  })
})

describe('INV-23: epochs never go back on any node', () => {
  /** Node 2 alone goes from one picture to another; its controller knows neither. */
  function goes(from: ImageChange, to: ImageChange): string | null {
    nodes[1].image = clusterImage({ metadataOffset: 40, ...from })
    expect(check()).toBe(null)
    nodes[1].image = clusterImage({ metadataOffset: 41, ...to })
    return check()
  }

  it('INV-23: the metadata offset -> violation when it goes back, or stays while the picture changes', () => {
    expect(goes({}, { metadataOffset: 39 })).toBe('INV-23')
    expect(goes({ metadataOffset: 50 }, { metadataOffset: 50 })).toBe('INV-23')
    expect(goes({ metadataOffset: 60 }, { metadataOffset: 61 })).toBe(null)
  })

  it('INV-23: the broker epoch -> violation', () => {
    const [one, two] = [brokerImage(1), brokerImage(2)]
    expect(goes({}, { brokers: [one, two, brokerImage(3, { brokerEpoch: 12 })] })).toBe('INV-23')
  })

  it('INV-23: the leader epoch or the partition epoch -> violation', () => {
    expect(goes({ partition: { leaderEpoch: 4 } }, { partition: { leaderEpoch: 3 } })).toBe('INV-23')
    invariants = new MetadataInvariants()
    expect(
      goes(
        { metadataOffset: 50, partition: { partitionEpoch: 6 } },
        { metadataOffset: 51, partition: { partitionEpoch: 5 } },
      ),
    ).toBe('INV-23')
  })

  it('INV-23: higher epochs, a topic or a broker that is gone -> none', () => {
    expect(goes({}, { partition: { leaderEpoch: 2, partitionEpoch: 6 } })).toBe(null)
    nodes[1].image = { ...EMPTY_IMAGE, metadataOffset: 50 }
    expect(check()).toBe(null)
    expect(nodes[1].image.topics.has(TOPIC_ID)).toBe(false)
  })

  it('INV-23: a restarted broker shows older metadata than it had applied -> violation', () => {
    expect(withImage({})).toBe(null)
    nodes[1].run = 2
    nodes[1].image = cluster.image
    expect(check()).toBe('INV-23')
  })

  it('INV-23: its disk was replaced in between -> none', () => {
    expect(withImage({})).toBe(null)
    nodes[1].run = 2
    nodes[1].image = cluster.image
    invariants.forget(2)
    expect(check()).toBe(null)
  })
})

describe('GROWTH: a topic never has fewer partitions', () => {
  /** The picture of node 2, with so many partitions of the topic. */
  function imageOf(partitions: number, metadataOffset: number): ClusterImage {
    const image = clusterImage({ metadataOffset })
    const topic = image.topics.get(TOPIC_ID)!
    const all = Array.from({ length: partitions }, (_, partition) => ({ ...topic.partitions[0]!, partition }))
    return { ...image, topics: new Map([[TOPIC_ID, { ...topic, partitions: all }]]) }
  }

  it('GROWTH: fewer than before -> violation; as many, or more -> none', () => {
    const counts = [1, 3, 3, 2]
    const found = counts.map((count, i) => {
      nodes[1].image = imageOf(count, 50 + i)
      return check()
    })
    expect(found).toEqual([null, null, null, 'GROWTH'])
  })

  it('GROWTH: a topic that is deleted -> none', () => {
    nodes[1].image = imageOf(3, 50)
    expect(check()).toBe(null)
    nodes[1].image = { ...EMPTY_IMAGE, metadataOffset: 51 }
    expect(check()).toBe(null)
  })
})

describe('a metadata log that begins behind a snapshot', () => {
  beforeEach(() => {
    for (const node of nodes) node.controller!.isLeader = false
  })

  it('INV-20: the snapshot ends where the log begins, or later -> none', () => {
    nodes[0].controller!.startOffset = 4
    expect(check()).toBe(null)
    nodes[0].controller!.snapshotIndex = 5
    expect(check()).toBe(null)
  })

  it('INV-20: no snapshot, or one that ends before -> violation', () => {
    nodes[0].controller!.startOffset = 4
    nodes[0].controller!.snapshotIndex = 2
    expect(check()).toBe('INV-20')
    nodes[0].controller!.snapshotIndex = 0
    expect(check()).toBe('INV-20')
  })

  it('INV-21: a follower goes on from a snapshot -> none; a leader -> violation', () => {
    expect(check()).toBe(null)
    nodes[0].controller!.startOffset = 6
    expect(check()).toBe(null)
    nodes[1].controller!.isLeader = true
    nodes[1].controller!.startOffset = 6
    expect(check()).toBe('INV-21')
  })

  it('INV-22: entries behind the snapshot that differ -> violation', () => {
    for (const node of nodes) node.controller!.startOffset = 4
    expect(check()).toBe(null)
    nodes[2].run = 2
    nodes[2].controller!.entries = [null, metadataEntry('other')]
    expect(check()).toBe('INV-22')
  })
})
