// What the shell and a PartitionLeader tell each other.
import type { EpochView } from '../log/epoch-history.ts'
import type { ErrorName } from '../model/error-codes.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch } from '../model/ids.ts'
import type { Diverging } from './fetch-check.ts'
import type { IsrProposal } from './isr.ts'
import type { BrokerStates } from './join-eligibility.ts'

export interface PartitionLeaderOptions {
  /** This broker. */
  readonly brokerId: NodeId
  /** A new broker epoch of this broker ends the leadership, so it is one for the life of the object. */
  readonly brokerEpoch: BrokerEpoch
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  /** All replicas, this broker among them. */
  readonly replicas: readonly NodeId[]
  /** Which of them are observers. Default none. */
  readonly observers?: readonly NodeId[]
  /** The committed in-sync set, this broker among them. */
  readonly isr: readonly NodeId[]
  /** As metadata has it: every record that counts is fsynced where it counts. Default true. */
  readonly synced?: boolean
  readonly brokers: BrokerStates
  /** min.insync.replicas as configured, 1 or more; more than there are voters counts as all voters. */
  readonly minInsyncReplicas: number
  /** flush.messages: with 1 a record counts where it is fsynced, with more where it is written. */
  readonly flushMessages: number
  readonly logStartOffset: Offset
  /** The log end when the leadership begins, exclusive: the leader epoch start offset. */
  readonly logEndOffset: Offset
  /** What an fsync covers, exclusive; at most the log end. */
  readonly flushedOffset: Offset
  /** The one this replica knew before; moved into the log where it lies outside. */
  readonly highWatermark: Offset
  /** The live view of the log's epochs. This leader epoch must be in it already, on disk (REP-08). */
  readonly epochs: EpochView
  /** replica.lag.time.max.ms: how long an ISR member may lack the log end before its removal is proposed. */
  readonly lagTimeMaxMs: number
  readonly nowMs: number
}

/** What a step changed and what the shell has to do about it. */
export interface LeaderUpdate {
  readonly highWatermark: Offset
  /** Whether this step moved it: complete waiting produces, wake fetches, send high watermark notes. */
  readonly highWatermarkAdvanced: boolean
  /**
   * To be sent to the controller, and its answer to be given to `isrAnswered`; null where there is nothing to send. A
   * copy may be sent only when no earlier copy can be decided any more (the connection that carried it is closed on
   * both sides): a copy decided after a refusal was reported would commit a member that the leader no longer counts.
   */
  readonly isrProposal: IsrProposal | null
}

export interface FollowerFetch {
  /** As proved by the connection, never as claimed by a message. */
  readonly replicaId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly currentLeaderEpoch: LeaderEpoch
  /** The follower's log end, exclusive. */
  readonly fetchOffset: Offset
  /** The epoch of its last record; -1 where its log is empty. */
  readonly lastFetchedEpoch: LeaderEpoch
  /** What it has fsynced, exclusive. */
  readonly flushedOffset: Offset
  /** Where its log starts, durably; null where it does not say, which counts as 0. Default 0. */
  readonly logStartOffset?: Offset | null
  /** A part of its log is damaged: it does not join the ISR before that is repaired. Default false. */
  readonly isDamaged?: boolean
  readonly nowMs: number
}

/** A follower's one-way note of an fsync while its fetch is parked. */
export interface FollowerFlush {
  readonly replicaId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly leaderEpoch: LeaderEpoch
  readonly flushedOffset: Offset
  readonly nowMs: number
}

export type FollowerFetchResult =
  | { readonly kind: 'error'; readonly code: ErrorName }
  | Diverging
  | ({ readonly kind: 'accepted' } & LeaderUpdate)

/** One replica as the leader sees it; offsets are -1 where it has not learned them in this leadership. */
export interface ReplicaDescription {
  readonly replicaId: NodeId
  readonly logEndOffset: Offset
  readonly flushedOffset: Offset
  /** What counts toward the high watermark: the flushed offset, or with flush.messages above 1 the log end. */
  readonly countedOffset: Offset
  /** When it last had all of the leader's records on disk; null for never in this leadership. */
  readonly caughtUpAtMs: number | null
  readonly isObserver: boolean
  /** Whether it is in the committed ISR. */
  readonly inIsr: boolean
}
