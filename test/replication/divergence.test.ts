// What replicas do when their logs part: truncation by leader epoch and offset, never by high watermark.
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { PartitionFollower } from '../../src/replication/partition-follower.ts'
import { PartitionLeader } from '../../src/replication/partition-leader.ts'
import { MemoryLog } from './memory-log.ts'
import { ModelPartition } from './model-partition.ts'
import type { ModelReplica } from './model-replica.ts'

function expectSameLogs(a: ModelReplica, b: ModelReplica): void {
  expect(a.log.read(0, 1000)).toEqual(b.log.read(0, 1000))
  expect(a.log.logEndOffset).toBe(b.log.logEndOffset)
}

/** A log whose records have these epochs, from offset 0 on. */
function logOf(epochs: readonly number[], owner: string): MemoryLog {
  const log = new MemoryLog()
  log.append(epochs.map((epoch, offset) => ({ epoch, value: `${owner} ${epoch}/${offset}` })))
  log.flush()
  return log
}

function leaderOptionsOf(log: MemoryLog) {
  return {
    brokerId: 1,
    brokerEpoch: 1,
    partitionEpoch: 1,
    replicas: [1, 2],
    isr: [1],
    brokers: new Map(),
    minInsyncReplicas: 1,
    flushMessages: 1,
    logStartOffset: log.logStartOffset,
    logEndOffset: log.logEndOffset,
    flushedOffset: log.flushedOffset,
    highWatermark: 0,
    epochs: log.epochs,
    lagTimeMaxMs: 30_000,
    nowMs: 0,
  }
}

function leaderOf(log: MemoryLog, leaderEpoch: number): PartitionLeader {
  log.epochs.assign(leaderEpoch, log.logEndOffset)
  return new PartitionLeader({ ...leaderOptionsOf(log), leaderEpoch })
}

function followerOf(log: MemoryLog, leaderEpoch: number): PartitionFollower {
  return new PartitionFollower({
    leaderId: 1,
    leaderEpoch,
    logStartOffset: log.logStartOffset,
    logEndOffset: log.logEndOffset,
    flushedOffset: log.flushedOffset,
    highWatermark: 0,
    epochs: log.epochs,
  })
}

/** Lets a follower ask until it diverges no more. @returns where it cut its log, round by round. */
function truncations(leaderLog: MemoryLog, followerLog: MemoryLog): number[] {
  const leaderEpoch = Math.max(leaderLog.epochs.latestEpoch, followerLog.epochs.latestEpoch) + 1
  const leader = leaderOf(leaderLog, leaderEpoch)
  const follower = followerOf(followerLog, leaderEpoch)
  const cuts: number[] = []
  for (;;) {
    const request = follower.nextFetch()!
    const result = leader.followerFetched({ ...request, replicaId: 2, brokerEpoch: 1, nowMs: 0 })
    if (result.kind === 'accepted') return cuts
    const logStartOffset = leader.logStartOffset
    const step = follower.onFetchResponse(request, { ...result, logStartOffset })
    if (step.kind !== 'truncate') throw new Error(`expected a truncation, got ${step.kind}`)
    cuts.push(step.offset)
    if (cuts.length > 20) throw new Error(`does not converge: ${cuts.join(' ')}`)
    followerLog.truncate(step.offset)
    follower.truncated(followerLog.logEndOffset)
  }
}

