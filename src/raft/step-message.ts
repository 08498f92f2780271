// Which rule a message goes to: by its term first, then by its type.
import { assert, unreachable } from '../base/assert.ts'
import { onJoin } from './followers.ts'
import type { Received, ReceivedOf } from './messages.ts'
import type { RaftState } from './raft-state.ts'
import { stepCandidate } from './step-candidate.ts'
import { stepFollower } from './step-follower.ts'
import { stepLeader } from './step-leader.ts'
import { stepSnapshot } from './step-snapshot.ts'
import { becomeFollower, startElection } from './transitions.ts'
import { answerPreVote, answerVote } from './vote.ts'

type OfOneTerm = Exclude<Received, ReceivedOf<'pre-vote' | 'vote' | 'join'>>

/** A message that is addressed to this node, of any term. */
export function stepMessage(raft: RaftState, message: Received): void {
  // Campaigns have rules of their own for terms.
  if (message.type === 'pre-vote') answerPreVote(raft, message)
  else if (message.type === 'vote') answerVote(raft, message)
  else stepWithTerm(raft, message)
}

function stepWithTerm(raft: RaftState, message: Exclude<Received, ReceivedOf<'pre-vote' | 'vote'>>): void {
  if (message.term > raft.term) {
    becomeFollower(raft, { term: message.term, leader: isOfLeader(message) ? message.from : null })
  }
  if (message.type === 'join') {
    // Who asks for the log knows no leader, and perhaps no term.
    if (raft.roleState.role === 'leader') onJoin(raft, message)
  } else if (message.term < raft.term) {
    stepOutdated(raft, message)
  } else {
    stepCurrent(raft, message)
  }
}

function stepOutdated(raft: RaftState, message: OfOneTerm): void {
  if (isOfLeader(message)) {
    // It leads an older term, and its followers would refuse this node's candidacy for as long as they hear it. The
    // answer makes it step down; silence would lock this node out for ever.
    raft.send({ type: 'heartbeat-response', from: raft.id, to: message.from, term: raft.term, round: 0 })
  } else if (message.type === 'pre-vote-response') {
    // A node that is behind in its term answers this node's question all the same; campaignTerm tells which.
    stepCandidate(raft, message)
  }
}

function stepCurrent(raft: RaftState, message: OfOneTerm): void {
  const { role } = raft.roleState
  switch (message.type) {
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      assert(role !== 'leader', `raft: node ${message.from} leads term ${message.term}, as this one does`)
      if (role !== 'follower') becomeFollower(raft, { term: raft.term, leader: message.from })
      if (message.type === 'snapshot') stepSnapshot(raft, message)
      else stepFollower(raft, message)
      break
    case 'timeout-now':
      // One that comes late finds a candidate, or a leader that the others follow.
      if (role === 'follower' && raft.mayCampaign) startElection(raft, true)
      break
    case 'pre-vote-response':
    case 'vote-response':
      stepCandidate(raft, message)
      break
    case 'append-response':
    case 'heartbeat-response':
    case 'snapshot-response':
      if (role === 'leader') stepLeader(raft, message)
      break
    default:
      unreachable(message)
  }
}

/** Whether only the leader of its term sends such messages. */
function isOfLeader({ type }: Received): boolean {
  return type === 'append' || type === 'heartbeat' || type === 'snapshot' || type === 'timeout-now'
}
