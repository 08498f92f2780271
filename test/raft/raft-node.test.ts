import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { RAFT_DEFAULTS } from '../../src/raft/config.ts'
import { RaftNode, type RaftNodeOptions } from '../../src/raft/raft-node.ts'
import { entriesOf, LoneNode, voterKeysOf } from './lone-node.ts'

function options(changes: Partial<RaftNodeOptions>): RaftNodeOptions {
  return {
    id: 1,
    directoryId: '1',
    voters: voterKeysOf([1, 2, 3]),
    hardState: { term: 0, votedFor: null },
    entries: [],
    config: RAFT_DEFAULTS,
    random: seededRandom(1),
    nowMs: 0,
    ...changes,
  }
}

/** Milliseconds from now to the next pre-vote, ticking each millisecond. */
function timeToCampaign(node: LoneNode): number {
  const startMs = node.nowMs
  node.takeSent()
  while (!node.sent.some(({ type }) => type === 'pre-vote') && node.nowMs < startMs + 10_000) node.tick(1)
  return node.nowMs - startMs
}

describe('dueMs', () => {
  it('a follower -> when it campaigns, put off by the leader; never while the disk has to answer', () => {
    const raft = new RaftNode(options({}))
    const { electionTimeoutMs } = RAFT_DEFAULTS
    const first = raft.dueMs
    expect(first).toBeGreaterThanOrEqual(electionTimeoutMs)
    expect(first).toBeLessThan(2 * electionTimeoutMs)
    raft.tick(first - 1)
    expect(raft.role).toBe('follower')
    const heartbeat = { type: 'heartbeat', from: 2, to: 1, term: 1, commitIndex: 0, round: 0 } as const
    raft.step({ ...heartbeat, toDirectoryId: null }, first - 1)
    expect(raft.dueMs).toBe(Number.POSITIVE_INFINITY)
    raft.persisted(raft.ready()!.persistToken!, first - 1)
    expect(raft.dueMs).toBeGreaterThanOrEqual(first - 1 + electionTimeoutMs)
    raft.tick(raft.dueMs)
    expect(raft.role).toBe('pre-candidate')
  })

  it('a leader -> when its heartbeats are due', () => {
    const raft = new RaftNode(options({ voters: voterKeysOf([1]) }))
    raft.tick(raft.dueMs)
    raft.persisted(raft.ready()!.persistToken!, 5)
    expect(raft.role).toBe('leader')
    expect(raft.dueMs).toBe(5 + RAFT_DEFAULTS.heartbeatIntervalMs)
    raft.tick(raft.dueMs)
    expect(raft.dueMs).toBe(5 + 2 * RAFT_DEFAULTS.heartbeatIntervalMs)
  })
})

describe('constructor', () => {
  it('RAFT-02: a log newer than the stored term -> refused: the vote was lost', () => {
    expect(
      () => new RaftNode(options({ entries: entriesOf([1, 3]), hardState: { term: 2, votedFor: 1 } })),
    ).toThrow('the log ends in term 3 but the stored term is 2: was the vote lost?')
  })

  it('no voters, voters twice, settings out of range -> refused', () => {
    expect(() => new RaftNode(options({ voters: [] }))).toThrow('at least one voter')
    expect(() => new RaftNode(options({ voters: voterKeysOf([1, 2, 1]) }))).toThrow(
      'voters must differ, got 1, 2, 1',
    )
    const config = { ...RAFT_DEFAULTS, electionTimeoutMs: 0 }
    expect(() => new RaftNode(options({ config }))).toThrow('raft setting electionTimeoutMs is 0')
  })

  it('recovered -> a follower that commits and applies nothing by itself', () => {
    const raft = new RaftNode(options({ entries: entriesOf([1, 3]), hardState: { term: 4, votedFor: 1 } }))
    expect(raft).toMatchObject({ role: 'follower', term: 4, leader: null, lastIndex: 2, commitIndex: 0 })
    expect(raft.leaderReady).toBe(false)
    expect(raft.ready()).toBeNull()
  })
})

