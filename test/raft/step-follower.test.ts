import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import type { MessageOf } from '../../src/raft/messages.ts'
import { entriesOf, LoneNode } from './lone-node.ts'

function heartbeat(fields: Partial<MessageOf<'heartbeat'>>): MessageOf<'heartbeat'> {
  return {
    type: 'heartbeat',
    from: 2,
    to: 1,
    term: 3,
    commitIndex: 0,
    round: 0,
    toDirectoryId: null,
    ...fields,
  }
}

/** A follower of node 2 in term 3 whose term is durable. */
function follower(terms: readonly number[] = []): LoneNode {
  const node = new LoneNode({ terms, hardState: { term: 3, votedFor: 2 } })
  node.step(heartbeat({}))
  node.takeSent()
  return node
}

describe('append', () => {
  it('RAFT-01: entries -> acknowledged once they are durable', () => {
    const node = follower()
    node.append({ from: 2, term: 3, entries: entriesOf([3, 3]) })
    expect(node.takeSent()).toEqual([])
    node.persist()
    expect(node.takeSent()).toMatchObject([{ type: 'append-response', to: 2, index: 2, conflict: null }])
  })

  it('RAFT-01: nothing new but an earlier write under way -> the acknowledgement waits for that', () => {
    const node = follower()
    node.append({ from: 2, term: 3, entries: entriesOf([3, 3]) })
    node.append({ from: 2, term: 3, prevIndex: 2, prevTerm: 3 })
    node.append({ from: 2, term: 3, entries: entriesOf([3]) })
    expect(node.takeSent()).toEqual([])
    node.persist()
    expect(node.takeSent()).toMatchObject([{ index: 2 }, { index: 2 }, { index: 1 }])
  })

  it('RAFT-01: a new term -> nothing leaves before it is durable, not even a refusal or a sign of life', () => {
    const node = follower([1])
    node.append({ from: 3, term: 4, prevIndex: 9, prevTerm: 4 })
    node.step(heartbeat({ from: 3, term: 4 }))
    expect(node.takeSent()).toEqual([])
    node.persist()
    expect(node.takeSent()).toMatchObject([
      { type: 'append-response', term: 4, index: 9, conflict: { index: 1, term: 1 } },
      { type: 'heartbeat-response', term: 4 },
    ])
  })

  it('a slow disk -> refusals, what is durable already and signs of life do not wait', () => {
    const node = follower([1, 1])
    node.append({ from: 2, term: 3, prevIndex: 2, prevTerm: 1, entries: entriesOf([3], 3) })
    node.append({ from: 2, term: 3, prevIndex: 7, prevTerm: 3 })
    node.append({ from: 2, term: 3, prevIndex: 2, prevTerm: 1 })
    node.step(heartbeat({}))
    expect(node.takeSent()).toMatchObject([
      { type: 'append-response', index: 7, conflict: { index: 3, term: 3 } },
      { type: 'append-response', index: 2, conflict: null },
      { type: 'heartbeat-response' },
    ])
  })

  it('RAFT-05: the longer append first, then the shorter -> the log stays, and both are acknowledged as sent', () => {
    const node = follower()
    node.append({ from: 2, term: 3, entries: entriesOf([3, 3, 3, 3, 3]) })
    node.append({ from: 2, term: 3, entries: entriesOf([3, 3, 3]) })
    expect(node.raft.lastIndex).toBe(5)
    node.persist()
    expect(node.takeSent()).toMatchObject([
      { index: 5, conflict: null },
      { index: 3, conflict: null },
    ])
    expect(node.writes).toEqual([])
  })

  it('RAFT-05: a conflict -> the written entries begin where it begins', () => {
    const node = follower([1, 1, 1, 1])
    node.append({ from: 2, term: 3, prevIndex: 1, prevTerm: 1, entries: entriesOf([1, 3], 2) })
    expect(node.writes[0]?.entries).toEqual(entriesOf([3], 3))
    expect(node.raft.lastIndex).toBe(3)
  })

  it('RAFT-06: a conflict at or below the commit index -> fatal, nothing to write', () => {
    const node = follower([1, 1, 1])
    node.step(heartbeat({ commitIndex: 2 }))
    const append = { from: 2, term: 3, prevIndex: 1, prevTerm: 1, entries: entriesOf([3], 2) }
    expect(() => node.append(append)).toThrow(AssertionError)
    expect(() => node.append(append)).toThrow('contradicts entry 2, but everything up to 2 is committed')
    expect(() => node.append({ from: 2, term: 3, prevIndex: 2, prevTerm: 3 })).toThrow('contradicts entry 2')
    expect(node.raft.lastIndex).toBe(3)
    expect(node.raft.ready()).toBeNull()
  })

  it('RAFT-06: a heartbeat commits more than the log holds -> fatal', () => {
    const node = follower([1])
    expect(() => node.step(heartbeat({ commitIndex: 2 }))).toThrow(
      'index 2 is committed but the log ends at 1: was the log truncated, damaged or lost?',
    )
  })

  it('RAFT-07: no entries and a higher commit index -> commits up to prevIndex, not into the stale tail', () => {
    const node = follower([1, 1, 1, 1, 1])
    node.append({ from: 2, term: 3, prevIndex: 3, prevTerm: 1, commitIndex: 5 })
    expect(node.raft.commitIndex).toBe(3)
    expect(node.applied.map((entry) => entry.index)).toEqual([1, 2, 3])
  })

  it('RAFT-07: entries it held already -> commits up to the last of them, not into the stale tail', () => {
    const node = follower([1, 1, 1, 1, 1])
    node.append({
      from: 2,
      term: 3,
      prevIndex: 1,
      prevTerm: 1,
      commitIndex: 5,
      entries: entriesOf([1, 1], 2),
    })
    expect(node.raft.commitIndex).toBe(3)
  })

  it('RAFT-07: an older message with a lower commit index -> the commit index stays', () => {
    const node = follower([1, 1, 1])
    node.step(heartbeat({ commitIndex: 3 }))
    node.append({ from: 2, term: 3, prevIndex: 1, prevTerm: 1, commitIndex: 1 })
    node.step(heartbeat({ commitIndex: 2 }))
    expect(node.raft.commitIndex).toBe(3)
  })

  it('committed but not durable here -> applied when it is', () => {
    const node = follower()
    node.append({ from: 2, term: 3, commitIndex: 1, entries: entriesOf([3]) })
    expect(node.raft.commitIndex).toBe(1)
    expect(node.applied).toEqual([])
    node.persist()
    expect(node.applied).toEqual(entriesOf([3]))
  })

  it.each([
    { own: [1, 1], prev: { index: 5, term: 3 }, conflict: { index: 2, term: 1 }, why: 'log too short' },
    { own: [], prev: { index: 5, term: 3 }, conflict: { index: 0, term: 0 }, why: 'log empty' },
    { own: [1, 1, 2, 2], prev: { index: 4, term: 1 }, conflict: { index: 2, term: 1 }, why: 'newer tail' },
    { own: [1, 1, 2, 2], prev: { index: 4, term: 3 }, conflict: { index: 4, term: 2 }, why: 'older tail' },
    { own: [2, 2, 2, 2], prev: { index: 4, term: 1 }, conflict: { index: 0, term: 0 }, why: 'all newer' },
  ])('RAFT-37: refused, $why -> names its last entry that can still agree', ({ own, prev, conflict }) => {
    const node = follower(own)
    node.append({ from: 2, term: 3, prevIndex: prev.index, prevTerm: prev.term })
    expect(node.takeSent()).toEqual([
      { type: 'append-response', from: 1, to: 2, term: 3, index: prev.index, conflict },
    ])
  })

  it('RAFT-12: an older leader -> answered with the higher term, nothing else changes', () => {
    const node = new LoneNode({ terms: [1], hardState: { term: 9, votedFor: null } })
    node.append({ from: 2, term: 3, prevIndex: 1, prevTerm: 1, entries: entriesOf([3], 2) })
    node.step(heartbeat({}))
    expect(node.takeSent()).toMatchObject([
      { type: 'heartbeat-response', to: 2, term: 9 },
      { type: 'heartbeat-response', to: 2, term: 9 },
    ])
    expect(node.raft).toMatchObject({ leader: null, lastIndex: 1 })
  })

  it('two leaders in one term -> fatal', () => {
    const node = follower()
    expect(() => node.step(heartbeat({ from: 3 }))).toThrow('nodes 2 and 3 both lead term 3')
  })

  it('a learner -> takes over entries like a voter', () => {
    const node = new LoneNode({ id: 9 })
    node.append({ from: 2, term: 3, commitIndex: 2, entries: entriesOf([3, 3]) })
    node.persist()
    expect(node.applied).toEqual(entriesOf([3, 3]))
    expect(node.takeSent()).toMatchObject([{ from: 9, type: 'append-response', index: 2 }])
  })
})

