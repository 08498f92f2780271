import { describe, expect, it } from 'vitest'
import { RAFT_DEFAULTS } from '../../src/raft/config.ts'
import { LEARNERS_MAX } from '../../src/raft/followers.ts'
import { VOTERS_ABSOLUTE_MAX } from '../../src/raft/messages.ts'
import { RaftLog } from '../../src/raft/raft-log.ts'
import { READS_MAX } from '../../src/raft/read-queue.ts'
import type { Entry } from '../../src/raft/types.ts'
import { VoterHistory } from '../../src/raft/voter-history.ts'
import { LoneNode, voterKeysOf } from './lone-node.ts'

function entryOf(index: number, term: number, voters?: readonly number[]): Entry {
  const entry = { index, term, data: new Uint8Array(1) }
  return voters === undefined ? entry : { ...entry, voters: voterKeysOf(voters) }
}

/** Leader 1 of term 1 with its first entry committed; the others have answered just now. */
function leading(voters: readonly number[] = [1, 2, 3]): LoneNode {
  const node = new LoneNode({ voters })
  node.lead()
  node.persist()
  acknowledge(node, ...voters.filter((id) => id !== 1))
  return node
}

/** These acknowledge the whole log, with their first disks. */
function acknowledge(node: LoneNode, ...ids: readonly number[]): void {
  for (const from of ids) {
    const { term, lastIndex: index } = node.raft
    node.step({
      type: 'append-response',
      from,
      to: 1,
      term,
      index,
      conflict: null,
      directoryId: String(from),
    })
  }
}

/** A node without a vote asks for the log and gets it. */
function join(node: LoneNode, from: number, directoryId = String(from)): void {
  const { term, lastIndex: index } = node.raft
  node.step({ type: 'join', from, to: 1, term: 0, directoryId })
  node.step({ type: 'append-response', from, to: 1, term, index, conflict: null, directoryId })
}

describe('VoterHistory', () => {
  it('RAFT-22: a change that is cut off -> the one before counts; what is forgotten goes but for the last', () => {
    const history = new VoterHistory()
    expect(history.latest).toBeNull()
    history.add(3, voterKeysOf([1, 2]))
    history.add(5, voterKeysOf([1, 2, 3]))
    history.add(9, voterKeysOf([1, 3]))
    expect(history.latest).toMatchObject({ index: 9, ids: [1, 3] })
    expect(history.previous?.ids).toEqual([1, 2, 3])
    expect(history.at(8)?.ids).toEqual([1, 2, 3])
    expect(history.at(2)).toBeNull()
    history.truncateFrom(9)
    expect(history.latest).toMatchObject({ index: 5, ids: [1, 2, 3] })
    history.forgetBefore(7)
    expect(history.previous).toBeNull()
    expect(history.at(7)?.index).toBe(5)
    history.truncateFrom(1)
    expect(history.latest).toBeNull()
  })

  it('nobody, the same node twice, an entry before the last -> refused', () => {
    const history = new VoterHistory()
    expect(() => history.add(1, [])).toThrow('at least one voter')
    const twice = [
      { id: 1, directoryId: '1' },
      { id: 1, directoryId: '1b' },
    ]
    expect(() => history.add(1, twice)).toThrow('voters must differ, got 1, 1')
    history.add(4, voterKeysOf([1]))
    expect(() => history.add(4, voterKeysOf([1, 2]))).toThrow('a change of the voters at 4 does not follow')
  })
})

describe('RaftLog', () => {
  const snapshotAt = (index: number, voters?: readonly number[]) => ({
    index,
    term: 1,
    data: new Uint8Array(1),
    ...(voters === undefined ? {} : { voters: voterKeysOf(voters) }),
  })

  it('merge that truncates -> whose votes count goes back with it', () => {
    const log = new RaftLog([entryOf(1, 1), entryOf(2, 1, [1, 2]), entryOf(3, 1, [1])])
    expect(log.voterSet).toMatchObject({ index: 3, ids: [1] })
    log.merge([entryOf(3, 2)])
    expect(log.voterSet).toMatchObject({ index: 2, ids: [1, 2] })
    log.merge([entryOf(2, 2)])
    expect(log.voterSet).toBeNull()
  })

  it('own snapshot -> says who votes after its entry, whatever came later', () => {
    const log = new RaftLog([entryOf(1, 1), entryOf(2, 1, [1, 2]), entryOf(3, 1), entryOf(4, 1, [1])])
    log.commitTo(4)
    log.takeCommitted()
    log.compact(snapshotAt(3), 0)
    expect(log.snapshot?.voters).toEqual(voterKeysOf([1, 2]))
    expect(log.voterSet).toMatchObject({ index: 4, ids: [1] })
  })

  it('snapshot of a leader, and a start from one -> its voters are those of the log', () => {
    const log = new RaftLog([entryOf(1, 1, [1])])
    log.restore(snapshotAt(7, [1, 2, 3]))
    expect(log.voterSet).toMatchObject({ index: 7, ids: [1, 2, 3] })
    expect(new RaftLog([], snapshotAt(7, [4])).voterSet).toMatchObject({ index: 7, ids: [4] })
    log.restore(snapshotAt(9))
    expect(log.voterSet).toBeNull()
  })
})

