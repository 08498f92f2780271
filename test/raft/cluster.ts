// A deterministic cluster of cores: nothing happens unless a test makes it happen, and every invariant is checked after
// each event. Messages in flight can be delivered in any order, repeated or lost; writes complete one by one, and a
// crash loses those that did not, with the messages that waited for them.
import { assert } from '../../src/base/assert.ts'
import { seededRandom } from '../../src/base/random.ts'
import { RAFT_DEFAULTS, type RaftConfig } from '../../src/raft/config.ts'
import type { Message, Received, VoterKey } from '../../src/raft/messages.ts'
import { RaftNode } from '../../src/raft/raft-node.ts'
import type * as types from '../../src/raft/types.ts'
import type { Entry, HardState, ProposeResult, Ready, Snapshot } from '../../src/raft/types.ts'
import { Invariants, type NodeDisk, type NodeView } from './invariants.ts'
import { voterKeysOf } from './lone-node.ts'
import { showEntries, showEntry, showHardState, showMessage, showSnapshot, stateOf, toData } from './show.ts'

/** Between two ticks of a node; well below the range of retry delays, or two nodes that drew different ones act together. */
export const TICK_MS = 10

export interface ClusterOptions {
  readonly voters: readonly number[]
  readonly learners?: readonly number[]
  readonly config?: Partial<RaftConfig>
  readonly seed?: number
  /** Gets a line for everything that happens; `fact` lines tell roles and applied entries only. */
  readonly trace?: (line: string, kind: 'fact' | 'detail') => void
}

/**
 * `entries` always has all of them from index 1, also those that a snapshot stands for: the node gets none of these
 * back, but the invariants go on to count who holds what.
 */
export interface Disk {
  /** Called as its node, and 2b, 2c where the disk of node 2 was replaced. */
  readonly directoryId: string
  hardState: HardState
  snapshot: Snapshot | null
  entries: Entry[]
}

interface RunningNode extends NodeView {
  readonly disk: Disk
  readonly log: Entry[]
  readonly writes: Ready[]
  readonly applied: Entry[]
  /** Own snapshots that are being written. */
  readonly snapshots: Snapshot[]
  /** Reads that wait: by number, how much was committed anywhere when it was asked for. */
  readonly reads: Map<number, number>
  /** As last handed out. */
  hardState: HardState
  roleShown: string
  led: boolean
}

/** What survives of the writes under way when a node crashes: so many whole ones, and of the next so many entries. */
export interface CrashOptions {
  readonly writes?: number
  readonly entriesOfNext?: number
  /** Of the next write the snapshot, if it has one, reaches the disk, and nothing behind it. */
  readonly snapshotOfNext?: boolean
}

export class Cluster {
  readonly config: RaftConfig
  readonly voters: readonly number[]
  /** Of all nodes, with a vote or without. */
  readonly ids: readonly number[]
  readonly invariants: Invariants
  /** In the order they were sent. */
  readonly inFlight: Received[] = []
  readonly #disks = new Map<number, Disk>()
  readonly #lostDisks: NodeDisk[] = []
  readonly #running = new Map<number, RunningNode>()
  readonly #cuts = new Set<string>()
  readonly #trace: NonNullable<ClusterOptions['trace']>
  readonly #seed: number
  #starts = 0
  nowMs = 0

  constructor(options: ClusterOptions) {
    this.config = { ...RAFT_DEFAULTS, ...options.config }
    this.voters = options.voters
    this.ids = [...options.voters, ...(options.learners ?? [])]
    this.invariants = new Invariants(voterKeysOf(options.voters))
    this.#seed = options.seed ?? 1
    this.#trace = options.trace ?? (() => {})
    for (const id of this.ids) {
      this.#disks.set(id, newDisk(String(id)))
      this.restart(id)
    }
  }

  raft(id: number): RaftNode {
    return this.#node(id).raft
  }

  isUp(id: number): boolean {
    return this.#running.has(id)
  }

  disk(id: number): Readonly<Disk> {
    return this.#disks.get(id)!
  }

