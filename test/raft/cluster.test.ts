// What only several nodes together show. Text scenarios tell most of it; here are the cases that need counting, many
// seeds or long logs. The invariants hold after every event.
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { Message } from '../../src/raft/messages.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'

const THREE = { voters: [1, 2, 3] } as const
const FIVE = { voters: [1, 2, 3, 4, 5] } as const

function started(options: ClusterOptions): Cluster {
  const cluster = new Cluster(options)
  cluster.runUntil(() => cluster.leader !== null)
  cluster.run(300)
  return cluster
}

function statesOf(cluster: Cluster): unknown[] {
  return cluster.ids.map((id) => {
    const { role, term, leader, commitIndex } = cluster.raft(id)
    return { role, term, leader, commitIndex, log: cluster.log(id), applied: cluster.applied(id) }
  })
}

describe('cluster', () => {
  it.each([THREE, FIVE])('voters $voters -> elect one leader, which commits', ({ voters }) => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = started({ voters, seed })
      const leader = cluster.leader!
      expect(cluster.propose(leader, 'x')).toMatchObject({ kind: 'accepted' })
      cluster.settle()
      for (const id of voters) expect(cluster.applied(id).at(-1)?.index).toBe(cluster.raft(leader).lastIndex)
    }
  })

  it('RAFT-08: every message again, in any order, long after -> nobody changes', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const random = seededRandom(seed)
      const cluster = new Cluster({ ...FIVE, seed })
      const seen: Message[] = []
      const settleTwice = (): void => {
        while (cluster.inFlight.length > 0 || cluster.ids.some((id) => cluster.writesUnderWay(id) > 0)) {
          const message = cluster.inFlight.shift()
          if (message === undefined) {
            for (const id of cluster.ids) if (cluster.writesUnderWay(id) > 0) cluster.completeWrite(id)
            continue
          }
          seen.push(message)
          for (let times = 1 + random.below(3); times > 0; times--) cluster.deliver(message)
        }
      }
      const elect = (id: number): void => {
        cluster.nowMs += 2_000
        cluster.tick(id)
        settleTwice()
      }
      elect(1)
      for (let i = 0; i < 5; i++) {
        cluster.propose(1, `a${i}`)
        settleTwice()
      }
      cluster.partition([[1], [2, 3, 4, 5]])
      cluster.propose(1, 'lost')
      elect(3)
      cluster.heal()
      cluster.propose(3, 'b')
      cluster.nowMs += 100
      cluster.tick(3)
      settleTwice()
      expect(cluster.raft(3).role).toBe('leader')
      const before = statesOf(cluster)
      for (let i = seen.length - 1; i >= 0; i--) {
        const [message] = seen.splice(random.below(seen.length), 1)
        cluster.deliver(message!)
      }
      cluster.settle()
      expect(statesOf(cluster)).toEqual(before)
    }
  })

  it('RAFT-11: cut off for 100 election timeouts -> term, leader and log are as before', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = started({ ...THREE, seed })
      const leader = cluster.leader!
      const { term } = cluster.raft(leader)
      const alone = cluster.voters.find((id) => id !== leader)!
      cluster.partition([[alone], cluster.voters.filter((id) => id !== alone)])
      cluster.run(100_000)
      expect(cluster.raft(alone)).toMatchObject({ role: 'pre-candidate', term })
      cluster.heal()
      cluster.run(3_000)
      for (const id of cluster.voters) expect(cluster.raft(id)).toMatchObject({ leader, term })
    }
  })

  it('RAFT-12: a node of a higher term -> the cluster converges within two elections', () => {
    for (let seed = 1; seed <= 10; seed++) {
      let elections = 0
      const cluster = started({
        ...THREE,
        seed,
        trace: (line) => {
          if (line.includes('becomes leader')) elections++
        },
      })
      const leader = cluster.leader!
      const other = cluster.voters.find((id) => id !== leader)!
      elections = 0
      cluster.crash(other)
      cluster.load(other, { hardState: { term: 50, votedFor: null } })
      cluster.run(10_000)
      const { term } = cluster.raft(cluster.leader!)
      expect(elections).toBeLessThanOrEqual(2)
      expect(term).toBeGreaterThan(50)
      for (const id of cluster.voters)
        expect(cluster.raft(id)).toMatchObject({ leader: cluster.leader, term })
    }
  })

  it('RAFT-13: the leader is killed and restarted at once, no link reports it -> a leader within three timeouts', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = started({ ...THREE, seed })
      const { term } = cluster.raft(cluster.leader!)
      const old = cluster.leader!
      cluster.crash(old)
      cluster.restart(old)
      cluster.run(3 * cluster.config.electionTimeoutMs)
      expect(cluster.leader).not.toBeNull()
      expect(cluster.raft(cluster.leader!).term).toBeGreaterThan(term)
    }
  })

  it('RAFT-14: the leader hears nobody -> it resigns and another is elected', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = started({ ...FIVE, seed })
      const old = cluster.leader!
      for (const id of cluster.voters) if (id !== old) cluster.cut(id, old)
      cluster.run(1_600)
      expect(cluster.raft(old).role).not.toBe('leader')
      cluster.runUntil(() => cluster.leader !== null)
      expect(cluster.leader).not.toBe(old)
    }
  })

  it('RAFT-15: only one node sees all others -> the term does not grow for 60 s', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = started({ ...FIVE, seed })
      for (const left of [1, 2]) {
        for (const right of [4, 5]) {
          cluster.cut(left, right)
          cluster.cut(right, left)
        }
      }
      cluster.run(10_000)
      const leader = cluster.leader!
      const { term } = cluster.raft(leader)
      cluster.run(60_000)
      expect(cluster.raft(leader)).toMatchObject({ role: 'leader', term })
    }
  })

  it('RAFT-19: a candidate that lags asks again and again -> the eligible one wins', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const cluster = new Cluster({ ...THREE, seed })
      cluster.crash(1)
      cluster.load(2, { terms: [1] })
      cluster.load(3, { terms: [1, 1], hardState: { term: 1, votedFor: null } })
      const spam = (): void => {
        const { term } = cluster.raft(2)
        const vote = {
          type: 'vote',
          from: 2,
          to: 3,
          term: term + 1,
          lastIndex: 1,
          lastTerm: 1,
          forced: false,
        } as const
        cluster.inFlight.push(vote)
      }
      for (let i = 0; i < 300; i++) {
        spam()
        cluster.run(10)
      }
      cluster.run(4_000)
      expect(cluster.leader).toBe(3)
    }
  })

  it('RAFT-37: 10,000 entries apart -> no more refusals than there are terms', () => {
    const terms = (from: number, step: number): number[] => {
      const shared = Array.from({ length: 100 }, () => 1)
      return [...shared, ...Array.from({ length: 10_000 }, (_, i) => from + step * Math.floor(i / 1_000))]
    }
    let refusals = 0
    const cluster = new Cluster({
      ...THREE,
      config: { inflightAppendsMax: 4 },
      trace: (line) => {
        if (line.startsWith('  ') && line.includes('refused=')) refusals++
      },
    })
    // Even terms here, odd terms there: every term of both sides is in conflict.
    cluster.load(1, { terms: terms(3, 2) })
    cluster.load(2, { terms: terms(2, 2) })
    cluster.load(3, { terms: terms(2, 2) })
    cluster.elect(1)
    expect(cluster.log(2)).toHaveLength(10_101)
    expect(cluster.log(2).at(-2)?.term).toBe(21)
    // Two followers, ten terms each.
    expect(refusals).toBeLessThanOrEqual(2 * 11)
    expect(refusals).toBeGreaterThanOrEqual(2)
  })

  it.each([THREE, FIVE])(
    "voters $voters: all see the dead leader's links close at once -> another within a second",
    ({ voters }) => {
      for (let seed = 1; seed <= 50; seed++) {
        const cluster = started({ voters, seed })
        const old = cluster.leader!
        cluster.crash(old)
        for (const id of voters) if (id !== old) cluster.linkClosed(id, old)
        cluster.settle()
        cluster.run(1_000)
        expect(cluster.leader, `seed ${seed}`).not.toBeNull()
        expect(cluster.raft(cluster.leader!).leaderReady).toBe(true)
      }
    },
  )

  it('RAFT-39: all nodes are killed -> they come back with everything committed', () => {
    const cluster = started(FIVE)
    for (let i = 0; i < 10; i++) cluster.propose(cluster.leader!, `x${i}`)
    cluster.settle()
    const committed = cluster.invariants.committed.length
    for (const id of cluster.ids) cluster.crash(id)
    for (const id of cluster.ids) cluster.restart(id)
    cluster.runUntil(() => cluster.ids.every((id) => cluster.applied(id).length > committed))
  })
})
