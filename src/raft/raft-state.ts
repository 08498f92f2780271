// The state all parts of one node work on, with the two rules that must hold wherever it changes: how long to wait
// before campaigning, and which message may leave before the disk has answered.
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import type { RaftConfig } from './config.ts'
import type { Message } from './messages.ts'
import type { Progress } from './progress.ts'
import type { RaftLog } from './raft-log.ts'
import type { HardState } from './types.ts'

export interface Leadership {
  readonly role: 'leader'
  /** One for each other voter. */
  readonly followers: ReadonlyMap<number, Progress>
  /** The empty entry of this term: once it is committed, everything before it is. */
  readonly startIndex: number
  heartbeatDueMs: number
  /** Bytes of the entries above the commit index. */
  uncommittedBytes: number
}

export type RoleState =
  | { readonly role: 'follower' }
  | { readonly role: 'pre-candidate' | 'candidate'; readonly votes: Map<number, boolean> }
  | Leadership

/** A snapshot of the leader, as far as its parts have arrived. */
export interface IncomingSnapshot {
  /** The term of the leader that sends it: another leader may have made other bytes of the same state. */
  readonly leaderTerm: number
  readonly index: number
  readonly sizeBytes: number
  readonly parts: Uint8Array[]
  /** Bytes of the parts. */
  position: number
}

export interface RaftStateOptions {
  readonly id: number
  readonly voters: readonly number[]
  readonly hardState: HardState
  readonly log: RaftLog
  readonly config: RaftConfig
  readonly random: Random
  readonly nowMs: number
}

export class RaftState {
  readonly id: number
  /** The one place that says who votes. */
  readonly voters: readonly number[]
  readonly config: RaftConfig
  readonly log: RaftLog
  readonly #random: Random

  /** The time of the call being served; never goes back. */
  nowMs: number
  term: number
  votedFor: number | null
  roleState: RoleState = { role: 'follower' }
  /** The leader of this term as far as known; cleared when there is reason to doubt that it lives. */
  leader: number | null = null
  /** When the leader was last heard. */
  leaderHeardAtMs = 0
  /** When to campaign, or to campaign again. */
  electionDueMs: number
  /** Until then a refused candidacy is tried again soon, because the link to the leader closed. */
  hintUntilMs = Number.NEGATIVE_INFINITY
  /** A snapshot of the leader of this term, as far as it has arrived. */
  incoming: IncomingSnapshot | null = null
  /** What the disk is known to hold. */
  durableHardState: HardState
  /** What the disk was asked to hold. */
  #writtenHardState: HardState
  #messages: Message[] = []
  #messagesAfterPersist: Message[] = []

  constructor(options: RaftStateOptions) {
    this.id = options.id
    this.voters = options.voters
    this.config = options.config
    this.log = options.log
    this.#random = options.random
    this.nowMs = options.nowMs
    this.term = options.hardState.term
    this.votedFor = options.hardState.votedFor
    this.durableHardState = options.hardState
    this.#writtenHardState = options.hardState
    this.electionDueMs = 0
    this.resetElectionTimer()
  }

  get isVoter(): boolean {
    return this.voters.includes(this.id)
  }

  /**
   * Whether this node may ask for votes. Not while a snapshot is being installed: its log then begins behind what its
   * disk holds (RAFT-18).
   */
  get mayCampaign(): boolean {
    return this.isVoter && !this.log.isInstalling
  }

  /** The other voters. */
  get peers(): readonly number[] {
    return this.voters.filter((voter) => voter !== this.id)
  }

  /** The state of leadership; only a leader may ask. */
  get leadership(): Leadership {
    assert(this.roleState.role === 'leader', 'raft: only a leader has followers')
    return this.roleState
  }

  /** Whether the disk is known to hold the current term and vote. */
  get hardStateIsDurable(): boolean {
    return this.durableHardState.term === this.term && this.durableHardState.votedFor === this.votedFor
  }

  /**
   * Waits a full timeout again, drawn anew. Called only on a message from the leader, a vote given away, an own
   * candidacy and the end of an own leadership: nobody else can put off an election, such as a candidate that lags and
   * asks again and again.
   */
  resetElectionTimer(): void {
    const { electionTimeoutMs } = this.config
    this.electionDueMs = this.nowMs + electionTimeoutMs + this.#random.below(electionTimeoutMs)
  }

  /**
   * After a refusal while the leader's link is known to be closed: the others notice the same within milliseconds, or
   * voted for themselves at the same moment, so there is no reason to wait a full timeout.
   */
  retrySoonIfHinted(): void {
    if (this.nowMs >= this.hintUntilMs) return
    const { hintRetryMinMs, hintRetryMaxMs } = this.config
    const delayMs = hintRetryMinMs + this.#random.below(hintRetryMaxMs - hintRetryMinMs + 1)
    this.electionDueMs = Math.min(this.electionDueMs, this.nowMs + delayMs)
  }

  heardFromLeader(leader: number): void {
    assert(
      this.leader === null || this.leader === leader,
      `raft: nodes ${this.leader} and ${leader} both lead term ${this.term}`,
    )
    this.leader = leader
    this.leaderHeardAtMs = this.nowMs
    this.hintUntilMs = Number.NEGATIVE_INFINITY
    this.resetElectionTimer()
  }

  /**
   * Queues a message. It waits for the disk if it acknowledges entries that are not durable, or while the term or vote
   * it rests on could still be forgotten: a node that forgets its vote could give it twice, and a candidate that
   * forgets its candidacy could win the same term twice with different entries.
   */
  send(message: Message): void {
    const acknowledgedIndex =
      message.type === 'append-response' && message.conflict === null ? message.index : 0
    if (this.hardStateIsDurable && acknowledgedIndex <= this.log.durableIndex) this.#messages.push(message)
    else this.#messagesAfterPersist.push(message)
  }

  takeMessages(): { messages: readonly Message[]; messagesAfterPersist: readonly Message[] } {
    const taken = { messages: this.#messages, messagesAfterPersist: this.#messagesAfterPersist }
    this.#messages = []
    this.#messagesAfterPersist = []
    return taken
  }

  /** The hard state if it changed since it was last taken. */
  takeHardState(): HardState | null {
    const { term, votedFor } = this
    if (this.#writtenHardState.term === term && this.#writtenHardState.votedFor === votedFor) return null
    this.#writtenHardState = { term, votedFor }
    return this.#writtenHardState
  }
}
