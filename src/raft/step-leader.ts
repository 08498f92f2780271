// What a leader does with the answers of its followers, and when it commits.
import { assert } from '../base/assert.ts'
import type { MessageOf } from './messages.ts'
import { majorityValue } from './quorum.ts'
import type { RaftState } from './raft-state.ts'
import { sendHeartbeats, sendPositionCheck } from './replicate.ts'
import { becomeFollower } from './transitions.ts'

/** Times the election timeout a leader goes without a majority before it resigns. */
const SILENT_QUORUM_TIMEOUTS = 1.5

/** Answers of the current term. Answers of nodes that are no followers mean nothing. */
export function stepLeader(
  raft: RaftState,
  message: MessageOf<'append-response' | 'heartbeat-response' | 'snapshot-response'>,
): void {
  const progress = raft.leadership.followers.get(message.from)
  if (progress === undefined) return
  progress.heardAtMs = raft.nowMs
  if (message.type === 'append-response') {
    onAppendResponse(raft, message)
  } else if (message.type === 'snapshot-response') {
    progress.partArrived(message.snapshotIndex, message.position)
  } else {
    progress.resumeProbe(raft.nowMs - raft.config.electionTimeoutMs)
    if (progress.matchIndex < raft.log.last.index) sendPositionCheck(raft, message.from)
  }
}

function onAppendResponse(raft: RaftState, message: MessageOf<'append-response'>): void {
  const { log } = raft
  const progress = raft.leadership.followers.get(message.from)!
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
 */
export function advanceCommit(raft: RaftState): void {
  const { log, leadership } = raft
  const { durableIndex } = log
  const held = raft.voters.map((voter) =>
    voter === raft.id ? durableIndex : Math.min(durableIndex, leadership.followers.get(voter)!.matchIndex),
  )
  const index = majorityValue(held)
  if (index <= log.commitIndex || log.termAt(index) !== raft.term) return
  leadership.uncommittedBytes -= log.bytesBetween(log.commitIndex, index)
  log.commitTo(index)
}

/** Resigns when no majority answers, so that clients turn elsewhere; else keeps the followers from campaigning. */
export function tickLeader(raft: RaftState): void {
  const { leadership, nowMs, config } = raft
  const heardAtMs = raft.voters.map((voter) =>
    voter === raft.id ? nowMs : leadership.followers.get(voter)!.heardAtMs,
  )
  const silentMs = nowMs - majorityValue(heardAtMs)
  if (silentMs >= config.electionTimeoutMs * SILENT_QUORUM_TIMEOUTS) {
    becomeFollower(raft, { term: raft.term, leader: null })
  } else if (nowMs >= leadership.heartbeatDueMs) {
    leadership.heartbeatDueMs = nowMs + config.heartbeatIntervalMs
    sendHeartbeats(raft)
  }
}
