import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { JOIN_WAIT_MAX_MS } from '../../src/replication/in-sync-set.ts'
import { ISR_BACKOFF_MS } from '../../src/replication/join-eligibility.ts'
import type { PartitionLeader } from '../../src/replication/partition-leader.ts'

import { append, brokers, fetch, LAG_MS, leaderWith, up } from './leader-fixture.ts'

describe('high watermark', () => {
  it('sole replica -> what was on disk is committed from the start, later what is flushed', () => {
    const leader = leaderWith({
      replicas: [1],
      isr: [1],
      logEndOffset: 8,
      flushedOffset: 6,
      highWatermark: 3,
    })
    expect(leader.highWatermark).toBe(6)
    expect(leader.isSettled).toBe(false)
    expect(leader.flushed(8)).toEqual({ highWatermark: 8, highWatermarkAdvanced: true, isrProposal: null })
    expect(leader.isSettled).toBe(true)
    expect(leader.written(10, 1)).toMatchObject({ highWatermark: 8, highWatermarkAdvanced: false })
    expect(leader.flushed(9)).toMatchObject({ highWatermark: 9, highWatermarkAdvanced: true })
  })

  it.each([
    { checkpointed: 12, expected: 8 },
    { checkpointed: 1, expected: 2 },
    { checkpointed: 5, expected: 5 },
  ])('checkpointed $checkpointed, log [2, 8) -> $expected', ({ checkpointed, expected }) => {
    const leader = leaderWith({ logStartOffset: 2, logEndOffset: 8, highWatermark: checkpointed })
    expect(leader.highWatermark).toBe(expected)
  })

  it('followers flushed, the leader only wrote -> waits for the fsync of the leader', () => {
    const leader = leaderWith()
    leader.written(5, 1)
    fetch(leader, 2, { offset: 5 })
    expect(fetch(leader, 3, { offset: 5 })).toMatchObject({ highWatermark: 0, highWatermarkAdvanced: false })
    expect(leader.flushed(3)).toMatchObject({ highWatermark: 3, highWatermarkAdvanced: true })
    expect(leader.flushed(5)).toMatchObject({ highWatermark: 5, highWatermarkAdvanced: true })
  })

  it('a follower wrote more than it flushed -> what it flushed counts', () => {
    const leader = leaderWith()
    append(leader, 5)
    fetch(leader, 3, { offset: 5 })
    expect(fetch(leader, 2, { offset: 5, flushed: 2 })).toMatchObject({ highWatermark: 2 })
    const note = { replicaId: 2, brokerEpoch: 12, leaderEpoch: 4, nowMs: 1 }
    expect(leader.followerFlushed({ ...note, flushedOffset: 4 })).toMatchObject({
      highWatermark: 4,
      highWatermarkAdvanced: true,
    })
    expect(leader.followerFlushed({ ...note, flushedOffset: 3 })).toMatchObject({ highWatermark: 4 })
    expect(leader.followerFlushed({ ...note, flushedOffset: 9 })).toMatchObject({ highWatermark: 5 })
  })

  it.each([
    { change: { leaderEpoch: 3 }, what: 'of an older leader epoch' },
    { change: { leaderEpoch: 5 }, what: 'of a newer leader epoch' },
    { change: { brokerEpoch: 11 }, what: 'of an older run' },
    { change: { brokerEpoch: 13 }, what: 'of a run that has not fetched' },
    { change: { replicaId: 9 }, what: 'of a stranger' },
  ])('flush note $what -> ignored', ({ change }) => {
    const leader = leaderWith()
    append(leader, 5)
    fetch(leader, 3, { offset: 5 })
    fetch(leader, 2, { offset: 5, flushed: 2 })
    const before = leader.describe()
    const note = { replicaId: 2, brokerEpoch: 12, leaderEpoch: 4, flushedOffset: 5, nowMs: 0 }
    expect(leader.followerFlushed({ ...note, ...change })).toMatchObject({ highWatermark: 2 })
    expect(leader.describe()).toEqual(before)
  })

  it('an older fetch arrives late -> the high watermark stays', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    expect(fetch(leader, 2, { offset: 3 })).toMatchObject({ highWatermark: 5, highWatermarkAdvanced: false })
  })

  it('min.insync.replicas lowered -> moves at once; raised -> freezes', () => {
    const leader = leaderWith({ isr: [1], minInsyncReplicas: 2 })
    append(leader, 5)
    expect(leader.highWatermark).toBe(0)
    expect(leader.produceCheck(-1)).toBe('NOT_ENOUGH_REPLICAS')
    expect(leader.minInsyncReplicasChanged(1)).toMatchObject({
      highWatermark: 5,
      highWatermarkAdvanced: true,
    })
    expect(leader.produceCheck(-1)).toBeNull()
    leader.minInsyncReplicasChanged(3)
    append(leader, 6)
    expect(leader.highWatermark).toBe(5)
  })
})

