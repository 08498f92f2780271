// The consensus core of one node: a synchronous state machine. It is told what happened (messages, time, broken links,
// completed writes) and returns what to do as Ready values. It reads no clock, touches no disk and sends nothing.
import { assert, unreachable } from '../base/assert.ts'
import type { Random } from '../base/random.ts'
import { type RaftConfig, validate } from './config.ts'
import type { Message, MessageOf } from './messages.ts'
import { entryBytes, RaftLog } from './raft-log.ts'
import { RaftState } from './raft-state.ts'
import { replicate } from './replicate.ts'
import { stepCandidate } from './step-candidate.ts'
import { stepFollower } from './step-follower.ts'
import { advanceCommit, stepLeader, tickLeader } from './step-leader.ts'
import { stepSnapshot } from './step-snapshot.ts'
import { becomeFollower, recordVote, startPreVote } from './transitions.ts'
import type { Entry, HardState, PersistToken, ProposeResult, Ready, Role, Snapshot } from './types.ts'
import { answerPreVote, answerVote } from './vote.ts'

type AnyButCampaign = Exclude<Message, MessageOf<'pre-vote' | 'vote'>>

export interface RaftNodeOptions {
  readonly id: number
  /** Who votes, without duplicates, at least one. A node that is not among them follows and never campaigns. */
  readonly voters: readonly number[]
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

/**
 * One node of a Raft cluster. After each call of any method that takes `nowMs`, call ready() until it returns null and
 * carry out what it says. `nowMs` is monotonic time in milliseconds; a value lower than an earlier one counts as that.
 */
export class RaftNode {
  readonly #raft: RaftState