describe('ready', () => {
  it('effects -> are handed over once', () => {
    const raft = new RaftNode(options({ voters: voterKeysOf([1]) }))
    raft.tick(0)
    expect(raft.ready()).toEqual({
      hardState: { term: 1, votedFor: 1 },
      entries: [],
      messages: [],
      messagesAfterPersist: [],
      reads: [],
      snapshot: null,
      restored: null,
      committed: [],
      persistToken: { term: 1, votedFor: 1, lastIndex: 0, lastTerm: 0 },
    })
    expect(raft.ready()).toBeNull()
  })

  it('a leader -> its appends go out beside its own write', () => {
    const node = new LoneNode()
    node.lead()
    expect(node.sent.filter(({ type }) => type === 'append')).toHaveLength(2)
    expect(node.writes.at(-1)?.entries).toMatchObject([{ index: 1, data: null }])
  })
})

describe('step', () => {
  it('a message to another node, or from itself -> ignored', () => {
    const node = new LoneNode()
    node.step({ type: 'heartbeat', from: 2, to: 3, term: 9, commitIndex: 0, round: 0, toDirectoryId: null })
    node.step({ type: 'heartbeat', from: 1, to: 1, term: 9, commitIndex: 0, round: 0, toDirectoryId: null })
    expect(node.raft.term).toBe(0)
  })

  it('a second leader in the term this node leads -> fatal', () => {
    const node = new LoneNode()
    node.lead()
    expect(() => node.append({ from: 2, term: 1 })).toThrow('node 2 leads term 1, as this one does')
  })

  it('a higher term in any answer -> a leader steps down', () => {
    const node = new LoneNode()
    node.lead()
    node.step({ type: 'heartbeat-response', from: 2, to: 1, term: 6, round: 0 })
    expect(node.raft).toMatchObject({ role: 'follower', term: 6, leader: null })
  })
})