describe('changeVoters', () => {
  it('RAFT-20: before an entry of the term is committed -> refused, also when older entries are', () => {
    const node = new LoneNode({ terms: [1, 1] })
    node.lead()
    const remove = { kind: 'remove', voter: { id: 3, directoryId: '3' } } as const
    expect(node.changeVoters(remove)).toEqual({ kind: 'refused', reason: 'term-not-committed' })
    node.persist()
    acknowledge(node, 2, 3)
    expect(node.changeVoters(remove).kind).toBe('accepted')
  })

  it('RAFT-21: a change is under way -> refused until it is committed', () => {
    const node = leading([1, 2, 3, 4])
    expect(node.changeVoters({ kind: 'remove', voter: { id: 4, directoryId: '4' } }).kind).toBe('accepted')
    const next = { kind: 'remove', voter: { id: 3, directoryId: '3' } } as const
    expect(node.changeVoters(next)).toEqual({ kind: 'refused', reason: 'change-pending' })
    node.persist()
    acknowledge(node, 2)
    expect(node.changeVoters(next).kind).toBe('accepted')
  })

  it('RAFT-24: added -> needed for a majority at once, before the entry is committed', () => {
    const node = leading([1])
    join(node, 2)
    expect(node.changeVoters({ kind: 'add', voter: { id: 2, directoryId: '2' } }).kind).toBe('accepted')
    node.persist()
    expect(node.raft.commitIndex).toBe(1)
    acknowledge(node, 2)
    expect(node.raft.commitIndex).toBe(2)
  })

  it('as many voters as there may be -> one more is refused', () => {
    const all = Array.from({ length: VOTERS_ABSOLUTE_MAX }, (_, i) => i + 1)
    const node = new LoneNode({ voters: all })
    node.tick(2_000)
    for (const from of all.slice(1)) {
      if (node.raft.role === 'pre-candidate')
        node.answer('pre-vote-response', { from, term: 0, granted: true })
    }
    node.persist()
    for (const from of all.slice(1)) {
      if (node.raft.role === 'candidate') node.answer('vote-response', { from, term: 1, granted: true })
    }
    node.persist()
    acknowledge(node, ...all.slice(1))
    join(node, 99)
    const change = { kind: 'add', voter: { id: 99, directoryId: '99' } } as const
    expect(node.changeVoters(change)).toEqual({ kind: 'refused', reason: 'too-many-voters' })
  })

  it('a transfer is under way -> neither data nor a change is taken', () => {
    const node = leading()
    node.transferLeadership(2)
    expect(node.propose('x')).toEqual({ kind: 'transferring', to: 2 })
    const change = { kind: 'remove', voter: { id: 3, directoryId: '3' } } as const
    expect(node.changeVoters(change)).toEqual({ kind: 'transferring', to: 2 })
  })
})

describe('a transfer of leadership', () => {
  it('RAFT-16: to a voter that has not answered for an election timeout -> refused, and proposals go on', () => {
    const node = leading()
    node.tick(RAFT_DEFAULTS.electionTimeoutMs)
    acknowledge(node, 2)
    expect(node.transferLeadership(3)).toEqual({ kind: 'refused', reason: 'not-caught-up' })
    expect(node.propose('x').kind).toBe('accepted')
    expect(node.transferLeadership(2)).toEqual({ kind: 'started' })
  })

  it('RAFT-16: to a voter whose disk was replaced -> refused: the new one has no vote', () => {
    const node = leading()
    join(node, 3, '3b')
    expect(node.transferLeadership(3)).toEqual({ kind: 'refused', reason: 'not-caught-up' })
  })
})