  /**
   * @throws RangeError when a setting is out of range; AssertionError when the recovered state contradicts itself, as
   *   when the log is newer than the stored term because the vote was lost.
   */
  constructor(options: RaftNodeOptions) {
    const { voters, hardState } = options
    validate(options.config)
    assert(voters.length > 0, 'raft: there must be at least one voter')
    assert(new Set(voters).size === voters.length, `raft: voters must differ, got ${voters.join(', ')}`)
    const log = new RaftLog(options.entries, options.snapshot ?? null)
    assert(
      log.last.term <= hardState.term,
      `raft: the log ends in term ${log.last.term} but the stored term is ${hardState.term}: was the vote lost?`,
    )
    this.#raft = new RaftState({ ...options, log })
    // Nobody else can lead, so there is nobody to wait for.
    if (voters.length === 1) this.#raft.electionDueMs = options.nowMs
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

  /**
   * Takes in a message that raftMessageSchema decoded and whose sender is authenticated. Late, repeated and reordered
   * ones do no harm; one that is addressed to another node is ignored.
   * @throws AssertionError when the sender contradicts what is committed here or leads a term that has another leader:
   *   going on would destroy data. The state must not be used further.
   */
  step(message: Message, nowMs: number): void {
    const raft = this.#at(nowMs)
    if (message.to !== raft.id || message.from === raft.id) return
    // Campaigns have rules of their own for terms.
    if (message.type === 'pre-vote') answerPreVote(raft, message)
    else if (message.type === 'vote') answerVote(raft, message)
    else {
      if (message.term > raft.term) this.#followTermOf(message)
      if (message.term < raft.term) this.#stepOutdated(message)
      else this.#stepCurrent(message)
    }
  }

  /**
   * Lets time pass: starts elections, sends heartbeats, resigns without a majority. Call it at least every
   * config.tickMs; after a stall of the event loop, step what the sockets hold first.
   */
  tick(nowMs: number): void {
    const raft = this.#at(nowMs)
    if (this.role === 'leader') {
      tickLeader(raft)
    } else if (raft.nowMs >= raft.electionDueMs && raft.hardStateIsDurable) {
      // Before the disk answered, no request could leave, and a slow disk would outlive every candidacy.
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
    const { roleState, log, config, term, leader } = this.#at(nowMs)
    assert(
      data.length <= config.entryMaxBytes,
      `raft: an entry has at most ${config.entryMaxBytes} bytes, got ${data.length}`,
    )
    if (roleState.role !== 'leader') return { kind: 'not-leader', leader }
    const entry: Entry = { index: log.last.index + 1, term, data }
    const uncommittedBytes = roleState.uncommittedBytes + entryBytes(entry)
    if (uncommittedBytes > config.uncommittedMaxBytes) return { kind: 'overloaded' }
    roleState.uncommittedBytes = uncommittedBytes
    log.append(entry)
    return { kind: 'accepted', index: entry.index, term }
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
      if (!raft.mayCampaign) return
      // By then the lease of a dead leader has run out everywhere, and the usual timers do.
      raft.hintUntilMs = raft.nowMs + raft.config.electionTimeoutMs
      startPreVote(raft)
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
    if (!raft.isVoter || raft.leader !== null || !raft.peers.includes(peer)) return
    if (role !== 'follower' && role !== 'pre-candidate') return
    raft.hintUntilMs = raft.nowMs + raft.config.electionTimeoutMs
    raft.retrySoonIfHinted()
  }

  /**
   * A leader steps down, for a clean shutdown or because its own disk is stuck; it waits a full election timeout
   * before it campaigns again. Does nothing in other roles.
   */
  resign(nowMs: number): void {
    const raft = this.#at(nowMs)
    if (this.role === 'leader') becomeFollower(raft, { term: raft.term, leader: null })
  }

  /** Hands over what is to be done since the last call, or null. What it returns once, it does not return again. */
  ready(): Ready | null {
    const raft = this.#raft
    if (this.role === 'leader') replicate(raft)
    const hardState = raft.takeHardState()
    const snapshot = raft.log.takeUnwrittenSnapshot()
    const entries = raft.log.takeUnwritten()
    const { messages, messagesAfterPersist } = raft.takeMessages()
    const restored = raft.log.takeRestored()
    const committed = raft.log.takeCommitted()
    const persists = hardState !== null || snapshot !== null || entries.length > 0
    const works = messages.length + messagesAfterPersist.length + committed.length > 0 || restored !== null
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

  #followTermOf(message: Message): void {
    becomeFollower(this.#raft, { term: message.term, leader: isOfLeader(message) ? message.from : null })
  }

  #stepOutdated(message: AnyButCampaign): void {
    const raft = this.#raft
    if (isOfLeader(message)) {
      // It leads an older term, and its followers would refuse this node's candidacy for as long as they hear it. The
      // answer makes it step down; silence would lock this node out for ever.
      raft.send({ type: 'heartbeat-response', from: raft.id, to: message.from, term: raft.term })
    } else if (message.type === 'pre-vote-response') {
      // A node that is behind in its term answers this node's question all the same; campaignTerm tells which.
      stepCandidate(raft, message)
    }
  }

  #stepCurrent(message: AnyButCampaign): void {
    const raft = this.#raft
    switch (message.type) {
      case 'append':
      case 'heartbeat':
      case 'snapshot':
        assert(
          this.role !== 'leader',
          `raft: node ${message.from} leads term ${message.term}, as this one does`,
        )
        if (this.role !== 'follower') becomeFollower(raft, { term: raft.term, leader: message.from })
        if (message.type === 'snapshot') stepSnapshot(raft, message)
        else stepFollower(raft, message)
        break
      case 'pre-vote-response':
      case 'vote-response':
        stepCandidate(raft, message)
        break
      case 'append-response':
      case 'heartbeat-response':
      case 'snapshot-response':
        if (this.role === 'leader') stepLeader(raft, message)
        break
      default:
        unreachable(message)
    }
  }

  /** Covers the whole log, not only the entries just handed over: see persisted(). */
  #persistToken(): PersistToken {
    const { term, votedFor, log } = this.#raft
    return { term, votedFor, lastIndex: log.last.index, lastTerm: log.last.term }
  }
}

/** Whether only the leader of its term sends such messages. */
function isOfLeader({ type }: Message): boolean {
  return type === 'append' || type === 'heartbeat' || type === 'snapshot'
}