describe('waiting for a replica that is about to join', () => {
  /** ISR {1} under constant load: each round the leader appends and flushes before the follower's fsync is known. */
  function underLoad(leader: PartitionLeader, rounds: number): boolean {
    for (let round = 0; round < rounds; round++) {
      const offset = leader.logEndOffset
      append(leader, offset + 10, leader.nowMs + 5)
      const result = fetch(leader, 2, { offset, nowMs: leader.nowMs + 5 })
      if (result.kind === 'accepted' && result.isrProposal !== null) return true
    }
    return false
  }

  it('constant load, always one fsync behind -> joins', () => {
    expect(underLoad(leaderWith({ isr: [1], replicas: [1, 2], highWatermark: 0 }), 5)).toBe(true)
  })

  it('fenced -> the high watermark does not wait', () => {
    const fenced = brokers({ 2: { ...up(12), fenced: true } })
    const leader = leaderWith({ isr: [1], replicas: [1, 2], brokers: fenced })
    expect(underLoad(leader, 5)).toBe(false)
    expect(leader.highWatermark).toBe(leader.logEndOffset)
  })

  it('refused by the controller -> the high watermark does not wait', () => {
    const leader = leaderWith({ isr: [1], replicas: [1, 2] })
    append(leader, 10)
    const result = fetch(leader, 2, { offset: 10 })
    if (result.kind !== 'accepted') throw new Error(result.kind)
    const refusal = { kind: 'error', code: 'INELIGIBLE_REPLICA' } as const
    leader.isrAnswered({ proposal: result.isrProposal!, result: refusal, nowMs: 0 })
    append(leader, 20)
    expect(leader.highWatermark).toBe(20)
  })

  it('an expansion of another replica is under way -> the high watermark waits for at most a second', () => {
    const leader = leaderWith({ isr: [1] })
    append(leader, 10)
    fetch(leader, 2, { offset: 10 })
    expect(leader.isr).toMatchObject({ kind: 'pending-expand', maximalIsr: [1, 2] })
    fetch(leader, 3, { offset: 10, nowMs: 100 })
    append(leader, 20, 100)
    fetch(leader, 2, { offset: 20, nowMs: 100 })
    expect(leader.highWatermark).toBe(10)
    leader.tick(100 + JOIN_WAIT_MAX_MS)
    expect(leader.highWatermark).toBe(10)
    expect(leader.tick(101 + JOIN_WAIT_MAX_MS)).toMatchObject({
      highWatermark: 20,
      highWatermarkAdvanced: true,
    })
  })
})

/** Follower 2 has all of five records. */
const at = {
  replicaId: 2,
  brokerEpoch: 12,
  currentLeaderEpoch: 4,
  fetchOffset: 5,
  lastFetchedEpoch: 4,
  flushedOffset: 5,
  nowMs: 0,
}

