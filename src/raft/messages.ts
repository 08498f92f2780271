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
  text,
  union,
  withFallback,
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

/** Voters at most: each more costs a message for every entry and makes a majority harder to get. */
export const VOTERS_ABSOLUTE_MAX = 9
/** Characters of a directory id, which the core only compares. */
const DIRECTORY_ID_MAX_CHARACTERS = 100

const nodeId = integer(0, 2 ** 31 - 1)
const term = integer(0, Number.MAX_SAFE_INTEGER)
/** A term somebody campaigns for or leads: term 0 is before the first election. */
const electionTerm = integer(1, Number.MAX_SAFE_INTEGER)
const index = integer(0, Number.MAX_SAFE_INTEGER)

/** A voter is a node with one disk: the same node with another disk is somebody else, who remembers no vote (RAFT-23). */
const directoryId = text(DIRECTORY_ID_MAX_CHARACTERS)
export const voterKeySchema = struct({
  /** Of the node. */
  id: nodeId,
  /** Of its disk. */
  directoryId,
})
const voters = nullable(list(voterKeySchema, VOTERS_ABSOLUTE_MAX))

/**
 * An entry of the log. Data is null for the empty entry by which a new leader commits what precedes it. `voters` is
 * there only in an entry that changes who votes.
 */
export interface Entry {
  readonly index: number
  readonly term: number
  readonly data: Uint8Array | null
  readonly voters?: readonly VoterKey[]
}
export type VoterKey = Infer<typeof voterKeySchema>

export const entrySchema: Schema<Entry> = absentWhereNull(
  struct({
    /** From 1, without gaps. */
    index: integer(1, Number.MAX_SAFE_INTEGER),
    /** The term of the leader that appended it; never decreases along a log. */
    term: electionTerm,
    data: nullable(bytes(0, ENTRY_ABSOLUTE_MAX_BYTES)),
    /** Who votes from this entry on; null where that stays as it is. */
    voters: withFallback(voters, null),
  }),
)

type WireEntry = Omit<Entry, 'voters'> & { readonly voters: readonly VoterKey[] | null }

/** Hardly any entry changes the voters, so in memory the others lack the field. */
function absentWhereNull(schema: Schema<WireEntry>): Schema<Entry> {
  return {
    encode: (entry) => schema.encode({ ...entry, voters: entry.voters ?? null }),
    decode(wire, path) {
      const { voters: changed, ...entry } = schema.decode(wire, path)
      return changed === null ? entry : { ...entry, voters: changed }
    },
    describe: () => schema.describe(),
  }
}

/** `term` is the current term of the sender, also in both kinds of pre-vote message. */
const envelope = { from: nodeId, to: nodeId, term } as const
const electedEnvelope = { ...envelope, term: electionTerm } as const

const variants = union({
  /** "Would you vote for me in campaignTerm?" Changes no term and no vote. */
  'pre-vote': struct({ ...envelope, campaignTerm: electionTerm, lastIndex: index, lastTerm: term }),
  /** campaignTerm is that of the request, so that an answer to an earlier question is told apart. */
  'pre-vote-response': struct({ ...envelope, campaignTerm: electionTerm, granted: boolean() }),
  vote: struct({
    ...electedEnvelope,
    lastIndex: index,
    lastTerm: term,
    /** The leader itself asked for this election: that it lives is no reason to refuse. */
    forced: withFallback(boolean(), false),
  }),
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
  /** commitIndex is at most what the follower is known to hold, with the disk that is named. */
  heartbeat: struct({
    ...electedEnvelope,
    commitIndex: index,
    /** Grows with every question whether this node still leads; the answer repeats it. */
    round: withFallback(index, 0),
    /** The disk whose log commitIndex is about; null means whichever there is. */
    toDirectoryId: withFallback(nullable(directoryId), null),
  }),
  /** Goes out without waiting for entries to become durable: a slow disk is not a dead node. */
  'heartbeat-response': struct({
    ...envelope,
    /** Of the heartbeat. */
    round: withFallback(index, 0),
  }),
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
    /** Who votes after that entry; null where nobody has changed that. */
    voters: withFallback(voters, null),
  }),
  /** How much of it has arrived. That it is durable says an append-response, as for entries. */
  'snapshot-response': struct({
    ...envelope,
    /** Names the snapshot that is meant. */
    snapshotIndex: integer(1, Number.MAX_SAFE_INTEGER),
    /** Bytes that have arrived. */
    position: integer(0, SNAPSHOT_MAX_BYTES),
  }),
  /** A node that does not vote asks the leader for the log. Every node that hears it may ignore it but the leader. */
  join: struct(envelope),
  /** The leader asks a voter that holds its whole log to campaign at once. */
  'timeout-now': struct(electedEnvelope),
})

export type Message = Infer<typeof variants>
export type MessageOf<T extends Message['type']> = Extract<Message, { readonly type: T }>
/**
 * A message as it came in. `directoryId` names the disk of the sender, which the shell adds to everything it sends; without
 * one, as in messages of releases that knew no other voters than the first, it is taken for the one that votes.
 */
export type Received = Message & { readonly directoryId?: string | null }
export type ReceivedOf<T extends Message['type']> = Extract<Received, { readonly type: T }>
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
