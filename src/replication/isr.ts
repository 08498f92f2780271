// The in-sync set as its leader sees it: what the controller committed, and at most one change proposed to it. A
// proposed addition already gates the high watermark and a proposed removal still does (the maximal ISR), because the
// controller may have committed either without the leader having heard (REP-18, REP-19). Transitions are pure; the
// table in test/replication/isr.test.ts has them all.
import { assert, unreachable } from '../base/assert.ts'
import type { ErrorName } from '../model/error-codes.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch } from '../model/ids.ts'

export interface IsrMember {
  readonly replicaId: NodeId
  /** The run of the member that the leader knows; the controller refuses the change when there is a newer one. */
  readonly brokerEpoch: BrokerEpoch
}

/** What the leader asks of the controller. Each is one object: answers are matched to it by identity. */
export interface IsrProposal {
  readonly leaderEpoch: LeaderEpoch
  /** The state on which the change builds; the controller refuses it once there is a newer one. */
  readonly partitionEpoch: PartitionEpoch
  readonly isr: readonly IsrMember[]
  /** `sync`: the same members, of which each has fsynced all that is committed. */
  readonly change: 'expand' | 'shrink' | 'sync'
  /** What the leader saw, for the cause in the metadata log; at most 300 characters. */
  readonly reason: string
}

/** A committed change, from the metadata log or as the controller's answer to a proposal. */
export interface IsrCommit {
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  readonly isr: readonly NodeId[]
  /** Whether metadata has it that every record that counts is fsynced where it counts. Default true. */
  readonly synced?: boolean
}

/** The controller's answer, or why there is none (such as REQUEST_TIMED_OUT or CONNECTION_LOST). */
export type IsrAnswer =
  | ({ readonly kind: 'committed' } & IsrCommit)
  | { readonly kind: 'error'; readonly code: ErrorName }

interface CommittedPart {
  readonly partitionEpoch: PartitionEpoch
  /** As committed. Its size alone decides about min.insync.replicas. */
  readonly isr: readonly NodeId[]
  /** Who must hold a record before it is committed: never smaller than what the controller may have committed. */
  readonly maximalIsr: readonly NodeId[]
}

export interface CommittedIsr extends CommittedPart {
  readonly kind: 'committed'
}

export interface PendingIsr extends CommittedPart {
  readonly kind: 'pending-expand' | 'pending-shrink' | 'pending-sync'
  readonly proposal: IsrProposal
}

export type IsrState = CommittedIsr | PendingIsr

/**
 * What an answer means for the leader: `ignored` the state changed meanwhile or the answer is of another epoch;
 * `rolled-back` surely not done, to be proposed again later; `awaiting-metadata` the leader is out of date, and only
 * metadata can tell it how; `send-again` nobody knows whether it was done.
 */
export type AnswerOutcome = 'ignored' | 'committed' | 'rolled-back' | 'awaiting-metadata' | 'send-again'

export function committedIsr(partitionEpoch: PartitionEpoch, isr: readonly NodeId[]): CommittedIsr {
  return { kind: 'committed', partitionEpoch, isr, maximalIsr: isr }
}

/** Proposes a change. Only from a committed state: one change at a time, or the maximal ISR would not cover all. */
export function propose(state: IsrState, proposal: IsrProposal): PendingIsr {
  assert(state.kind === 'committed', 'only one ISR change may be under way')
  assert(proposal.partitionEpoch === state.partitionEpoch, 'an ISR change must build on the committed state')
  const wanted = proposal.isr.map((member) => member.replicaId)
  switch (proposal.change) {
    case 'expand':
      assert(
        state.isr.every((id) => wanted.includes(id)),
        'an expansion must not remove a member',
      )
      return { ...state, kind: 'pending-expand', maximalIsr: wanted, proposal }
    case 'shrink':
      assert(
        wanted.every((id) => state.isr.includes(id)),
        'a shrink must not add a member',
      )
      return { ...state, kind: 'pending-shrink', maximalIsr: state.isr, proposal }
    case 'sync':
      assert(
        wanted.length === state.isr.length && wanted.every((id) => state.isr.includes(id)),
        'a sync must not change the members',
      )
      return { ...state, kind: 'pending-sync', proposal }
    default:
      return unreachable(proposal.change)
  }
}

/**
 * Takes a committed state from the metadata log. A newer partition epoch wins over whatever is pending: the controller
 * refuses a proposal that builds on an older one. The caller has checked the leader epoch.
 * @returns the same object where the state is not newer.
 */
export function adoptCommitted(state: IsrState, commit: IsrCommit): IsrState {
  return commit.partitionEpoch > state.partitionEpoch
    ? committedIsr(commit.partitionEpoch, commit.isr)
    : state
}

/** Takes the answer to a proposal. */
export function adoptAnswer(
  state: IsrState,
  answered: { readonly proposal: IsrProposal; readonly result: IsrAnswer },
): { readonly state: IsrState; readonly outcome: AnswerOutcome } {
  const { proposal, result } = answered
  if (state.kind === 'committed' || state.proposal !== proposal) return { state, outcome: 'ignored' }
  if (result.kind === 'committed') {
    const isOurs =
      result.leaderEpoch === proposal.leaderEpoch && result.partitionEpoch >= state.partitionEpoch
    if (!isOurs) return { state, outcome: 'ignored' }
    return { state: committedIsr(result.partitionEpoch, result.isr), outcome: 'committed' }
  }
  switch (result.code) {
    case 'INELIGIBLE_REPLICA':
    case 'OPERATION_NOT_ATTEMPTED':
      return { state: committedIsr(state.partitionEpoch, state.isr), outcome: 'rolled-back' }
    case 'UNKNOWN_TOPIC_OR_PARTITION':
    case 'UNKNOWN_TOPIC_ID':
    case 'FENCED_LEADER_EPOCH':
    case 'INVALID_UPDATE_VERSION':
    case 'INVALID_REQUEST':
    case 'NEW_LEADER_ELECTED':
      return { state, outcome: 'awaiting-metadata' }
    default:
      return { state, outcome: 'send-again' }
  }
}