describe('a follower with a damaged log', () => {
  it('STO-05: caught up, outside of the ISR -> does not join and is not waited for before it is repaired', () => {
    const leader = leaderWith({ isr: [1] })
    append(leader, 5)
    expect(leader.followerFetched({ ...at, isDamaged: true })).toMatchObject({ isrProposal: null })
    append(leader, 6)
    expect(leader.highWatermark).toBe(6)
    const repaired = leader.followerFetched({ ...at, fetchOffset: 6, flushedOffset: 6 })
    expect(repaired).toMatchObject({ isrProposal: { change: 'expand' } })
  })
})

describe('a follower that has deleted less than its leader', () => {
  it('REP-44: caught up, outside of the ISR -> does not join before its log starts where the one of the leader does', () => {
    for (const logStartOffset of [0, 2, null]) {
      const leader = leaderWith({ isr: [1] })
      append(leader, 5)
      leader.logStartMoved(3)
      expect(leader.followerFetched({ ...at, logStartOffset })).toMatchObject({ isrProposal: null })
      expect(leader.logStartOf(2)).toBe(logStartOffset ?? 0)
      // It is not waited for meanwhile.
      append(leader, 6)
      expect(leader.highWatermark).toBe(6)
      const next = { ...at, fetchOffset: 6, flushedOffset: 6, logStartOffset: 3 }
      expect(leader.followerFetched(next)).toMatchObject({ isrProposal: { change: 'expand' } })
    }
  })

  it('REP-44: another run of it -> where its log starts is not known any more', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5)
    leader.followerFetched({ ...at, logStartOffset: 3 })
    expect([leader.logStartOf(2), leader.logStartOf(3), leader.logStartOf(9)]).toEqual([3, -1, -1])
    leader.brokersChanged(brokers({ 2: up(22) }))
    expect(leader.logStartOf(2)).toBe(-1)
  })
})

describe('at rest', () => {
  it('all in sync have all -> at rest; until they have new records it is not', () => {
    const leader = leaderWith()
    expect(leader.isAtRest).toBe(false)
    for (const replica of [2, 3]) fetch(leader, replica, { offset: 0 })
    expect(leader.isAtRest).toBe(true)
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    fetch(leader, 3, { offset: 5, flushed: 4 })
    expect(leader.isAtRest).toBe(false)
    leader.followerFlushed({ replicaId: 3, brokerEpoch: 13, leaderEpoch: 4, flushedOffset: 5, nowMs: 1 })
    expect(leader.isAtRest).toBe(true)
  })

  it('a replica is not in sync -> not at rest; an observer is not waited for', () => {
    const outside = leaderWith({ isr: [1, 2] })
    fetch(outside, 2, { offset: 0 })
    expect(outside.isAtRest).toBe(false)
    const observed = leaderWith({ isr: [1, 2], observers: [3] })
    fetch(observed, 2, { offset: 0 })
    expect(observed.isAtRest).toBe(true)
  })

  it('a proposal is under way, or records are to be noted as fsynced -> not at rest', () => {
    const joining = leaderWith({ isr: [1, 2] })
    fetch(joining, 2, { offset: 0 })
    expect(fetch(joining, 3, { offset: 0 })).toMatchObject({ isrProposal: { change: 'expand' } })
    expect(joining.isAtRest).toBe(false)
    const unsynced = { isr: [1], replicas: [1], synced: false }
    expect(leaderWith(unsynced).isAtRest).toBe(false)
    expect(leaderWith({ ...unsynced, flushMessages: 10 }).isAtRest).toBe(true)
  })
})

