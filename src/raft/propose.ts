// How a leader puts entries into the log: data, or a change of the voters.
import { assert } from '../base/assert.ts'
import { followNewVoters, isCaughtUp, toldByVoters } from './followers.ts'
import { VOTERS_ABSOLUTE_MAX, type VoterKey } from './messages.ts'
import { majority } from './quorum.ts'
import { entryBytes } from './raft-log.ts'
import type { RaftState } from './raft-state.ts'
import type { ChangeRefusal, ChangeResult, Entry, ProposeResult, VoterChange } from './types.ts'

export interface Proposal {
  readonly data: Uint8Array
  /** Who votes from then on; absent: as before. */
  readonly voters?: readonly VoterKey[]
}

/** @throws AssertionError when the data is too long */
export function propose(raft: RaftState, { data, voters }: Proposal): ProposeResult {
  const { roleState, log, config, term, leader } = raft
  assert(
    data.length <= config.entryMaxBytes,
    `raft: an entry has at most ${config.entryMaxBytes} bytes, got ${data.length}`,
  )
  if (roleState.role !== 'leader') return { kind: 'not-leader', leader }
  if (roleState.transfer !== null) return { kind: 'transferring', to: roleState.transfer.to }
  const entry: Entry = { index: log.last.index + 1, term, data, ...(voters === undefined ? {} : { voters }) }
  const uncommittedBytes = roleState.uncommittedBytes + entryBytes(entry)
  if (uncommittedBytes > config.uncommittedMaxBytes) return { kind: 'overloaded' }
  roleState.uncommittedBytes = uncommittedBytes
  log.append(entry)
  return { kind: 'accepted', index: entry.index, term }
}

/**
 * One voter more or one less. Any majority of the voters before and any of those after have a node in common then, so that
 * nothing is decided twice; and that holds only while nobody changes them beside (RAFT-20, RAFT-21).
 */
export function changeVoters(
  raft: RaftState,
  { change, data }: { readonly change: VoterChange; readonly data: Uint8Array },
): ChangeResult {
  if (raft.roleState.role !== 'leader') return { kind: 'not-leader', leader: raft.leader }
  const reason = refusalOf(raft, change)
  if (reason !== null) return { kind: 'refused', reason }
  const result = propose(raft, { data, voters: votersAfter(raft.voterSet.voters, change) })
  if (result.kind === 'accepted') followNewVoters(raft)
  return result
}

function votersAfter(voters: readonly VoterKey[], { kind, voter }: VoterChange): readonly VoterKey[] {
  return kind === 'add' ? [...voters, voter] : voters.filter(({ id }) => id !== voter.id)
}

function refusalOf(raft: RaftState, change: VoterChange): ChangeRefusal | null {
  const { log, leadership, voterSet } = raft
  // A change of an earlier leader may still be about to replace what is here; an entry of this term settles that.
  if (log.commitIndex < leadership.startIndex) return 'term-not-committed'
  if (voterSet.index > log.commitIndex) return 'change-pending'
  const { id, directoryId } = change.voter
  const present = voterSet.voters.find((voter) => voter.id === id)
  if (change.kind === 'add') {
    if (present !== undefined)
      return present.directoryId === directoryId ? 'already-voter' : 'other-directory'
    if (voterSet.voters.length >= VOTERS_ABSOLUTE_MAX) return 'too-many-voters'
    const progress = leadership.followers.get(id)
    if (progress === undefined || progress.directoryId !== directoryId || !isCaughtUp(raft, progress)) {
      return 'not-caught-up'
    }
  } else {
    if (present?.directoryId !== directoryId) return 'unknown-voter'
    if (voterSet.voters.length === 1) return 'last-voter'
    if (!canGoOnWithout(raft, id)) return 'quorum-at-risk'
  }
  return null
}

/** Whether a majority of those that are left answers: else nothing could be committed any more, this change included. */
function canGoOnWithout(raft: RaftState, removed: number): boolean {
  const heardAtMs = toldByVoters(raft, {
    own: raft.nowMs,
    unheard: Number.NEGATIVE_INFINITY,
    by: (progress) => progress.heardAtMs,
  }).filter((_, i) => raft.voters[i] !== removed)
  const sinceMs = raft.nowMs - raft.config.electionTimeoutMs
  return heardAtMs.filter((atMs) => atMs > sinceMs).length >= majority(heardAtMs.length)
}