describe('another disk of a voter', () => {
  it('RAFT-23: grants a vote -> it does not count; without a disk named, as in earlier releases, it does', () => {
    const candidate = (): LoneNode => {
      const node = new LoneNode()
      node.tick(2_000)
      node.answer('pre-vote-response', { from: 2, term: 0, granted: true })
      node.persist()
      return node
    }
    const vote = { type: 'vote-response', from: 2, to: 1, term: 1, granted: true } as const
    const node = candidate()
    node.step({ ...vote, directoryId: '2b' })
    expect(node.raft.role).toBe('candidate')
    node.step({ ...vote, directoryId: '2' })
    expect(node.raft.role).toBe('leader')
    const older = candidate()
    older.step(vote)
    expect(older.raft.role).toBe('leader')
  })

  it('RAFT-23: acknowledges -> is sent the log, and is not counted, nor is what the former one held', () => {
    const node = leading()
    node.propose('a')
    node.persist()
    node.takeSent()
    const { term } = node.raft
    node.step({ type: 'append-response', from: 2, to: 1, term, index: 2, conflict: null, directoryId: '2b' })
    expect(node.raft.commitIndex).toBe(1)
    expect(node.raft.followers.find(({ id }) => id === 2)).toMatchObject({
      directoryId: '2b',
      isVoter: false,
    })
    acknowledge(node, 3)
    expect(node.raft.commitIndex).toBe(2)
  })

  it('RAFT-27: a heartbeat for the former disk -> commits nothing here, and is answered', () => {
    const node = new LoneNode({ id: 2 })
    const heartbeat = { type: 'heartbeat', from: 1, to: 2, term: 1, commitIndex: 5, round: 0 } as const
    node.step({ ...heartbeat, toDirectoryId: '2a' })
    node.persist()
    expect(node.raft.commitIndex).toBe(0)
    expect(node.takeSent().filter(({ type }) => type === 'heartbeat-response')).toHaveLength(1)
    expect(() => node.step({ ...heartbeat, toDirectoryId: '2' })).toThrow(
      'was the log truncated, damaged or lost?',
    )
  })
})

describe('a node without a vote', () => {
  it('asks the voters and its contacts for the log, each once, and again when it hears no leader', () => {
    const node = new LoneNode({ id: 9, contacts: [2, 7, 9] })
    node.tick(0)
    expect(node.takeSent()).toMatchObject([1, 2, 3, 7].map((to) => ({ type: 'join', to, term: 0 })))
    node.append({ from: 2, term: 1 })
    node.persist()
    node.takeSent()
    node.tick(900)
    expect(node.takeSent()).toEqual([])
    node.tick(2_000)
    expect(node.takeSent()).toHaveLength(4)
  })

  it('RAFT-35: more of them than a leader serves -> those beyond get nothing until a silent one is forgotten', () => {
    const node = leading()
    for (let i = 0; i <= LEARNERS_MAX; i++) join(node, 100 + i)
    const ids = (): number[] => node.raft.followers.filter(({ isVoter }) => !isVoter).map(({ id }) => id)
    expect(ids()).toHaveLength(LEARNERS_MAX)
    expect(ids()).not.toContain(100 + LEARNERS_MAX)
    for (let i = 0; i < 12; i++) {
      node.tick(1_000)
      acknowledge(node, 2, 3, 105)
    }
    expect(ids()).toEqual([105])
  })

  it('RAFT-17: answers those who campaign, for it may be a voter by a change it has not seen', () => {
    const node = new LoneNode({ id: 9 })
    node.tick(0)
    node.takeSent()
    node.step({ type: 'vote', from: 3, to: 9, term: 4, lastIndex: 0, lastTerm: 0, forced: false })
    node.persist()
    expect(node.takeSent()).toMatchObject([{ type: 'vote-response', to: 3, granted: true }])
  })
})

