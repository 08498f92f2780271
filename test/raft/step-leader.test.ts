import { describe, expect, it } from 'vitest'
import { RAFT_DEFAULTS } from '../../src/raft/config.ts'
import {
  ENTRY_OVERHEAD_BYTES,
  type LogConflict,
  type Message,
  type MessageOf,
} from '../../src/raft/messages.ts'
import { LoneNode, type LoneNodeOptions } from './lone-node.ts'

/** Node 1 leads; its empty entry is durable; nobody has answered yet. */
function leader(options: LoneNodeOptions = {}): LoneNode {
  const node = new LoneNode(options)
  node.lead()
  node.persist()
  expect(node.raft.role).toBe('leader')
  return node
}

function accept(node: LoneNode, fields: { from: number; index: number; term?: number }): void {
  node.step({ type: 'append-response', to: 1, term: node.raft.term, conflict: null, ...fields })
}

function refuse(node: LoneNode, fields: { from: number; index: number; conflict: LogConflict }): void {
  node.step({ type: 'append-response', to: 1, term: node.raft.term, ...fields })
}

function alive(node: LoneNode, from: number): void {
  node.step({ type: 'heartbeat-response', from, to: 1, term: node.raft.term, round: 0 })
}

function appendsTo(to: number, messages: readonly Message[]): MessageOf<'append'>[] {
  return messages.filter((message) => message.type === 'append' && message.to === to) as MessageOf<'append'>[]
}

describe('a new leader', () => {
  it('RAFT-04: an uncommitted tail and no proposals -> an empty entry goes out at once and commits the tail', () => {
    const node = new LoneNode({ terms: [1, 1, 1] })
    node.lead()
    expect(appendsTo(2, node.takeSent())).toMatchObject([
      { prevIndex: 3, prevTerm: 1, commitIndex: 0, entries: [{ index: 4, term: 2, data: null }] },
    ])
    expect(node.raft.leaderReady).toBe(false)
    node.persist()
    accept(node, { from: 2, index: 4 })
    expect(node.applied.map((entry) => entry.index)).toEqual([1, 2, 3, 4])
    expect(node.raft.leaderReady).toBe(true)
  })

  it('RAFT-04: only the tail of an earlier term is on a majority -> not ready', () => {
    const node = leader({ terms: [1, 1, 1] })
    accept(node, { from: 2, index: 3 })
    expect(node.raft.leaderReady).toBe(false)
  })

  it('messages of the former term -> ignored', () => {
    const node = leader({ terms: [1] })
    accept(node, { from: 2, index: 2, term: 1 })
    node.step({ type: 'vote-response', from: 3, to: 1, term: 1, granted: false })
    expect(node.raft).toMatchObject({ commitIndex: 0, role: 'leader' })
  })
})

describe('commit', () => {
  it('RAFT-03: entries of an earlier term on a majority -> committed only with one of the own term', () => {
    const node = leader({ terms: [1, 2, 2] })
    accept(node, { from: 2, index: 2 })
    accept(node, { from: 3, index: 3 })
    expect(node.raft.commitIndex).toBe(0)
    accept(node, { from: 3, index: 4 })
    expect(node.raft.commitIndex).toBe(4)
  })

  it('RAFT-30: a single voter -> commits when its own disk has the entry, not before', () => {
    const node = new LoneNode({ voters: [1] })
    node.tick(0)
    expect(node.raft.role).toBe('candidate')
    node.persist()
    expect(node.raft.role).toBe('leader')
    expect(node.propose('a')).toEqual({ kind: 'accepted', index: 2, term: 1 })
    expect(node.raft.commitIndex).toBe(0)
    node.persist(1)
    expect(node.raft.commitIndex).toBe(1)
    node.persist(1)
    expect(node.raft.commitIndex).toBe(2)
    expect(node.applied.map((entry) => entry.index)).toEqual([1, 2])
  })

  it('RAFT-01: one follower and the own write under way -> no majority; after the write -> committed', () => {
    const node = leader({ voters: [1, 2, 3, 4, 5] })
    node.propose('a')
    accept(node, { from: 2, index: 2 })
    accept(node, { from: 3, index: 1 })
    expect(node.raft.commitIndex).toBe(1)
    accept(node, { from: 3, index: 2 })
    expect(node.raft.commitIndex).toBe(1)
    node.persist()
    expect(node.raft.commitIndex).toBe(2)
  })

  it('RAFT-01: all followers but not the leader hold it -> not committed: the leader could forget what it announced', () => {
    const node = leader()
    node.propose('a')
    accept(node, { from: 2, index: 2 })
    accept(node, { from: 3, index: 2 })
    expect(node.raft.commitIndex).toBe(1)
  })

  it('RAFT-10: the own append completes after the leader stepped down -> counts for nothing', () => {
    const node = leader({ voters: [1] })
    node.propose('a')
    node.raft.resign(node.nowMs)
    node.tick(2_000)
    expect(node.raft).toMatchObject({ role: 'candidate', term: 2 })
    expect(node.persist(1)).toMatchObject([{ term: 1, lastIndex: 2 }])
    expect(node.raft.role).toBe('candidate')
    node.persist(1)
    expect(node.raft.role).toBe('leader')
  })

  it('RAFT-08: a late acknowledgement -> commits nothing new and takes nothing back', () => {
    const node = leader()
    node.propose('a')
    node.persist()
    accept(node, { from: 2, index: 2 })
    expect(node.raft.commitIndex).toBe(2)
    accept(node, { from: 2, index: 1 })
    refuse(node, { from: 2, index: 2, conflict: { index: 0, term: 0 } })
    expect(node.raft.commitIndex).toBe(2)
    node.takeSent()
    node.propose('b')
    expect(appendsTo(2, node.takeSent())).toMatchObject([{ prevIndex: 2, entries: [{ index: 3 }] }])
  })

  it('committed -> the followers that hold it are told at once', () => {
    const node = leader()
    accept(node, { from: 3, index: 1 })
    node.takeSent()
    node.propose('a')
    node.persist()
    accept(node, { from: 2, index: 2 })
    const sent = node.takeSent()
    expect(appendsTo(2, sent).at(-1)).toMatchObject({ prevIndex: 2, commitIndex: 2, entries: [] })
    expect(appendsTo(3, sent).at(-1)).toMatchObject({ prevIndex: 2, commitIndex: 2, entries: [] })
  })

  it('an acknowledgement beyond the end of the log -> fatal', () => {
    const node = leader()
    expect(() => accept(node, { from: 2, index: 2 })).toThrow('acknowledges index 2, but the log ends at 1')
  })

  it('an answer of a node that is no follower -> ignored', () => {
    const node = leader()
    accept(node, { from: 9, index: 1 })
    alive(node, 9)
    expect(node.raft.commitIndex).toBe(0)
  })
})

