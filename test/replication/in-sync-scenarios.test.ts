// Who counts towards the high watermark and who may join the in-sync set, as in the acceptance catalogue.
import { describe, expect, it } from 'vitest'
import { JOIN_WAIT_MAX_MS } from '../../src/replication/in-sync-set.ts'
import type { IsrProposal } from '../../src/replication/isr.ts'
import { ISR_BACKOFF_MS } from '../../src/replication/join-eligibility.ts'
import { ModelPartition } from './model-partition.ts'
import { LAG_TIME_MAX_MS } from './model-replica.ts'

const idsOf = (proposal: IsrProposal | undefined) => proposal?.isr.map((member) => member.replicaId)
const offsetsOf = (model: ModelPartition, leaderId: number, replicaId: number) =>
  model
    .replica(leaderId)
    .leader.describe()
    .find((replica) => replica.replicaId === replicaId)

/** ISR {1, 2}, both with 10 records; 1 knows high watermark 10, 2 only 5. Replica 3 is empty. Then 1 is gone. */
function laggingHighWatermark(): ModelPartition {
  const model = new ModelPartition({ replicas: 3, isr: [1, 2], minInsyncReplicas: 2 })
  const [one, two] = [model.replica(1), model.replica(2)]
  model.produce(1, 5)
  one.flush()
  model.catchUp(2, 1)
  model.produce(1, 5)
  one.flush()
  model.fetch(2, 1)
  two.flush()
  one.answerFetch(two.nextFetch()!, { nowMs: 0 })
  expect([one.highWatermark, two.highWatermark]).toEqual([10, 5])
  one.crash({ highWatermark: 10 })
  model.controller.fence(1)
  model.apply(2)
  model.apply(3)
  expect(two.leader).toMatchObject({ highWatermark: 5, leaderEpochStartOffset: 10 })
  return model
}

describe('joining', () => {
  it('REP-15: new leader with a lagging high watermark -> nobody joins below its epoch start', () => {
    const model = laggingHighWatermark()
    for (const offset of [5, 6, 9]) {
      model.catchUpTo(3, 2, offset)
      expect(offsetsOf(model, 2, 3)).toMatchObject({ logEndOffset: offset, flushedOffset: offset })
      expect(model.takeProposal(2)).toBeUndefined()
    }
    model.catchUpTo(3, 2, 10)
    expect(idsOf(model.takeProposal(2))).toEqual([2, 3])
  })

  it('REP-15: the leader dies before the other replica reached its epoch start -> offline, not short', () => {
    const model = laggingHighWatermark()
    model.catchUpTo(3, 2, 7)
    model.replica(2).crash({ highWatermark: 5 })
    model.controller.fence(2)
    expect(model.controller.partition).toMatchObject({ leader: null, isr: [2] })
  })

  it('REP-33, REP-46: behind a lagging high watermark -> retriable, never out of range, and not settled', () => {
    const model = laggingHighWatermark()
    const { leader } = model.replica(2)
    expect(leader.readCheck(5)).toBeNull()
    expect(leader.readCheck(10)).toBe('OFFSET_NOT_AVAILABLE')
    expect(leader.readCheck(11)).toBe('OFFSET_OUT_OF_RANGE')
    expect(leader.isSettled).toBe(false)
    model.catchUpTo(3, 2, 10)
    model.settleProposals(2)
    expect(leader.readCheck(10)).toBeNull()
    expect(leader.isSettled).toBe(true)
  })

  it('REP-16: leader, follower, leader again -> an outsider joins only at the start of the last epoch', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    const one = model.replica(1)
    model.produce(1, 2)
    one.flush()
    model.catchUp(2, 1)
    model.produce(1, 3)
    one.flush()
    model.controller.elect(2)
    model.apply(1)
    model.controller.elect(1)
    model.apply(1)
    model.apply(3)
    expect(one.leader).toMatchObject({ highWatermark: 2, leaderEpochStartOffset: 5, leaderEpoch: 3 })
    model.produce(1, 3)
    one.flush()

    for (const offset of [0, 2, 4]) {
      model.catchUpTo(3, 1, offset)
      expect(model.takeProposal(1)).toBeUndefined()
      expect(one.leader.isr.kind).toBe('committed')
    }
    model.catchUpTo(3, 1, 5)
    expect(idsOf(model.takeProposal(1))).toEqual([1, 2, 3])
    expect(one.leader.isr).toMatchObject({ kind: 'pending-expand', isr: [1, 2], maximalIsr: [1, 2, 3] })
  })

  it('a follower joins by what it fsynced, not by what it wrote', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.produce(1, 4)
    model.replica(1).flush()
    model.catchUp(2, 1)
    model.fetch(3, 1)
    model.fetch(3, 1)
    expect(offsetsOf(model, 1, 3)).toMatchObject({ logEndOffset: 4, flushedOffset: 0 })
    expect(model.takeProposal(1)).toBeUndefined()
    model.replica(1).noteFlush(model.replica(3).flush()!, 0)
    expect(idsOf(model.takeProposal(1))).toEqual([1, 2, 3])
  })

  it('REP-17: removed and added again, empty, in one metadata batch -> the old offset is forgotten', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    const [one, three] = [model.replica(1), model.replica(3)]
    model.produce(1, 10)
    one.flush()
    model.catchUp(2, 1)
    three.receive(three.nextFetch()!, one.answerFetch(three.nextFetch()!, { nowMs: 0 }))
    three.flush()
    const oldFetch = three.nextFetch()!
    three.log.restartAt(0)
    model.controller.elect(1)
    model.applyAll()
    expect(offsetsOf(model, 1, 3)).toMatchObject({ logEndOffset: -1, flushedOffset: -1, caughtUpAtMs: null })
    model.passTime(10)
    expect(one.answerFetch(oldFetch, { nowMs: 10 })).toMatchObject({ code: 'FENCED_LEADER_EPOCH' })
    expect(model.takeProposal(1)).toBeUndefined()
    model.catchUpTo(3, 1, 9)
    expect(model.takeProposal(1)).toBeUndefined()
    model.catchUpTo(3, 1, 10)
    expect(idsOf(model.takeProposal(1))).toEqual([1, 2, 3])
  })
})

