// The consensus core of one node: a synchronous state machine. It is told what happened (messages, time, broken links,
// completed writes) and returns what to do as Ready values. It reads no clock, touches no disk and sends nothing.
import { assert } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import { type RaftConfig, validate } from './config.ts'
import { askForLog, followerViews } from './followers.ts'
import type { Received, VoterKey } from './messages.ts'
import { changeVoters, propose } from './propose.ts'
import { RaftLog } from './raft-log.ts'
import { RaftState } from './raft-state.ts'
import { beginReadRound, replicate } from './replicate.ts'
import { advanceCommit, confirmReads, tickLeader } from './step-leader.ts'
import { stepMessage } from './step-message.ts'
import { advanceTransfer, handOver, startTransfer } from './transfer.ts'
import { recordVote, startPreVote } from './transitions.ts'
import type * as types from './types.ts'
import type { Entry, HardState, PersistToken, ProposeResult, Ready, Role, Snapshot } from './types.ts'
import type { VoterSet } from './voter-history.ts'

export interface RaftNodeOptions {
  readonly id: number
  /** Of the disk behind this node. */
  readonly directoryId: string
  /**
   * With whom the cluster began, without duplicates, at least one. The log tells how they changed. A node that is not among
   * them, or whose disk is not, follows and never campaigns.
   */
  readonly voters: readonly VoterKey[]
  /** Nodes that may know more of the voters than this one, when all that it knows of are gone. Default none. */
  readonly contacts?: readonly number[]
  /** As recovered; term 0 and no vote for a new node. */
  readonly hardState: HardState
  /** The recovered newest snapshot, whose state has been taken over; null or absent when there is none. */
  readonly snapshot?: Snapshot | null
  /** The recovered durable log, from the entry behind the snapshot on; from index 1 without one. */
  readonly entries: readonly Entry[]
  readonly config: RaftConfig
  /** Draws election timeouts and retry delays. */
  readonly random: Random
  readonly nowMs: number
}

export interface VoterProposal {
  readonly change: types.VoterChange
  /** What the entry says to the state machine. */
  readonly data: Uint8Array
}

/**
 * One node of a Raft cluster. After each call of any method that takes `nowMs`, call ready() until it returns null and
 * carry out what it says. `nowMs` is monotonic time in milliseconds; a value lower than an earlier one counts as that.
 */
export class RaftNode {
  readonly #raft: RaftState
  #lastRead = 0