describe('candidacy', () => {
  it('RAFT-01: vote requests -> leave when the candidacy is durable', () => {
    const node = new LoneNode()
    node.tick(2_000)
    node.answer('pre-vote-response', { from: 2, term: 0, granted: true })
    expect(node.raft).toMatchObject({ role: 'candidate', term: 1 })
    expect(node.sent.filter(({ type }) => type === 'vote')).toEqual([])
    node.persist()
    expect(node.sent.filter(({ type }) => type === 'vote')).toMatchObject([{ to: 2 }, { to: 3 }])
  })

  it('the first answer of each voter counts, strangers do not', () => {
    const node = new LoneNode({ voters: [1, 2, 3, 4, 5] })
    node.tick(2_000)
    node.answer('pre-vote-response', { from: 2, term: 0, granted: true })
    node.answer('pre-vote-response', { from: 2, term: 0, granted: true })
    node.answer('pre-vote-response', { from: 8, term: 0, granted: true })
    expect(node.raft.role).toBe('pre-candidate')
    node.answer('pre-vote-response', { from: 3, term: 0, granted: true })
    expect(node.raft.role).toBe('candidate')
    node.persist()
    node.answer('vote-response', { from: 2, term: 1, granted: false })
    node.answer('vote-response', { from: 2, term: 1, granted: true })
    node.answer('vote-response', { from: 3, term: 1, granted: true })
    expect(node.raft.role).toBe('candidate')
    node.answer('vote-response', { from: 4, term: 1, granted: true })
    expect(node.raft.role).toBe('leader')
  })

  it('RAFT-08: answers to an earlier question -> ignored', () => {
    const node = new LoneNode({ hardState: { term: 4, votedFor: null } })
    node.tick(2_000)
    const late = {
      type: 'pre-vote-response',
      from: 2,
      to: 1,
      term: 3,
      campaignTerm: 4,
      granted: true,
    } as const
    node.step(late)
    expect(node.raft.role).toBe('pre-candidate')
    node.step({ ...late, campaignTerm: 5 })
    expect(node.raft.role).toBe('candidate')
    node.step({ ...late, campaignTerm: 6, from: 3 })
    node.answer('vote-response', { from: 2, term: 4, granted: true })
    expect(node.raft).toMatchObject({ role: 'candidate', term: 5 })
  })

  it('RAFT-10: the vote for itself becomes durable after the candidacy -> counts in no later one', () => {
    const node = new LoneNode()
    node.tick(2_000)
    node.answer('pre-vote-response', { from: 2, term: 0, granted: true })
    const [first] = node.writes
    node.step({ type: 'vote-response', from: 3, to: 1, term: 5, granted: false })
    expect(node.raft).toMatchObject({ role: 'follower', term: 5 })
    node.raft.persisted(first!.persistToken!, node.nowMs)
    expect(node.raft.role).toBe('follower')
    node.persist()
    node.tick(2_000)
    node.answer('pre-vote-response', { from: 2, term: 5, granted: true })
    expect(node.raft).toMatchObject({ role: 'candidate', term: 6 })
    // With a late vote of node 2 it would be two of three.
    node.raft.persisted(first!.persistToken!, node.nowMs)
    node.answer('vote-response', { from: 2, term: 6, granted: true })
    expect(node.raft.role).toBe('candidate')
    node.persist()
    expect(node.raft.role).toBe('leader')
  })

  it('refused by a majority -> follows, without a leader', () => {
    const node = new LoneNode()
    node.tick(2_000)
    node.answer('pre-vote-response', { from: 2, term: 0, granted: false })
    expect(node.raft.role).toBe('pre-candidate')
    node.answer('pre-vote-response', { from: 3, term: 0, granted: false })
    expect(node.raft).toMatchObject({ role: 'follower', term: 0, leader: null })
  })

  it('a leader of the same term shows up -> followed', () => {
    const node = new LoneNode({ hardState: { term: 2, votedFor: null } })
    node.tick(2_000)
    node.append({ from: 3, term: 2 })
    expect(node.raft).toMatchObject({ role: 'follower', leader: 3, term: 2 })
  })

  it('a disk slower than the election timeout -> waited for, and the requests get a full timeout', () => {
    const node = new LoneNode()
    node.tick(2_000)
    node.answer('pre-vote-response', { from: 2, term: 0, granted: true })
    node.tick(60_000)
    expect(node.raft).toMatchObject({ role: 'candidate', term: 1 })
    node.persist()
    node.tick(999)
    expect(node.raft).toMatchObject({ role: 'candidate', term: 1 })
  })

  it('a learner -> never campaigns, and forgets a silent leader', () => {
    const node = new LoneNode({ id: 9 })
    node.append({ from: 2, term: 3 })
    node.persist()
    node.takeSent()
    expect(node.raft.leader).toBe(2)
    for (let i = 0; i < 100; i++) node.tick(1_000)
    expect(node.raft).toMatchObject({ role: 'follower', leader: null, term: 3 })
    expect(node.takeSent().every(({ type }) => type === 'join')).toBe(true)
  })

  it('a learner whose link to the leader closes -> forgets it at once', () => {
    const node = new LoneNode({ id: 9 })
    node.append({ from: 2, term: 3 })
    node.persist()
    node.takeSent()
    node.linkClosed(2)
    expect(node.raft).toMatchObject({ role: 'follower', leader: null })
    expect(node.takeSent()).toEqual([])
  })
})

