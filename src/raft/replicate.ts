// What a leader sends. Appends are made when a Ready is taken: so everything proposed in between travels together.
import type { Progress } from './progress.ts'
import type { RaftState } from './raft-state.ts'

/** Sends every follower what it lacks and may get now. */
export function replicate(raft: RaftState): void {
  for (const [peer, progress] of raft.leadership.followers) {
    while (!progress.paused) {
      if (needsSnapshot(raft, progress)) {
        progress.startSnapshot(raft.log.snapshot!)
      }
      if (progress.state === 'snapshot') {
        sendPart(raft, peer)
        continue
      }
      const lacksEntries = progress.nextIndex <= raft.log.last.index
      const probes = progress.state === 'probe'
      if (!lacksEntries && !probes && !progress.lacksCommit(raft.log.commitIndex)) break
      sendAppend(raft, { peer, bytesMax: raft.config.appendMaxBytes })
    }
  }
}

/**
 * Asks a replicating follower, by an append without entries, whether it got what was sent. Its refusal starts a probe:
 * otherwise appends that were lost while nothing new is proposed, or that fill the window, would never be sent again.
 */
export function sendPositionCheck(raft: RaftState, peer: number): void {
  const progress = raft.leadership.followers.get(peer)!
  if (progress.state !== 'replicate') return
  if (needsSnapshot(raft, progress)) progress.startSnapshot(raft.log.snapshot!)
  else sendAppend(raft, { peer, bytesMax: 0 })
}

/** Asks whether this node still leads, if reads wait for that and nobody is asked yet. */
export function beginReadRound(raft: RaftState): void {
  const { reads, startIndex } = raft.leadership
  if (!reads.wantsRound || raft.log.commitIndex < startIndex) return
  reads.begin(raft.log.commitIndex)
  sendHeartbeats(raft)
}

/** The commit index they carry is what the follower is known to hold, for its own log may differ beyond. */
export function sendHeartbeats(raft: RaftState): void {
  const { id: from, term, log, leadership } = raft
  for (const [to, progress] of leadership.followers) {
    const commitIndex = Math.min(progress.matchIndex, log.commitIndex)
    const { round } = leadership.reads
    const toDirectoryId = progress.directoryId
    raft.send({ type: 'heartbeat', from, to, term, commitIndex, round, toDirectoryId })
  }
}

/** Whether the next append would follow an entry that this log has dropped. */
function needsSnapshot({ log }: RaftState, progress: Progress): boolean {
  return progress.state !== 'snapshot' && progress.nextIndex <= log.base.index
}

function sendPart(raft: RaftState, to: number): void {
  const { id: from, term, config, nowMs } = raft
  const progress = raft.leadership.followers.get(to)!
  const { snapshot, position } = progress.transfer
  const { index: snapshotIndex, term: snapshotTerm, data, voters = null } = snapshot
  const part = data.subarray(position, position + config.snapshotChunkBytes)
  const envelope = { type: 'snapshot', from, to, term } as const
  raft.send({ ...envelope, snapshotIndex, snapshotTerm, sizeBytes: data.length, position, part, voters })
  progress.partSent(nowMs)
}

function sendAppend(raft: RaftState, options: { peer: number; bytesMax: number }): void {
  const { id: from, term, log } = raft
  const progress = raft.leadership.followers.get(options.peer)!
  const prevIndex = progress.nextIndex - 1
  const prevTerm = log.termAt(prevIndex)!
  const entries = options.bytesMax === 0 ? [] : log.entriesFrom(progress.nextIndex, options.bytesMax)
  const { commitIndex } = log
  raft.send({ type: 'append', from, to: options.peer, term, prevIndex, prevTerm, commitIndex, entries })
  progress.sent(prevIndex + entries.length, commitIndex)
}
