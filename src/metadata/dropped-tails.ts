// Whose log lost its tail at an unclean start, and who is elected then. A flipped bit in the last batch looks as a write does
// that was torn: recovery cuts it off, although it may have been acknowledged. So such a replica leads only when nobody can
// be had who surely has everything, and then the one with the longest log (KIP-966, unclean recovery).
import type { LeaderEpoch, NodeId, Offset } from '../model/ids.ts'

/** What is left of a log that was cut off. It counts while its replica is eligible and outside of the ISR. */
export interface DroppedTail {
  readonly brokerId: NodeId
  /** Of the last batch; -1 where there is none. */
  readonly leaderEpoch: LeaderEpoch
  /** Exclusive end of the log. */
  readonly endOffset: Offset
}

/** The tails with one that is new, or takes the place of what the same broker reported before. */
export function withTail(tails: readonly DroppedTail[], tail: DroppedTail): readonly DroppedTail[] {
  return [...tails.filter(({ brokerId }) => brokerId !== tail.brokerId), tail]
}

/** Whose tails still matter: who joins an ISR has everything again, and who is not eligible is not elected anyway. */
export function tailsWithin(tails: readonly DroppedTail[], elr: readonly NodeId[]): readonly DroppedTail[] {
  return tails.filter(({ brokerId }) => elr.includes(brokerId))
}

export function sameTails(a: readonly DroppedTail[], b: readonly DroppedTail[]): boolean {
  return (
    a.length === b.length &&
    a.every((tail, i) => {
      const other = b[i]!
      return (
        tail.brokerId === other.brokerId &&
        tail.leaderEpoch === other.leaderEpoch &&
        tail.endOffset === other.endOffset
      )
    })
  )
}

export interface ElrElection {
  /** In the order in which they are preferred. */
  readonly replicas: readonly NodeId[]
  readonly elr: readonly NodeId[]
  readonly tails: readonly DroppedTail[]
  readonly mayLead: (brokerId: NodeId) => boolean
}

/** Who is elected of the ELR; `longest` where only logs that were cut off are left to choose from. */
export interface ElrLeader {
  readonly leader: NodeId
  readonly longest: DroppedTail | null
}

/**
 * The first whose log is whole. One that was cut off leads only when all of the ELR have reported that theirs were: it
 * must have the highest leader epoch, and the longest log of that epoch. So if one of the tails was damaged and all the others
 * were torn, one of the others is elected, which lacks nothing that is committed. null: somebody has to be waited for.
 */
export function electFromElr(election: ElrElection): ElrLeader | null {
  const { replicas, elr, tails, mayLead } = election
  const isWhole = (brokerId: NodeId): boolean => !tails.some((tail) => tail.brokerId === brokerId)
  const whole = elr.filter(isWhole)
  const leader = replicas.find((brokerId) => whole.includes(brokerId) && mayLead(brokerId))
  if (leader !== undefined) return { leader, longest: null }
  if (whole.length > 0) return null
  const longest = longestOf(tailsWithin(tails, elr)).filter(({ brokerId }) => mayLead(brokerId))
  const found = inOrder(longest, replicas)
  return found === undefined ? null : { leader: found.brokerId, longest: found }
}

/** Whom a partition waits for that has no leader: those whose logs are whole, else those with the longest one. */
export function awaitedOf(of: Pick<ElrElection, 'elr' | 'tails'>): readonly NodeId[] {
  const tails = tailsWithin(of.tails, of.elr)
  const whole = of.elr.filter((brokerId) => !tails.some((tail) => tail.brokerId === brokerId))
  return whole.length > 0 ? whole : longestOf(tails).map(({ brokerId }) => brokerId)
}

/** Of those that may lead, the one with the longest log; undefined where no log that was cut off may lead. */
export function longestAlive(election: ElrElection): NodeId | undefined {
  const alive = tailsWithin(election.tails, election.elr).filter(({ brokerId }) => election.mayLead(brokerId))
  return inOrder(longestOf(alive), election.replicas)?.brokerId
}

function longestOf(tails: readonly DroppedTail[]): readonly DroppedTail[] {
  let longest: readonly DroppedTail[] = []
  for (const tail of tails) {
    const order = longest.length === 0 ? 1 : compare(tail, longest[0]!)
    if (order > 0) longest = [tail]
    else if (order === 0) longest = [...longest, tail]
  }
  return longest
}

/** As Raft compares logs: a later epoch holds all that was committed in earlier ones, whatever its length. */
function compare(a: DroppedTail, b: DroppedTail): number {
  return a.leaderEpoch - b.leaderEpoch || a.endOffset - b.endOffset
}

function inOrder(tails: readonly DroppedTail[], replicas: readonly NodeId[]): DroppedTail | undefined {
  const first = replicas.find((replica) => tails.some(({ brokerId }) => brokerId === replica))
  return tails.find(({ brokerId }) => brokerId === first)
}
