import { beforeEach, describe, expect, it } from 'vitest'
import { committedIsr } from '../../../../src/replication/isr.ts'
import { ClusterInvariants } from '../../../../src/testing/simulation/invariants/cluster-invariants.ts'
import { demand, InvariantViolation } from '../../../../src/testing/simulation/invariants/violation.ts'
import { batch, type FakeNode, SoundCluster, TOPIC_ID, violationOf } from './fixtures.ts'

const PARTITION = { topicId: TOPIC_ID, partition: 0 }
let cluster: SoundCluster
let nodes: readonly [FakeNode, FakeNode, FakeNode]
let invariants: ClusterInvariants

beforeEach(async () => {
  cluster = await SoundCluster.create()
  nodes = cluster.nodes
  invariants = new ClusterInvariants()
})

function check(): string | null {
  return violationOf(() => invariants.check(cluster.observed))
}

/** One batch more on all nodes, which the leader takes for committed; `flushedBy` have it on disk. */
async function commitMore(flushedBy: readonly number[]): Promise<void> {
  for (const { id, files, replica } of nodes) {
    await files.append(batch({ baseOffset: 30 }))
    replica!.log.logEndOffset = 40
    if (flushedBy.includes(id)) replica!.log.flushedOffset = 40
  }
  nodes[0].replica!.highWatermark = 40
}

describe('a sound cluster', () => {
  it('SIM-11: checked after many events, deep checks among them -> no violation', () => {
    for (let i = 0; i < 1_100; i++) invariants.check(cluster.observed)
    invariants.checkDeep(cluster.observed)
    expect(invariants.newestMetadata).toBe(cluster.image)
    expect([invariants.topicId('orders'), invariants.topicId('nothing')]).toEqual([TOPIC_ID, null])
  })

  it('before anything is known -> nothing to check', () => {
    expect(invariants.newestMetadata).toBe(null)
    expect(invariants.topicId('orders')).toBe(null)
    expect(violationOf(() => invariants.checkDeep([]))).toBe(null)
    expect(violationOf(() => invariants.check([]))).toBe(null)
  })
})

describe('SIM-11: which checks run after an event', () => {
  it('INV-3, INV-25 and INV-6: metadata, replicas and the ISR -> after each one', () => {
    expect(check()).toBe(null)
    nodes[1].replica!.log.logEndOffset = 29
    expect(check()).toBe('INV-25')
    nodes[1].replica!.log.logEndOffset = 30
    expect(check()).toBe(null)
    nodes[0].replica!.lead(1, committedIsr(5, [1, 2]))
    expect(check()).toBe('INV-6')
    cluster.setImage({ partition: { isr: [2, 3] } })
    expect(check()).toBe('INV-3')
  })

  it('INV-1: the files -> within 500 events', async () => {
    const { files } = nodes[2]
    await files.truncate((files.sizeBytes / 3) * 2)
    await files.append(batch({ baseOffset: 20, text: 'wrong' }))
    let events = 0
    let found: string | null = null
    while (found === null && events < 10_000) {
      found = check()
      events++
    }
    expect([found, events]).toEqual(['INV-1', 500])
    expect(violationOf(() => invariants.checkDeep(cluster.observed))).toBe('INV-1')
  })
})

describe('INV-5: members of the ISR, at every moment', () => {
  it('INV-5: a member has not fsynced what was committed -> violation at once', () => {
    expect(check()).toBe(null)
    nodes[2].replica!.log.flushedOffset = 29
    expect(check()).toBe('INV-5')
  })

  it('INV-5: it joins the ISR before it has it -> violation; a replica outside of the ISR -> none', async () => {
    cluster.setImage({ partition: { isr: [1, 2], partitionEpoch: 6 } })
    nodes[0].replica!.lead(1, committedIsr(6, [1, 2]))
    await commitMore([1, 2])
    expect(check()).toBe(null)
    cluster.setImage({ metadataOffset: 32, partition: { isr: [1, 2, 3], partitionEpoch: 7 } })
    expect(check()).toBe('INV-5')
    nodes[2].replica!.log.flushedOffset = 40
    expect(check()).toBe(null)
  })
})

