// What nodes say to each other. One schema gives the types, the codec and the checks; a decoded message is well formed
// (its entries follow each other and the previous entry), so the core trusts it.
import {
  boolean,
  bytes,
  type Infer,
  integer,
  list,
  nullable,
  type Schema,
  SchemaError,
  struct,
  union,
} from '../schema/schema.ts'

/** Bytes of data in one entry that no setting can exceed. */
export const ENTRY_ABSOLUTE_MAX_BYTES = 2 * 1024 * 1024
/** Bytes of entries in one append that no setting can exceed: with its own fields it stays below a 4 MiB frame header. */
export const APPEND_ABSOLUTE_MAX_BYTES = 3 * 1024 * 1024
/** Entries in one append: bounds what a decoder allocates for entries without data. */
export const APPEND_ENTRIES_MAX = 4_096
/** Bytes an entry takes besides its data: index and term of 9 bytes each, 1 for the list, 5 before the data. */
export const ENTRY_OVERHEAD_BYTES = 24

/** Bytes of a snapshot in one message that no setting can exceed. */
export const SNAPSHOT_CHUNK_ABSOLUTE_MAX_BYTES = 1024 * 1024
/** Bytes of a whole snapshot: what a leader can make a node collect. The same as METADATA_SNAPSHOT_MAX_BYTES. */
export const SNAPSHOT_MAX_BYTES = 512 * 1024 * 1024

const nodeId = integer(0, 2 ** 31 - 1)
const term = integer(0, Number.MAX_SAFE_INTEGER)
/** A term somebody campaigns for or leads: term 0 is before the first election. */
const electionTerm = integer(1, Number.MAX_SAFE_INTEGER)
const index = integer(0, Number.MAX_SAFE_INTEGER)

/** An entry of the log. Data is null for the empty entry by which a new leader commits what precedes it. */
export const entrySchema = struct({
  /** From 1, without gaps. */
  index: integer(1, Number.MAX_SAFE_INTEGER),
  /** The term of the leader that appended it; never decreases along a log. */
  term: electionTerm,
  data: nullable(bytes(0, ENTRY_ABSOLUTE_MAX_BYTES)),
})

/** `term` is the current term of the sender, also in both kinds of pre-vote message. */
const envelope = { from: nodeId, to: nodeId, term } as const
const electedEnvelope = { ...envelope, term: electionTerm } as const

const variants = union({
  /** "Would you vote for me in campaignTerm?" Changes no term and no vote. */
  'pre-vote': struct({ ...envelope, campaignTerm: electionTerm, lastIndex: index, lastTerm: term }),
  /** campaignTerm is that of the request, so that an answer to an earlier question is told apart. */
  'pre-vote-response': struct({ ...envelope, campaignTerm: electionTerm, granted: boolean() }),
  vote: struct({ ...electedEnvelope, lastIndex: index, lastTerm: term }),
  'vote-response': struct({ ...envelope, granted: boolean() }),
  /** Entries to follow the one at prevIndex and prevTerm; without entries it asks whether that one is there. */
  append: struct({
    ...electedEnvelope,
    prevIndex: index,
    prevTerm: term,
    commitIndex: index,
    entries: list(entrySchema, APPEND_ENTRIES_MAX),
  }),
  /**
   * Without conflict: everything up to `index` agrees with the leader and is durable. With conflict: `index` is the
   * refused prevIndex, and conflict names the follower's last entry at or below it whose term is not above prevTerm.
   */
  'append-response': struct({
    ...envelope,
    index,
    conflict: nullable(struct({ index, term })),
  }),
  /** commitIndex is at most what the follower is known to hold. */
  heartbeat: struct({ ...electedEnvelope, commitIndex: index }),
  /** Goes out without waiting for entries to become durable: a slow disk is not a dead node. */
  'heartbeat-response': struct(envelope),
  /**
   * A part of the leader's snapshot, for a follower that lacks entries which the leader has dropped. One part is under way
   * at a time; one without bytes asks how far the follower is.
   */
  snapshot: struct({
    ...electedEnvelope,
    /** Of the last entry that the snapshot stands for. */
    snapshotIndex: integer(1, Number.MAX_SAFE_INTEGER),
    /** Of that entry. */
    snapshotTerm: electionTerm,
    /** Bytes of the whole snapshot. */
    sizeBytes: integer(1, SNAPSHOT_MAX_BYTES),
    /** Bytes before this part. */
    position: integer(0, SNAPSHOT_MAX_BYTES),
    /** The bytes from there on. */
    part: bytes(0, SNAPSHOT_CHUNK_ABSOLUTE_MAX_BYTES),
  }),
  /** How much of it has arrived. That it is durable says an append-response, as for entries. */
  'snapshot-response': struct({
    ...envelope,
    /** Names the snapshot that is meant. */
    snapshotIndex: integer(1, Number.MAX_SAFE_INTEGER),
    /** Bytes that have arrived. */
    position: integer(0, SNAPSHOT_MAX_BYTES),
  }),
})

export type Message = Infer<typeof variants>
export type MessageOf<T extends Message['type']> = Extract<Message, { readonly type: T }>
export type LogConflict = NonNullable<MessageOf<'append-response'>['conflict']>

export const raftMessageSchema: Schema<Message> = {
  ...variants,
  decode(wire, path) {
    const message = variants.decode(wire, path)
    if (message.type === 'append') checkEntries(message, path)
    if (message.type === 'snapshot') checkPart(message, path)
    return message
  },
}

function checkEntries(append: MessageOf<'append'>, path: string): void {
  let previous = { index: append.prevIndex, term: append.prevTerm }
  for (const [i, entry] of append.entries.entries()) {
    const place = `${path}.append.entries[${i}]`
    if (entry.index !== previous.index + 1) {
      throw new SchemaError(`${place}.index`, `must be ${previous.index + 1}, got ${entry.index}`)
    }
    if (entry.term < previous.term || entry.term > append.term) {
      throw new SchemaError(
        `${place}.term`,
        `must be from ${previous.term} to ${append.term}, got ${entry.term}`,
      )
    }
    previous = entry
  }
}

function checkPart(message: MessageOf<'snapshot'>, path: string): void {
  const { term, snapshotTerm, sizeBytes, position, part } = message
  if (position + part.length > sizeBytes) {
    throw new SchemaError(
      `${path}.snapshot.part`,
      `must end at ${sizeBytes}, ends at ${position + part.length}`,
    )
  }
  if (snapshotTerm > term) {
    throw new SchemaError(`${path}.snapshot.snapshotTerm`, `must be at most ${term}, got ${snapshotTerm}`)
  }
}
