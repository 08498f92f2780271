// What must hold in every Raft cluster at every moment. It keeps its own memory of terms, votes and entries across
// crashes, so that a node which forgets is caught by what others, or its earlier runs, did.
import { assert } from '../../src/base/assert.ts'
import { equalBytes } from '../../src/base/bytes.ts'
import type { Message, VoterKey } from '../../src/raft/messages.ts'
import { majority } from '../../src/raft/quorum.ts'
import type { RaftNode } from '../../src/raft/raft-node.ts'
import type { Entry, HardState, Ready, Snapshot } from '../../src/raft/types.ts'
import { showEntry, showHardState, showMessage, showSnapshot, showVoters, stateOf } from './show.ts'

/** What survives of a node. */
export interface NodeDisk {
  readonly id: number
  readonly disk: {
    readonly directoryId: string
    readonly hardState: HardState
    readonly entries: readonly Entry[]
  }
}

/** What the invariants see of a running node. */
export interface NodeView extends NodeDisk {
  readonly raft: RaftNode
  /** The log in memory, put together from the Readys. */
  readonly log: readonly Entry[]
  /** Whether it led before the event: a leader that is no voter any more commits and goes at once. */
  readonly led: boolean
}

export class Invariants {
  /** With whom the cluster began. */
  readonly #voters: readonly VoterKey[]
  readonly #leaders = new Map<number, number>()
  /** By disk and term: whom it voted for, in any of its runs. */
  readonly #votes = new Map<string, number>()
  /** By index and term: the one entry that may have this name, and the term of the entry before it. */
  readonly #entries = new Map<string, { readonly entry: Entry; readonly previousTerm: number }>()
  readonly #committed: { readonly entry: Entry; readonly term: number }[] = []
  /** Per run of a node. */
  readonly #commitIndexes = new WeakMap<RaftNode, number>()
  readonly #appliedIndexes = new WeakMap<RaftNode, number>()

  constructor(voters: readonly VoterKey[]) {
    this.#voters = voters
  }

  /** What was committed, in order. */
  get committed(): readonly Entry[] {
    return this.#committed.map(({ entry }) => entry)
  }

  /** Who votes by everything that is committed. */
  get committedVoters(): readonly VoterKey[] {
    return this.#votersOf(this.committed)
  }

  /** Before the Ready's entries are added to the view's log. */
  readyTaken(node: NodeView, ready: Ready, previous: HardState): void {
    this.#checkHardState(node, ready, previous)
    const first = ready.entries[0]
    if (node.raft.role === 'leader' && first !== undefined) {
      assert(first.index > node.log.length, `leader ${node.id} overwrites its own entry ${first.index}`)
    }
    assert(
      ready.persistToken !== null ||
        (ready.hardState === null && ready.snapshot === null && ready.entries.length === 0),
      `node ${node.id} has something to persist but gives no token`,
    )
    if (ready.snapshot !== null) this.#checkSnapshot(node, ready.snapshot)
    let previousTerm = first === undefined ? 0 : (node.log[first.index - 2]?.term ?? 0)
    for (const entry of ready.entries) {
      this.#checkLogMatching(node, entry, previousTerm)
      previousTerm = entry.term
    }
  }

  /** After every event, for every running node. */
  nodeMoved(node: NodeView, disks: readonly NodeDisk[]): void {
    if (node.raft.role === 'leader') this.#checkLeader(node)
    this.#checkVoters(node)
    this.#checkCommit(node, disks)
    const { firstIndex, snapshotIndex } = node.raft
    assert(
      firstIndex <= snapshotIndex + 1,
      `INV-20: the log of node ${node.id} begins at ${firstIndex}, its snapshot ends at ${snapshotIndex}`,
    )
  }

  /** The state of a node becomes that of a snapshot, at its start or because its leader has sent one. */
  restored(node: NodeView, snapshot: Snapshot): void {
    this.#checkSnapshot(node, snapshot)
    const applied = this.#appliedIndexes.get(node.raft) ?? 0
    assert(
      snapshot.index > applied,
      `node ${node.id} goes back from index ${applied} to ${showSnapshot(snapshot)}`,
    )
    this.#appliedIndexes.set(node.raft, snapshot.index)
  }

