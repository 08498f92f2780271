import { describe, expect, it } from 'vitest'
import type { MessageOf } from '../../src/raft/messages.ts'
import { LoneNode, type LoneNodeOptions } from './lone-node.ts'

function vote(fields: Partial<MessageOf<'vote'>>): MessageOf<'vote'> {
  return { type: 'vote', from: 2, to: 1, term: 1, lastIndex: 0, lastTerm: 0, forced: false, ...fields }
}

function preVote(fields: Partial<MessageOf<'pre-vote'>>): MessageOf<'pre-vote'> {
  return { type: 'pre-vote', from: 2, to: 1, term: 0, campaignTerm: 1, lastIndex: 0, lastTerm: 0, ...fields }
}

/** A follower of node 2 in term 3, which it heard just now; all of that is durable. */
function followerOf2(options: LoneNodeOptions = {}): LoneNode {
  const node = new LoneNode(options)
  node.append({ from: 2, term: 3 })
  node.persist()
  node.takeSent()
  return node
}

describe('answerVote', () => {
  it('RAFT-01: granted -> the answer waits until term and vote are durable', () => {
    const node = new LoneNode()
    node.step(vote({ from: 2, term: 5 }))
    expect(node.takeSent()).toEqual([])
    expect(node.writes[0]?.hardState).toEqual({ term: 5, votedFor: 2 })
    node.persist()
    expect(node.takeSent()).toMatchObject([{ type: 'vote-response', to: 2, term: 5, granted: true }])
  })

  it('RAFT-01: crash before durable, restart -> the vote was not given and is free; after durable -> it is bound', () => {
    for (const hardState of [
      { term: 0, votedFor: null },
      { term: 5, votedFor: 2 },
    ]) {
      const restarted = new LoneNode({ hardState })
      restarted.step(vote({ from: 3, term: 5 }))
      restarted.persist()
      expect(restarted.takeSent()).toMatchObject([{ to: 3, granted: hardState.votedFor === null }])
    }
  })

  it('asked again by the same candidate -> granted again, by another -> refused', () => {
    const node = new LoneNode()
    node.step(vote({ from: 2, term: 5 }))
    node.persist()
    node.takeSent()
    node.step(vote({ from: 2, term: 5 }))
    node.step(vote({ from: 3, term: 5 }))
    expect(node.takeSent()).toMatchObject([
      { to: 2, granted: true },
      { to: 3, granted: false },
    ])
  })

  it.each([
    { terms: [1, 1, 3], lastIndex: 3, lastTerm: 3, granted: true, why: 'equal' },
    { terms: [1, 1, 3], lastIndex: 4, lastTerm: 3, granted: true, why: 'longer' },
    { terms: [1, 1, 3], lastIndex: 1, lastTerm: 4, granted: true, why: 'shorter but newer' },
    { terms: [1, 1, 3], lastIndex: 2, lastTerm: 3, granted: false, why: 'shorter' },
    { terms: [1, 1, 3], lastIndex: 99, lastTerm: 2, granted: false, why: 'longer but older' },
    { terms: [1, 1, 3], lastIndex: 0, lastTerm: 0, granted: false, why: 'empty' },
    { terms: [], lastIndex: 0, lastTerm: 0, granted: true, why: 'both empty' },
  ])(
    'RAFT-09: a candidate whose log is $why -> granted: $granted',
    ({ terms, lastIndex, lastTerm, granted }) => {
      const node = new LoneNode({ terms, hardState: { term: 4, votedFor: null } })
      node.step(vote({ term: 9, lastIndex, lastTerm }))
      node.step(preVote({ from: 3, term: 9, campaignTerm: 10, lastIndex, lastTerm }))
      node.persist()
      expect(node.takeSent()).toMatchObject([
        { type: 'vote-response', term: 9, granted },
        { type: 'pre-vote-response', campaignTerm: 10, granted },
      ])
    },
  )

  it('a higher term while the leader is alive -> dropped, nothing changes', () => {
    const node = followerOf2()
    node.nowMs += 999
    node.step(vote({ from: 3, term: 8 }))
    expect(node.takeSent()).toEqual([])
    expect(node.raft).toMatchObject({ term: 3, leader: 2 })
  })

  it('a higher term once the leader is silent for an election timeout -> granted', () => {
    const node = followerOf2()
    node.nowMs += 1_000
    node.step(vote({ from: 3, term: 8 }))
    node.persist()
    expect(node.takeSent()).toMatchObject([{ term: 8, granted: true }])
  })

  it('in the term of a known leader -> refused although the vote is free', () => {
    const node = followerOf2()
    node.nowMs += 5_000
    node.step(vote({ from: 3, term: 3 }))
    expect(node.takeSent()).toMatchObject([{ term: 3, granted: false }])
  })

  it('a lower term -> refused with the higher one', () => {
    const node = new LoneNode({ hardState: { term: 6, votedFor: null } })
    node.step(vote({ from: 2, term: 5 }))
    expect(node.takeSent()).toMatchObject([{ term: 6, granted: false }])
  })

  it('a leader -> refuses', () => {
    const node = new LoneNode()
    node.lead()
    node.takeSent()
    node.step(vote({ from: 2, term: 7, lastIndex: 9, lastTerm: 6 }))
    expect(node.takeSent()).toEqual([])
    expect(node.raft.role).toBe('leader')
  })

  it('RAFT-17: a learner -> votes and pre-votes as anybody', () => {
    const node = new LoneNode({ id: 9 })
    node.step({ ...preVote({ term: 4, campaignTerm: 5 }), to: 9 })
    node.step({ ...vote({ term: 5 }), to: 9 })
    node.persist()
    expect(node.takeSent()).toMatchObject([
      { type: 'pre-vote-response', granted: true },
      { type: 'vote-response', term: 5, granted: true },
    ])
  })
})

