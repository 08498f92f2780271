// What crosses the border between the core and its shell.
import type { Infer } from '../schema/schema.ts'
import type { entrySchema, Message } from './messages.ts'

/**
 * An entry of the log: `index` from 1 without gaps, `term` of the leader that appended it, `data` as proposed, or null
 * for the empty entry every new leader appends.
 */
export type Entry = Infer<typeof entrySchema>

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
  /** To be given to persisted() once hardState and entries are durable; null when there is nothing to persist. */
  readonly persistToken: PersistToken | null
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

/**
 * The answer to a proposal. Accepted is not committed: the entry at `index` may still be replaced by one of another
 * term. `leader` is where to try instead, null when unknown. Overloaded means that too many bytes are uncommitted.
 */
export type ProposeResult =
  | { readonly kind: 'accepted'; readonly index: number; readonly term: number }
  | { readonly kind: 'not-leader'; readonly leader: number | null }
  | { readonly kind: 'overloaded' }