describe('INV-6: the ISR that a leader counts', () => {
  it('INV-6: takes another ISR for that of its partition epoch -> violation', () => {
    nodes[0].replica!.lead(1, committedIsr(5, [1, 3, 2]))
    expect(check()).toBe(null)
    nodes[0].replica!.lead(1, committedIsr(5, [1]))
    expect(check()).toBe('INV-6')
  })

  it('INV-6: of an older partition epoch, as committed then -> none; otherwise -> violation', () => {
    expect(check()).toBe(null)
    cluster.setImage({ partition: { partitionEpoch: 6, isr: [1, 2] } })
    expect(check()).toBe(null)
    nodes[0].replica!.lead(1, committedIsr(6, [1, 2]))
    expect(check()).toBe(null)
    nodes[0].replica!.lead(1, committedIsr(5, [1, 2]))
    expect(check()).toBe('INV-6')
  })

  it('INV-6: of a partition epoch that nobody has shown yet -> not judged', () => {
    nodes[0].replica!.lead(1, committedIsr(9, [1, 2]))
    expect(check()).toBe(null)
  })
})

describe('REP-20: nothing is committed that too few hold', () => {
  /** Only node 1 is in the ISR, so that INV-5 demands nothing of the others. */
  function leadAlone(configs: Readonly<Record<string, string>> = { 'min.insync.replicas': '2' }): void {
    cluster.setImage({ partition: { isr: [1], partitionEpoch: 6 }, configs })
    nodes[0].replica!.lead(1, committedIsr(6, [1]))
  }

  it('REP-20: fsynced by fewer than min.insync.replicas -> violation; by as many -> none', async () => {
    leadAlone()
    expect(check()).toBe(null)
    await commitMore([1])
    expect(check()).toBe('REP-20')
    nodes[1].replica!.log.flushedOffset = 40
    expect(check()).toBe(null)
  })

  it('REP-20: the default and more than there are replicas -> two, and all of them', async () => {
    leadAlone({})
    await commitMore([1])
    expect(check()).toBe('REP-20')
    invariants = new ClusterInvariants()
    leadAlone({ 'min.insync.replicas': '64' })
    nodes[1].replica!.log.flushedOffset = 40
    expect(check()).toBe('REP-20')
    nodes[2].replica!.log.flushedOffset = 40
    expect(check()).toBe(null)
  })

  it('REP-20: one replica is enough where the topic says so', async () => {
    leadAlone({ 'min.insync.replicas': '1' })
    await commitMore([1])
    expect(check()).toBe(null)
  })

  it('REP-20: a holder is down -> counts with what it had', async () => {
    leadAlone()
    await commitMore([1, 2])
    nodes[0].replica!.highWatermark = 30
    expect(check()).toBe(null)
    nodes[0].replica!.highWatermark = 40
    const alive = [nodes[0].observed()]
    expect(violationOf(() => invariants.check(alive))).toBe(null)
  })

  it('REP-20: a holder lost its disk since -> what its leader knew of it was true; later records -> not its', async () => {
    leadAlone()
    await commitMore([1, 2])
    nodes[0].replica!.highWatermark = 30
    expect(check()).toBe(null)
    invariants.diskReplaced(2)
    nodes[1].replica = null
    nodes[0].replica!.highWatermark = 40
    expect(check()).toBe(null)
    await nodes[0].files.append(batch({ baseOffset: 40 }))
    nodes[0].replica!.reach(50)
    expect(check()).toBe('REP-20')
  })
})

describe('what clients are told', () => {
  it('CHK-19: a record is acknowledged that nobody has committed -> violation', () => {
    expect(check()).toBe(null)
    expect(violationOf(() => invariants.acknowledged(PARTITION, 29))).toBe(null)
    expect(violationOf(() => invariants.acknowledged(PARTITION, 30))).toBe('CHK-19')
    expect(violationOf(() => invariants.acknowledged({ topicId: TOPIC_ID, partition: 1 }, 0))).toBe('CHK-19')
  })

  it('REP-35: a record is read that nobody has committed -> violation', () => {
    expect(check()).toBe(null)
    expect(violationOf(() => invariants.read(PARTITION, 29))).toBe(null)
    expect(violationOf(() => invariants.read(PARTITION, 30))).toBe('REP-35')
  })
})

describe('demand', () => {
  it('holds -> nothing, and the words are not made; does not hold -> InvariantViolation with number and words', () => {
    demand(true, 'INV-7', () => expect.unreachable())
    const fail = (): void => demand(false, 'INV-7', () => 'two logs differ')
    expect(fail).toThrow(InvariantViolation)
    expect(fail).toThrow('INV-7: two logs differ')
    expect(violationOf(fail)).toBe('INV-7')
  })
})
