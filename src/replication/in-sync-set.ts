// Decides, on the leader, who must hold a record before it is committed and which change of the in-sync set to propose.
// One proposal at a time; what the controller committed comes back through `adopt` and `answered`.
import { assert } from '../base/assert.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch } from '../model/ids.ts'
import { type FollowerProgress, UNKNOWN } from './follower-progress.ts'
import {
  type AnswerOutcome,
  adoptAnswer,
  adoptCommitted,
  committedIsr,
  type IsrAnswer,
  type IsrCommit,
  type IsrProposal,
  type IsrState,
  propose,
} from './isr.ts'
import { type BrokerStates, ISR_BACKOFF_MS, JoinEligibility } from './join-eligibility.ts'

/**
 * How far behind a replica outside of the ISR may be and still hold the high watermark back for itself (Kafka's
 * shouldWaitForReplicaToJoinIsr). Without that a follower under constant load would always be one fsync behind a high
 * watermark that moves with each of the leader's, and never join. Kafka waits up to replica.lag.time.max.ms; a second
 * is enough for a follower that is about to join, and bounds what one that stopped costs the producers.
 */
export const JOIN_WAIT_MAX_MS = 1_000

/** The text field of the metadata log takes no more. */
const REASON_CHARACTERS_MAX = 300

export interface InSyncSetOptions {
  readonly brokerId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  readonly isr: readonly NodeId[]
  /** Whether metadata has it that every record that counts is fsynced where it counts. Default true. */
  readonly synced?: boolean
  readonly brokers: BrokerStates
  readonly lagTimeMaxMs: number
}

/** Where the leader stands when a change is considered. */
export interface LeaderPosition {
  readonly highWatermark: Offset
  readonly leaderEpochStartOffset: Offset
  readonly logStartOffset: Offset
  readonly logEndOffset: Offset
  readonly nowMs: number
}

export class InSyncSet {
  readonly #options: InSyncSetOptions
  readonly #followers: readonly FollowerProgress[]
  readonly #eligibility: JoinEligibility
  #state: IsrState
  #isSynced: boolean
  #lagTimeMaxMs: number
  #shrinkBackoffUntilMs = Number.NEGATIVE_INFINITY
  #syncBackoffUntilMs = Number.NEGATIVE_INFINITY

  /** @param followers all replicas but the leader. The set reads them and tells them broker epochs and joining. */
  constructor(options: InSyncSetOptions, followers: readonly FollowerProgress[]) {
    this.#options = options
    this.#followers = followers
    this.#eligibility = new JoinEligibility(options.brokers)
    this.#state = committedIsr(options.partitionEpoch, options.isr)
    this.#isSynced = options.synced ?? true
    this.#lagTimeMaxMs = options.lagTimeMaxMs
    this.#checkMembers()
    this.#tellBrokerEpochs()
  }

  get state(): IsrState {
    return this.#state
  }

  /** @param lagTimeMaxMs replica.lag.time.max.ms as it is now. */
  lagTimeMaxChanged(lagTimeMaxMs: number): void {
    this.#lagTimeMaxMs = lagTimeMaxMs
  }

  brokersChanged(brokers: BrokerStates): void {
    this.#eligibility.brokersChanged(brokers)
    this.#tellBrokerEpochs()
  }

