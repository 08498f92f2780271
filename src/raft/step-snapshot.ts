// What a follower does with the parts of its leader's snapshot. Nothing changes before all of it is there; then it takes
// the place of the log, which is made durable and applied through a Ready (RAFT-28).
import { concatBytes } from '../base/bytes.ts'
import type { MessageOf } from './messages.ts'
import type { IncomingSnapshot, RaftState } from './raft-state.ts'

/** A part of the current term. */
export function stepSnapshot(raft: RaftState, message: MessageOf<'snapshot'>): void {
  raft.heardFromLeader(message.from)
  const { log } = raft
  const id = { index: message.snapshotIndex, term: message.snapshotTerm }
  if (log.holds(id)) log.commitTo(id.index)
  if (id.index <= log.commitIndex) {
    // Everything in it is here. What follows in the own log may still be acknowledged, so it stays.
    raft.incoming = null
    acknowledge(raft, { leader: message.from, index: log.commitIndex })
    return
  }
  const incoming = collect(raft, message)
  const { id: from, term } = raft
  raft.send({
    type: 'snapshot-response',
    from,
    to: message.from,
    term,
    snapshotIndex: id.index,
    position: incoming.position,
  })
  if (incoming.position < incoming.sizeBytes) return
  raft.incoming = null
  const { voters } = message
  log.restore({ ...id, data: concatBytes(incoming.parts), ...(voters === null ? {} : { voters }) })
  acknowledge(raft, { leader: message.from, index: id.index })
}

/** Leaves once it is durable, as all acknowledgements do. */
function acknowledge(raft: RaftState, { leader, index }: { leader: number; index: number }): void {
  const { id: from, term } = raft
  raft.send({ type: 'append-response', from, to: leader, term, index, conflict: null })
}

/** Adds the part if it is the next one; what was lost or came twice is asked for by the position in the answer. */
function collect(raft: RaftState, message: MessageOf<'snapshot'>): IncomingSnapshot {
  const { snapshotIndex: index, sizeBytes, position, part } = message
  let { incoming } = raft
  const continues =
    incoming !== null &&
    incoming.leaderTerm === raft.term &&
    incoming.index === index &&
    incoming.sizeBytes === sizeBytes
  if (incoming === null || !continues) {
    incoming = { leaderTerm: raft.term, index, sizeBytes, parts: [], position: 0 }
    raft.incoming = incoming
  }
  if (position === incoming.position && part.length > 0) {
    incoming.parts.push(part)
    incoming.position += part.length
  }
  return incoming
}