describe('answerPreVote', () => {
  it('RAFT-11: granted -> term and vote stay, nothing is written, and the answer carries the future term', () => {
    const node = new LoneNode({ hardState: { term: 2, votedFor: 3 } })
    node.step(preVote({ term: 6, campaignTerm: 7 }))
    expect(node.takeSent()).toMatchObject([
      { type: 'pre-vote-response', term: 2, campaignTerm: 7, granted: true },
    ])
    expect(node.raft.term).toBe(2)
    expect(node.writes).toEqual([])
  })

  it('RAFT-11: a term that is not ahead -> refused, not met with silence', () => {
    const node = new LoneNode({ hardState: { term: 6, votedFor: null } })
    node.step(preVote({ term: 3, campaignTerm: 4 }))
    node.step(preVote({ term: 5, campaignTerm: 6 }))
    expect(node.takeSent()).toMatchObject([
      { term: 6, campaignTerm: 4, granted: false },
      { term: 6, campaignTerm: 6, granted: false },
    ])
  })

  it('while the leader is alive -> refused, at once', () => {
    const node = followerOf2()
    node.step(preVote({ from: 3, term: 3, campaignTerm: 4 }))
    expect(node.takeSent()).toMatchObject([{ to: 3, term: 3, campaignTerm: 4, granted: false }])
  })

  it('RAFT-13: from the leader itself -> it leads no more: granted, and to others too', () => {
    const node = followerOf2()
    node.step(preVote({ from: 2, term: 3, campaignTerm: 4 }))
    expect(node.raft.leader).toBeNull()
    node.step(preVote({ from: 3, term: 3, campaignTerm: 4 }))
    expect(node.takeSent()).toMatchObject([
      { to: 2, granted: true },
      { to: 3, granted: true },
    ])
  })

  it('RAFT-08: a late one from before the leader was elected -> the leader keeps its lease', () => {
    const node = followerOf2()
    node.step(preVote({ from: 2, term: 2, campaignTerm: 3 }))
    node.step(vote({ from: 2, term: 3 }))
    expect(node.raft.leader).toBe(2)
  })
})
