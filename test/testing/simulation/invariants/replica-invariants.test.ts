import { beforeEach, describe, expect, it } from 'vitest'
import { EpochHistory } from '../../../../src/log/epoch-history.ts'
import { committedIsr, type IsrState } from '../../../../src/replication/isr.ts'
import { ReplicaInvariants } from '../../../../src/testing/simulation/invariants/replica-invariants.ts'
import {
  batch,
  clusterImage,
  type FakeNode,
  FakeReplica,
  type ImageChange,
  KEY,
  ReplicaFiles,
  SoundCluster,
  violationOf,
} from './fixtures.ts'

let cluster: SoundCluster
let nodes: readonly [FakeNode, FakeNode, FakeNode]
let invariants: ReplicaInvariants

beforeEach(async () => {
  cluster = await SoundCluster.create()
  nodes = cluster.nodes
  invariants = new ReplicaInvariants()
})

function cheap(): string | null {
  return violationOf(() => invariants.checkCheap(cluster.observed))
}

function deep(change: ImageChange = {}): string | null {
  return violationOf(() => invariants.checkDeep(cluster.observed, clusterImage(change)))
}

function replicaOf(id: number): FakeReplica {
  return nodes[id - 1]!.replica!
}

/** Other files for a node, as if they had always been there. */
async function setFiles(id: number, ...batches: readonly Uint8Array[]): Promise<void> {
  const files = new ReplicaFiles()
  await files.append(...batches)
  nodes[id - 1]!.files = files
}

/** What a node says of itself, with its log as long as it is. */
const SOUND = [0, 10, 20].map((baseOffset) => batch({ baseOffset }))

describe('a sound cluster', () => {
  it('every check, again and again -> no violation, and the history is what was committed', () => {
    for (let i = 0; i < 3; i++) expect([cheap(), deep()]).toEqual([null, null])
    expect(invariants.committedEnd(KEY)).toBe(30)
    expect(invariants.committedEnd('another/0')).toBe(0)
  })
})

describe('INV-16 and INV-25: the offsets of one replica', () => {
  it('INV-16: the high watermark goes back in a run -> violation; in a new run, or when it stays -> none', () => {
    replicaOf(2).highWatermark = 20
    expect([cheap(), cheap()]).toEqual([null, null])
    replicaOf(2).highWatermark = 10
    expect(cheap()).toBe('INV-16')
    // A new run begins with what was saved.
    const again = new FakeReplica()
    again.log.logEndOffset = 30
    again.highWatermark = 10
    again.follow()
    nodes[1].run = 2
    nodes[1].replica = again
    expect(cheap()).toBe(null)
  })

  it('INV-25: the log starts above the high watermark -> violation; below or at it -> none', () => {
    replicaOf(3).log.logStartOffset = 30
    expect(cheap()).toBe(null)
    replicaOf(3).log.logStartOffset = 31
    expect(cheap()).toBe('INV-25')
  })

  it('INV-25: a new replica that starts late and knows of no high watermark yet -> none', () => {
    const late = new FakeReplica()
    late.log.logStartOffset = 20
    late.log.logEndOffset = 20
    late.follow()
    nodes[2].replica = late
    expect(cheap()).toBe(null)
  })

  it('INV-25: the high watermark is above the log end -> violation', () => {
    replicaOf(2).log.logEndOffset = 29
    expect(cheap()).toBe('INV-25')
  })

  it('INV-25: the files do not hold what the high watermark says -> violation', async () => {
    await setFiles(1, SOUND[0]!, SOUND[1]!)
    expect(cheap()).toBe('INV-25')
  })
})

describe('INV-14: fetchers', () => {
  it('INV-14: a leader fetches -> violation', () => {
    replicaOf(1).fetchers = 1
    expect(cheap()).toBe('INV-14')
  })

  it('INV-14: a follower with no or two fetchers -> violation', () => {
    for (const fetchers of [0, 2]) {
      replicaOf(2).fetchers = fetchers
      expect(cheap()).toBe('INV-14')
    }
  })

  it('INV-14: a node that stops -> its followers may be without, not with two', () => {
    nodes[1].isStopping = true
    replicaOf(2).fetchers = 0
    expect(cheap()).toBe(null)
    replicaOf(2).fetchers = 2
    expect(cheap()).toBe('INV-14')
  })

  it('INV-14: neither leader nor follower, and no fetcher -> none', () => {
    replicaOf(2).follower = null
    replicaOf(2).fetchers = 0
    expect(cheap()).toBe(null)
  })
})

