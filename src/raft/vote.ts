// Answers to those who campaign, in any role: learners answer too, since they may be voters by a change they have not
// seen yet.
import { admit } from './followers.ts'
import type { MessageOf, ReceivedOf } from './messages.ts'
import type { RaftState } from './raft-state.ts'
import { becomeFollower } from './transitions.ts'

/** Would this node vote for the sender? Changes neither term nor vote nor timer. Every request is answered. */
export function answerPreVote(raft: RaftState, message: ReceivedOf<'pre-vote'>): void {
  const { from, campaignTerm } = message
  // A node whose vote was taken while it could not be reached: the log will tell it, else it would campaign for ever.
  if (raft.roleState.role === 'leader') admit(raft, message)
  clearLeaseOf(raft, { candidate: from, term: campaignTerm })
  const granted =
    campaignTerm > raft.term &&
    !holdsLease(raft) &&
    raft.log.isUpToDate({ index: message.lastIndex, term: message.lastTerm })
  raft.send({ type: 'pre-vote-response', from: raft.id, to: from, term: raft.term, campaignTerm, granted })
}

/**
 * Votes at most once per term. While a leader is alive, requests of higher terms are dropped: they come from nodes
 * that cannot hear it, and following them would depose it for nothing. Unless it wants to be deposed.
 */
export function answerVote(raft: RaftState, message: MessageOf<'vote'>): void {
  const { from, term } = message
  clearLeaseOf(raft, { candidate: from, term })
  if (term > raft.term) {
    if (holdsLease(raft) && !message.forced) return
    becomeFollower(raft, { term, leader: null })
  }
  const granted =
    term === raft.term &&
    (raft.votedFor === from || (raft.votedFor === null && raft.leader === null)) &&
    raft.log.isUpToDate({ index: message.lastIndex, term: message.lastTerm })
  if (granted) {
    raft.votedFor = from
    raft.resetElectionTimer()
  }
  raft.send({ type: 'vote-response', from: raft.id, to: from, term: raft.term, granted })
}

/** Whether a leader is known and was heard within an election timeout. A leader knows itself. */
function holdsLease(raft: RaftState): boolean {
  if (raft.roleState.role === 'leader') return true
  return raft.leader !== null && raft.nowMs - raft.leaderHeardAtMs < raft.config.electionTimeoutMs
}

/**
 * A leader that campaigns for a later term is none any more: it was restarted, and nobody else will be heard from.
 * Without this its former followers would refuse it and each other for a whole timeout.
 */
function clearLeaseOf(raft: RaftState, campaign: { candidate: number; term: number }): void {
  if (campaign.candidate === raft.leader && campaign.term > raft.term) raft.leader = null
}