describe('readIndex', () => {
  it('RAFT-31: a leader that stops to lead -> its reads never come, not even when it leads again', () => {
    const node = leading()
    expect(node.readIndex()).toEqual({ kind: 'accepted', read: 1 })
    node.step({ type: 'heartbeat', from: 2, to: 1, term: 5, commitIndex: 0, round: 0, toDirectoryId: null })
    node.persist()
    expect(node.readIndex()).toEqual({ kind: 'not-leader', leader: 2 })
    node.lead()
    node.persist()
    acknowledge(node, 2, 3)
    node.step({ type: 'heartbeat-response', from: 2, to: 1, term: node.raft.term, round: 9 })
    expect(node.reads).toEqual([])
  })

  it('RAFT-31: an answer to a round that began before the read -> does not confirm it', () => {
    const node = leading()
    node.readIndex()
    node.readIndex()
    node.step({ type: 'heartbeat-response', from: 2, to: 1, term: 1, round: 0 })
    expect(node.reads).toEqual([])
    node.step({ type: 'heartbeat-response', from: 2, to: 1, term: 1, round: 1 })
    expect(node.reads).toEqual([1])
    node.step({ type: 'heartbeat-response', from: 3, to: 1, term: 1, round: 1 })
    expect(node.reads).toEqual([1])
    node.step({ type: 'heartbeat-response', from: 3, to: 1, term: 1, round: 2 })
    expect(node.reads).toEqual([1, 2])
  })

  it('RAFT-31: a round that is lost -> the next heartbeat asks for all that wait', () => {
    const node = leading()
    node.readIndex()
    node.readIndex()
    node.takeSent()
    node.tick(100)
    expect(node.takeSent()).toMatchObject([
      { type: 'heartbeat', to: 2, round: 2 },
      { type: 'heartbeat', to: 3, round: 2 },
    ])
    node.step({ type: 'heartbeat-response', from: 2, to: 1, term: 1, round: 2 })
    expect(node.reads).toEqual([1, 2])
  })

  it('RAFT-35: more than may wait -> refused until some are answered', () => {
    const node = leading()
    for (let i = 0; i < READS_MAX; i++) expect(node.readIndex().kind).toBe('accepted')
    expect(node.readIndex()).toEqual({ kind: 'overloaded' })
    node.step({ type: 'heartbeat-response', from: 2, to: 1, term: 1, round: 1 })
    expect(node.readIndex().kind).toBe('accepted')
  })
})

describe('timeout-now', () => {
  it('RAFT-16: at a node without a vote -> ignored', () => {
    const node = new LoneNode({ id: 9 })
    node.step({ type: 'timeout-now', from: 2, to: 9, term: 1 })
    expect(node.raft).toMatchObject({ role: 'follower', leader: 2, term: 1 })
  })

  it('RAFT-16: at a voter -> campaigns in the next term at once, once its vote is durable', () => {
    const node = new LoneNode({ terms: [1, 1] })
    node.step({ type: 'timeout-now', from: 2, to: 1, term: 1 })
    expect(node.raft).toMatchObject({ role: 'candidate', term: 2, leader: null })
    expect(node.takeSent()).toEqual([])
    node.persist()
    expect(node.takeSent()).toMatchObject([
      { type: 'vote', to: 2, term: 2, forced: true },
      { type: 'vote', to: 3, term: 2, forced: true },
    ])
  })

  it('RAFT-18: while a snapshot is being installed -> ignored, the log behind it is not on the disk yet', () => {
    const node = new LoneNode()
    const term = 1
    node.step({
      type: 'snapshot',
      from: 2,
      to: 1,
      term,
      snapshotIndex: 4,
      snapshotTerm: 1,
      sizeBytes: 1,
      position: 0,
      part: new Uint8Array(1),
      voters: null,
    })
    node.step({ type: 'timeout-now', from: 2, to: 1, term })
    expect(node.raft.role).toBe('follower')
    node.persist()
    node.step({ type: 'timeout-now', from: 2, to: 1, term })
    expect(node.raft.role).toBe('candidate')
  })
})

describe('resign', () => {
  it('asks the voter that holds most to take over, and nobody who was not heard lately', () => {
    const node = leading()
    node.propose('a')
    node.persist()
    acknowledge(node, 3)
    node.takeSent()
    node.raft.resign(node.nowMs)
    node.tick(0)
    expect(node.sent.filter(({ type }) => type === 'timeout-now')).toMatchObject([{ to: 3, term: 1 }])
    const alone = leading()
    alone.tick(1_200)
    alone.takeSent()
    alone.raft.resign(alone.nowMs)
    alone.tick(0)
    expect(alone.takeSent().filter(({ type }) => type === 'timeout-now')).toEqual([])
  })
})