describe('election timer', () => {
  it('RAFT-19: each attempt -> waits anew from [t, 2t), reproducible by seed', () => {
    const draw = (seed: number): number[] => {
      const node = new LoneNode({ seed })
      return Array.from({ length: 20 }, () => timeToCampaign(node))
    }
    const waits = draw(7)
    for (const waitMs of waits) {
      expect(waitMs).toBeGreaterThanOrEqual(1_000)
      expect(waitMs).toBeLessThan(2_000)
    }
    expect(new Set(waits).size).toBeGreaterThan(10)
    expect(draw(7)).toEqual(waits)
    expect(draw(8)).not.toEqual(waits)
  })

  it('RAFT-19: refused votes of ever higher terms and messages of old terms -> do not put it off', () => {
    const quiet = timeToCampaign(new LoneNode({ terms: [1, 2] }))
    const node = new LoneNode({ terms: [1, 2] })
    let campaignedMs: number | null = null
    while (campaignedMs === null && node.nowMs < 10_000) {
      node.tick(1)
      if (node.raft.role === 'pre-candidate') campaignedMs = node.nowMs
      const { term } = node.raft
      node.step({ type: 'vote', from: 3, to: 1, term: term + 1, lastIndex: 1, lastTerm: 1, forced: false })
      node.step({ type: 'pre-vote', from: 3, to: 1, term, campaignTerm: term + 9, lastIndex: 1, lastTerm: 1 })
      node.append({ from: 2, term: 1 })
      node.persist()
    }
    expect(campaignedMs).toBe(quiet)
  })

  it.each([
    ['a vote that was granted', 'vote'],
    ['an append of the leader', 'append'],
    ['a heartbeat of the leader', 'heartbeat'],
  ])('RAFT-19: %s -> starts it again', (_, type) => {
    const node = new LoneNode()
    node.tick(990)
    if (type === 'vote')
      node.step({ type: 'vote', from: 2, to: 1, term: 1, lastIndex: 0, lastTerm: 0, forced: false })
    else if (type === 'append') node.append({ from: 2, term: 1 })
    else
      node.step({ type: 'heartbeat', from: 2, to: 1, term: 1, commitIndex: 0, round: 0, toDirectoryId: null })
    node.persist()
    expect(timeToCampaign(node)).toBeGreaterThanOrEqual(1_000)
  })

  it('time that goes back -> counts as the latest', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const node = new LoneNode({ seed })
      node.append({ from: 2, term: 1 })
      node.persist()
      node.tick(500)
      node.raft.step(
        { type: 'heartbeat', from: 2, to: 1, term: 1, commitIndex: 0, round: 0, toDirectoryId: null },
        100,
      )
      expect(timeToCampaign(node)).toBeGreaterThanOrEqual(1_000)
    }
  })
})

