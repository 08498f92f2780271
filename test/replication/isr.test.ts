import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { ERRORS, type ErrorName } from '../../src/model/error-codes.ts'
import {
  type AnswerOutcome,
  adoptAnswer,
  adoptCommitted,
  committedIsr,
  type IsrAnswer,
  type IsrProposal,
  type IsrState,
  propose,
} from '../../src/replication/isr.ts'

function proposalOf(change: IsrProposal['change'], ids: readonly number[]): IsrProposal {
  const isr = ids.map((replicaId) => ({ replicaId, brokerEpoch: replicaId * 10 }))
  return { leaderEpoch: 4, partitionEpoch: 7, isr, change, reason: 'a test' }
}

const expansion = proposalOf('expand', [1, 2, 3])
const shrinkage = proposalOf('shrink', [1])
const synchronisation = proposalOf('sync', [2, 1])
const committed = committedIsr(7, [1, 2])
const expanding = propose(committed, expansion)
const shrinking = propose(committed, shrinkage)
const syncing = propose(committed, synchronisation)

const states: Record<string, { readonly state: IsrState; readonly proposal: IsrProposal }> = {
  committed: { state: committed, proposal: expansion },
  'pending-expand': { state: expanding, proposal: expansion },
  'pending-shrink': { state: shrinking, proposal: shrinkage },
  'pending-sync': { state: syncing, proposal: synchronisation },
}

const success = (leaderEpoch: number, partitionEpoch: number): IsrAnswer => ({
  kind: 'committed',
  leaderEpoch,
  partitionEpoch,
  isr: [1, 3],
})

describe('answers to a pending proposal', () => {
  const rollBack: readonly ErrorName[] = ['INELIGIBLE_REPLICA', 'OPERATION_NOT_ATTEMPTED']
  const awaitMetadata: readonly ErrorName[] = [
    'UNKNOWN_TOPIC_OR_PARTITION',
    'UNKNOWN_TOPIC_ID',
    'FENCED_LEADER_EPOCH',
    'INVALID_UPDATE_VERSION',
    'INVALID_REQUEST',
    'NEW_LEADER_ELECTED',
  ]
  const sendAgain: readonly ErrorName[] = [
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
    'CONNECTION_LOST',
    'UNKNOWN_SERVER_ERROR',
    'SERVER_BUSY',
  ]
  type After = 'same' | 'before the proposal' | 'as answered'
  interface Row {
    readonly answer: IsrAnswer
    readonly outcome: AnswerOutcome
    readonly after: After
    readonly name: string
  }
  const errors = (codes: readonly ErrorName[], row: Pick<Row, 'outcome' | 'after'>): Row[] =>
    codes.map((code) => ({ answer: { kind: 'error', code }, name: code, ...row }))
  const rows: Row[] = [
    ...errors(rollBack, { outcome: 'rolled-back', after: 'before the proposal' }),
    ...errors(awaitMetadata, { outcome: 'awaiting-metadata', after: 'same' }),
    ...errors(sendAgain, { outcome: 'send-again', after: 'same' }),
    { answer: success(4, 8), name: 'success', outcome: 'committed', after: 'as answered' },
    { answer: success(4, 7), name: 'success, nothing to change', outcome: 'committed', after: 'as answered' },
    { answer: success(4, 6), name: 'success of an older state', outcome: 'ignored', after: 'same' },
    { answer: success(5, 8), name: 'success of another leader epoch', outcome: 'ignored', after: 'same' },
  ]
  const table = (['pending-expand', 'pending-shrink', 'pending-sync'] as const).flatMap((kind) =>
    rows.map((row) => ({ kind, ...row })),
  )

  it.each(table)('REP-21: $kind: $name -> $outcome, state $after', ({ kind, answer, outcome, after }) => {
    const { state, proposal } = states[kind]!
    const result = adoptAnswer(state, { proposal, result: answer })
    expect(result.outcome).toBe(outcome)
    if (after === 'same') expect(result.state).toBe(state)
    if (after === 'before the proposal') expect(result.state).toEqual(committed)
    if (after === 'as answered') {
      expect(result.state).toMatchObject({ kind: 'committed', isr: [1, 3], maximalIsr: [1, 3] })
    }
  })

  it.each(rows)('REP-21: committed: late $name -> ignored', ({ answer }) => {
    expect(adoptAnswer(committed, { proposal: expansion, result: answer })).toEqual({
      state: committed,
      outcome: 'ignored',
    })
  })

  it.each(rows)('REP-21: pending: $name to an equal but earlier proposal -> ignored', ({ answer }) => {
    const earlier = proposalOf('expand', [1, 2, 3])
    expect(adoptAnswer(expanding, { proposal: earlier, result: answer }).outcome).toBe('ignored')
  })
})

describe('REP-21: every error there is', () => {
  // An error that nobody thought of must never undo a proposal that may have been committed.
  it.each(Object.keys(ERRORS) as ErrorName[])('%s -> undone only if it surely was not done', (code) => {
    const { outcome } = adoptAnswer(expanding, { proposal: expansion, result: { kind: 'error', code } })
    const undone = ['INELIGIBLE_REPLICA', 'OPERATION_NOT_ATTEMPTED'].includes(code)
    expect(outcome === 'rolled-back').toBe(undone)
    expect(['rolled-back', 'awaiting-metadata', 'send-again']).toContain(outcome)
  })
})

describe('committed states from metadata', () => {
  const table = Object.keys(states).flatMap((kind) =>
    [
      { partitionEpoch: 6, wins: false },
      { partitionEpoch: 7, wins: false },
      { partitionEpoch: 8, wins: true },
      { partitionEpoch: 12, wins: true },
    ].map((row) => ({ kind, ...row })),
  )

  it.each(table)('REP-21: $kind at 7: partition epoch $partitionEpoch -> wins: $wins', (row) => {
    const { state } = states[row.kind]!
    const { partitionEpoch } = row
    const after = adoptCommitted(state, { leaderEpoch: 4, partitionEpoch, isr: [2, 3] })
    if (row.wins) expect(after).toEqual(committedIsr(partitionEpoch, [2, 3]))
    else expect(after).toBe(state)
  })
})

describe('propose', () => {
  it('expand -> the addition counts at once, the committed set stays', () => {
    expect(expanding).toMatchObject({ kind: 'pending-expand', isr: [1, 2], maximalIsr: [1, 2, 3] })
  })

  it('sync -> the same members, before and after', () => {
    expect(syncing).toMatchObject({ kind: 'pending-sync', isr: [1, 2], maximalIsr: [1, 2] })
    expect(() => propose(committed, proposalOf('sync', [1]))).toThrow(AssertionError)
    expect(() => propose(committed, proposalOf('sync', [1, 3]))).toThrow(AssertionError)
  })

  it('shrink -> the one to be removed counts until it is committed', () => {
    expect(shrinking).toMatchObject({ kind: 'pending-shrink', isr: [1, 2], maximalIsr: [1, 2] })
  })

  it.each([
    { name: 'while another is pending', state: expanding, proposal: shrinkage },
    { name: 'on another state', state: committedIsr(8, [1, 2]), proposal: expansion },
    { name: 'expansion that removes', state: committed, proposal: proposalOf('expand', [1, 3]) },
    { name: 'shrink that adds', state: committed, proposal: proposalOf('shrink', [1, 3]) },
  ])('propose: $name -> assertion', ({ state, proposal }) => {
    expect(() => propose(state, proposal)).toThrow(AssertionError)
  })
})