describe('high watermark and restart', () => {
  it('REP-01: a follower that lags in high watermark restarts and is elected -> it keeps what was acknowledged', () => {
    const model = new ModelPartition({ replicas: 2 })
    const [a, b] = [model.replica(1), model.replica(2)]
    model.produce(1, 1)
    a.flush()
    model.catchUp(2, 1)
    model.produce(1, 1)
    a.flush()
    model.fetch(2, 1)
    b.flush()
    // The fetch that tells A of m1 arrives; the answer, with the new high watermark, does not.
    a.answerFetch(b.nextFetch()!, { nowMs: 0 })
    expect([a.highWatermark, b.highWatermark]).toEqual([2, 1])

    b.crash({ highWatermark: 1 })
    model.restart(2)
    model.apply(2)
    expect(b.log.values()).toHaveLength(2)
    expect(b.nextFetch()).toMatchObject({ fetchOffset: 2, lastFetchedEpoch: 1 })
    a.crash({ highWatermark: 2 })
    model.controller.elect(2, [2])
    model.apply(2)
    expect(b.leader.readCheck(2)).toBeNull()
    expect(b.log.values()).toHaveLength(2)

    model.restart(1)
    model.apply(1)
    expect(model.catchUp(1, 2)).toEqual(['idle'])
    expectSameLogs(a, b)
    expect(a.losses + b.losses).toBe(0)
  })

  it('REP-02: both crash, the one that lost more is elected and writes -> the other truncates and refetches', () => {
    const model = new ModelPartition({ replicas: 2 })
    const [a, b] = [model.replica(1), model.replica(2)]
    model.produce(1, 1)
    a.flush()
    model.catchUp(2, 1)
    model.produce(1, 1)
    model.fetch(2, 1)
    a.crash({ endOffset: 1 })
    b.crash({ endOffset: 2 })
    model.restart(1)
    model.controller.elect(1, [1])
    model.apply(1)
    model.produce(1, 1)
    a.flush()
    model.restart(2)
    model.apply(2)
    expect(model.catchUp(2, 1)).toEqual(['truncate', 'append', 'idle'])
    expectSameLogs(a, b)
    expect(b.losses).toBe(0)
  })
})

describe('epoch and end offset', () => {
  it.each([18, 20, 25])(
    'REP-05: a leader of a later epoch with a longer tail of an older one, x=%i -> both ends count',
    (x) => {
      const model = new ModelPartition({ replicas: 2 })
      const [b1, b2] = [model.replica(1), model.replica(2)]
      model.produce(1, 11)
      b1.flush()
      model.catchUp(2, 1)
      model.produce(1, 10)
      model.controller.elect(2)
      model.apply(2)
      model.produce(2, x - 10)
      b2.flush()
      expect(b2.log.logEndOffset).toBe(x + 1)
      model.controller.elect(1)
      model.applyAll()
      expect(b1.leader.leaderEpochStartOffset).toBe(21)

      const request = b2.nextFetch()!
      const response = b1.answerFetch(request, { nowMs: 0 })
      expect(response).toEqual({ kind: 'diverging', epoch: 1, endOffset: 21, logStartOffset: 0 })
      expect(b2.receive(request, response)).toMatchObject({ kind: 'truncate', offset: 11 })
      b1.flush()
      expect(model.catchUp(2, 1)).toEqual(['append', 'idle'])
      expectSameLogs(b1, b2)
    },
  )

  it('REP-06: leaders that never saw each other, again and again -> equal logs after several rounds', () => {
    const model = new ModelPartition({ replicas: 2 })
    const [a, b] = [model.replica(1), model.replica(2)]
    const leadAlone = (id: number, records: number): void => {
      const other = id === 1 ? b : a
      if (other.isRunning) other.crash({ endOffset: other.log.logEndOffset })
      if (!model.replica(id).isRunning) model.restart(id)
      model.controller.elect(id, [id])
      model.apply(id)
      model.produce(id, records, 1)
      model.replica(id).flush()
    }
    model.produce(1, 1)
    a.flush()
    model.catchUp(2, 1)
    leadAlone(2, 1)
    leadAlone(1, 3)
    leadAlone(2, 1)
    leadAlone(1, 2)
    model.restart(2)
    model.apply(2)
    const steps = model.catchUp(2, 1)
    expect(steps.filter((step) => step === 'truncate').length).toBeGreaterThan(1)
    expectSameLogs(a, b)
  })

  it.each([
    { id: 'A', leader: [1, 1, 1, 1], follower: [1, 1], cuts: [], what: 'behind in the same epoch' },
    { id: 'B', leader: [1, 1, 2, 2], follower: [1, 1], cuts: [], what: 'behind a leader of a higher epoch' },
    { id: 'C', leader: [1, 1], follower: [1, 1, 1, 1], cuts: [2], what: 'longer in the same epoch' },
    { id: 'D', leader: [1, 1, 3], follower: [1, 1, 2, 2], cuts: [2], what: 'an epoch the leader lacks' },
    { id: 'E', leader: [1, 1, 3, 3], follower: [1, 1, 2, 2, 2], cuts: [2], what: 'both forked' },
    { id: 'F', leader: [1, 1, 1], follower: [1, 2, 2], cuts: [1], what: 'forked with a newer epoch' },
    { id: 'G', leader: [3, 3], follower: [1, 1], cuts: [0], what: 'no common epoch' },
  ])('REP-07 $id: follower $what -> truncates at $cuts', ({ leader, follower, cuts }) => {
    expect(truncations(logOf(leader, 'leader'), logOf(follower, 'follower'))).toEqual(cuts)
  })

  it('REP-07: epochs interleaved on both sides -> converges in several rounds, keeping the common part', () => {
    const leader = logOf([1, 1, 3, 3, 5, 5], 'x')
    const follower = logOf([1, 1, 2, 2, 4, 4, 6], 'x')
    expect(truncations(leader, follower)).toEqual([6, 4, 2])
  })

  it('REP-08: new leader without a write -> its epoch still ends the older ones at its log end', () => {
    const leader = logOf([1, 1, 1], 'leader')
    expect(truncations(leader, logOf([1, 1, 1, 4, 4], 'follower'))).toEqual([3])
    expect(leader.epochs.latestEpoch).toBe(5)
  })

  it('REP-08: leadership without its epoch in the history -> assertion', () => {
    const log = logOf([1, 1, 1], 'leader')
    const options = { ...leaderOptionsOf(log), leaderEpoch: 5 }
    expect(() => new PartitionLeader(options)).toThrow(AssertionError)
  })

  it('REP-12: leader that does not know the new epoch yet -> the follower does nothing and asks again', () => {
    const model = new ModelPartition({ replicas: 3 })
    model.produce(1, 3)
    model.fetch(3, 1)
    model.controller.elect(2)
    model.controller.elect(1)
    model.apply(3)
    const before = model.replica(3).log.values()
    expect(model.fetch(3, 1)).toMatchObject({ kind: 'retry-later', code: 'UNKNOWN_LEADER_EPOCH' })
    expect(model.replica(3).log.values()).toEqual(before)
    model.apply(1)
    expect(model.catchUp(3, 1)).toEqual(['idle'])
  })
})