  /** The log in memory. */
  log(id: number): readonly Entry[] {
    return this.#node(id).log
  }

  /** What this run of the node applied. */
  applied(id: number): readonly Entry[] {
    return this.#node(id).applied
  }

  writesUnderWay(id: number): number {
    return this.#running.get(id)?.writes.filter(({ persistToken }) => persistToken !== null).length ?? 0
  }

  /** The running leader of the highest term. */
  get leader(): number | null {
    const leaders = [...this.#running.values()].filter(({ raft }) => raft.role === 'leader')
    return leaders.sort((a, b) => b.raft.term - a.raft.term)[0]?.id ?? null
  }

  /** Replaces what a node has on disk, and restarts it. Made-up logs must fit together like real ones. */
  load(id: number, disk: { terms?: readonly number[]; hardState?: HardState }): void {
    const kept = this.#disks.get(id)!
    const entries =
      disk.terms?.map((term, i) => ({ index: i + 1, term, data: toData(`${i + 1}/${term}`) })) ?? kept.entries
    const hardState = disk.hardState ?? { term: entries.at(-1)?.term ?? 0, votedFor: null }
    this.#running.delete(id)
    this.#disks.set(id, { ...kept, hardState, snapshot: null, entries })
    this.restart(id)
  }

  restart(id: number): void {
    assert(!this.isUp(id), `node ${id} is up`)
    const disk = this.#disks.get(id)!
    this.#starts += 1
    const { snapshot } = disk
    if (snapshot !== null && disk.entries[snapshot.index - 1]?.term !== snapshot.term) {
      // It was stored, but the log was not dropped yet.
      disk.entries = this.#covered(snapshot)
    }
    const raft = new RaftNode({
      id,
      directoryId: disk.directoryId,
      voters: voterKeysOf(this.voters),
      contacts: this.ids,
      hardState: disk.hardState,
      snapshot,
      entries: disk.entries.slice(snapshot?.index ?? 0),
      config: this.config,
      random: seededRandom(this.#seed * 1_000 + this.#starts),
      nowMs: this.nowMs,
    })
    const node: RunningNode = {
      id,
      raft,
      log: [...disk.entries],
      disk,
      writes: [],
      applied: snapshot === null ? [] : this.#covered(snapshot),
      snapshots: [],
      reads: new Map(),
      hardState: disk.hardState,
      roleShown: `${raft.role} of term ${raft.term}`,
      led: false,
    }
    this.#running.set(id, node)
    if (snapshot !== null) this.invariants.restored(node, snapshot)
    const base = snapshot === null ? '' : `${showSnapshot(snapshot)} `
    const kept = showEntries(disk.entries.slice(snapshot?.index ?? 0))
    this.#trace(`${id} starts with ${showHardState(disk.hardState)} ${base}${kept}`, 'detail')
  }

  crash(id: number, survive: CrashOptions = {}): void {
    const { writes, disk } = this.#node(id)
    const whole = survive.writes ?? 0
    for (const ready of writes.slice(0, whole)) this.#store(disk, ready)
    const torn = writes[whole]
    if (torn?.snapshot != null && survive.snapshotOfNext === true) {
      if (torn.hardState !== null) disk.hardState = torn.hardState
      disk.snapshot = torn.snapshot
    } else if (torn !== undefined && survive.entriesOfNext !== undefined) {
      this.#store(disk, torn, survive.entriesOfNext)
    }
    this.#running.delete(id)
    this.#trace(`${id} crashes`, 'detail')
  }

  tick(id: number): void {
    this.#act(id, (raft) => raft.tick(this.nowMs))
  }

  propose(id: number, text: string): ProposeResult {
    let result: ProposeResult | null = null
    this.#act(id, (raft) => {
      result = raft.propose(toData(text), this.nowMs)
    })
    return result!
  }