describe('INV-19: one leader in a leader epoch', () => {
  it('INV-19: two nodes lead at the same time -> violation', () => {
    replicaOf(2).lead(1, committedIsr(5, [1, 2, 3]))
    expect(cheap()).toBe('INV-19')
  })

  it('INV-19: one leads long after another did, also in a new run -> violation', () => {
    expect(cheap()).toBe(null)
    replicaOf(1).follow()
    expect(cheap()).toBe(null)
    nodes[1].run = 2
    nodes[1].replica = new FakeReplica()
    nodes[1].replica.reach(30)
    nodes[1].replica.lead(1, committedIsr(5, [1, 2, 3]))
    expect(cheap()).toBe('INV-19')
  })

  it('INV-19: two nodes lead in different epochs, or one again in its own -> none', () => {
    replicaOf(2).lead(2, committedIsr(6, [2, 3]))
    expect(cheap()).toBe(null)
    nodes[0].run = 2
    nodes[0].replica = new FakeReplica()
    nodes[0].replica.reach(30)
    nodes[0].replica.lead(1, committedIsr(5, [1, 2, 3]))
    expect(cheap()).toBe(null)
  })
})

describe('INV-5: members of the ISR have all that was committed', () => {
  it('INV-5: a member ends before it -> violation; at it -> none; a replica outside of the ISR -> none', () => {
    expect(cheap()).toBe(null)
    replicaOf(3).log.logEndOffset = 20
    replicaOf(3).highWatermark = 20
    expect(deep()).toBe('INV-5')
    expect(deep({ partition: { isr: [1, 2] } })).toBe(null)
  })
})

describe('INV-1 and INV-7: the files against what was committed', () => {
  const other = batch({ baseOffset: 10, text: 'other' })

  it('INV-1: a member holds another batch than was committed -> violation', async () => {
    await setFiles(3, SOUND[0]!, other, SOUND[2]!)
    expect([cheap(), deep()]).toEqual([null, 'INV-1'])
  })

  it('INV-1: a member whose files end before its log says -> violation', async () => {
    await setFiles(3, SOUND[0]!, SOUND[1]!)
    expect([cheap(), deep()]).toEqual([null, 'INV-1'])
  })

  it('INV-7: a replica outside of the ISR differs below its high watermark -> violation; above -> none', async () => {
    await setFiles(3, SOUND[0]!, other)
    const lagging = replicaOf(3)
    lagging.log.logEndOffset = 20
    lagging.log.epochs = new EpochHistory([{ epoch: 1, startOffset: 0 }])
    lagging.highWatermark = 10
    expect([cheap(), deep({ partition: { isr: [1, 2] } })]).toEqual([null, null])
    lagging.highWatermark = 20
    expect([cheap(), deep({ partition: { isr: [1, 2] } })]).toEqual([null, 'INV-7'])
  })

  it('INV-7: a replica that begins anew inside of a batch -> nothing to compare until it has that batch', async () => {
    const restarted = replicaOf(3)
    restarted.log.logStartOffset = 10
    restarted.log.logEndOffset = 10
    restarted.follower = { options: { core: { logEndOffset: 15 } } }
    restarted.highWatermark = 15
    await nodes[2].files.removeSegment(0)
    nodes[2].files.roll(10)
    expect([cheap(), deep({ partition: { isr: [1, 2] } })]).toEqual([null, null])
    restarted.log.logEndOffset = 20
    expect([cheap(), deep({ partition: { isr: [1, 2] } })]).toEqual([null, 'INV-7'])
  })

  it('INV-7: the metadata does not know the partition -> what the replica itself calls committed counts', async () => {
    await setFiles(3, SOUND[0]!, other, SOUND[2]!)
    expect(cheap()).toBe(null)
    const gone = { ...clusterImage(), topics: new Map() }
    expect(violationOf(() => invariants.checkDeep(cluster.observed, gone))).toBe('INV-7')
  })

  it('INV-1: a log that was found equal is cut off and written anew -> violation', async () => {
    expect([cheap(), deep()]).toEqual([null, null])
    const { files } = nodes[2]
    await files.truncate(files.sizeBytes / 3)
    await files.append(SOUND[1]!, batch({ baseOffset: 20, text: 'differs ' }))
    expect(deep()).toBe('INV-1')
  })

  it('INV-1: what is committed after a comparison -> is compared as well', async () => {
    expect([cheap(), deep()]).toEqual([null, null])
    for (const { id, files, replica } of nodes) {
      await files.append(batch({ baseOffset: 30, text: id === 2 ? 'mine' : 'ours' }))
      replica!.reach(40)
    }
    expect([cheap(), deep()]).toEqual([null, 'INV-1'])
    await setFiles(2, ...SOUND, batch({ baseOffset: 30, text: 'ours' }))
    nodes[1].replica = new FakeReplica()
    nodes[1].replica.log.epochs = new EpochHistory([{ epoch: 1, startOffset: 0 }])
    nodes[1].replica.reach(40)
    nodes[1].replica.follow()
    expect([cheap(), deep()]).toEqual([null, null])
  })

  it('INV-1: a log that starts later -> compared from there', async () => {
    await setFiles(3, SOUND[2]!)
    replicaOf(3).log.logStartOffset = 20
    expect([cheap(), deep()]).toEqual([null, null])
  })

  it('INV-1: what the dead had committed -> still demanded of the others', async () => {
    await setFiles(2, SOUND[0]!, other, SOUND[2]!)
    expect(cheap()).toBe(null)
    const alive = [nodes[1].observed()]
    expect(violationOf(() => invariants.checkDeep(alive, clusterImage()))).toBe('INV-1')
  })
})

