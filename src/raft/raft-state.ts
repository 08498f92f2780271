// The state all parts of one node work on, with the two rules that must hold wherever it changes: how long to wait
// before campaigning, and which message may leave before the disk has answered.
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import type { RaftConfig } from './config.ts'
import type { Message, ReceivedOf, VoterKey } from './messages.ts'
import type { Progress } from './progress.ts'
import type { RaftLog } from './raft-log.ts'
import type { ReadQueue } from './read-queue.ts'
import type { HardState } from './types.ts'
import { type VoterSet, voterSetOf } from './voter-history.ts'

export interface Leadership {
  readonly role: 'leader'
  /** By node id: one for each other voter, and one for each node without a vote that asked for the log. */
  readonly followers: Map<number, Progress>
  /** The empty entry of this term: once it is committed, everything before it is. */
  readonly startIndex: number
  heartbeatDueMs: number
  /** Bytes of the entries above the commit index. */
  uncommittedBytes: number
  readonly catchUp: CatchUp
  /** Leadership is moving to another voter; nothing is proposed meanwhile. */
  transfer: Transfer | null
  readonly reads: ReadQueue
}

/** How much a node must hold before it may vote: all that was in the log one to two election timeouts ago. */
export interface CatchUp {
  index: number
  nextIndex: number
  /** When nextIndex takes the place of index. */
  dueMs: number
}

export interface Transfer {
  readonly to: number
  /** When it is given up. */
  readonly dueMs: number
  /** Whether the other one has been asked to campaign. */
  asked: boolean
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
  readonly directoryId: string
  readonly voters: readonly VoterKey[]
  readonly contacts: readonly number[]
  readonly hardState: HardState
  readonly log: RaftLog
  readonly config: RaftConfig
  readonly random: Random
  readonly nowMs: number
}

export class RaftState {
  readonly id: number
  readonly directoryId: string
  /** Whom a node without a vote asks for the log, beside the voters that it knows of. */
  readonly contacts: readonly number[]
  /** Those with whom the cluster began. */
  readonly #firstVoters: VoterSet
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
    this.directoryId = options.directoryId
    this.contacts = options.contacts
    this.#firstVoters = voterSetOf(0, options.voters)
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

  /** The one place that says who votes. It goes by the log as it is, committed or not (RAFT-22). */
  get voterSet(): VoterSet {
    return this.log.voterSet ?? this.#firstVoters
  }

  /** The node ids of those who vote. */
  get voters(): readonly number[] {
    return this.voterSet.ids
  }

  get isVoter(): boolean {
    return isAmong(this.voterSet, this)
  }

  /**
   * Whether this node loses its vote by an entry that is not known to be committed. It may hold what the others need to go
   * on, such as this entry alone, so it still campaigns; its own vote does not count (RAFT-25).
   */
  get isLeaving(): boolean {
    if (this.isVoter || this.voterSet.index <= this.log.commitIndex) return false
    return isAmong(this.log.previousVoterSet ?? this.#firstVoters, this)
  }

  /** Whether the sender of a message is a voter: the node, with the disk that was given the vote (RAFT-23). */
  isFromVoter(message: ReceivedOf<'vote-response' | 'pre-vote-response'>): boolean {
    return isAmong(this.voterSet, { id: message.from, directoryId: message.directoryId ?? null })
  }

  /**
   * Whether this node may ask for votes. Not while a snapshot is being installed: its log then begins behind what its
   * disk holds (RAFT-18). A change of the voters that is not committed holds nobody back, since it counts already: the
   * only ones who can commit it may be those who know it.
   */
  get mayCampaign(): boolean {
    return (this.isVoter || this.isLeaving) && !this.log.isInstalling
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

/** @param directory null when only the node is known */
function isAmong(
  { voters }: VoterSet,
  node: { readonly id: number; readonly directoryId: string | null },
): boolean {
  const voter = voters.find(({ id }) => id === node.id)
  return voter !== undefined && (node.directoryId === null || voter.directoryId === node.directoryId)
}
