// How leadership moves on purpose, without the time that an election takes: the leader asks a voter that holds its whole
// log to campaign at once, and says in that campaign that it is wanted (RAFT-16).
import { isCaughtUp, progressOfVoter } from './followers.ts'
import type { Progress } from './progress.ts'
import type { RaftState } from './raft-state.ts'
import { becomeFollower } from './transitions.ts'
import type { TransferResult } from './types.ts'

/**
 * Begins a transfer; from now on nothing is proposed, so that the other one can catch up. To one that lacks much or does not answer
 * there is none: nothing could be decided for as long as it is waited for.
 */
export function startTransfer(raft: RaftState, to: number): TransferResult {
  const { roleState, nowMs, config } = raft
  if (roleState.role !== 'leader') return { kind: 'not-leader', leader: raft.leader }
  if (to === raft.id) return { kind: 'refused', reason: 'is-leader' }
  if (!raft.peers.includes(to)) return { kind: 'refused', reason: 'unknown-voter' }
  if (roleState.transfer !== null) return { kind: 'refused', reason: 'transferring' }
  if (!canLeadSoon(raft, to)) return { kind: 'refused', reason: 'not-caught-up' }
  roleState.transfer = { to, dueMs: nowMs + config.electionTimeoutMs, asked: false }
  return { kind: 'started' }
}

/** Asks the other one once it holds everything. */
export function advanceTransfer(raft: RaftState): void {
  const { transfer } = raft.leadership
  if (transfer === null || transfer.asked || matchOf(raft, transfer.to) < raft.log.last.index) return
  transfer.asked = true
  askToCampaign(raft, transfer.to)
}

/** Gives it up when it takes too long, as when the other one is dead: this leader goes on. */
export function endLateTransfer(raft: RaftState): void {
  const { leadership, nowMs } = raft
  if (leadership.transfer !== null && nowMs >= leadership.transfer.dueMs) leadership.transfer = null
}

/**
 * Gives up leadership, and asks the voter that holds most to take it; without one that answers there is an election as
 * after a crash.
 */
export function handOver(raft: RaftState): void {
  const answering = raft.peers.filter((id) => matchOf(raft, id) > 0 && canLeadSoon(raft, id))
  const [successor] = answering.toSorted((a, b) => matchOf(raft, b) - matchOf(raft, a))
  if (successor !== undefined) askToCampaign(raft, successor)
  becomeFollower(raft, { term: raft.term, leader: null })
}

function matchOf(raft: RaftState, node: number): number {
  return progressOf(raft, node)?.matchIndex ?? 0
}

function canLeadSoon(raft: RaftState, node: number): boolean {
  const progress = progressOf(raft, node)
  return progress !== null && isCaughtUp(raft, progress)
}

function progressOf(raft: RaftState, node: number): Progress | null {
  const voter = raft.voterSet.voters.find(({ id }) => id === node)
  return voter === undefined ? null : progressOfVoter(raft, voter)
}

function askToCampaign(raft: RaftState, to: number): void {
  raft.send({ type: 'timeout-now', from: raft.id, to, term: raft.term })
}