describe('shrinking', () => {
  it('at the log end but silent -> never removed', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    expect(leader.tick(100 * LAG_MS).isrProposal).toBeNull()
  })

  it('behind for longer than the lag time -> removed, not sooner; who had all until now has all that time', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    append(leader, 6, 50_000)
    expect(leader.tick(50_000 + LAG_MS).isrProposal).toBeNull()
    const { isrProposal } = leader.tick(50_001 + LAG_MS)
    expect(isrProposal).toEqual({
      leaderEpoch: 4,
      partitionEpoch: 7,
      isr: [{ replicaId: 1, brokerEpoch: 11 }],
      change: 'shrink',
      reason: 'not caught up to log end 6: replica 2 (holds all below 5) for 30001 ms',
    })
    expect(leader.tick(200_000).isrProposal).toBeNull()
  })

  it('fetches all but never flushes -> removed', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5)
    for (let nowMs = 0; nowMs <= LAG_MS; nowMs += 1_000) fetch(leader, 2, { offset: 5, flushed: 4, nowMs })
    expect(leader.tick(LAG_MS + 1).isrProposal).toMatchObject({ change: 'shrink' })
  })

  it('several lag -> one proposal; the reason fits into the metadata log', () => {
    const replicas = Array.from({ length: 20 }, (_, i) => i + 1)
    const states = new Map(replicas.map((id) => [id, up(10 + id)]))
    const leader = leaderWith({ replicas, isr: replicas, brokers: states })
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    const { isrProposal } = leader.tick(LAG_MS + 1)
    expect(isrProposal?.isr.map((member) => member.replicaId)).toEqual([1, 2])
    expect(isrProposal?.reason.length).toBe(300)
  })

  it('refused -> again after the backoff, or at once on a newer committed state', () => {
    const leader = leaderWith()
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    const nowMs = LAG_MS + 1
    const proposal = leader.tick(nowMs).isrProposal!
    const result = { kind: 'error', code: 'INELIGIBLE_REPLICA' } as const
    expect(leader.isrAnswered({ proposal, result, nowMs }).isrProposal).toBeNull()
    expect(leader.tick(nowMs + ISR_BACKOFF_MS - 1).isrProposal).toBeNull()
    const second = leader.tick(nowMs + ISR_BACKOFF_MS).isrProposal!
    expect(second).not.toBe(proposal)
    leader.isrAnswered({ proposal: second, result, nowMs: nowMs + ISR_BACKOFF_MS })
    leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 9, isr: [1, 2, 3] })
    expect(leader.tick(nowMs + ISR_BACKOFF_MS).isrProposal).toMatchObject({ partitionEpoch: 9 })
  })

  it('a member that just joined below the log end -> has the whole lag time', () => {
    const leader = leaderWith({ isr: [1], minInsyncReplicas: 2 })
    append(leader, 100, 60_000)
    const result = fetch(leader, 2, { offset: 1, nowMs: 60_000 })
    if (result.kind !== 'accepted') throw new Error(result.kind)
    const committed = { kind: 'committed', leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2] } as const
    leader.isrAnswered({ proposal: result.isrProposal!, result: committed, nowMs: 60_000 })
    expect(leader.tick(60_000 + LAG_MS).isrProposal).toBeNull()
    expect(leader.tick(60_001 + LAG_MS).isrProposal).toMatchObject({ change: 'shrink' })
  })

  it('the run of a remaining member is not known -> no proposal until metadata tells', () => {
    const known = new Map([
      [1, up(11)],
      [3, up(13)],
    ])
    const leader = leaderWith({ brokers: known })
    append(leader, 5)
    leader.tick(LAG_MS)
    fetch(leader, 3, { offset: 5, nowMs: LAG_MS })
    expect(leader.tick(LAG_MS + 1).isrProposal?.isr).toEqual([
      { replicaId: 1, brokerEpoch: 11 },
      { replicaId: 3, brokerEpoch: 13 },
    ])
    const silent = leaderWith({ brokers: known, replicas: [1, 2, 3, 4], isr: [1, 2, 3] })
    append(silent, 5, LAG_MS)
    const other = fetch(silent, 4, { offset: 0, nowMs: LAG_MS })
    expect(other).toMatchObject({ kind: 'accepted', isrProposal: null })
    const joined = silent.brokersChanged(new Map([...known, [4, up(14)]]))
    expect(joined.isrProposal).toBeNull()
    expect(silent.brokersChanged(brokers({ 4: up(14) })).isrProposal).toMatchObject({ change: 'expand' })
  })
})