describe('heartbeats', () => {
  it('every interval, to all; RAFT-07: with no more committed than the follower is known to hold', () => {
    const node = leader({ terms: [1, 1] })
    accept(node, { from: 2, index: 3 })
    node.takeSent()
    node.tick(99)
    expect(node.takeSent()).toEqual([])
    node.tick(1)
    expect(node.takeSent()).toMatchObject([
      { type: 'heartbeat', to: 2, commitIndex: 3, round: 0, toDirectoryId: '2' },
      { type: 'heartbeat', to: 3, commitIndex: 0, round: 0, toDirectoryId: '3' },
    ])
  })

  it('an answer while a probe is unanswered -> probes again', () => {
    const node = leader()
    node.takeSent()
    node.propose('a')
    expect(node.takeSent()).toEqual([])
    alive(node, 2)
    expect(appendsTo(2, node.takeSent())).toMatchObject([
      { prevIndex: 0, entries: [{ index: 1 }, { index: 2 }] },
    ])
  })

  it('an answer while entries are unacknowledged -> asks for the position; a refusal sends them again', () => {
    const node = leader()
    accept(node, { from: 2, index: 1 })
    node.propose('lost')
    node.takeSent()
    alive(node, 2)
    expect(appendsTo(2, node.takeSent())).toMatchObject([{ prevIndex: 2, entries: [] }])
    refuse(node, { from: 2, index: 2, conflict: { index: 1, term: 1 } })
    expect(appendsTo(2, node.takeSent())).toMatchObject([{ prevIndex: 1, entries: [{ index: 2 }] }])
  })

  it('an answer of a follower that holds everything -> nothing to send', () => {
    const node = leader()
    accept(node, { from: 2, index: 1 })
    node.takeSent()
    alive(node, 2)
    expect(node.takeSent()).toEqual([])
  })
})

describe('check-quorum', () => {
  it('RAFT-14: no majority for 1.5 election timeouts -> resigns; proposals are refused', () => {
    const node = leader({ voters: [1, 2, 3, 4, 5] })
    node.tick(1_000)
    alive(node, 2)
    node.tick(499)
    expect(node.raft.role).toBe('leader')
    node.tick(1)
    expect(node.raft).toMatchObject({ role: 'follower', term: 1, leader: null })
    expect(node.propose('a')).toEqual({ kind: 'not-leader', leader: null })
  })

  it('RAFT-14: a majority answers now and then -> stays', () => {
    const node = leader({ voters: [1, 2, 3, 4, 5] })
    for (let i = 0; i < 20; i++) {
      node.tick(700)
      alive(node, 2)
      node.tick(700)
      accept(node, { from: 3, index: 1 })
    }
    expect(node.raft.role).toBe('leader')
  })
})