describe('REP-44: records that were deleted', () => {
  it('REP-44: the present leader starts below an acknowledged deletion -> violation; at it, or replaced -> none', () => {
    replicaOf(1).lead(1, committedIsr(5, [1, 2, 3]))
    invariants.deleted(KEY, 10)
    for (const minInsyncReplicas of ['1', '2']) {
      const configs = { 'min.insync.replicas': minInsyncReplicas }
      replicaOf(1).log.logStartOffset = 0
      expect(deep({ configs })).toBe('REP-44')
      expect(deep({ configs, partition: { leaderEpoch: 2, leader: 2 } })).toBe(null)
      replicaOf(1).log.logStartOffset = 10
      expect(deep({ configs })).toBe(null)
    }
  })
})

describe('INV-6: the ISR that a leader counts', () => {
  function leaderCounts(isr: IsrState, change: ImageChange = {}): string | null {
    replicaOf(1).lead(1, isr)
    return deep(change)
  }

  it('INV-6: without a member that the controller has -> violation', () => {
    expect(leaderCounts(committedIsr(5, [1, 2]))).toBe('INV-6')
  })

  it('INV-6: proposes nothing, but counts others than its ISR -> violation', () => {
    expect(leaderCounts({ ...committedIsr(5, [1, 2]), maximalIsr: [1, 2, 3] })).toBe('INV-6')
  })

  it('INV-6: a proposal that the controller may have committed -> none', () => {
    const pending: IsrState = {
      kind: 'pending-expand',
      partitionEpoch: 5,
      isr: [1, 2],
      maximalIsr: [1, 2, 3],
      proposal: { leaderEpoch: 1, partitionEpoch: 5, isr: [], change: 'expand', reason: '' },
    }
    expect(leaderCounts(pending, { partition: { isr: [1, 2] } })).toBe(null)
    expect(leaderCounts(pending)).toBe(null)
    expect(leaderCounts({ ...pending, maximalIsr: [1, 2] })).toBe('INV-6')
  })

  it('INV-6: a leader whose epoch is over -> not asked', () => {
    expect(leaderCounts(committedIsr(5, [1]), { partition: { leaderEpoch: 2, leader: 2 } })).toBe(null)
  })
})

describe('INV-15: the leader epochs of a log', () => {
  function setEpochs(entries: readonly { readonly epoch: number; readonly startOffset: number }[]): void {
    replicaOf(2).log.epochs = { entries, epochAt: () => 1 }
  }

  it('INV-15: epochs or start offsets that do not ascend -> violation', () => {
    const first = { epoch: 1, startOffset: 0 }
    for (const second of [
      { epoch: 1, startOffset: 10 },
      { epoch: 0, startOffset: 10 },
      { epoch: 2, startOffset: 0 },
    ]) {
      setEpochs([first, second])
      expect([second, deep()]).toEqual([second, 'INV-15'])
    }
    setEpochs([first, { epoch: 2, startOffset: 40 }])
    expect(deep()).toBe(null)
  })

  it('INV-15: a batch of another epoch than the history of the log says -> violation', () => {
    replicaOf(2).log.epochs = new EpochHistory([
      { epoch: 1, startOffset: 0 },
      { epoch: 2, startOffset: 20 },
    ])
    expect(deep()).toBe('INV-15')
    replicaOf(2).log.epochs = new EpochHistory([{ epoch: 1, startOffset: 10 }])
    expect(deep()).toBe('INV-15')
    replicaOf(2).log.epochs = new EpochHistory([
      { epoch: 1, startOffset: 0 },
      { epoch: 2, startOffset: 30 },
    ])
    expect(deep()).toBe(null)
  })

  it('INV-15: several epochs, each where its batches begin -> none', async () => {
    for (const node of nodes) {
      await node.files.append(batch({ baseOffset: 30, leaderEpoch: 4 }))
      node.replica!.reach(40)
      node.replica!.log.epochs = new EpochHistory([
        { epoch: 1, startOffset: 0 },
        { epoch: 4, startOffset: 30 },
      ])
    }
    expect([cheap(), deep()]).toEqual([null, null])
  })
})