describe('metadata and answers', () => {
  it('isrCommitted: older, equal or of another leader epoch -> ignored', () => {
    const leader = leaderWith()
    const before = leader.isr
    leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 7, isr: [1] })
    leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 6, isr: [1] })
    leader.isrCommitted({ leaderEpoch: 5, partitionEpoch: 9, isr: [1] })
    expect(leader.isr).toBe(before)
  })

  it('isrCommitted: a member leaves -> the high watermark goes on without it', () => {
    const leader = leaderWith()
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    expect(leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2] })).toMatchObject({
      highWatermark: 5,
      highWatermarkAdvanced: true,
    })
  })

  it('isrAnswered: committed -> the next replica that waited is proposed', () => {
    const leader = leaderWith({ isr: [1] })
    const first = fetch(leader, 2, { offset: 0 })
    const second = fetch(leader, 3, { offset: 0 })
    if (first.kind !== 'accepted' || second.kind !== 'accepted') throw new Error('both should be accepted')
    expect(second.isrProposal).toBeNull()
    const result = { kind: 'committed', leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2] } as const
    const { isrProposal } = leader.isrAnswered({ proposal: first.isrProposal!, result, nowMs: 1 })
    expect(isrProposal).toMatchObject({ partitionEpoch: 8, change: 'expand' })
    expect(isrProposal?.isr).toContainEqual({ replicaId: 3, brokerEpoch: 13 })
  })

  it('brokersChanged: another run of an ISR member -> its offsets are forgotten and hold the high watermark', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5)
    fetch(leader, 2, { offset: 5 })
    leader.brokersChanged(brokers({ 2: up(22) }))
    append(leader, 9)
    expect(leader.highWatermark).toBe(5)
    expect(fetch(leader, 2, { offset: 9 })).toEqual({ kind: 'error', code: 'STALE_BROKER_EPOCH' })
  })

  it('a fetch of a newer run than metadata knows -> counts for the high watermark, does not join', () => {
    const leader = leaderWith({ isr: [1] })
    const newer = {
      replicaId: 2,
      brokerEpoch: 99,
      currentLeaderEpoch: 4,
      fetchOffset: 0,
      lastFetchedEpoch: -1,
      flushedOffset: 0,
      nowMs: 0,
    }
    expect(leader.followerFetched(newer)).toMatchObject({ kind: 'accepted', isrProposal: null })
    expect(leader.brokersChanged(brokers({ 2: up(99) })).isrProposal).toMatchObject({ change: 'expand' })
  })
})

