// Who may join an in-sync set as far as metadata and the controller's last refusal say. Asking for a replica that the
// controller must refuse would only make it refuse again (KIP-841), and a replica that may not join must not hold the
// high watermark back.
import type { BrokerEpoch, NodeId, Offset } from '../model/ids.ts'
import type { FollowerProgress } from './follower-progress.ts'

/** What metadata says of a broker, as far as it decides who may join an ISR. */
export interface BrokerState {
  readonly brokerEpoch: BrokerEpoch
  readonly fenced: boolean
  readonly shuttingDown: boolean
}

/** The registered brokers; an immutable picture that is replaced, never changed. */
export type BrokerStates = ReadonlyMap<NodeId, BrokerState>

/**
 * After a refusal with INELIGIBLE_REPLICA the leader's metadata is behind the controller's, by milliseconds as a rule.
 * A second spares the controller a loop of refusals (REP-23) and costs little when no metadata follows.
 */
export const ISR_BACKOFF_MS = 1_000

export class JoinEligibility {
  #brokers: BrokerStates
  readonly #refusedUntilMs = new Map<NodeId, number>()

  constructor(brokers: BrokerStates) {
    this.#brokers = brokers
  }

  /** Takes newer metadata; what it says of a broker ends the wait after a refusal where it says something new. */
  brokersChanged(brokers: BrokerStates): void {
    for (const replicaId of this.#refusedUntilMs.keys()) {
      if (!sameState(this.#brokers.get(replicaId), brokers.get(replicaId)))
        this.#refusedUntilMs.delete(replicaId)
    }
    this.#brokers = brokers
  }

  /** -1 where metadata does not know the broker. */
  brokerEpochOf(replicaId: NodeId): BrokerEpoch {
    return this.#brokers.get(replicaId)?.brokerEpoch ?? -1
  }

  refused(replicaId: NodeId, nowMs: number): void {
    this.#refusedUntilMs.set(replicaId, nowMs + ISR_BACKOFF_MS)
  }

  /**
   * Whether the follower, a voter with a log that is whole, runs, as metadata has it, in the broker epoch in which the leader last
   * heard of it, and has deleted what the leader has: elected, it would bring back records whose deletion was acknowledged (REP-44).
   */
  mayJoin(
    follower: FollowerProgress,
    leader: { readonly logStartOffset: Offset; readonly nowMs: number },
  ): boolean {
    const { nowMs } = leader
    if (follower.isObserver || follower.isDamaged) return false
    if (follower.logStartOffset < leader.logStartOffset) return false
    const broker = this.#brokers.get(follower.replicaId)
    if (broker === undefined || broker.fenced || broker.shuttingDown) return false
    if (broker.brokerEpoch !== follower.brokerEpoch) return false
    const refusedUntilMs = this.#refusedUntilMs.get(follower.replicaId)
    return refusedUntilMs === undefined || nowMs >= refusedUntilMs
  }
}

function sameState(a: BrokerState | undefined, b: BrokerState | undefined): boolean {
  return a?.brokerEpoch === b?.brokerEpoch && a?.fenced === b?.fenced && a?.shuttingDown === b?.shuttingDown
}