describe('answers that come late', () => {
  function twoReplicas(): ModelPartition {
    const model = new ModelPartition({ replicas: 2 })
    model.produce(1, 5)
    model.replica(1).flush()
    return model
  }

  it('REP-41: the same records twice -> applied once', () => {
    const model = twoReplicas()
    const follower = model.replica(2)
    const request = follower.nextFetch()!
    const response = model.replica(1).answerFetch(request, { nowMs: 0 })
    expect(follower.receive(request, response).kind).toBe('append')
    expect(follower.receive(request, response).kind).toBe('ignore')
    expect(follower.log.logEndOffset).toBe(5)
  })

  it('REP-41: records that were asked for in an older leader epoch -> ignored', () => {
    const model = twoReplicas()
    const follower = model.replica(2)
    const request = follower.nextFetch()!
    const response = model.replica(1).answerFetch(request, { nowMs: 0 })
    model.controller.elect(1)
    model.apply(2)
    expect(follower.receive(request, response).kind).toBe('ignore')
    expect(follower.log.logEndOffset).toBe(0)
  })

  it('REP-41: records that were asked for before a truncation -> ignored', () => {
    const log = logOf([1, 1, 1, 1], 'follower')
    const follower = followerOf(log, 3)
    const request = follower.nextFetch()!
    const diverging = { kind: 'diverging', epoch: 1, endOffset: 2, logStartOffset: 0 } as const
    expect(follower.onFetchResponse(request, diverging)).toMatchObject({ kind: 'truncate', offset: 2 })
    const late = { kind: 'records', batches: ['late'], highWatermark: 0, logStartOffset: 0 } as const
    expect(follower.onFetchResponse(request, late).kind).toBe('ignore')
    log.truncate(2)
    follower.truncated(2)
    expect(follower.onFetchResponse(request, late).kind).toBe('ignore')
    expect(follower.onFetchResponse(request, diverging).kind).toBe('ignore')
  })

  it('REP-41: a divergence that was found before an epoch without records went -> ignored', () => {
    const log = logOf([1, 1], 'follower')
    log.epochs.assign(2, 2)
    const follower = followerOf(log, 4)
    const request = follower.nextFetch()!
    const diverging = { kind: 'diverging', epoch: 1, endOffset: 6, logStartOffset: 0 } as const
    expect(follower.onFetchResponse(request, diverging)).toMatchObject({ kind: 'truncate', offset: 2 })
    log.truncate(2)
    follower.truncated(2)
    expect(follower.onFetchResponse(request, diverging).kind).toBe('ignore')
    expect(follower.nextFetch()).toMatchObject({ fetchOffset: 2, lastFetchedEpoch: 1 })
  })

  it('REP-41: while an append is under way -> no fetch, and every answer is ignored', () => {
    const log = logOf([], 'follower')
    const follower = followerOf(log, 1)
    const request = follower.nextFetch()!
    const records = { kind: 'records', batches: ['a'], highWatermark: 1, logStartOffset: 0 } as const
    expect(follower.onFetchResponse(request, records).kind).toBe('append')
    expect(follower.nextFetch()).toBeNull()
    expect(follower.onFetchResponse(request, records).kind).toBe('ignore')
    expect(
      follower.onFetchResponse(request, { kind: 'error', code: 'STORAGE_ERROR', logStartOffset: null }),
    ).toEqual({ kind: 'ignore' })
  })
})