describe('maximal ISR', () => {
  it('REP-18: expansion committed, the leader has not heard -> the new member gates the high watermark', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    const one = model.replica(1)
    model.fetch(3, 1)
    const proposal = model.takeProposal(1)!
    expect(idsOf(proposal)).toEqual([1, 2, 3])
    model.produce(1, 10)
    one.flush()
    const answer = model.decide(1, proposal)
    expect(model.controller.partition.isr).toEqual([1, 2, 3])
    // Replica 3 stays silent so long that nothing but the maximal ISR makes the leader wait for it.
    model.passTime(JOIN_WAIT_MAX_MS + 1)
    model.catchUp(2, 1)
    expect(one.highWatermark).toBe(0)

    model.catchUp(3, 1)
    expect(one.highWatermark).toBe(10)
    model.controller.elect(3)
    model.apply(3)
    expect(model.replica(3).log.logEndOffset).toBe(10)
    model.tell(1, proposal, answer)
    expect(one.leader.isr).toMatchObject({ kind: 'committed', isr: [1, 2, 3] })
  })

  it('REP-18: expansion refused -> the replica gates nothing', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.fetch(3, 1)
    const proposal = model.takeProposal(1)!
    model.produce(1, 10)
    model.replica(1).flush()
    model.catchUp(2, 1)
    model.tell(1, proposal, { kind: 'error', code: 'INELIGIBLE_REPLICA' })
    expect(model.replica(1).highWatermark).toBe(10)
  })

  it.each(['the answer', 'metadata'])(
    'STO-16: a follower with a full disk stands at the high watermark, fetches, is removed (%s first) -> it stays out, and records are committed',
    (how) => {
      const model = new ModelPartition({ replicas: 3 })
      const one = model.replica(1)
      model.fetch(3, 1, 0)
      model.produce(1, 5)
      one.flush()
      model.catchUp(2, 1)
      for (let i = 0; i < 4; i++) {
        model.fetch(3, 1, 0)
        model.passTime(LAG_TIME_MAX_MS / 3)
      }
      const proposal = model.takeProposal(1)!
      expect(idsOf(proposal)).toEqual([1, 2])
      const answer = model.decide(1, proposal)
      if (how === 'metadata') model.apply(1)
      else model.tell(1, proposal, answer)
      expect(one.highWatermark).toBe(5)
      expect(model.takeProposal(1)).toBeUndefined()
      model.fetch(3, 1, 0)
      model.passTime(1_000)
      expect(model.takeProposal(1)).toBeUndefined()
      model.catchUp(3, 1)
      expect(idsOf(model.takeProposal(1))).toEqual([1, 2, 3])
    },
  )

  it('REP-19: shrink not confirmed -> the high watermark waits for the one to be removed', () => {
    const model = new ModelPartition({ replicas: 3 })
    const one = model.replica(1)
    model.produce(1, 5)
    one.flush()
    model.catchUp(2, 1)
    model.passTime(LAG_TIME_MAX_MS)
    expect(model.takeProposal(1)).toBeUndefined()
    model.passTime(1)
    const proposal = model.takeProposal(1)!
    expect(idsOf(proposal)).toEqual([1, 2])
    model.produce(1, 5)
    one.flush()
    model.catchUp(2, 1)
    expect(one.highWatermark).toBe(0)
    expect(one.leader.isr.maximalIsr).toEqual([1, 2, 3])
    model.passTime(LAG_TIME_MAX_MS)
    expect(one.highWatermark).toBe(0)

    model.tell(1, proposal, { kind: 'error', code: 'REQUEST_TIMED_OUT' })
    expect(model.takeProposal(1)).toBe(proposal)
    expect(one.highWatermark).toBe(0)
    model.tell(1, proposal, model.decide(1, proposal))
    expect(one.highWatermark).toBe(10)
  })

  it('REP-20: committed ISR below min.insync.replicas -> frozen, acks=all refused, reads go on', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2], minInsyncReplicas: 2 })
    const one = model.replica(1)
    model.produce(1, 4)
    one.flush()
    model.catchUp(2, 1)
    expect(one.highWatermark).toBe(4)
    model.controller.fence(2)
    model.apply(1)
    expect(model.produce(1, 1)).toBe(false)
    expect(model.produce(1, 1, 1)).toBe(true)
    one.flush()
    model.catchUpTo(3, 1, 5)
    const proposal = model.takeProposal(1)!
    expect(idsOf(proposal)).toEqual([1, 3])
    expect(one.leader.isr.maximalIsr).toEqual([1, 3])
    expect(one.highWatermark).toBe(4)
    expect(one.leader.produceCheck(-1)).toBe('NOT_ENOUGH_REPLICAS')
    expect([one.leader.produceCheck(0), one.leader.produceCheck(1)]).toEqual([null, null])
    expect(one.leader.readCheck(3)).toBeNull()
    model.tell(1, proposal, model.decide(1, proposal))
    expect(one.highWatermark).toBe(5)
    expect(model.produce(1, 1)).toBe(true)
  })

  it('REP-39: cut off from all followers, which hold all that is committed -> they stay out until they fetch again', () => {
    // The high watermark stands still, so each of them reached it long ago; silence must not bring them back.
    const model = new ModelPartition({ replicas: 3, minInsyncReplicas: 2 })
    const one = model.replica(1)
    model.produce(1, 4)
    one.flush()
    model.catchUp(2, 1)
    model.catchUp(3, 1)
    model.produce(1, 1)
    one.flush()
    model.passTime(LAG_TIME_MAX_MS + 1)
    model.settleProposals(1)
    expect(model.controller.partition.isr).toEqual([1])
    for (let i = 0; i < 10; i++) {
      model.passTime(LAG_TIME_MAX_MS / 2)
      model.settleProposals(1)
    }
    model.apply(1)
    expect(model.controller.partition).toMatchObject({ isr: [1], partitionEpoch: 2 })
    expect(one.leader.produceCheck(-1)).toBe('NOT_ENOUGH_REPLICAS')
    model.catchUp(3, 1)
    model.settleProposals(1)
    expect(model.controller.partition.isr).toEqual([1, 3])
    expect(one.highWatermark).toBe(5)
  })

  it('min.insync.replicas above the number of replicas -> counts as all of them', () => {
    const model = new ModelPartition({ replicas: 1, minInsyncReplicas: 3 })
    expect(model.produce(1, 2)).toBe(true)
    model.replica(1).flush()
    expect(model.replica(1).highWatermark).toBe(2)
  })
})