describe('linkClosed', () => {
  /** A follower of node 2 that heard it just now. */
  function follower(): LoneNode {
    const node = new LoneNode({ hardState: { term: 3, votedFor: 2 } })
    node.append({ from: 2, term: 3 })
    node.takeSent()
    return node
  }

  it('to the leader -> its lease is cleared and a pre-vote starts at once', () => {
    const node = follower()
    node.linkClosed(2)
    expect(node.raft).toMatchObject({ role: 'pre-candidate', leader: null, term: 3 })
    expect(node.takeSent()).toMatchObject([
      { type: 'pre-vote', to: 2, campaignTerm: 4 },
      { type: 'pre-vote', to: 3, campaignTerm: 4 },
    ])
  })

  it('to anybody else -> nothing happens', () => {
    const node = follower()
    node.linkClosed(3)
    expect(node.raft).toMatchObject({ role: 'follower', leader: 2 })
    expect(node.takeSent()).toEqual([])
  })

  it('a refused hint pre-vote -> tried again after 50 to 100 ms drawn from random, for an election timeout', () => {
    const node = follower()
    node.linkClosed(2)
    const startMs = node.nowMs
    const waits: number[] = []
    while (node.nowMs < startMs + 1_000) {
      node.answer('pre-vote-response', { from: 3, term: 3, granted: false })
      waits.push(timeToCampaign(node))
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(50)
    expect(Math.max(...waits.slice(0, -1))).toBeLessThanOrEqual(100)
    expect(new Set(waits).size).toBeGreaterThan(5)
    node.answer('pre-vote-response', { from: 3, term: 3, granted: false })
    expect(timeToCampaign(node)).toBeGreaterThan(800)
  })

  it('refused by one that is behind in its term -> counts as refused', () => {
    const node = follower()
    node.linkClosed(2)
    node.answer('pre-vote-response', { from: 3, term: 2, granted: false })
    expect(timeToCampaign(node)).toBeLessThanOrEqual(100)
  })

  it('votes split after the hint -> a new pre-vote after 50 to 100 ms', () => {
    const node = follower()
    node.linkClosed(2)
    node.answer('pre-vote-response', { from: 3, term: 3, granted: true })
    node.persist()
    expect(node.raft.role).toBe('candidate')
    node.answer('vote-response', { from: 3, term: 4, granted: false })
    const waitMs = timeToCampaign(node)
    expect(waitMs).toBeGreaterThanOrEqual(50)
    expect(waitMs).toBeLessThanOrEqual(100)
  })

  it('a higher term ends the hinted candidacy -> a new one after 50 to 100 ms', () => {
    const node = follower()
    node.linkClosed(2)
    node.step({ type: 'vote', from: 3, to: 1, term: 4, lastIndex: 0, lastTerm: 0, forced: false })
    node.persist()
    expect(timeToCampaign(node)).toBeGreaterThanOrEqual(1_000)
    const behind = new LoneNode({ terms: [3], hardState: { term: 3, votedFor: 2 } })
    behind.append({ from: 2, term: 3, prevIndex: 1, prevTerm: 3 })
    behind.linkClosed(2)
    behind.step({ type: 'vote', from: 3, to: 1, term: 4, lastIndex: 0, lastTerm: 0, forced: false })
    behind.persist()
    expect(timeToCampaign(behind)).toBeLessThanOrEqual(100)
  })

  it('the leader is heard again -> the hint is over', () => {
    const node = follower()
    node.linkClosed(2)
    node.append({ from: 2, term: 3 })
    expect(node.raft).toMatchObject({ role: 'follower', leader: 2 })
    node.answer('pre-vote-response', { from: 3, term: 3, granted: false })
    expect(timeToCampaign(node)).toBeGreaterThanOrEqual(1_000)
  })

  it('elected after the hint, then deposed -> waits a full timeout', () => {
    const node = follower()
    node.linkClosed(2)
    node.answer('pre-vote-response', { from: 3, term: 3, granted: true })
    node.persist()
    node.answer('vote-response', { from: 3, term: 4, granted: true })
    node.persist()
    expect(node.raft.role).toBe('leader')
    node.step({ type: 'heartbeat-response', from: 3, to: 1, term: 6, round: 0 })
    node.persist()
    expect(timeToCampaign(node)).toBeGreaterThanOrEqual(1_000)
  })
})

describe('linkOpened', () => {
  it('no leader known -> a pre-vote after 50 to 100 ms instead of an election timeout', () => {
    const node = new LoneNode({})
    node.linkOpened(2)
    const waitedMs = timeToCampaign(node)
    expect(waitedMs).toBeGreaterThanOrEqual(RAFT_DEFAULTS.hintRetryMinMs)
    expect(waitedMs).toBeLessThanOrEqual(RAFT_DEFAULTS.hintRetryMaxMs + 1)
    expect(node.raft.term).toBe(0)
  })

  it('a leader known, or a link to a stranger -> nothing changes', () => {
    const follower = new LoneNode({ hardState: { term: 3, votedFor: 2 } })
    follower.append({ from: 2, term: 3 })
    follower.linkOpened(3)
    expect(timeToCampaign(follower)).toBeGreaterThanOrEqual(RAFT_DEFAULTS.electionTimeoutMs)
    const lone = new LoneNode({})
    lone.linkOpened(9)
    expect(timeToCampaign(lone)).toBeGreaterThanOrEqual(RAFT_DEFAULTS.electionTimeoutMs)
  })
})

describe('resign', () => {
  it('a leader -> follows nobody and waits a full timeout; others -> nothing', () => {
    const node = new LoneNode()
    node.raft.resign(node.nowMs)
    expect(node.raft.role).toBe('follower')
    node.lead()
    node.persist()
    node.raft.resign(node.nowMs)
    expect(node.raft).toMatchObject({ role: 'follower', leader: null, term: 1 })
    expect(node.propose('x')).toEqual({ kind: 'not-leader', leader: null })
    expect(timeToCampaign(node)).toBeGreaterThanOrEqual(1_000)
  })
})

describe('propose', () => {
  it('a follower -> says who leads', () => {
    const node = new LoneNode()
    expect(node.propose('x')).toEqual({ kind: 'not-leader', leader: null })
    node.append({ from: 2, term: 1 })
    expect(node.propose('x')).toEqual({ kind: 'not-leader', leader: 2 })
  })
})