  /** Makes a node a voter, with the disk it has, or takes the vote of a node, or of another disk that it had. */
  changeVoters(id: number, kind: 'add' | 'remove', disk: string): types.ChangeResult {
    let result: types.ChangeResult | null = null
    const voter: VoterKey = { id: Number.parseInt(disk, 10), directoryId: disk }
    this.#act(id, (raft) => {
      result = raft.changeVoters({ change: { kind, voter }, data: toData(`${kind} ${disk}`) }, this.nowMs)
    })
    return result!
  }

  transferLeadership(id: number, to: number): types.TransferResult {
    let result: types.TransferResult | null = null
    this.#act(id, (raft) => {
      result = raft.transferLeadership(to, this.nowMs)
    })
    return result!
  }

  readIndex(id: number): types.ReadResult {
    let result: types.ReadResult | null = null
    this.#act(id, (raft) => {
      result = raft.readIndex(this.nowMs)
      if (result.kind === 'accepted') {
        this.#node(id).reads.set(result.read, this.invariants.committed.length)
      }
    })
    return result!
  }

  /** A node that is down comes back with an empty disk. */
  replaceDisk(id: number): void {
    assert(!this.isUp(id), `node ${id} is up`)
    const lost = this.#disks.get(id)!
    this.#lostDisks.push({ id, disk: lost })
    const letter = String.fromCharCode(
      'a'.charCodeAt(0) + this.#lostDisks.filter((other) => other.id === id).length,
    )
    this.#disks.set(id, newDisk(`${id}${letter}`))
    this.#trace(`${id} loses its disk ${lost.directoryId}`, 'detail')
  }

  isLost(directoryId: string): boolean {
    return this.#lostDisks.some(({ disk }) => disk.directoryId === directoryId)
  }

  /** Who votes by what is committed, and by every change behind that which any log still holds. */
  possibleVoters(): readonly (readonly VoterKey[])[] {
    const { committed, committedVoters } = this.invariants
    const logs = [
      ...this.#disks.values(),
      ...[...this.#running.values()].map(({ log }) => ({ entries: log })),
    ]
    const pending = logs.flatMap(({ entries }) => entries.slice(committed.length))
    return [committedVoters, ...pending.flatMap(({ voters }) => (voters === undefined ? [] : [voters]))]
  }

  /** Begins to write a snapshot of what the node has applied; does nothing when there is nothing new. */
  takeSnapshot(id: number): void {
    const { applied, raft, snapshots } = this.#node(id)
    const last = applied.at(-1)
    if (last === undefined || last.index <= (snapshots.at(-1)?.index ?? raft.snapshotIndex)) return
    const voters = applied.findLast((entry) => entry.voters !== undefined)?.voters
    const snapshot = { index: last.index, term: last.term, data: stateOf(applied) }
    snapshots.push(voters === undefined ? snapshot : { ...snapshot, voters })
  }

  snapshotsUnderWay(id: number): number {
    return this.#running.get(id)?.snapshots.length ?? 0
  }

  /** The oldest own snapshot is durable; a crash may follow before the node is told. */
  completeSnapshot(id: number, told = true): void {
    const { snapshots, disk, raft } = this.#node(id)
    const snapshot = snapshots.shift()
    assert(snapshot !== undefined, `node ${id} writes no snapshot`)
    if (snapshot.index > (disk.snapshot?.index ?? 0)) disk.snapshot = snapshot
    if (!told) return
    raft.compact(snapshot)
    this.#trace(`${id} has a ${showSnapshot(snapshot)} and keeps entries from ${raft.firstIndex} on`, 'fact')
    this.#act(id, () => {})
  }

  linkClosed(id: number, peer: number): void {
    this.#act(id, (raft) => raft.linkClosed(peer, this.nowMs))
  }

  resign(id: number): void {
    this.#act(id, (raft) => raft.resign(this.nowMs))
  }

  /** Hands the message to its node, if that is up and reachable. It stays in flight: see take(). */
  deliver(message: Received): void {
    const lost = !this.isUp(message.to) || this.#cuts.has(`${message.from}>${message.to}`)
    this.#trace(`${lost ? 'lost: ' : ''}${showMessage(message)}`, 'detail')
    if (!lost) this.#act(message.to, (raft) => raft.step(message, this.nowMs))
  }

  /** Removes the message at this place from those in flight. */
  take(place: number): Received {
    return this.inFlight.splice(place, 1)[0]!
  }

  /** The oldest write of the node is durable. The messages that waited for it leave before or after it is told so. */
  completeWrite(id: number, order: 'told-first' | 'sent-first' = 'told-first'): void {
    const node = this.#node(id)
    const ready = node.writes.shift()
    const token = ready?.persistToken
    assert(ready !== undefined && token != null, `node ${id} has no write under way`)
    this.#store(node.disk, ready)
    const late = token.term < node.raft.term ? `, begun in term ${token.term}` : ''
    this.#trace(`${id} has written${showWrite(ready)}${late}`, 'detail')
    if (order === 'sent-first') this.#send(node, ready.messagesAfterPersist)
    this.#act(id, (raft) => raft.persisted(token, this.nowMs))
    if (order === 'told-first') this.#send(node, ready.messagesAfterPersist)
    this.#releaseIdle(node)
  }

  cut(from: number, to: number): void {
    this.#cuts.add(`${from}>${to}`)
  }

  /** Nodes of different groups cannot reach each other. */
  partition(groups: readonly (readonly number[])[]): void {
    const groupOf = (id: number): number => groups.findIndex((group) => group.includes(id))
    for (const from of this.ids) {
      for (const to of this.ids) if (from !== to && groupOf(from) !== groupOf(to)) this.cut(from, to)
    }
  }

  heal(): void {
    this.#cuts.clear()
  }

  /** Delivers everything and completes every write until nothing is left to do. */
  settle(): void {
    for (let round = 0; round < 100_000; round++) {
      const message = this.inFlight.shift()
      if (message !== undefined) {
        this.deliver(message)
        continue
      }
      const writing = this.ids.find((id) => this.writesUnderWay(id) > 0)
      if (writing === undefined) return
      this.completeWrite(writing)
    }
    assert(false, 'the cluster does not come to rest')
  }

  /** Lets time pass in ticks on the given nodes, everything settling in between. */
  run(durationMs: number, ids: readonly number[] = this.ids): void {
    const endMs = this.nowMs + durationMs
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + TICK_MS)
      for (const id of ids) if (this.isUp(id)) this.tick(id)
      this.settle()
    }
  }

  /** Runs until the condition holds. */
  runUntil(condition: () => boolean, limitMs = 60_000): void {
    const endMs = this.nowMs + limitMs
    while (!condition()) {
      assert(this.nowMs < endMs, `not reached within ${limitMs} ms`)
      this.run(TICK_MS)
    }
  }

  /** Lets this node alone become leader, as if its election timer ran out first. */
  elect(id: number): void {
    this.campaign(id)
    this.settle()
    assert(this.raft(id).role === 'leader', `node ${id} was not elected`)
  }

  /** Lets time pass for this node alone until it starts a pre-vote. */
  campaign(id: number): void {
    const endMs = this.nowMs + 2 * this.config.electionTimeoutMs
    const started = (): boolean =>
      this.inFlight.some(({ from, type }) => from === id && type === 'pre-vote') ||
      this.raft(id).role === 'candidate'
    while (!started()) {
      assert(this.nowMs < endMs, `node ${id} does not campaign`)
      this.nowMs += TICK_MS
      this.tick(id)
    }
  }

  #node(id: number): RunningNode {
    const node = this.#running.get(id)
    assert(node !== undefined, `node ${id} is down`)
    return node
  }

  #act(id: number, action: (raft: RaftNode) => void): void {
    const node = this.#node(id)
    node.led = node.raft.role === 'leader'
    action(node.raft)
    this.#showRole(node)
    for (let ready = node.raft.ready(); ready !== null; ready = node.raft.ready()) this.#carryOut(node, ready)
    this.invariants.nodeMoved(node, this.#disksOfAll)
  }

  #carryOut(node: RunningNode, ready: Ready): void {
    this.invariants.readyTaken(node, ready, node.hardState)
    if (ready.hardState !== null) node.hardState = ready.hardState
    const first = ready.entries[0]
    if (ready.snapshot !== null) {
      this.#trace(`${node.id} installs ${showSnapshot(ready.snapshot)}`, 'fact')
      node.log.splice(0, node.log.length, ...this.#covered(ready.snapshot))
    }
    if (first !== undefined) {
      if (first.index <= node.log.length) this.#trace(`${node.id} truncates from ${first.index}`, 'fact')
      node.log.splice(first.index - 1, node.log.length, ...ready.entries)
    }
    this.#send(node, ready.messages)
    if (ready.persistToken !== null) this.#trace(`${node.id} writes${showWrite(ready)}`, 'detail')
    node.writes.push(ready)
    this.invariants.nodeMoved(node, this.#disksOfAll)
    if (ready.restored !== null) {
      this.#trace(`${node.id} takes the state of ${showSnapshot(ready.restored)}`, 'fact')
      this.invariants.restored(node, ready.restored)
      assert(node.disk.snapshot === ready.restored, `node ${node.id} uses a snapshot its disk does not hold`)
      node.applied.splice(0, node.applied.length, ...this.#covered(ready.restored))
    }
    if (ready.committed.length > 0) {
      this.#trace(`${node.id} applies ${ready.committed.map(showEntry).join(', ')}`, 'fact')
      this.invariants.entriesApplied(node, ready.committed)
      node.applied.push(...ready.committed)
    }
    for (const read of ready.reads) {
      this.#trace(`${node.id} answers read ${read} at index ${node.applied.length}`, 'fact')
      this.invariants.readAnswered(node, node.reads.get(read)!)
      node.reads.delete(read)
    }
    this.#releaseIdle(node)
  }

  /** Messages that wait for writes, where no write is left to wait for. */
  #releaseIdle(node: RunningNode): void {
    while (node.writes[0]?.persistToken === null) {
      this.#send(node, node.writes.shift()!.messagesAfterPersist)
    }
  }

  #send(node: RunningNode, messages: readonly Message[]): void {
    for (const message of messages) {
      this.invariants.messageSent(node.disk, message)
      this.#trace(`  ${showMessage(message)}`, 'detail')
      this.inFlight.push({ ...message, directoryId: node.disk.directoryId })
    }
  }

  #showRole(node: RunningNode): void {
    const { role, term } = node.raft
    const shown = `${role} of term ${term}`
    if (shown === node.roleShown) return
    node.roleShown = shown
    this.#trace(`${node.id} becomes ${shown}`, 'fact')
  }

  /** Hard state first, then the snapshot or the truncation, then the entries, of which only so many may be reached. */
  #store(disk: Disk, ready: Ready, entriesMax = Number.POSITIVE_INFINITY): void {
    if (ready.hardState !== null) disk.hardState = ready.hardState
    if (ready.snapshot !== null) {
      disk.snapshot = ready.snapshot
      disk.entries = this.#covered(ready.snapshot)
    }
    const first = ready.entries[0]
    if (first === undefined) return
    disk.entries.splice(first.index - 1, disk.entries.length, ...ready.entries.slice(0, entriesMax))
  }

  /** The entries that a snapshot stands for. */
  #covered(snapshot: Snapshot): Entry[] {
    return this.invariants.committed.slice(0, snapshot.index)
  }

  /** Of all nodes: what a stopped one has on disk counts as held. */
  get #disksOfAll(): readonly NodeDisk[] {
    return [...this.#lostDisks, ...this.ids.map((id) => ({ id, disk: this.#disks.get(id)! }))]
  }
}

function newDisk(directoryId: string): Disk {
  return { directoryId, hardState: { term: 0, votedFor: null }, snapshot: null, entries: [] }
}

function showWrite(ready: Ready): string {
  const hardState = ready.hardState === null ? '' : ` ${showHardState(ready.hardState)}`
  const snapshot = ready.snapshot === null ? '' : ` ${showSnapshot(ready.snapshot)}`
  return hardState + snapshot + (ready.entries.length === 0 ? '' : ` ${showEntries(ready.entries)}`)
}