describe('fencing of replicas', () => {
  it('REP-11: a follower of an older leader epoch -> rejected, and it does not move the high watermark', () => {
    const model = new ModelPartition({ replicas: 3 })
    const one = model.replica(1)
    model.produce(1, 1)
    one.flush()
    model.catchUp(2, 1)
    model.fetch(3, 1)
    model.replica(3).flush()
    const fetch = model.replica(3).nextFetch()!
    model.controller.elect(2)
    model.controller.elect(1)
    model.apply(1)
    model.apply(2)
    model.catchUp(2, 1)
    const before = one.leader.describe()
    expect(one.answerFetch(fetch, { nowMs: 5 })).toMatchObject({ kind: 'error', code: 'FENCED_LEADER_EPOCH' })
    expect(one.leader.describe()).toEqual(before)
    expect(one.highWatermark).toBe(0)
  })

  it('REP-14: a fetch that is answered with an error or divergence -> no trace on the leader', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    const one = model.replica(1)
    model.produce(1, 4)
    one.flush()
    model.catchUp(2, 1)
    const fetch = { ...model.replica(2).nextFetch()!, fetchOffset: 4 }
    const before = one.leader.describe()
    const wrong = [
      { change: { currentLeaderEpoch: 0 }, expected: { code: 'FENCED_LEADER_EPOCH' } },
      { change: { currentLeaderEpoch: 2 }, expected: { code: 'UNKNOWN_LEADER_EPOCH' } },
      { change: { replicaId: 9 }, expected: { code: 'UNKNOWN_LEADER_EPOCH' } },
      { change: { brokerEpoch: 0 }, expected: { code: 'STALE_BROKER_EPOCH' } },
      {
        change: { fetchOffset: 5, flushedOffset: 5 },
        expected: { kind: 'diverging', epoch: 1, endOffset: 4 },
      },
      { change: { lastFetchedEpoch: 2 }, expected: { code: 'OFFSET_OUT_OF_RANGE' } },
    ]
    for (const { change, expected } of wrong) {
      expect(one.answerFetch({ ...fetch, ...change }, { nowMs: 9 })).toMatchObject(expected)
      expect(one.leader.describe()).toEqual(before)
      expect(one.highWatermark).toBe(4)
    }
  })

  it.each(['fenced', 'shutting down'] as const)(
    'REP-23: replica %s, the leader does not know -> refused, rolled back, not asked again in a loop',
    (state) => {
      const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
      const one = model.replica(1)
      model.produce(1, 2)
      one.flush()
      model.catchUp(2, 1)
      if (state === 'fenced') model.controller.fence(3)
      else model.controller.startShutdown(3)
      model.catchUp(3, 1)
      const proposal = model.takeProposal(1)!
      const answer = model.decide(1, proposal)
      expect(answer).toEqual({ kind: 'error', code: 'INELIGIBLE_REPLICA' })
      model.tell(1, proposal, answer)
      expect(one.leader.isr).toMatchObject({ kind: 'committed', isr: [1, 2], maximalIsr: [1, 2] })
      for (let i = 0; i < 20; i++) {
        model.catchUp(3, 1)
        model.passTime(10)
      }
      model.apply(1)
      model.passTime(10 * ISR_BACKOFF_MS)
      model.catchUp(3, 1)
      expect(model.takeProposal(1)).toBeUndefined()
      expect(model.controller.partition.isr).toEqual([1, 2])
    },
  )

  it('REP-23: metadata shows the replica unfenced -> asked again at once', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.controller.fence(3)
    model.catchUp(3, 1)
    const proposal = model.takeProposal(1)!
    model.tell(1, proposal, model.decide(1, proposal))
    model.apply(1)
    expect(model.takeProposal(1)).toBeUndefined()
    model.controller.unfence(3)
    model.apply(1)
    model.settleProposals(1)
    expect(model.controller.partition.isr).toEqual([1, 2, 3])
    expect(model.replica(1).leader.isr).toMatchObject({ kind: 'committed', isr: [1, 2, 3] })
  })

  it('REP-23: no metadata comes -> asked again after the backoff, not before', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.catchUp(3, 1)
    const proposal = model.takeProposal(1)!
    model.tell(1, proposal, { kind: 'error', code: 'OPERATION_NOT_ATTEMPTED' })
    expect(model.takeProposal(1)).toBeUndefined()
    model.passTime(ISR_BACKOFF_MS - 1)
    expect(model.takeProposal(1)).toBeUndefined()
    model.passTime(1)
    expect(idsOf(model.takeProposal(1))).toEqual([1, 2, 3])
  })

  it('REP-23: one replica is refused -> another may join meanwhile', () => {
    const model = new ModelPartition({ replicas: 4, isr: [1, 2] })
    model.controller.fence(3)
    model.catchUp(3, 1)
    model.catchUp(4, 1)
    model.settleProposals(1)
    expect(model.controller.partition.isr).toEqual([1, 2, 4])
  })

  it('REP-24: delayed proposal, the replica came back with an empty disk -> refused, joins only when caught up', () => {
    const model = new ModelPartition({ replicas: 2, isr: [1] })
    const [a, b] = [model.replica(1), model.replica(2)]
    model.produce(1, 10)
    a.flush()
    model.catchUp(2, 1)
    const delayed = model.takeProposal(1)!
    expect(delayed.isr).toContainEqual({ replicaId: 2, brokerEpoch: 2 })
    b.crash()
    model.controller.fence(2)
    b.log.restartAt(0)
    model.restart(2, { unclean: true })
    const answer = model.decide(1, delayed)
    expect(answer).toEqual({ kind: 'error', code: 'INELIGIBLE_REPLICA' })
    model.tell(1, delayed, answer)
    expect(model.controller.partition.isr).toEqual([1])

    model.apply(2)
    model.catchUpTo(2, 1, 9)
    expect(model.takeProposal(1)).toBeUndefined()
    model.apply(1)
    expect(model.takeProposal(1)).toBeUndefined()
    model.catchUpTo(2, 1, 10)
    expect(model.takeProposal(1)!.isr).toContainEqual({ replicaId: 2, brokerEpoch: b.brokerEpoch })
  })

  it('REP-24: metadata of the new run comes first -> what the old run held is forgotten', () => {
    const model = new ModelPartition({ replicas: 2, isr: [1] })
    const [a, b] = [model.replica(1), model.replica(2)]
    model.produce(1, 10)
    a.flush()
    model.catchUp(2, 1)
    model.tell(1, model.takeProposal(1)!, { kind: 'error', code: 'INELIGIBLE_REPLICA' })
    b.crash()
    b.log.restartAt(0)
    model.restart(2, { unclean: true })
    model.apply(1)
    model.passTime(ISR_BACKOFF_MS)
    expect(offsetsOf(model, 1, 2)).toMatchObject({ logEndOffset: -1, flushedOffset: -1 })
    expect(model.takeProposal(1)).toBeUndefined()
  })

  it.each(['metadata', 'a fetch'] as const)(
    'REP-25: packets of the previous run after %s of the new one -> rejected without a trace',
    (first) => {
      const model = new ModelPartition({ replicas: 3 })
      const [one, two] = [model.replica(1), model.replica(2)]
      model.produce(1, 6)
      one.flush()
      model.fetch(2, 1)
      two.flush()
      const oldFetch = two.nextFetch()!
      const oldNote = { ...oldFetch, leaderEpoch: 1, flushedOffset: 6 }
      two.crash()
      two.log.restartAt(0)
      model.restart(2)
      model.apply(2)
      if (first === 'metadata') model.apply(1)
      else one.answerFetch({ ...two.nextFetch()!, currentLeaderEpoch: 1 }, { nowMs: 1 })
      const before = one.leader.describe()
      expect(one.answerFetch(oldFetch, { nowMs: 7 })).toMatchObject({ code: 'STALE_BROKER_EPOCH' })
      one.noteFlush(oldNote, 7)
      expect(one.leader.describe()).toEqual(before)
      model.catchUp(3, 1)
      expect(one.highWatermark).toBe(first === 'metadata' ? 6 : 0)
    },
  )
})