describe('flush.messages above 1: what is written counts', () => {
  it('the high watermark follows what the members of the ISR have written, the leader included', () => {
    const leader = leaderWith({ isr: [1, 2], flushMessages: 100 })
    fetch(leader, 2, { offset: 0 })
    leader.written(5, 1)
    expect(leader.highWatermark).toBe(0)
    expect(fetch(leader, 2, { offset: 5, flushed: 0 })).toMatchObject({ highWatermark: 5 })
    leader.flushed(3)
    leader.followerFlushed({ replicaId: 2, brokerEpoch: 12, leaderEpoch: 4, flushedOffset: 1, nowMs: 2 })
    expect(leader.highWatermark).toBe(5)
  })

  it('a partition of one replica commits with the write', () => {
    const leader = leaderWith({ replicas: [1], isr: [1], flushMessages: 2 })
    expect(leader.written(7, 1)).toMatchObject({ highWatermark: 7, highWatermarkAdvanced: true })
  })

  it('a follower joins with what it has written', () => {
    const leader = leaderWith({ isr: [1], flushMessages: 2 })
    leader.written(5, 1)
    expect(fetch(leader, 2, { offset: 5, flushed: 0 })).toMatchObject({
      isrProposal: { change: 'expand', isr: [{ replicaId: 1 }, { replicaId: 2 }] },
    })
  })

  it('lowered to 1 -> the high watermark stays and moves on when the fsyncs have passed it', () => {
    const leader = leaderWith({ isr: [1, 2], flushMessages: 100 })
    fetch(leader, 2, { offset: 0 })
    leader.written(5, 1)
    fetch(leader, 2, { offset: 5, flushed: 2 })
    expect(leader.flushMessagesChanged(1)).toMatchObject({ highWatermark: 5, highWatermarkAdvanced: false })
    leader.written(8, 2)
    expect(fetch(leader, 2, { offset: 8, flushed: 6 })).toMatchObject({ highWatermark: 5 })
    expect(leader.flushed(7)).toMatchObject({ highWatermark: 6 })
  })

  it('raised -> what is written counts at once', () => {
    const leader = leaderWith({ isr: [1], replicas: [1] })
    leader.written(5, 1)
    expect(leader.highWatermark).toBe(0)
    expect(leader.flushMessagesChanged(10)).toMatchObject({ highWatermark: 5, highWatermarkAdvanced: true })
    expect(() => leader.flushMessagesChanged(0)).toThrow(AssertionError)
  })
})

describe('contract with the shell', () => {
  it.each([
    { options: { replicas: [2, 3], isr: [2] }, what: 'does not host the partition' },
    { options: { isr: [2, 3] }, what: 'is not in the ISR' },
    { options: { isr: [1, 9] }, what: 'has an ISR with a stranger' },
    { options: { logEndOffset: 5, flushedOffset: 6 }, what: 'flushed more than it wrote' },
    { options: { logStartOffset: 3, logEndOffset: 2 }, what: 'has a log that ends before it starts' },
  ])('constructor: leader $what -> assertion', ({ options }) => {
    expect(() => leaderWith(options)).toThrow(AssertionError)
  })

  it('steps that contradict the log -> assertion', () => {
    const leader = leaderWith({ replicas: [1], isr: [1], logEndOffset: 5 })
    expect(() => leader.written(4, 0)).toThrow(AssertionError)
    expect(() => leader.flushed(4)).toThrow(AssertionError)
    expect(() => leader.flushed(6)).toThrow(AssertionError)
    expect(() => leader.logStartMoved(6)).toThrow(AssertionError)
    expect(() => leader.minInsyncReplicasChanged(0)).toThrow(AssertionError)
    leader.logStartMoved(3)
    expect(leader.readCheck(2)).toBe('OFFSET_OUT_OF_RANGE')
    expect(() => leader.logStartMoved(2)).toThrow(AssertionError)
  })

  it('describe: all replicas, the leader first, -1 and null for what is not known', () => {
    const leader = leaderWith({ isr: [1, 2] })
    append(leader, 5, 40)
    fetch(leader, 2, { offset: 5, flushed: 3, nowMs: 50 })
    const notCaughtUp = {
      replicaId: 2,
      logEndOffset: 5,
      flushedOffset: 3,
      countedOffset: 3,
      caughtUpAtMs: 0,
      isObserver: false,
      inIsr: true,
    }
    expect(leader.describe()).toEqual([
      {
        replicaId: 1,
        logEndOffset: 5,
        flushedOffset: 5,
        countedOffset: 5,
        caughtUpAtMs: 50,
        isObserver: false,
        inIsr: true,
      },
      notCaughtUp,
      {
        replicaId: 3,
        logEndOffset: -1,
        flushedOffset: -1,
        countedOffset: -1,
        caughtUpAtMs: null,
        isObserver: false,
        inIsr: false,
      },
    ])
  })
})
