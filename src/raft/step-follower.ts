// What a follower does with the messages of its leader.
import { assert } from '../base/assert.ts'
import type { MessageOf } from './messages.ts'
import type { RaftState } from './raft-state.ts'

/** Appends and heartbeats of the current term. */
export function stepFollower(raft: RaftState, message: MessageOf<'append' | 'heartbeat'>): void {
  raft.heardFromLeader(message.from)
  if (message.type === 'append') onAppend(raft, message)
  else onHeartbeat(raft, message)
}

function onAppend(raft: RaftState, message: MessageOf<'append'>): void {
  const { log } = raft
  const reply = { type: 'append-response', from: raft.id, to: message.from, term: raft.term } as const
  const prev = { index: message.prevIndex, term: message.prevTerm }
  if (prev.index < log.base.index) {
    // A late one. All that a snapshot covers is committed, so the leader has it too, and more than this is committed.
    raft.send({ ...reply, index: log.commitIndex, conflict: null })
    return
  }
  if (!log.holds(prev)) {
    assert(
      prev.index > log.commitIndex,
      `raft: the leader contradicts entry ${prev.index}, but everything up to ${log.commitIndex} is committed`,
    )
    const { index, term } = log.lastAtMost(prev)
    raft.send({ ...reply, index: prev.index, conflict: { index, term } })
    return
  }
  log.merge(message.entries)
  // Not beyond the last entry of this message: what follows in the own log may be a stale tail the leader never had.
  const lastIndex = prev.index + message.entries.length
  log.commitTo(Math.min(message.commitIndex, lastIndex))
  raft.send({ ...reply, index: lastIndex, conflict: null })
}

function onHeartbeat(raft: RaftState, message: MessageOf<'heartbeat'>): void {
  const { toDirectoryId } = message
  // What another disk of this node held says nothing of this one; the answer tells the leader (RAFT-27).
  if (toDirectoryId === null || toDirectoryId === raft.directoryId) raft.log.commitTo(message.commitIndex)
  const { id: from, term } = raft
  raft.send({ type: 'heartbeat-response', from, to: message.from, term, round: message.round })
}