describe('limits', () => {
  it('RAFT-35: more uncommitted bytes than allowed -> overloaded; after a commit -> accepted', () => {
    const entryMaxBytes = 100
    const uncommittedMaxBytes = 2 * (entryMaxBytes + ENTRY_OVERHEAD_BYTES)
    const node = leader({ config: { entryMaxBytes, uncommittedMaxBytes } })
    accept(node, { from: 2, index: 1 })
    const largest = 'x'.repeat(entryMaxBytes)
    expect(node.propose(largest).kind).toBe('accepted')
    expect(node.propose(largest).kind).toBe('accepted')
    expect(node.propose('')).toEqual({ kind: 'overloaded' })
    node.persist()
    accept(node, { from: 2, index: 2 })
    expect(node.propose(largest)).toEqual({ kind: 'accepted', index: 4, term: 1 })
    expect(node.propose('')).toEqual({ kind: 'overloaded' })
  })

  it('RAFT-35: a tail that was recovered -> counts as uncommitted', () => {
    const each = ENTRY_OVERHEAD_BYTES + 3
    const limits = { entryMaxBytes: each, uncommittedMaxBytes: 3 * each + 2 * ENTRY_OVERHEAD_BYTES - 1 }
    const node = leader({ terms: [1, 1, 1], config: limits })
    expect(node.propose('')).toEqual({ kind: 'overloaded' })
    accept(node, { from: 2, index: 4 })
    expect(node.propose('').kind).toBe('accepted')
  })

  it('RAFT-35: a silent follower -> gets no more appends than the window allows', () => {
    const node = leader({ config: { inflightAppendsMax: 3 } })
    accept(node, { from: 2, index: 1 })
    node.takeSent()
    for (let i = 0; i < 10; i++) node.propose('x')
    const first = appendsTo(2, node.takeSent())
    expect(first.map((append) => append.entries.length)).toEqual([1, 1, 1])
    accept(node, { from: 2, index: 2 })
    expect(appendsTo(2, node.takeSent()).map((append) => append.entries.length)).toEqual([7])
  })

  it('RAFT-35: the largest entry -> travels, alone', () => {
    const entryMaxBytes = 64
    const config = { entryMaxBytes, appendMaxBytes: entryMaxBytes + ENTRY_OVERHEAD_BYTES }
    const node = leader({ config })
    for (let i = 0; i < 3; i++) node.propose('y'.repeat(entryMaxBytes))
    node.takeSent()
    accept(node, { from: 2, index: 1 })
    expect(appendsTo(2, node.takeSent()).map((append) => append.entries.length)).toEqual([1, 1, 1])
  })

  it('an entry above entryMaxBytes -> refused as a bug of the caller', () => {
    const node = leader({ config: { entryMaxBytes: 10 } })
    expect(() => node.propose('x'.repeat(11))).toThrow('an entry has at most 10 bytes, got 11')
  })

  it('proposals between two Readys -> travel in one append', () => {
    const node = leader()
    accept(node, { from: 2, index: 1 })
    node.takeSent()
    for (const text of ['a', 'b', 'c']) node.raft.propose(new TextEncoder().encode(text), node.nowMs)
    node.tick(0)
    expect(appendsTo(2, node.takeSent()).map((append) => append.entries.length)).toEqual([3])
    expect(RAFT_DEFAULTS.appendMaxBytes).toBeGreaterThan(3 * ENTRY_OVERHEAD_BYTES)
  })
})

describe('refused appends', () => {
  it('RAFT-37: the conflict names an older term -> the next append skips everything newer', () => {
    const node = leader({ terms: [1, 1, 4, 4, 5, 5] })
    node.takeSent()
    refuse(node, { from: 2, index: 6, conflict: { index: 6, term: 3 } })
    expect(appendsTo(2, node.takeSent())).toMatchObject([{ prevIndex: 2, prevTerm: 1 }])
  })

  it('RAFT-37: a log that is merely short -> the next append continues it', () => {
    const node = leader({ terms: [1, 1, 4, 4, 5, 5] })
    node.takeSent()
    refuse(node, { from: 2, index: 6, conflict: { index: 3, term: 4 } })
    expect(appendsTo(2, node.takeSent())).toMatchObject([{ prevIndex: 3, prevTerm: 4 }])
  })

  it('RAFT-08: the same refusal twice -> one more append only', () => {
    const node = leader({ terms: [1, 1, 4, 4] })
    node.takeSent()
    const refusal = { from: 2, index: 4, conflict: { index: 4, term: 3 } }
    refuse(node, refusal)
    refuse(node, refusal)
    expect(appendsTo(2, node.takeSent())).toHaveLength(1)
  })
})

describe('linkClosed', () => {
  it('of a follower -> what is unacknowledged is sent again', () => {
    const node = leader()
    accept(node, { from: 2, index: 1 })
    node.propose('lost')
    node.takeSent()
    node.linkClosed(2)
    expect(appendsTo(2, node.takeSent())).toMatchObject([{ prevIndex: 1, entries: [{ index: 2 }] }])
    node.linkClosed(9)
    expect(node.takeSent()).toEqual([])
  })
})