describe('persisted', () => {
  it('RAFT-10: an entry is overwritten and put back while the first write is under way -> only the last write counts', () => {
    const node = new LoneNode({ terms: [1], hardState: { term: 1, votedFor: null } })
    node.append({ from: 2, term: 1, prevIndex: 1, prevTerm: 1, entries: entriesOf([1], 2) })
    node.append({ from: 3, term: 2, prevIndex: 1, prevTerm: 1, entries: entriesOf([2], 2) })
    node.append({
      from: 2,
      term: 3,
      prevIndex: 1,
      prevTerm: 1,
      commitIndex: 3,
      entries: entriesOf([1, 3], 2),
    })
    expect(node.raft.commitIndex).toBe(3)
    expect(node.applied.map((entry) => entry.index)).toEqual([1])
    expect(node.persist(1)).toMatchObject([{ term: 1, lastIndex: 2, lastTerm: 1 }])
    expect(node.applied.map((entry) => entry.index)).toEqual([1])
    node.persist(1)
    expect(node.applied.map((entry) => entry.index)).toEqual([1])
    node.persist(1)
    expect(node.applied.map((entry) => entry.index)).toEqual([1, 2, 3])
  })

  it('RAFT-10: overwritten within the term -> the completion of what was there before means nothing', () => {
    const node = new LoneNode({ terms: [1], hardState: { term: 1, votedFor: null } })
    node.append({ from: 2, term: 1, prevIndex: 1, prevTerm: 1, entries: entriesOf([1, 1], 2) })
    node.step(heartbeat({ term: 3 }))
    node.append({
      from: 2,
      term: 3,
      prevIndex: 1,
      prevTerm: 1,
      commitIndex: 3,
      entries: entriesOf([3, 3], 2),
    })
    node.persist(1)
    expect(node.persist(1)).toMatchObject([{ term: 3, lastIndex: 3, lastTerm: 1 }])
    expect(node.applied.map((entry) => entry.index)).toEqual([1])
    node.persist(1)
    expect(node.applied.map((entry) => entry.index)).toEqual([1, 2, 3])
  })

  it('RAFT-10: a new term without entries -> its token covers the entries under way', () => {
    const node = follower()
    node.append({ from: 2, term: 3, commitIndex: 1, entries: entriesOf([3]) })
    node.step(heartbeat({ from: 3, term: 4 }))
    node.persist(1)
    expect(node.applied).toEqual([])
    expect(node.persist(1)).toEqual([{ term: 4, votedFor: null, lastIndex: 1, lastTerm: 3 }])
    expect(node.applied.map((entry) => entry.index)).toEqual([1])
  })

  it('a token given back twice -> harmless', () => {
    const node = follower()
    node.append({ from: 2, term: 3, commitIndex: 1, entries: entriesOf([3]) })
    const [token] = node.persist()
    node.raft.persisted(token!, node.nowMs)
    expect(node.applied).toHaveLength(1)
    expect(node.raft.ready()).toBeNull()
  })
})
