// What a leader makes of observers, and of records that counted before they were fsynced.
import { describe, expect, it } from 'vitest'
import { ISR_BACKOFF_MS } from '../../src/replication/join-eligibility.ts'
import type { PartitionLeaderOptions } from '../../src/replication/leader-messages.ts'
import type { PartitionLeader } from '../../src/replication/partition-leader.ts'
import { append, fetch, leaderWith } from './leader-fixture.ts'

describe('what counted when it was written is fsynced at last', () => {
  /** Records 0 to 9 were committed when two of three had written them; flush.messages is 1 again. */
  function lowered(options: Partial<PartitionLeaderOptions> = {}): PartitionLeader {
    const leader = leaderWith({ synced: false, flushMessages: 100, minInsyncReplicas: 2, ...options })
    leader.written(10, 0)
    for (const replicaId of [2, 3]) fetch(leader, replicaId, { offset: 10, flushed: 0 })
    expect(leader.highWatermark).toBe(10)
    leader.flushMessagesChanged(1)
    return leader
  }
  const members = [1, 2, 3].map((replicaId) => ({ replicaId, brokerEpoch: 10 + replicaId }))

  it.each([
    ['the leader itself has not', { leader: 9, followers: [10, 10] }],
    ['one follower has not', { leader: 10, followers: [10, 9] }],
    ['one follower was not heard of since', { leader: 10, followers: [10] }],
  ])('%s -> not proposed', (_what, flushed) => {
    const leader = lowered()
    leader.flushed(flushed.leader)
    for (const [i, offset] of flushed.followers.entries())
      fetch(leader, i + 2, { offset: 10, flushed: offset })
    expect(leader.tick(500).isrProposal).toBeNull()
  })

  it('every member has, up to the high watermark -> proposed, with the members as they are', () => {
    const leader = lowered()
    leader.written(20, 1)
    leader.flushed(10)
    for (const replicaId of [2, 3]) fetch(leader, replicaId, { offset: 15, flushed: 10 })
    const { isrProposal } = leader.tick(500)
    expect(isrProposal).toMatchObject({ change: 'sync', isr: members, partitionEpoch: 7 })
    expect(leader.isr).toMatchObject({ kind: 'pending-sync', maximalIsr: [1, 2, 3] })
    const committed = { kind: 'committed', leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2, 3] } as const
    leader.isrAnswered({ proposal: isrProposal!, result: { ...committed, synced: true }, nowMs: 600 })
    expect(leader.tick(700).isrProposal).toBeNull()
  })

  it('still counting what is written -> not proposed, whatever is fsynced', () => {
    const leader = leaderWith({ synced: false, flushMessages: 100 })
    append(leader, 10)
    for (const replicaId of [2, 3]) fetch(leader, replicaId, { offset: 10 })
    expect(leader.tick(500).isrProposal).toBeNull()
  })

  it('a new leader that has not reached the start of its epoch -> not proposed: earlier ones may have committed more', () => {
    const leader = leaderWith({ synced: false, isr: [1, 2], logEndOffset: 10, highWatermark: 4 })
    fetch(leader, 2, { offset: 5 })
    expect(leader.tick(500).isrProposal).toBeNull()
    fetch(leader, 2, { offset: 10, flushed: 9 })
    expect(leader.tick(600).isrProposal).toBeNull()
    fetch(leader, 2, { offset: 10 })
    expect(leader.tick(700).isrProposal).toMatchObject({ change: 'sync' })
  })

  it('too few in sync -> not proposed: others are eligible whose fsyncs nobody knows', () => {
    const leader = leaderWith({ synced: false, isr: [1], minInsyncReplicas: 2 })
    append(leader, 10)
    expect(leader.tick(500).isrProposal).toBeNull()
  })

  it('refused -> asked again after a second', () => {
    const leader = leaderWith({ synced: false, replicas: [1], isr: [1] })
    const { isrProposal } = leader.tick(500)
    const result = { kind: 'error', code: 'OPERATION_NOT_ATTEMPTED' } as const
    leader.isrAnswered({ proposal: isrProposal!, result, nowMs: 600 })
    expect(leader.tick(599 + ISR_BACKOFF_MS).isrProposal).toBeNull()
    expect(leader.tick(600 + ISR_BACKOFF_MS).isrProposal).toMatchObject({ change: 'sync' })
  })

  it('metadata says otherwise meanwhile -> the proposal is dropped, and made anew where it is needed', () => {
    const leader = lowered()
    leader.flushed(10)
    for (const replicaId of [2, 3]) fetch(leader, replicaId, { offset: 10 })
    expect(leader.tick(500).isrProposal).toMatchObject({ change: 'sync' })
    const commit = { leaderEpoch: 4, partitionEpoch: 9, isr: [1, 2, 3] }
    leader.isrCommitted({ ...commit, synced: false })
    expect(leader.tick(600).isrProposal).toMatchObject({ change: 'sync', partitionEpoch: 9 })
    leader.isrCommitted({ ...commit, partitionEpoch: 10, synced: true })
    expect(leader.tick(700).isrProposal).toBeNull()
  })
})

