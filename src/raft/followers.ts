// Whom a leader sends its log: the other voters, and nodes without a vote (learners) that asked for it. A learner is
// nowhere but in the memory of the leader, and in its own wish: it asks again when it hears no leader.

import type { Message, Received, VoterKey } from './messages.ts'
import { Progress } from './progress.ts'
import type { RaftState } from './raft-state.ts'
import type { FollowerView } from './types.ts'

/** Nodes without a vote that a leader serves at once; those beyond go on asking. */
export const LEARNERS_MAX = 16
/** Times the election timeout after which a leader stops to send to a silent learner. */
const SILENT_LEARNER_TIMEOUTS = 10

/** For a leader that begins: the other voters, which are believed to hold what this log holds; a refusal corrects it. */
export function firstFollowers(raft: RaftState, startIndex: number): Map<number, Progress> {
  const followers = new Map<number, Progress>()
  for (const { id, directoryId } of raft.voterSet.voters) {
    if (id !== raft.id) followers.set(id, newProgress(raft, { directoryId, nextIndex: startIndex }))
  }
  return followers
}

/** After a change of the voters. Who lost the vote stays a follower: it is to learn of that (RAFT-25). */
export function followNewVoters(raft: RaftState): void {
  const { followers } = raft.leadership
  for (const { id, directoryId } of raft.voterSet.voters) {
    if (id === raft.id || followers.get(id)?.directoryId === directoryId) continue
    followers.set(id, newProgress(raft, { directoryId, nextIndex: raft.log.last.index + 1 }))
  }
}

/** The follower that a message of the current term is from, null when it is none. */
export function followerOf(raft: RaftState, { from, directoryId }: Received): Progress | null {
  const { followers } = raft.leadership
  const progress = followers.get(from)
  if (progress === undefined) return null
  if (directoryId == null || progress.directoryId === directoryId) return progress
  // Another disk: what the former one held is worth nothing for this one.
  const other = newProgress(raft, { directoryId, nextIndex: raft.log.last.index + 1 })
  followers.set(from, other)
  return other
}

/** A node without a vote asks for the log. Who is a follower already is only confirmed to live. */
export function onJoin(raft: RaftState, message: Received): void {
  const live = raft.leadership.followers.get(message.from)
  if (live !== undefined && live.directoryId !== message.directoryId) {
    // While a node answers, another disk under its id is a second node with the same id: it would push the first aside.
    if (raft.nowMs - live.heardAtMs < raft.config.electionTimeoutMs) return
  }
  const known = followerOf(raft, message)
  if (known !== null) {
    known.heardAtMs = raft.nowMs
    return
  }
  admit(raft, message)
}

/** Begins to send the log to a node that has none of this leader's, unless there are too many already. */
export function admit(raft: RaftState, { from, directoryId }: Received): void {
  const { followers } = raft.leadership
  if (followers.has(from) || directoryId == null) return
  const learners = followers.size - raft.peers.length
  if (learners >= LEARNERS_MAX) return
  followers.set(from, newProgress(raft, { directoryId, nextIndex: raft.log.last.index + 1 }))
}

/** A node without a vote that hears no leader asks everybody who may be it. */
export function askForLog(raft: RaftState): void {
  const { id: from, term } = raft
  for (const to of new Set([...raft.voters, ...raft.contacts])) {
    if (to !== from) raft.send({ type: 'join', from, to, term } satisfies Message)
  }
}

export function dropSilentLearners(raft: RaftState): void {
  const silentSinceMs = raft.nowMs - raft.config.electionTimeoutMs * SILENT_LEARNER_TIMEOUTS
  const { voters, leadership } = raft
  for (const [id, { heardAtMs }] of leadership.followers) {
    if (heardAtMs < silentSinceMs && !voters.includes(id)) leadership.followers.delete(id)
  }
}

/** The progress of another voter, if the disk that has the vote is the one that answers; else null. */
export function progressOfVoter(raft: RaftState, voter: VoterKey): Progress | null {
  const progress = raft.leadership.followers.get(voter.id)
  return progress !== undefined && progress.directoryId === voter.directoryId ? progress : null
}

/**
 * One number for each voter, of which the own one is given: what it last told this leader. A disk that was never heard
 * tells `unheard`.
 */
export function toldByVoters(
  raft: RaftState,
  told: { readonly own: number; readonly unheard: number; readonly by: (progress: Progress) => number },
): readonly number[] {
  return raft.voterSet.voters.map((voter) => {
    // Leaders have a vote, but for one that just gave its own away; another disk of the same node is never this one.
    if (voter.id === raft.id && voter.directoryId === raft.directoryId) return told.own
    const progress = progressOfVoter(raft, voter)
    return progress === null ? told.unheard : told.by(progress)
  })
}

/** Whether a node lacks so little that its vote would not hold back the others. */
export function isCaughtUp(raft: RaftState, progress: Progress): boolean {
  const { nowMs, config, leadership } = raft
  return (
    progress.state === 'replicate' &&
    nowMs - progress.heardAtMs < config.electionTimeoutMs &&
    progress.matchIndex >= leadership.catchUp.index
  )
}

/** For onlookers. */
export function followerViews(raft: RaftState): readonly FollowerView[] {
  return [...raft.leadership.followers].map(([id, progress]) => {
    const { directoryId, matchIndex, heardAtMs } = progress
    const isVoter = raft.voterSet.voters.some((voter) => voter.id === id && voter.directoryId === directoryId)
    return { id, directoryId, isVoter, matchIndex, heardAtMs, isCaughtUp: isCaughtUp(raft, progress) }
  })
}

function newProgress(
  raft: RaftState,
  { directoryId, nextIndex }: { readonly directoryId: string; readonly nextIndex: number },
): Progress {
  const { nowMs, config } = raft
  return new Progress({ directoryId, nextIndex, inflightAppendsMax: config.inflightAppendsMax, nowMs })
}