  /** Takes a committed state from metadata; one that is not newer, or of another leader epoch, changes nothing. */
  committed(commit: IsrCommit, nowMs: number): void {
    if (commit.leaderEpoch !== this.#options.leaderEpoch) return
    const state = adoptCommitted(this.#state, commit)
    if (state !== this.#state) this.#isSynced = commit.synced ?? true
    this.#become(state, nowMs)
  }

  /** Takes the controller's answer to a proposal. */
  answered(
    answer: { readonly proposal: IsrProposal; readonly result: IsrAnswer },
    nowMs: number,
  ): AnswerOutcome {
    const { state, outcome } = adoptAnswer(this.#state, answer)
    if (outcome === 'rolled-back') this.#refused(answer.proposal, nowMs)
    if (answer.result.kind === 'committed' && outcome === 'committed')
      this.#isSynced = answer.result.synced ?? true
    this.#become(state, nowMs)
    return outcome
  }

  /** Whether a record is committed only when this follower holds it. */
  mustHold(follower: FollowerProgress, leader: LeaderPosition): boolean {
    if (this.#state.maximalIsr.includes(follower.replicaId)) return true
    return (
      follower.countedOffset !== UNKNOWN &&
      this.#eligibility.mayJoin(follower, leader) &&
      follower.hasBeenCaughtUp(leader, Math.min(JOIN_WAIT_MAX_MS, this.#lagTimeMaxMs))
    )
  }

  /** Whether nobody can lag, join or be waited for by the mere passing of time, and no proposal is to be made or answered. */
  isAtRest(
    { logEndOffset }: LeaderPosition,
    { mayBeUnsynced }: { readonly mayBeUnsynced: boolean },
  ): boolean {
    if (this.#state.kind !== 'committed' || !(this.#isSynced || mayBeUnsynced)) return false
    const { isr } = this.#state
    return this.#followers.every(
      ({ replicaId, isObserver, countedOffset }) =>
        isObserver || (isr.includes(replicaId) && countedOffset >= logEndOffset),
    )
  }

  proposeAnyJoin(leader: LeaderPosition): IsrProposal | null {
    for (const follower of this.#followers) {
      const proposal = this.proposeJoin(follower, leader)
      if (proposal !== null) return proposal
    }
    return null
  }

  /**
   * A follower joins when it holds, as far as that counts, all that is committed and all that earlier leaders may have committed:
   * the high watermark of a new leader lags, so that alone would let in a replica that lacks records (REP-15). One that
   * left must be heard of first (REP-39), and one that joins has deleted what the leader has (REP-44).
   */
  proposeJoin(follower: FollowerProgress, leader: LeaderPosition): IsrProposal | null {
    if (this.#state.kind !== 'committed' || this.#state.isr.includes(follower.replicaId)) return null
    if (follower.isSilentOutside) return null
    if (follower.countedOffset < Math.max(leader.highWatermark, leader.leaderEpochStartOffset)) return null
    if (!this.#eligibility.mayJoin(follower, leader)) return null
    return this.#propose('expand', {
      isr: [...this.#state.isr, follower.replicaId],
      reason:
        `replica ${follower.replicaId} holds all below ${follower.countedOffset}; ` +
        `high watermark ${leader.highWatermark}, leader epoch began at ${leader.leaderEpochStartOffset}`,
    })
  }

  /** Members that lacked the log end for longer than the lag time leave. One that has it stays, however silent. */
  proposeShrink(leader: LeaderPosition): IsrProposal | null {
    if (this.#state.kind !== 'committed' || leader.nowMs < this.#shrinkBackoffUntilMs) return null
    const isr = this.#state.isr
    const lagging = this.#followers.filter(
      (follower) => isr.includes(follower.replicaId) && !follower.hasBeenCaughtUp(leader, this.#lagTimeMaxMs),
    )
    if (lagging.length === 0) return null
    const seen = lagging.map(
      (follower) =>
        `replica ${follower.replicaId} (holds all below ${follower.countedOffset}) for ${leader.nowMs - follower.caughtUpAtMs} ms`,
    )
    return this.#propose('shrink', {
      isr: isr.filter((id) => !lagging.some((follower) => follower.replicaId === id)),
      reason: `not caught up to log end ${leader.logEndOffset}: ${seen.join(', ')}`,
    })
  }

  /**
   * Where records counted when they were written, proposes to note that all of them are fsynced on every member by now. To be
   * called only while records count when they are fsynced: then it stays so.
   * @param flushedOffset what the leader itself has fsynced, exclusive.
   */
  proposeSynced(leader: LeaderPosition, flushedOffset: Offset): IsrProposal | null {
    if (this.#isSynced || this.#state.kind !== 'committed') return null
    if (leader.nowMs < this.#syncBackoffUntilMs) return null
    const { isr } = this.#state
    // What earlier leaders may have committed lies below the start of this leadership.
    const committedBelow = Math.max(leader.leaderEpochStartOffset, leader.highWatermark)
    const hasAll = this.#followers.every(
      ({ replicaId, countedOffset }) => !isr.includes(replicaId) || countedOffset >= committedBelow,
    )
    if (!hasAll || flushedOffset < committedBelow) return null
    return this.#propose('sync', {
      isr,
      reason: `every member of the ISR has fsynced all below ${committedBelow}`,
    })
  }

  /** @returns null where the broker epoch of a member is not known: metadata that has it is under way. */
  #propose(
    change: IsrProposal['change'],
    wanted: { readonly isr: readonly NodeId[]; readonly reason: string },
  ): IsrProposal | null {
    const isr = wanted.isr.map((replicaId) => ({ replicaId, brokerEpoch: this.#brokerEpochOf(replicaId) }))
    if (isr.some((member) => member.brokerEpoch === UNKNOWN)) return null
    const proposal: IsrProposal = {
      leaderEpoch: this.#options.leaderEpoch,
      partitionEpoch: this.#state.partitionEpoch,
      isr,
      change,
      reason: wanted.reason.slice(0, REASON_CHARACTERS_MAX),
    }
    this.#state = propose(this.#state, proposal)
    return proposal
  }

  #become(state: IsrState, nowMs: number): void {
    const before = this.#state
    if (state === before) return
    this.#state = state
    this.#checkMembers()
    if (state.partitionEpoch !== before.partitionEpoch) this.#shrinkBackoffUntilMs = Number.NEGATIVE_INFINITY
    for (const follower of this.#followers) {
      const id = follower.replicaId
      if (state.isr.includes(id) && !before.isr.includes(id)) follower.joinedIsr(nowMs)
      if (before.isr.includes(id) && !state.isr.includes(id)) follower.leftIsr()
    }
  }

  /** Waits before the same is proposed again: for each replica apart, so that one cannot keep the others out. */
  #refused(proposal: IsrProposal, nowMs: number): void {
    if (proposal.change === 'shrink') {
      this.#shrinkBackoffUntilMs = nowMs + ISR_BACKOFF_MS
      return
    }
    if (proposal.change === 'sync') {
      this.#syncBackoffUntilMs = nowMs + ISR_BACKOFF_MS
      return
    }
    for (const { replicaId } of proposal.isr) {
      if (!this.#state.isr.includes(replicaId)) this.#eligibility.refused(replicaId, nowMs)
    }
  }

  #brokerEpochOf(replicaId: NodeId): BrokerEpoch {
    if (replicaId === this.#options.brokerId) return this.#options.brokerEpoch
    return this.#followers.find((follower) => follower.replicaId === replicaId)?.brokerEpoch ?? UNKNOWN
  }

  #tellBrokerEpochs(): void {
    for (const follower of this.#followers) {
      follower.seenInBrokerEpoch(this.#eligibility.brokerEpochOf(follower.replicaId))
    }
  }

  #checkMembers(): void {
    const { isr } = this.#state
    assert(isr.includes(this.#options.brokerId), 'the leader must be in the ISR')
    const replicas = new Set([
      this.#options.brokerId,
      ...this.#followers.map((follower) => follower.replicaId),
    ])
    assert(
      isr.every((id) => replicas.has(id)),
      'the members of the ISR must be replicas',
    )
  }
}
