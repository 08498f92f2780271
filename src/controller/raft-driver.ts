// Drives the consensus core: feeds it messages, time and completed writes, and carries out what it hands back. Writes
// are made one after the other in the order they were handed out, while the core goes on; what must not be said before
// it is durable waits for its write (RAFT-01).
import { Sleeper } from '../base/async/sleeper.ts'
import { WakeTimer } from '../base/async/wake-timer.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Process } from '../base/process.ts'
import { VltavaError } from '../model/errors.ts'
import type { Message, Received } from '../raft/messages.ts'
import type { RaftNode } from '../raft/raft-node.ts'
import type {
  ChangeResult,
  Entry,
  FollowerView,
  HardState,
  Ready,
  Snapshot,
  TransferResult,
  VoterChange,
} from '../raft/types.ts'
import type { VoterSet } from '../raft/voter-history.ts'
import { isPassingFailure } from '../storage/storage-failure.ts'
import { PendingReads } from './pending-reads.ts'

/** Before a write is tried again that found no room on the disk, or no free descriptor. */
const WRITE_RETRY_MS = 500

/** What one write makes durable. */
export interface PersistedState {
  readonly hardState: HardState | null
  /** Comes in the place of the whole log. */
  readonly snapshot: Snapshot | null
  readonly entries: readonly Entry[]
}

/** Makes term, vote, snapshots and entries durable. Its calls are made one at a time. */
export interface RaftStore {
  /**
   * Durable when it resolves, the hard state not after the rest. A snapshot drops the log, which then begins behind it.
   * Where the first entry's index is stored already, the stored log ends before it first.
   */
  persist(state: PersistedState): Promise<void>
  /** Drops what the snapshots on disk stand for. */
  compact(): Promise<void>
}

export interface RaftDriverOptions {
  readonly node: RaftNode
  readonly store: RaftStore
  readonly clock: Clock
  readonly log: Log
  readonly process: Process
  /** A leader whose own disk has not finished a write for so long gives up its place. */
  readonly diskStallMs: number
  readonly send: (message: Message) => void
  /** A snapshot of the leader, durable here: it replaces what was handed out before. */
  readonly onRestored: (snapshot: Snapshot) => void
  /** Committed and durable here, in order, each once per run. */
  readonly onCommitted: (entries: readonly Entry[]) => void
  /** Called after everything that was committed was handed out, whenever role, term or leader may have changed. */
  readonly onProgress: () => void
}

/** A change of the voters in the words of everybody but the consensus. */
export interface NamedVoterChange {
  readonly kind: VoterChange['kind']
  readonly nodeId: number
  readonly directoryId: string
}

export class RaftDriver {
  readonly #options: RaftDriverOptions
  readonly #node: RaftNode
  /** Readys that have to be persisted, or have messages that wait for those before them. */
  #unwritten: Ready[] = []
  /** There is a new snapshot, and the stored log is to be made shorter. */
  #compacts = false
  #writing: Promise<void> | null = null
  readonly #sleeper: Sleeper
  readonly #reads: PendingReads
  /** Whether the last write failed; it is tried again. */
  #isStuck = false
  #writingSinceMs = 0
  #flushing = false
  #stopped = false
  /** For when something is due. */
  readonly #wakeTimer: WakeTimer
  /** The tick that is to come once the sockets were read. */
  #nextTick: Timer | null = null