describe('observers', () => {
  const observed = (options: Partial<PartitionLeaderOptions> = {}) =>
    leaderWith({ isr: [1, 2], observers: [3], minInsyncReplicas: 2, ...options })

  it('an observer that lacks everything -> holds nobody back', () => {
    const leader = observed()
    append(leader, 10, 1)
    fetch(leader, 3, { offset: 0 })
    expect(fetch(leader, 2, { offset: 10 })).toMatchObject({ highWatermark: 10 })
  })

  it('an observer that has everything -> is not proposed, and does not stand in for a member', () => {
    const leader = observed()
    append(leader, 10, 1)
    expect(fetch(leader, 3, { offset: 10 })).toMatchObject({ isrProposal: null, highWatermark: 0 })
    expect(leader.tick(500).isrProposal).toBeNull()
  })

  it('one that was close to the end and stops -> the high watermark does not wait for it to join', () => {
    const leader = observed()
    append(leader, 10, 1)
    fetch(leader, 2, { offset: 10 })
    fetch(leader, 3, { offset: 10 })
    append(leader, 20, 2)
    expect(fetch(leader, 2, { offset: 20 })).toMatchObject({ highWatermark: 20 })
  })

  it('min.insync.replicas counts voters only', () => {
    const leader = observed({ replicas: [1, 3], isr: [1], minInsyncReplicas: 2 })
    append(leader, 10, 1)
    expect(leader.highWatermark).toBe(10)
    expect(leader.produceCheck(-1)).toBeNull()
  })

  it('promoted -> proposed once it has what is committed; until then it is not waited for longer than others', () => {
    const leader = observed()
    append(leader, 10, 1)
    fetch(leader, 2, { offset: 10 })
    fetch(leader, 3, { offset: 4 })
    const commit = { leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2] }
    expect(leader.isrCommitted({ ...commit, observers: [] })).toMatchObject({
      highWatermark: 10,
      isrProposal: null,
    })
    expect(fetch(leader, 3, { offset: 10 })).toMatchObject({
      isrProposal: { change: 'expand', partitionEpoch: 8 },
    })
    expect(leader.isr.maximalIsr).toEqual([1, 2, 3])
  })

  it('promoted where that asks for more members -> nothing is committed before it has joined', () => {
    const leader = observed({ replicas: [1, 3], isr: [1], minInsyncReplicas: 2 })
    append(leader, 10, 1)
    leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 8, isr: [1], observers: [] })
    append(leader, 20, 2)
    expect(leader.highWatermark).toBe(10)
    expect(leader.produceCheck(-1)).toBe('NOT_ENOUGH_REPLICAS')
  })

  it('demoted with the commit that takes it out of the ISR -> what waited for it is committed', () => {
    const leader = leaderWith({ minInsyncReplicas: 2 })
    append(leader, 10, 1)
    fetch(leader, 2, { offset: 10 })
    fetch(leader, 3, { offset: 0 })
    expect(leader.highWatermark).toBe(0)
    const update = leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2], observers: [3] })
    expect(update).toMatchObject({ highWatermark: 10, highWatermarkAdvanced: true, isrProposal: null })
    expect(leader.describe().map(({ isObserver }) => isObserver)).toEqual([false, false, true])
  })

  it('demoted while its addition is proposed -> the proposal is dropped', () => {
    const leader = leaderWith({ isr: [1, 2], minInsyncReplicas: 2 })
    append(leader, 10, 1)
    fetch(leader, 2, { offset: 10 })
    expect(fetch(leader, 3, { offset: 10 })).toMatchObject({ isrProposal: { change: 'expand' } })
    leader.isrCommitted({ leaderEpoch: 4, partitionEpoch: 8, isr: [1, 2], observers: [3] })
    expect(leader.isr).toMatchObject({ kind: 'committed', maximalIsr: [1, 2] })
    expect(leader.tick(500).isrProposal).toBeNull()
  })
})
