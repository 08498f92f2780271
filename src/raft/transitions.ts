// How a node changes its role: follower -> pre-candidate -> candidate -> leader, and back to follower from each.
import { assert } from '../base/assert.ts'
import { firstFollowers } from './followers.ts'
import { voteOutcome } from './quorum.ts'
import type { RaftState } from './raft-state.ts'
import { ReadQueue } from './read-queue.ts'

/** Follows in this or a higher term. The leader is null when the term alone is known. */
export function becomeFollower(raft: RaftState, next: { term: number; leader: number | null }): void {
  assert(next.term >= raft.term, `raft: the term cannot go back from ${raft.term} to ${next.term}`)
  if (next.term > raft.term) {
    raft.term = next.term
    raft.votedFor = null
    raft.leader = null
    raft.incoming = null
  }
  // Leaders have no election timer; all others keep theirs, see resetElectionTimer.
  if (raft.roleState.role === 'leader') {
    raft.leader = null
    raft.resetElectionTimer()
  }
  raft.roleState = { role: 'follower' }
  if (next.leader !== null) raft.heardFromLeader(next.leader)
  else raft.retrySoonIfHinted()
}

/**
 * Asks whether a majority would vote for this node. Term and vote stay: a node that was cut off cannot disturb a
 * living leader by a term it raised alone.
 */
export function startPreVote(raft: RaftState): void {
  assert(raft.mayCampaign, 'raft: only a voter whose log is on its disk campaigns')
  raft.roleState = { role: 'pre-candidate', votes: new Map() }
  raft.leader = null
  raft.resetElectionTimer()
  const { id: from, term, log } = raft
  const last = { lastIndex: log.last.index, lastTerm: log.last.term }
  for (const to of raft.peers) {
    raft.send({ type: 'pre-vote', from, to, term, campaignTerm: term + 1, ...last })
  }
  recordVote(raft, { voter: from, granted: true })
}

/** @param forced whether the leader asked for it: those who hear the leader vote all the same */
export function startElection(raft: RaftState, forced: boolean): void {
  assert(raft.mayCampaign, 'raft: only a voter whose log is on its disk campaigns')
  raft.term += 1
  raft.leader = null
  raft.votedFor = raft.id
  raft.roleState = { role: 'candidate', votes: new Map() }
  raft.resetElectionTimer()
  const { id: from, term, log } = raft
  const last = { lastIndex: log.last.index, lastTerm: log.last.term }
  for (const to of raft.peers) raft.send({ type: 'vote', from, to, term, ...last, forced })
  // The own vote is not counted here but when it is durable: see RaftNode.persisted.
}

/** Counts one answer to a candidacy, the first of each voter. */
export function recordVote(raft: RaftState, vote: { voter: number; granted: boolean }): void {
  const { roleState } = raft
  assert(
    roleState.role === 'pre-candidate' || roleState.role === 'candidate',
    'raft: only a candidate counts votes',
  )
  if (!roleState.votes.has(vote.voter)) roleState.votes.set(vote.voter, vote.granted)
  const outcome = voteOutcome(raft.voters, roleState.votes)
  if (outcome === 'won') {
    if (roleState.role === 'candidate') becomeLeader(raft)
    else startElection(raft, false)
    return
  }
  if (outcome === 'lost') becomeFollower(raft, { term: raft.term, leader: null })
  else if (!vote.granted) raft.retrySoonIfHinted()
}

function becomeLeader(raft: RaftState): void {
  const { log, config, nowMs } = raft
  const startIndex = log.last.index + 1
  const followers = firstFollowers(raft, startIndex)
  log.append({ index: startIndex, term: raft.term, data: null })
  raft.roleState = {
    role: 'leader',
    followers,
    startIndex,
    heartbeatDueMs: nowMs + config.heartbeatIntervalMs,
    uncommittedBytes: log.bytesBetween(log.commitIndex, startIndex),
    catchUp: { index: startIndex, nextIndex: startIndex, dueMs: nowMs + config.electionTimeoutMs },
    transfer: null,
    reads: new ReadQueue(),
  }
  raft.leader = raft.id
  raft.hintUntilMs = Number.NEGATIVE_INFINITY
}
