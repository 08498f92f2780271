// What a leader does with the answers of its followers, and when it commits.
import { assert } from '../base/assert.ts'
import { dropSilentLearners, followerOf, toldByVoters } from './followers.ts'
import type { ReceivedOf } from './messages.ts'
import type { Progress } from './progress.ts'
import { majorityValue } from './quorum.ts'
import type { RaftState } from './raft-state.ts'
import { sendHeartbeats, sendPositionCheck } from './replicate.ts'
import { endLateTransfer, handOver } from './transfer.ts'
import { becomeFollower } from './transitions.ts'

/** Times the election timeout a leader goes without a majority before it resigns. */
const SILENT_QUORUM_TIMEOUTS = 1.5

/** Answers of the current term. Answers of nodes that are no followers mean nothing. */
export function stepLeader(
  raft: RaftState,
  message: ReceivedOf<'append-response' | 'heartbeat-response' | 'snapshot-response'>,
): void {
  const progress = followerOf(raft, message)
  if (progress === null) return
  progress.heardAtMs = raft.nowMs
  if (message.type === 'append-response') {
    onAppendResponse(raft, progress, message)
  } else if (message.type === 'snapshot-response') {
    progress.partArrived(message.snapshotIndex, message.position)
  } else {
    progress.round = Math.max(progress.round, message.round)
    confirmReads(raft)
    progress.resumeProbe(raft.nowMs - raft.config.electionTimeoutMs)
    if (progress.matchIndex < raft.log.last.index) sendPositionCheck(raft, message.from)
  }
}

function onAppendResponse(raft: RaftState, progress: Progress, message: ReceivedOf<'append-response'>): void {
  const { log } = raft
  if (message.conflict !== null) {
    progress.refused(message.index, log.lastAtMost(message.conflict).index)
    return
  }
  assert(
    message.index <= log.last.index,
    `raft: node ${message.from} acknowledges index ${message.index}, but the log ends at ${log.last.index}`,
  )
  if (progress.accepted(message.index)) advanceCommit(raft)
}

/**
 * Commits what a majority holds durably. Nobody counts beyond what is durable here, so that a leader commits nothing it
 * could forget, and a single voter waits for its own disk. Only an entry of the current term is counted (and commits
 * all before it): one of an earlier term may be on a majority and still be replaced by a leader that never saw it.
 * A leader that is no voter any more does not count itself, and goes once that is committed (RAFT-25).
 */
export function advanceCommit(raft: RaftState): void {
  const { log, leadership } = raft
  const { durableIndex } = log
  const index = majorityValue(
    toldByVoters(raft, {
      own: durableIndex,
      unheard: 0,
      by: ({ matchIndex }) => Math.min(durableIndex, matchIndex),
    }),
  )
  if (index <= log.commitIndex || log.termAt(index) !== raft.term) return
  leadership.uncommittedBytes -= log.bytesBetween(log.commitIndex, index)
  log.commitTo(index)
  if (!raft.isVoter && log.commitIndex >= raft.voterSet.index) handOver(raft)
}

/** Reads may be answered whose round a majority has answered: nobody else can have led when it began (RAFT-31). */
export function confirmReads(raft: RaftState): void {
  const { reads } = raft.leadership
  reads.confirmed(
    majorityValue(toldByVoters(raft, { own: reads.round, unheard: 0, by: ({ round }) => round })),
  )
}

/** Resigns when no majority answers, so that clients turn elsewhere; else keeps the followers from campaigning. */
export function tickLeader(raft: RaftState): void {
  const { leadership, nowMs, config } = raft
  const heardAtMs = toldByVoters(raft, {
    own: nowMs,
    unheard: Number.NEGATIVE_INFINITY,
    by: (progress) => progress.heardAtMs,
  })
  const silentMs = nowMs - majorityValue(heardAtMs)
  if (silentMs >= config.electionTimeoutMs * SILENT_QUORUM_TIMEOUTS) {
    becomeFollower(raft, { term: raft.term, leader: null })
    return
  }
  endLateTransfer(raft)
  if (nowMs >= leadership.catchUp.dueMs) {
    const { nextIndex } = leadership.catchUp
    const dueMs = nowMs + config.electionTimeoutMs
    Object.assign(leadership.catchUp, { index: nextIndex, nextIndex: raft.log.last.index, dueMs })
    dropSilentLearners(raft)
  }
  if (nowMs >= leadership.heartbeatDueMs) {
    leadership.heartbeatDueMs = nowMs + config.heartbeatIntervalMs
    // A round that was lost would hold back those that came in since.
    if (raft.log.commitIndex >= leadership.startIndex) leadership.reads.begin(raft.log.commitIndex)
    sendHeartbeats(raft)
  }
}
