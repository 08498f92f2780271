import { describe, expect, it } from 'vitest'
import {
  APPEND_ENTRIES_MAX,
  ENTRY_ABSOLUTE_MAX_BYTES,
  type Message,
  raftMessageSchema,
} from '../../src/raft/messages.ts'
import { SchemaError } from '../../src/schema/schema.ts'
import { entriesOf } from './lone-node.ts'

const envelope = { from: 1, to: 2, term: 7 }
const append = { type: 'append', ...envelope, prevIndex: 3, prevTerm: 5, commitIndex: 2 } as const

const EXAMPLES: readonly Message[] = [
  { type: 'pre-vote', ...envelope, campaignTerm: 8, lastIndex: 3, lastTerm: 5 },
  { type: 'pre-vote-response', ...envelope, campaignTerm: 8, granted: true },
  { type: 'vote', ...envelope, lastIndex: 3, lastTerm: 5, forced: false },
  { type: 'vote-response', ...envelope, granted: false },
  { ...append, entries: [...entriesOf([5, 7], 4), { index: 6, term: 7, data: null }] },
  { type: 'append-response', ...envelope, index: 6, conflict: null },
  { type: 'append-response', ...envelope, index: 6, conflict: { index: 4, term: 2 } },
  { type: 'heartbeat', ...envelope, commitIndex: 2, round: 0, toDirectoryId: null },
  { type: 'heartbeat-response', ...envelope, round: 3 },
  {
    type: 'snapshot',
    ...envelope,
    snapshotIndex: 9,
    snapshotTerm: 7,
    sizeBytes: 10,
    position: 8,
    part: new Uint8Array(2),
    voters: null,
  },
  { type: 'snapshot-response', ...envelope, snapshotIndex: 9, position: 10 },
  {
    ...append,
    entries: [{ index: 4, term: 7, data: new Uint8Array(1), voters: [{ id: 2, directoryId: '2b' }] }],
  },
  { type: 'join', ...envelope },
  { type: 'timeout-now', ...envelope },
]

function decode(wire: unknown): Message {
  return raftMessageSchema.decode(wire, 'message')
}

describe('raftMessageSchema', () => {
  it.each(EXAMPLES)('$type -> comes back as it was', (message) => {
    expect(decode(raftMessageSchema.encode(message))).toEqual(message)
  })

  it.each([
    [[4, 5], 'entries[0].index: must be 4, got 5', { firstIndex: 5 }],
    [[5, 4], 'entries[1].term: must be from 5 to 7, got 4', {}],
    [[4], 'entries[0].term: must be from 5 to 7, got 4', {}],
    [[5, 8], 'entries[1].term: must be from 5 to 7, got 8', {}],
  ])('append of terms %j that do not follow -> refused: %s', (terms, message, options) => {
    const firstIndex = 'firstIndex' in options ? options.firstIndex : 4
    const wire = raftMessageSchema.encode({ ...append, entries: entriesOf(terms, firstIndex) })
    expect(() => decode(wire)).toThrow(SchemaError)
    expect(() => decode(wire)).toThrow(message)
  })

  it.each([
    [{ position: 9 }, 'part: must end at 10, ends at 11'],
    [{ snapshotTerm: 8 }, 'snapshotTerm: must be at most 7, got 8'],
    [{ sizeBytes: 0 }, 'sizeBytes: must be an integer from 1'],
  ])('snapshot with %j -> refused: %s', (change, problem) => {
    const snapshot = EXAMPLES.find(({ type }) => type === 'snapshot')!
    const wire = raftMessageSchema.encode({ ...snapshot, ...change } as Message)
    expect(() => decode(wire)).toThrow(problem)
  })

  it('term 0 of a leader or candidate -> refused', () => {
    for (const message of [
      append,
      { type: 'heartbeat' },
      { type: 'vote', lastIndex: 0, lastTerm: 0, forced: false },
    ]) {
      const wire = raftMessageSchema.encode({ ...EXAMPLES[4], ...message, term: 0 } as Message)
      expect(() => decode(wire)).toThrow('term: must be an integer from 1')
    }
  })

  it('append with a gap between entries -> refused', () => {
    const [first, , third] = entriesOf([5, 5, 5], 4)
    const wire = raftMessageSchema.encode({ ...append, entries: [first!, third!] })
    expect(() => decode(wire)).toThrow('message.append.entries[1].index: must be 5, got 6')
  })

  it('more or larger entries than allowed -> refused', () => {
    const many = Array.from({ length: APPEND_ENTRIES_MAX + 1 }, (_, i) => [i + 4, 7, null])
    expect(() => decode([4, [1, 2, 7, 3, 5, 2, many]])).toThrow('must be a list of at most 4096')
    const large = [[4, 7, new Uint8Array(ENTRY_ABSOLUTE_MAX_BYTES + 1)]]
    expect(() => decode([4, [1, 2, 7, 3, 5, 2, large]])).toThrow('must be 0 to 2097152 bytes')
  })
})