  /**
   * @throws RangeError when a setting is out of range; AssertionError when the recovered state contradicts itself, as
   *   when the log is newer than the stored term because the vote was lost.
   */
  constructor(options: RaftNodeOptions) {
    const { hardState } = options
    validate(options.config)
    const log = new RaftLog(options.entries, options.snapshot ?? null)
    assert(
      log.last.term <= hardState.term,
      `raft: the log ends in term ${log.last.term} but the stored term is ${hardState.term}: was the vote lost?`,
    )
    this.#raft = new RaftState({ ...options, contacts: options.contacts ?? [], log })
    // Nobody else can lead, so there is nobody to wait for; and who does not vote asks for the log at once.
    if (this.#raft.voters.length === 1 || !this.#raft.isVoter) this.#raft.electionDueMs = options.nowMs
  }

  get role(): Role {
    return this.#raft.roleState.role
  }

  /** The current term; may not be durable yet. */
  get term(): number {
    return this.#raft.term
  }

  /** The leader of the current term as far as known; the own id while leading. Known does not mean alive. */
  get leader(): number | null {
    return this.#raft.leader
  }

  /** Everything up to here is committed; 0 after a start until a leader says more. Never decreases. */
  get commitIndex(): number {
    return this.#raft.log.commitIndex
  }

  /** The index of the last entry, durable or not; 0 when there is none. */
  get lastIndex(): number {
    return this.#raft.log.last.index
  }

  /** The first entry that is kept; one behind the last when there is none. */
  get firstIndex(): number {
    return this.#raft.log.base.index + 1
  }

  /** The last entry that the newest snapshot stands for; 0 without one. */
  get snapshotIndex(): number {
    return this.#raft.log.snapshot?.index ?? 0
  }

  /**
   * True when this node leads and ready() has handed out an entry of its own term in `committed`, and with it all that
   * was committed before: once those are applied, the state is as new as anybody's.
   */
  get leaderReady(): boolean {
    const { roleState, log } = this.#raft
    return roleState.role === 'leader' && log.appliedIndex >= roleState.startIndex
  }

  /** Who votes by the log of this node, committed or not, and which entry made it so. */
  get voterSet(): VoterSet {
    return this.#raft.voterSet
  }

  get isVoter(): boolean {
    return this.#raft.isVoter
  }

  /** To whom this leader is moving its leadership; null when it is not. */
  get transferringTo(): number | null {
    const { roleState } = this.#raft
    return roleState.role === 'leader' ? (roleState.transfer?.to ?? null) : null
  }

  /** Whom this node sends its log; nobody unless it leads. */
  get followers(): readonly types.FollowerView[] {
    return this.role === 'leader' ? followerViews(this.#raft) : []
  }

  /**
   * Takes in a message that raftMessageSchema decoded and whose sender is authenticated. Late, repeated and reordered
   * ones do no harm; one that is addressed to another node is ignored.
   * @throws AssertionError when the sender contradicts what is committed here or leads a term that has another leader:
   *   going on would destroy data. The state must not be used further.
   */
  step(message: Received, nowMs: number): void {
    const raft = this.#at(nowMs)
    if (message.to !== raft.id || message.from === raft.id) return
    stepMessage(raft, message)
  }

  /**
   * When `tick` has something to do, on the clock of the caller: any call may change it, and a message mostly puts it off.
   * A leader looks at everything when its heartbeats are due. Infinity while the disk has to answer first.
   */
  get dueMs(): number {
    const { roleState, electionDueMs, hardStateIsDurable } = this.#raft
    if (roleState.role === 'leader') return roleState.heartbeatDueMs
    return hardStateIsDurable ? electionDueMs : Number.POSITIVE_INFINITY
  }

  /**
   * Lets time pass: starts elections, sends heartbeats, resigns without a majority. To be called when `dueMs` has come, and
   * harmless before; after a stall of the event loop, step what the sockets hold first.
   */
  tick(nowMs: number): void {
    const raft = this.#at(nowMs)
    if (this.role === 'leader') {
      tickLeader(raft)
    } else if (raft.nowMs >= raft.electionDueMs && raft.hardStateIsDurable) {
      // Before the disk answered, no request could leave, and a slow disk would outlive every candidacy.
      if (!raft.isVoter) askForLog(raft)
      if (raft.mayCampaign) {
        startPreVote(raft)
      } else {
        raft.leader = null
        raft.resetElectionTimer()
      }
    }
  }

  /**
   * Appends data to the log if this node leads. It is committed once it comes back in `committed` with the same index
   * and term; when another term comes back at that index, it is lost.
   * @param data 0 to config.entryMaxBytes bytes, not to be changed afterwards
   * @throws AssertionError when it is longer
   */
  propose(data: Uint8Array, nowMs: number): ProposeResult {
    return propose(this.#at(nowMs), { data })
  }

  /**
   * Appends an entry that makes one node a voter or takes its vote, if this node leads and that is safe now; it counts from
   * then on, and is done once it is committed (see propose). A leader that takes its own vote leads until that.
   * @throws AssertionError when the data is too long
   */
  changeVoters(proposal: VoterProposal, nowMs: number): types.ChangeResult {
    return changeVoters(this.#at(nowMs), proposal)
  }

  /**
   * Lets another voter lead, as soon as it holds the whole log; nothing can be proposed meanwhile. After an election timeout
   * in vain this node leads as before.
   */
  transferLeadership(to: number, nowMs: number): types.TransferResult {
    return startTransfer(this.#at(nowMs), to)
  }

  /** Asks for a read of the newest state: answer it once its number comes in `reads`. */
  readIndex(nowMs: number): types.ReadResult {
    const raft = this.#at(nowMs)
    if (raft.roleState.role !== 'leader') return { kind: 'not-leader', leader: raft.leader }
    const { reads } = raft.roleState
    if (reads.isFull) return { kind: 'overloaded' }
    this.#lastRead += 1
    reads.add(this.#lastRead)
    return { kind: 'accepted', read: this.#lastRead }
  }

  /**
   * The connection to that node broke. If it led, this node stops waiting for it and campaigns at once; if it
   * followed, what was sent to it is checked again.
   */
  linkClosed(peer: number, nowMs: number): void {
    const raft = this.#at(nowMs)
    if (raft.roleState.role === 'leader') {
      raft.roleState.followers.get(peer)?.linkClosed()
    } else if (raft.leader === peer) {
      raft.leader = null
      // By then the lease of a dead leader has run out everywhere, and the usual timers do.
      raft.hintUntilMs = raft.nowMs + raft.config.electionTimeoutMs
      if (raft.mayCampaign) startPreVote(raft)
      else raft.retrySoonIfHinted()
    }
  }

  /**
   * The connection to another voter opened. While no leader is known, a majority may be able to talk only now (a cluster
   * that starts, a network that heals): asks for pre-votes soon instead of waiting out a whole election timeout. Where
   * a leader lives, the others refuse.
   */
  linkOpened(peer: number, nowMs: number): void {
    const raft = this.#at(nowMs)
    const { role } = raft.roleState
    if (raft.leader !== null) return
    // Who does not vote asks for the log: this may be the leader.
    if (!raft.isVoter) raft.electionDueMs = raft.nowMs
    if (!raft.isVoter || !raft.peers.includes(peer)) return
    if (role !== 'follower' && role !== 'pre-candidate') return
    raft.hintUntilMs = raft.nowMs + raft.config.electionTimeoutMs
    raft.retrySoonIfHinted()
  }

  /**
   * A leader steps down, for a clean shutdown or because its own disk is stuck, and asks the voter that holds most to take
   * its place; it waits a full election timeout before it campaigns again. Does nothing in other roles.
   */
  resign(nowMs: number): void {
    this.#at(nowMs)
    this.#whileLeading(handOver)
  }

  /** Hands over what is to be done since the last call, or null. What it returns once, it does not return again. */
  ready(): Ready | null {
    const raft = this.#raft
    this.#whileLeading((leading) => {
      replicate(leading)
      advanceTransfer(leading)
      beginReadRound(leading)
      confirmReads(leading)
    })
    const hardState = raft.takeHardState()
    const snapshot = raft.log.takeUnwrittenSnapshot()
    const entries = raft.log.takeUnwritten()
    const { messages, messagesAfterPersist } = raft.takeMessages()
    const restored = raft.log.takeRestored()
    const committed = raft.log.takeCommitted()
    const { roleState } = raft
    const reads = roleState.role === 'leader' ? roleState.reads.take(raft.log.appliedIndex) : []
    const persists = hardState !== null || snapshot !== null || entries.length > 0
    const works =
      messages.length + messagesAfterPersist.length + committed.length + reads.length > 0 || restored !== null
    if (!persists && !works) return null
    const persistToken = persists ? this.#persistToken() : null
    return {
      hardState,
      snapshot,
      entries,
      messages,
      messagesAfterPersist,
      restored,
      committed,
      reads,
      persistToken,
    }
  }

  /**
   * What a Ready had to persist is durable, and so is that of all earlier ones: of several, the last token will do. A
   * token of an earlier term is ignored: its entries may have been overwritten, and even be back by a later write that
   * is still under way. That later write's token covers them.
   */
  persisted(token: PersistToken, nowMs: number): void {
    const raft = this.#at(nowMs)
    assert(token.term <= raft.term, `raft: term ${token.term} cannot be durable before it began`)
    if (token.term < raft.term) return
    raft.durableHardState = { term: token.term, votedFor: token.votedFor }
    raft.log.persistedTo({ index: token.lastIndex, term: token.lastTerm })
    if (this.role === 'leader') {
      advanceCommit(raft)
    } else if (this.role === 'candidate') {
      // The requests leave only now.
      raft.resetElectionTimer()
      recordVote(raft, { voter: raft.id, granted: true })
    }
  }

  /**
   * A snapshot of the state after the entry it names is durable: the log may forget all up to there, but for the last
   * config.trailingEntries. The entry must have come in `committed`.
   * @returns the index up to which entries are not needed any more; the stored log may drop these, not sooner
   */
  compact(snapshot: Snapshot): number {
    const { log, config } = this.#raft
    log.compact(snapshot, config.trailingEntries)
    return log.base.index
  }

  #at(nowMs: number): RaftState {
    this.#raft.nowMs = Math.max(this.#raft.nowMs, nowMs)
    return this.#raft
  }

  #whileLeading(act: (raft: RaftState) => void): void {
    if (this.role === 'leader') act(this.#raft)
  }

  /** Covers the whole log, not only the entries just handed over: see persisted(). */
  #persistToken(): PersistToken {
    const { term, votedFor, log } = this.#raft
    return { term, votedFor, lastIndex: log.last.index, lastTerm: log.last.term }
  }
}