  constructor(options: RaftDriverOptions) {
    this.#options = options
    this.#node = options.node
    this.#sleeper = new Sleeper(options.clock)
    this.#reads = new PendingReads(options.clock)
    // After a stall of this process the leader's heartbeats lie in the socket: read first, then judge.
    this.#wakeTimer = new WakeTimer(options.clock, () => {
      this.#nextTick = options.clock.afterPendingIo(() => this.#tick())
    })
  }

  get term(): number {
    return this.#node.term
  }

  /** The leader of the current term as far as known. */
  get leader(): number | null {
    return this.#node.leader
  }

  get isLeader(): boolean {
    return this.#node.role === 'leader'
  }

  /** What is known to be committed; 0 after a start until a leader says more. */
  get commitIndex(): number {
    return this.#node.commitIndex
  }

  get lastIndex(): number {
    return this.#node.lastIndex
  }

  /** Leads, and everything that was ever committed has been handed out. */
  get isLeaderReady(): boolean {
    return this.#node.leaderReady
  }

  /** Who votes, by the log of this node. */
  get voterSet(): VoterSet {
    return this.#node.voterSet
  }

  get isVoter(): boolean {
    return this.#node.isVoter
  }

  /** To whom this leader is moving its leadership; null when it is not. */
  get transferringTo(): number | null {
    return this.#node.transferringTo
  }

  /** Whom this node sends its log; nobody unless it leads. */
  get followers(): readonly FollowerView[] {
    return this.#node.followers
  }

  start(): void {
    this.#tick()
  }

  step(message: Received): void {
    this.#act(() => this.#node.step(message, this.#nowMs()))
  }

  linkOpened(peer: number): void {
    this.#act(() => this.#node.linkOpened(peer, this.#nowMs()))
  }

  linkClosed(peer: number): void {
    this.#act(() => this.#node.linkClosed(peer, this.#nowMs()))
  }

  /**
   * Appends to the log when this node leads. Nothing is sent, written or handed out before `flush`, so that the caller
   * can take note of an accepted entry first.
   * @param voterChange what the entry does to the voters of the quorum; absent: nothing
   */
  propose(data: Uint8Array, voterChange?: NamedVoterChange): ChangeResult {
    if (this.#stopped) return { kind: 'not-leader', leader: null }
    if (voterChange === undefined) return this.#node.propose(data, this.#nowMs())
    const { kind, nodeId: id, directoryId } = voterChange
    const change: VoterChange = { kind, voter: { id, directoryId } }
    return this.#node.changeVoters({ change, data }, this.#nowMs())
  }

  /** Begins to move leadership to another voter. It is done when `leader` says so, and given up after an election timeout. */
  transferLeadership(to: number): TransferResult {
    if (this.#stopped) return { kind: 'not-leader', leader: null }
    const result = this.#node.transferLeadership(to, this.#nowMs())
    this.flush()
    return result
  }

  /**
   * Resolves when what was handed out is as new as anything that was committed anywhere when this was called.
   * @throws VltavaError NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY
   */
  async confirmNewest(timeoutMs: number): Promise<void> {
    if (this.#stopped) throw new VltavaError('NOT_CONTROLLER', 'This node is stopping.')
    const result = this.#node.readIndex(this.#nowMs())
    if (result.kind === 'not-leader') throw new VltavaError('NOT_CONTROLLER')
    if (result.kind === 'overloaded') throw new VltavaError('SERVER_BUSY', 'Too many reads wait already.')
    const confirmed = this.#reads.wait(result.read, timeoutMs)
    this.flush()
    await confirmed
  }

  /**
   * A snapshot of everything handed out up to its index is durable: what it stands for may be forgotten.
   * @returns the index up to which the log in memory has forgotten it; null when this node has a newer one, or stopped
   */
  compact(snapshot: Snapshot): number | null {
    if (this.#stopped || snapshot.index <= this.#node.snapshotIndex) return null
    const index = this.#node.compact(snapshot)
    this.#compacts = true
    this.#writing ??= this.#write()
    return index
  }

  /** Carries out what the core has to do. Called within itself it leaves the work to the outer call. */
  flush(): void {
    if (this.#flushing || this.#stopped) return
    this.#flushing = true
    try {
      for (let ready = this.#node.ready(); ready !== null; ready = this.#node.ready()) this.#carryOut(ready)
    } catch (error) {
      this.#fail('the metadata log contradicts itself', error)
    } finally {
      this.#flushing = false
    }
    if (this.#node.role !== 'leader') this.#reads.failAll()
    if (this.#stopped) return
    if (this.#nextTick === null) this.#wakeTimer.arm(this.#node.dueMs)
    this.#options.onProgress()
  }

  /**
   * Gives up leadership to the voter that holds most, ends after the write under way, and hands out nothing more.
   */
  async stop(): Promise<void> {
    this.#act(() => this.#node.resign(this.#nowMs()))
    this.#stopped = true
    this.#reads.failAll()
    this.#cancelTick()
    this.#sleeper.stop()
    await this.#writing
  }

  #act(change: () => void): void {
    if (this.#stopped) return
    try {
      change()
    } catch (error) {
      // The core contradicts itself or what is committed; going on would destroy data.
      this.#fail('the metadata quorum contradicts itself', error)
      return
    }
    this.flush()
  }

  #tick(): void {
    this.#nextTick = null
    this.#act(() => {
      if (this.#writing !== null && this.#nowMs() - this.#writingSinceMs >= this.#options.diskStallMs) {
        this.#resignForDisk()
      }
      this.#node.tick(this.#nowMs())
    })
  }

  #cancelTick(): void {
    this.#wakeTimer.cancel()
    this.#nextTick?.cancel()
  }

  /** Heartbeats go out without the disk, so nobody else would notice that nothing can be committed (RAFT-36). */
  #resignForDisk(): void {
    if (this.#node.role !== 'leader') return
    const stalledMs = Math.round(this.#nowMs() - this.#writingSinceMs)
    this.#options.log.warn('metadata-disk-stalled', { stalledMs, term: this.#node.term })
    this.#node.resign(this.#nowMs())
  }

  #carryOut(ready: Ready): void {
    for (const message of ready.messages) this.#options.send(message)
    if (ready.persistToken !== null || ready.messagesAfterPersist.length > 0) {
      this.#unwritten.push(ready)
      this.#writing ??= this.#write()
    }
    if (ready.restored !== null) this.#options.onRestored(ready.restored)
    if (ready.committed.length > 0) this.#options.onCommitted(ready.committed)
    this.#reads.confirmed(ready.reads)
  }

  /** Writes until nothing is left; all that came in meanwhile makes up the next write. */
  async #write(): Promise<void> {
    // The caller is about to assign `#writing`; what follows runs after that.
    await Promise.resolve()
    while ((this.#unwritten.length > 0 || this.#compacts) && !this.#stopped) {
      const readys = this.#unwritten
      const compacts = this.#compacts
      this.#unwritten = []
      this.#compacts = false
      this.#writingSinceMs = this.#nowMs()
      try {
        const state = mergedState(readys)
        if (state !== null) await this.#options.store.persist(state)
      } catch (error) {
        if (!isPassingFailure(error)) {
          this.#fail('the metadata log could not be written', error)
          return
        }
        this.#unwritten.unshift(withoutMessages(readys))
        this.#compacts ||= compacts
        this.#becomeStuck(error)
        await this.#sleeper.sleep(WRITE_RETRY_MS)
        continue
      }
      if (this.#stopped) return
      this.#isStuck = false
      this.#written(readys)
      if (compacts && !(await this.#compact())) return
    }
    this.#writing = null
  }

  /**
   * Makes the stored log shorter. What a full disk leaves undone is done with the next snapshot.
   * @returns false when the node has failed.
   */
  async #compact(): Promise<boolean> {
    if (this.#stopped) return true
    try {
      await this.#options.store.compact()
    } catch (error) {
      if (!isPassingFailure(error)) {
        this.#fail('the metadata log could not be made shorter', error)
        return false
      }
      this.#options.log.warn('metadata-log-not-compacted', { error })
    }
    return true
  }

  /**
   * Nothing that waits for the disk is said, so this node neither votes nor acknowledges; as a leader it makes way at
   * once for one whose disk has room. The process stays: after a restart it could not write either.
   */
  #becomeStuck(error: unknown): void {
    if (this.#node.role === 'leader') this.#act(() => this.#node.resign(this.#nowMs()))
    if (this.#isStuck) return
    this.#isStuck = true
    this.#options.log.error('metadata-log-stuck', {
      error,
      advice:
        'free space on the disk of the data directory, or raise the limit of open files; it goes on by itself',
    })
  }

  #written(readys: readonly Ready[]): void {
    const token = readys.findLast(({ persistToken }) => persistToken !== null)?.persistToken ?? null
    for (const { messagesAfterPersist } of readys) {
      for (const message of messagesAfterPersist) this.#options.send(message)
    }
    // The last token covers the earlier ones: it names the end of the whole log.
    if (token !== null) this.#act(() => this.#node.persisted(token, this.#nowMs()))
  }

  #fail(reason: string, error: unknown): void {
    this.#stopped = true
    this.#reads.failAll()
    this.#cancelTick()
    this.#options.process.fail(reason, error)
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }
}

/**
 * What is left to do of a write that failed. What was to be said after it may go unsaid, as on a network that loses
 * messages; kept, it would pile up for as long as the disk is full.
 */
function withoutMessages(readys: readonly Ready[]): Ready {
  const state = mergedState(readys)
  return {
    hardState: state?.hardState ?? null,
    snapshot: state?.snapshot ?? null,
    entries: state?.entries ?? [],
    messages: [],
    messagesAfterPersist: [],
    restored: null,
    committed: [],
    reads: [],
    persistToken: readys.findLast(({ persistToken }) => persistToken !== null)?.persistToken ?? null,
  }
}

/** Several readys as one write: the newest hard state, the newest snapshot, and the entries without what was overwritten. */
function mergedState(readys: readonly Ready[]): PersistedState | null {
  let hardState: HardState | null = null
  let snapshot: Snapshot | null = null
  const entries: Entry[] = []
  for (const ready of readys) {
    hardState = ready.hardState ?? hardState
    if (ready.snapshot !== null) {
      snapshot = ready.snapshot
      entries.length = 0
    }
    const first = ready.entries[0]
    if (first === undefined) continue
    while (entries.length > 0 && entries.at(-1)!.index >= first.index) entries.pop()
    entries.push(...ready.entries)
  }
  if (hardState === null && snapshot === null && entries.length === 0) return null
  return { hardState, snapshot, entries }
}