  #checkSnapshot(node: NodeView, snapshot: Snapshot): void {
    assert(node.raft.role !== 'leader', `INV-21: leader ${node.id} loads a ${showSnapshot(snapshot)}`)
    const covered = this.committed.slice(0, snapshot.index)
    assert(
      covered.length === snapshot.index && covered.at(-1)!.term === snapshot.term,
      `node ${node.id} has a ${showSnapshot(snapshot)} of what is not committed`,
    )
    assert(
      equalBytes(snapshot.data, stateOf(covered)),
      `node ${node.id} has another state in its ${showSnapshot(snapshot)} than follows from the entries`,
    )
  }

  entriesApplied(node: NodeView, entries: readonly Entry[]): void {
    let applied = this.#appliedIndexes.get(node.raft) ?? 0
    for (const entry of entries) {
      applied += 1
      assert(
        entry.index === applied,
        `node ${node.id} applies ${showEntry(entry)}, the next index is ${applied}`,
      )
      this.#checkCommitted(node, entry)
      const stored = node.disk.entries[entry.index - 1]
      assert(
        stored?.term === entry.term,
        `node ${node.id} applies ${showEntry(entry)} before its disk holds it`,
      )
    }
    this.#appliedIndexes.set(node.raft, applied)
  }

  /** A message leaves: nothing it says may be forgotten. */
  messageSent(disk: NodeDisk['disk'], message: Message): void {
    const { hardState, entries } = disk
    const says = `${showMessage(message)} leaves, but the disk holds ${showHardState(hardState)}`
    assert(hardState.term >= message.term, says)
    const vote = voteIn(message)
    if (vote !== null) {
      assert(hardState.term > message.term || hardState.votedFor === vote, says)
      const key = `${message.from} with disk ${disk.directoryId} in term ${message.term}`
      const earlier = this.#votes.get(key) ?? vote
      assert(earlier === vote, `node ${key} votes for ${earlier} and for ${vote}`)
      this.#votes.set(key, vote)
    }
    if (message.type === 'append-response' && message.conflict === null) {
      assert(
        hardState.term > message.term || entries.length >= message.index,
        `${showMessage(message)} leaves, but the disk ends at ${entries.length}`,
      )
    }
  }

  #checkHardState(node: NodeView, ready: Ready, previous: HardState): void {
    const next = ready.hardState
    if (next === null) return
    const says = `node ${node.id} goes from ${showHardState(previous)} to ${showHardState(next)}`
    assert(next.term >= previous.term, says)
    assert(next.term > previous.term || previous.votedFor === null, says)
  }

  #checkLogMatching(node: NodeView, entry: Entry, previousTerm: number): void {
    const key = `${entry.index}/${entry.term}`
    const known = this.#entries.get(key)
    if (known === undefined) {
      this.#entries.set(key, { entry, previousTerm })
      return
    }
    assert(
      sameEntry(known.entry, entry) && known.previousTerm === previousTerm,
      `node ${node.id} has ${showEntry(entry)} after term ${previousTerm}, elsewhere it is ${showEntry(known.entry)} after term ${known.previousTerm}`,
    )
  }

  #checkLeader(node: NodeView): void {
    const { term } = node.raft
    const leader = this.#leaders.get(term)
    if (leader === node.id) return
    assert(leader === undefined, `nodes ${leader} and ${node.id} both lead term ${term}`)
    this.#leaders.set(term, node.id)
    for (const committed of this.#committed) {
      if (committed.term >= term) continue
      const held = node.log[committed.entry.index - 1]
      assert(
        held !== undefined && sameEntry(held, committed.entry),
        `leader ${node.id} of term ${term} lacks ${showEntry(committed.entry)}, committed in term ${committed.term}`,
      )
    }
  }

  #checkCommit(node: NodeView, disks: readonly NodeDisk[]): void {
    const { raft } = node
    const before = this.#commitIndexes.get(raft) ?? 0
    if (raft.commitIndex === before) return
    assert(
      raft.commitIndex > before,
      `node ${node.id} lowers its commit index from ${before} to ${raft.commitIndex}`,
    )
    this.#commitIndexes.set(raft, raft.commitIndex)
    for (let index = before + 1; index <= raft.commitIndex; index++) {
      const entry = node.log[index - 1]
      assert(entry !== undefined, `node ${node.id} commits ${index}, its log ends at ${node.log.length}`)
      if (index > this.#committed.length) this.#commitFirst(node, { entry, disks })
      this.#checkCommitted(node, entry)
    }
  }

  #votersOf(log: readonly Entry[]): readonly VoterKey[] {
    return log.findLast(({ voters }) => voters !== undefined)?.voters ?? this.#voters
  }

  /** RAFT-22: whose votes count follows from the log alone, from the newest change in it. */
  #checkVoters(node: NodeView): void {
    const expected = showVoters(this.#votersOf(node.log))
    const actual = showVoters(node.raft.voterSet.voters)
    assert(actual === expected, `node ${node.id} counts the votes of ${actual}, its log says ${expected}`)
  }

  /** A read is answered from the state at the node: it has everything that was committed anywhere when it was asked for. */
  readAnswered(node: NodeView, committedBefore: number): void {
    const applied = this.#appliedIndexes.get(node.raft) ?? 0
    assert(
      applied >= committedBefore,
      `RAFT-31: node ${node.id} answers a read from index ${applied}, but ${committedBefore} was committed before it came`,
    )
  }

  /** Only a leader is first to commit, only when a majority and itself hold the entry durably. */
  #commitFirst(node: NodeView, commit: { entry: Entry; disks: readonly NodeDisk[] }): void {
    const { entry, disks } = commit
    assert(
      node.raft.role === 'leader' || node.led,
      `node ${node.id} commits ${showEntry(entry)} before any leader`,
    )
    const voters = this.#votersOf(node.log)
    const all = disks.filter((other) => {
      const stored = other.disk.entries[entry.index - 1]
      return stored !== undefined && sameEntry(stored, entry)
    })
    const holders = all.filter((other) =>
      voters.some(({ directoryId }) => directoryId === other.disk.directoryId),
    )
    assert(
      holders.length >= majority(voters.length) && all.some(({ disk }) => disk === node.disk),
      `leader ${node.id} commits ${showEntry(entry)}, which is durable on [${holders.map(({ id }) => id).join(', ')}] only`,
    )
    if (entry.voters !== undefined) this.#checkOneChanged(this.committedVoters, entry.voters)
    this.#committed.push({ entry, term: node.raft.term })
  }

  /** Any majority before and any after share a node only if they differ in one voter. */
  #checkOneChanged(before: readonly VoterKey[], after: readonly VoterKey[]): void {
    const disksBefore = before.map(({ directoryId }) => directoryId)
    const disksAfter = after.map(({ directoryId }) => directoryId)
    const changed =
      disksBefore.filter((disk) => !disksAfter.includes(disk)).length +
      disksAfter.filter((disk) => !disksBefore.includes(disk)).length
    assert(changed === 1, `the voters go from ${showVoters(before)} to ${showVoters(after)}`)
  }

  #checkCommitted(node: NodeView, entry: Entry): void {
    const committed = this.#committed[entry.index - 1]?.entry
    assert(
      committed !== undefined && sameEntry(committed, entry),
      `node ${node.id} takes ${showEntry(entry)} for committed, ${committed === undefined ? 'nothing' : showEntry(committed)} is`,
    )
  }
}

function voteIn(message: Message): number | null {
  if (message.type === 'vote') return message.from
  return message.type === 'vote-response' && message.granted ? message.to : null
}

export function sameEntry(a: Entry, b: Entry): boolean {
  if (a.index !== b.index || a.term !== b.term) return false
  if (showVoters(a.voters ?? []) !== showVoters(b.voters ?? [])) return false
  if (a.data === null || b.data === null) return a.data === b.data
  return equalBytes(a.data, b.data)
}
