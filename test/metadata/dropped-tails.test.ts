import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { awaitedOf, type DroppedTail, electFromElr, longestAlive } from '../../src/metadata/dropped-tails.ts'
import type { NodeId } from '../../src/model/ids.ts'

const seed = 30_301

/** How many records each leader epoch has in the one history that all logs are parts of. */
const history = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })

interface Ends {
  /** Leader epoch of the record before each offset; -1 before the first. */
  readonly epochBefore: readonly number[]
  readonly end: number
}

function endsOf(counts: readonly number[]): Ends {
  const epochBefore = [-1, ...counts.flatMap((count, epoch) => Array.from({ length: count }, () => epoch))]
  return { epochBefore, end: epochBefore.length - 1 }
}

/** An eligible replica: it had all that is committed, and a flip may have taken some of it. */
const member = fc.record({
  cut: fc.boolean(),
  alive: fc.boolean(),
  /** Of what it had beyond the committed records: how much it kept. */
  extra: fc.nat(20),
  /** Where a flip cut off committed records: how many. */
  lost: fc.integer({ min: 1, max: 20 }),
})

const cluster = fc.record({
  history,
  committed: fc.nat(20),
  members: fc.array(member, { minLength: 1, maxLength: 4 }),
  /** Whose tail was damaged and not torn; nobody's when there is no such member. */
  damaged: fc.nat(5),
})

describe('the election from logs that were cut off', () => {
  it('REP-30: one of the tails was damaged, the others torn -> nothing that is committed is lost, or nobody is elected', () => {
    fc.assert(
      fc.property(cluster, (drawn) => {
        const { epochBefore, end } = endsOf(drawn.history)
        const committed = Math.min(drawn.committed, end)
        const elr = drawn.members.map((_, i) => i + 1)
        // With a single eligible replica there is nobody to compare it with.
        const damaged = drawn.members.length > 1 ? drawn.damaged : -1
        const endOf = (brokerId: NodeId): number => {
          const { extra, lost } = drawn.members[brokerId - 1]!
          if (brokerId - 1 === damaged) return Math.max(0, committed - lost)
          return Math.min(end, committed + extra)
        }
        const tails = elr
          .filter((brokerId) => drawn.members[brokerId - 1]!.cut || brokerId - 1 === damaged)
          .map((brokerId): DroppedTail => {
            const endOffset = endOf(brokerId)
            return { brokerId, endOffset, leaderEpoch: epochBefore[endOffset]! }
          })
        const mayLead = (brokerId: NodeId): boolean => drawn.members[brokerId - 1]!.alive
        const elected = electFromElr({ replicas: elr, elr, tails, mayLead })
        if (elected !== null) {
          expect(endOf(elected.leader)).toBeGreaterThanOrEqual(committed)
          expect(mayLead(elected.leader)).toBe(true)
          expect(awaitedOf({ elr, tails })).toContain(elected.leader)
        } else {
          // Somebody is missing, and as soon as all are there, there is a leader.
          expect(awaitedOf({ elr, tails }).some(mayLead)).toBe(false)
          expect(electFromElr({ replicas: elr, elr, tails, mayLead: () => true })).not.toBeNull()
        }
      }),
      { numRuns: 3_000, seed },
    )
  })

  it('REP-31: all lost their power and all came back, in any order -> somebody leads as soon as the last one is there', () => {
    fc.assert(
      fc.property(cluster, (drawn) => {
        const { epochBefore, end } = endsOf(drawn.history)
        const elr = drawn.members.map((_, i) => i + 1)
        const tails = elr
          .filter((brokerId) => drawn.members[brokerId - 1]!.cut)
          .map((brokerId): DroppedTail => {
            const endOffset = Math.min(end, drawn.members[brokerId - 1]!.extra)
            return { brokerId, endOffset, leaderEpoch: epochBefore[endOffset]! }
          })
        const elected = electFromElr({ replicas: elr, elr, tails, mayLead: () => true })
        expect(elected).not.toBeNull()
        expect(elected!.longest === null).toBe(tails.length < elr.length)
      }),
      { numRuns: 1_000, seed },
    )
  })

  it('tails of those that are not eligible do not count', () => {
    const tails = [
      { brokerId: 1, leaderEpoch: 3, endOffset: 9 },
      { brokerId: 2, leaderEpoch: 3, endOffset: 5 },
    ]
    const of = { replicas: [1, 2], elr: [2], tails, mayLead: () => true }
    expect(electFromElr(of)).toMatchObject({ leader: 2, longest: { endOffset: 5 } })
    expect(longestAlive(of)).toBe(2)
    expect(electFromElr({ ...of, elr: [] })).toBeNull()
    expect(longestAlive({ ...of, elr: [] })).toBeUndefined()
  })
})