describe('logs that do not overlap', () => {
  it('REP-43: the leader deleted beyond the end of the follower -> the follower starts anew there and re-joins', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    const [leader, follower] = [model.replica(1), model.replica(3)]
    model.produce(1, 4)
    leader.flush()
    model.catchUp(2, 1)
    model.fetch(3, 1)
    model.produce(1, 6)
    leader.flush()
    model.catchUp(2, 1)
    expect(leader.highWatermark).toBe(10)
    leader.log.deleteBefore(8)
    leader.leader.logStartMoved(8)

    expect(model.fetch(3, 1)).toEqual({ kind: 'restart-at', offset: 8, belowHighWatermark: false })
    expect(follower.log.epochs.latestEpoch).toBe(-1)
    expect(follower.nextFetch()).toMatchObject({ fetchOffset: 8, flushedOffset: 8, lastFetchedEpoch: -1 })
    expect(model.catchUp(3, 1)).toEqual(['append', 'idle'])
    expect(follower.log.read(8, 10)).toEqual(leader.log.read(8, 10))
    model.settleProposals(1)
    expect(model.controller.partition.isr).toEqual([1, 2, 3])
  })

  it('REP-43: the follower starts beyond the end of an uncleanly elected leader -> it starts anew, loudly', () => {
    const model = new ModelPartition({ replicas: 2 })
    const [one, two] = [model.replica(1), model.replica(2)]
    model.produce(1, 4)
    one.flush()
    model.catchUp(2, 1)
    two.crash({ highWatermark: 4 })
    model.controller.fence(2)
    model.apply(1)
    model.produce(1, 6)
    one.flush()
    expect(one.highWatermark).toBe(10)
    one.log.deleteBefore(8)
    one.leader.logStartMoved(8)
    one.crash({ highWatermark: 10 })
    model.restart(2)
    model.controller.elect(2, [2])
    model.apply(2)
    model.restart(1)
    model.apply(1)
    expect(model.fetch(1, 2)).toEqual({ kind: 'restart-at', offset: 0, belowHighWatermark: true })
    expect(model.catchUp(1, 2)).toEqual(['append', 'idle'])
    expectSameLogs(one, two)
  })

  it('REP-43: an empty log that starts beyond the end of the leader -> starts anew', () => {
    const log = new MemoryLog()
    log.restartAt(20)
    const follower = followerOf(log, 3)
    const leader = leaderOf(logOf([1, 1, 1], 'leader'), 3)
    const request = follower.nextFetch()!
    const result = leader.followerFetched({ ...request, replicaId: 2, brokerEpoch: 1, nowMs: 0 })
    expect(result).toEqual({ kind: 'error', code: 'OFFSET_OUT_OF_RANGE' })
    expect(
      follower.onFetchResponse(request, { kind: 'error', code: 'OFFSET_OUT_OF_RANGE', logStartOffset: 0 }),
    ).toEqual({ kind: 'restart-at', offset: 0, belowHighWatermark: true })
    follower.restarted()
    expect(follower.logEndOffset).toBe(0)
    expect(follower.highWatermark).toBe(0)
  })
})