describe('answers of the controller', () => {
  it('REP-22: two proposals that build on the same state -> one wins, the late one changes nothing', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.catchUp(3, 1)
    const proposal = model.takeProposal(1)!
    model.controller.removeFromIsr(2)
    expect(model.decide(1, proposal)).toEqual({ kind: 'error', code: 'INVALID_UPDATE_VERSION' })
    expect(model.controller.partition.isr).toEqual([1])
    model.tell(1, proposal, { kind: 'error', code: 'INVALID_UPDATE_VERSION' })
    expect(model.takeProposal(1)).toBeUndefined()
    expect(model.replica(1).leader.isr.maximalIsr).toEqual([1, 2, 3])
    model.apply(1)
    expect(idsOf(model.takeProposal(1))).toEqual([1, 3])
  })

  it('REP-21, REP-22: proposal of a leader that was replaced -> rejected, its late answer changes nothing', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.catchUp(3, 1)
    const proposal = model.takeProposal(1)!
    model.controller.elect(2)
    expect(model.decide(1, proposal)).toEqual({ kind: 'error', code: 'FENCED_LEADER_EPOCH' })
    model.controller.elect(1)
    model.apply(1)
    const before = model.replica(1).leader.isr
    const late = { kind: 'committed', leaderEpoch: 1, partitionEpoch: 2, isr: [1, 2, 3] } as const
    model.tell(1, proposal, late)
    expect(model.replica(1).leader.isr).toBe(before)
  })

  it('REP-21, REP-22: the answer was lost, the copy is refused -> the leader waits for metadata and adopts it', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 2] })
    model.catchUp(3, 1)
    const proposal = model.takeProposal(1)!
    const lost = model.decide(1, proposal)
    model.tell(1, proposal, { kind: 'error', code: 'REQUEST_TIMED_OUT' })
    expect(model.takeProposal(1)).toBe(proposal)
    model.tell(1, proposal, model.decide(1, proposal))
    expect(model.replica(1).leader.isr.kind).toBe('pending-expand')
    model.passTime(LAG_TIME_MAX_MS)
    expect(model.takeProposal(1)).toBeUndefined()
    model.apply(1)
    expect(model.replica(1).leader.isr).toMatchObject({ kind: 'committed', isr: [1, 2, 3] })
    const before = model.replica(1).leader.isr
    model.tell(1, proposal, lost)
    expect(model.replica(1).leader.isr).toBe(before)
  })

  it('REP-10: zombie leader takes a follower back that left for a new leader -> neither counts', () => {
    const model = new ModelPartition({ replicas: 3, isr: [1, 3] })
    model.produce(1, 2)
    model.replica(1).flush()
    model.catchUp(3, 1)
    model.controller.elect(3, [3])
    model.catchUp(2, 1)
    const proposal = model.takeProposal(1)!
    expect(idsOf(proposal)).toEqual([1, 3, 2])
    expect(model.decide(1, proposal)).toEqual({ kind: 'error', code: 'FENCED_LEADER_EPOCH' })
    const fetch = model.replica(2).nextFetch()!
    model.apply(3)
    expect(model.replica(3).answerFetch(fetch, { nowMs: 0 })).toMatchObject({ code: 'FENCED_LEADER_EPOCH' })
    expect(model.controller.partition.isr).toEqual([3])
  })
})
