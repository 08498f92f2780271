// What a pre-candidate or candidate does with the answers to its candidacy.
import type { ReceivedOf } from './messages.ts'
import type { RaftState } from './raft-state.ts'
import { recordVote } from './transitions.ts'

/** Takes in an answer; one that belongs to an earlier candidacy, or is of a disk without a vote, is ignored. */
export function stepCandidate(
  raft: RaftState,
  message: ReceivedOf<'pre-vote-response' | 'vote-response'>,
): void {
  const { role } = raft.roleState
  const counts =
    message.type === 'vote-response'
      ? role === 'candidate'
      : role === 'pre-candidate' && message.campaignTerm === raft.term + 1
  if (counts && raft.isFromVoter(message)) recordVote(raft, { voter: message.from, granted: message.granted })
}
