// What crosses the border between the core and its shell.
import type { Entry, Message, VoterKey } from './messages.ts'

export type { Entry, VoterKey } from './messages.ts'

/** What a node must never forget: the newest term it saw and whom it voted for in it. A new node starts with 0, null. */
export interface HardState {
  readonly term: number
  readonly votedFor: number | null
}

/**
 * The state that follows from all entries up to and with one, which it names. `data` is opaque to the core and must not
 * be changed. It stands for these entries: a log may forget them, and a node that lacks them gets it instead.
 */
export interface Snapshot {
  readonly index: number
  readonly term: number
  readonly data: Uint8Array
  /** Who votes after that entry. Absent: those with whom the cluster began, since nobody has changed it. */
  readonly voters?: readonly VoterKey[]
}

/** Names what was handed over to be made durable. Opaque to the shell, which gives it back through persisted(). */
export interface PersistToken {
  readonly term: number
  readonly votedFor: number | null
  readonly lastIndex: number
  readonly lastTerm: number
}

/**
 * Work for the shell. Readys are made durable in the order they were handed out; several may be under way at once.
 */
export interface Ready {
  /**
   * Not null when term or vote changed. Make it durable before `entries` or in one write with them, never after: a log
   * that ends in a higher term than the stored one is refused at start, because that is what a lost vote looks like.
   */
  readonly hardState: HardState | null
  /**
   * Came from the leader, to be made durable before `entries`: the stored log is dropped as a whole, then begins behind
   * it. A crash in between must leave the old log or the snapshot, never a log with a gap.
   */
  readonly snapshot: Snapshot | null
  /** To be made durable. Where the first index is stored already, truncate the stored log from there first. */
  readonly entries: readonly Entry[]
  /** May be sent at once; a leader's appends so go in parallel with its own write. */
  readonly messages: readonly Message[]
  /** To be sent once hardState and entries of this Ready and of all earlier ones are durable. */
  readonly messagesAfterPersist: readonly Message[]
  /** Durable by now: replaces the whole state, before `committed` is applied. */
  readonly restored: Snapshot | null
  /** To be applied in this order. Durable here and committed; each entry comes once per process run. */
  readonly committed: readonly Entry[]
  /**
   * Reads that were asked for by readIndex() and may be answered from the state after `committed`: this node led after
   * they were asked for. Those of a leadership that ended never come.
   */
  readonly reads: readonly number[]
  /** To be given to persisted() once hardState and entries are durable; null when there is nothing to persist. */
  readonly persistToken: PersistToken | null
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

export interface NotLeader {
  readonly kind: 'not-leader'
  /** Where to try instead, null when unknown. */
  readonly leader: number | null
}

/**
 * The answer to a proposal. Accepted is not committed: the entry at `index` may still be replaced by one of another
 * term. Overloaded means that too many bytes are uncommitted, transferring that leadership is just moving to `to`.
 */
export type ProposeResult =
  | { readonly kind: 'accepted'; readonly index: number; readonly term: number }
  | NotLeader
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'transferring'; readonly to: number }

/** One voter more or one less. Another disk in the place of a lost one is two changes. */
export interface VoterChange {
  readonly kind: 'add' | 'remove'
  readonly voter: VoterKey
}

/** Why a change of the voters cannot be made, or not yet. */
export type ChangeRefusal =
  /** No entry of this leader's term is committed yet (RAFT-20). Passes by itself. */
  | 'term-not-committed'
  /** The change before is not committed yet (RAFT-21). Passes by itself. */
  | 'change-pending'
  /** The node votes already, with that directory. */
  | 'already-voter'
  /** The node votes, with another directory: that one is to be removed first. */
  | 'other-directory'
  /** No voter has that node id and directory id. */
  | 'unknown-voter'
  | 'last-voter'
  | 'too-many-voters'
  /** The node has not asked for the log, or lacks too much of it (RAFT-24). */
  | 'not-caught-up'
  /** Fewer voters than a majority of those that would be left have answered lately. */
  | 'quorum-at-risk'

export type ChangeResult = ProposeResult | { readonly kind: 'refused'; readonly reason: ChangeRefusal }

export type TransferRefusal =
  | 'unknown-voter'
  | 'is-leader'
  /** To the same or another one; that one first. */
  | 'transferring'
  /** It has not answered lately, or lacks too much. */
  | 'not-caught-up'

/** The answer to the wish that another node leads. Started is not done: see RaftNode.transferLeadership. */
export type TransferResult =
  | { readonly kind: 'started' }
  | NotLeader
  | { readonly kind: 'refused'; readonly reason: TransferRefusal }

/** Accepted: the read comes back in `reads`, unless this node stops to lead. Overloaded: too many wait. */
export type ReadResult =
  | { readonly kind: 'accepted'; readonly read: number }
  | NotLeader
  | { readonly kind: 'overloaded' }

/** What a leader knows of one that gets its log. */
export interface FollowerView {
  readonly id: number
  readonly directoryId: string
  readonly isVoter: boolean
  /** Up to here its durable log is known to agree. */
  readonly matchIndex: number
  /** When it last answered, on the clock of the core. */
  readonly heardAtMs: number
  /** For one that does not vote: whether it may be made a voter. */
  readonly isCaughtUp: boolean
}
