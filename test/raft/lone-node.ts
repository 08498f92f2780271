// One core without a cluster: a test speaks for all the others, and for the disk.
import { seededRandom } from '../../src/base/random.ts'
import { RAFT_DEFAULTS, type RaftConfig } from '../../src/raft/config.ts'
import type { Message, MessageOf, Received, VoterKey } from '../../src/raft/messages.ts'
import { RaftNode } from '../../src/raft/raft-node.ts'
import type { Entry, HardState, PersistToken, Ready, VoterChange } from '../../src/raft/types.ts'
import { toData } from './show.ts'

export interface LoneNodeOptions {
  readonly id?: number
  readonly voters?: readonly number[]
  /** Terms of the entries on disk. */
  readonly terms?: readonly number[]
  readonly hardState?: HardState
  readonly config?: Partial<RaftConfig>
  readonly seed?: number
  readonly contacts?: readonly number[]
}

/** Everybody with the first disk, which is called as the node. */
export function voterKeysOf(ids: readonly number[]): VoterKey[] {
  return ids.map((id) => ({ id, directoryId: String(id) }))
}

export function entriesOf(terms: readonly number[], firstIndex = 1): Entry[] {
  return terms.map((term, i) => ({ index: firstIndex + i, term, data: toData(`${firstIndex + i}/${term}`) }))
}

/** Node 1 of voters 1, 2 and 3 unless told otherwise. */
export class LoneNode {
  readonly raft: RaftNode
  readonly id: number
  nowMs = 0
  /** Sent so far, with those that waited for the disk once it answered. */
  sent: Message[] = []
  applied: Entry[] = []
  /** Reads that may be answered. */
  reads: number[] = []
  /** Not durable yet. */
  readonly writes: Ready[] = []

  constructor(options: LoneNodeOptions = {}) {
    this.id = options.id ?? 1
    const entries = entriesOf(options.terms ?? [])
    this.raft = new RaftNode({
      id: this.id,
      directoryId: String(this.id),
      voters: voterKeysOf(options.voters ?? [1, 2, 3]),
      contacts: options.contacts ?? [],
      hardState: options.hardState ?? { term: entries.at(-1)?.term ?? 0, votedFor: null },
      entries,
      config: { ...RAFT_DEFAULTS, ...options.config },
      random: seededRandom(options.seed ?? 1),
      nowMs: 0,
    })
  }

  step(message: Received): void {
    this.raft.step(message, this.nowMs)
    this.#drain()
  }

  /** An append to this node. */
  append(fields: Pick<MessageOf<'append'>, 'from' | 'term'> & Partial<MessageOf<'append'>>): void {
    this.step({
      type: 'append',
      to: this.id,
      prevIndex: 0,
      prevTerm: 0,
      commitIndex: 0,
      entries: [],
      ...fields,
    })
  }

  /** A granted or refused vote, or pre-vote for the next term. */
  answer(
    type: 'vote-response' | 'pre-vote-response',
    fields: { from: number; term: number; granted: boolean },
  ): void {
    const { from, term, granted } = fields
    if (type === 'vote-response') this.step({ type, from, to: this.id, term, granted })
    else this.step({ type, from, to: this.id, term, granted, campaignTerm: this.raft.term + 1 })
  }

  tick(elapsedMs: number): void {
    this.nowMs += elapsedMs
    this.raft.tick(this.nowMs)
    this.#drain()
  }

  propose(text: string): ReturnType<RaftNode['propose']> {
    const result = this.raft.propose(toData(text), this.nowMs)
    this.#drain()
    return result
  }

  changeVoters(change: VoterChange): ReturnType<RaftNode['changeVoters']> {
    const result = this.raft.changeVoters({ change, data: toData('voters') }, this.nowMs)
    this.#drain()
    return result
  }

  readIndex(): ReturnType<RaftNode['readIndex']> {
    const result = this.raft.readIndex(this.nowMs)
    this.#drain()
    return result
  }

  transferLeadership(to: number): ReturnType<RaftNode['transferLeadership']> {
    const result = this.raft.transferLeadership(to, this.nowMs)
    this.#drain()
    return result
  }

  linkOpened(peer: number): void {
    this.raft.linkOpened(peer, this.nowMs)
    this.#drain()
  }

  linkClosed(peer: number): void {
    this.raft.linkClosed(peer, this.nowMs)
    this.#drain()
  }

  /** The oldest writes become durable; their tokens are returned. */
  persist(count = this.writes.length): PersistToken[] {
    const tokens: PersistToken[] = []
    for (const ready of this.writes.splice(0, count)) {
      this.sent.push(...ready.messagesAfterPersist)
      if (ready.persistToken === null) continue
      tokens.push(ready.persistToken)
      this.raft.persisted(ready.persistToken, this.nowMs)
    }
    this.#drain()
    return tokens
  }

  /** Everything sent since the last call. */
  takeSent(): Message[] {
    return this.sent.splice(0)
  }

  /** Becomes leader of the next term with the votes of everybody; nothing of that term is durable but the vote. */
  lead(): void {
    this.tick(2_000)
    const others = [2, 3, 4, 5].filter((id) => id !== this.id)
    for (const from of others) {
      if (this.raft.role !== 'pre-candidate') break
      this.answer('pre-vote-response', { from, term: this.raft.term, granted: true })
    }
    this.persist()
    for (const from of others) {
      if (this.raft.role !== 'candidate') break
      this.answer('vote-response', { from, term: this.raft.term, granted: true })
    }
  }

  #drain(): void {
    for (let ready = this.raft.ready(); ready !== null; ready = this.raft.ready()) {
      this.sent.push(...ready.messages)
      this.applied.push(...ready.committed)
      this.reads.push(...ready.reads)
      if (this.writes.length === 0 && ready.persistToken === null)
        this.sent.push(...ready.messagesAfterPersist)
      else this.writes.push(ready)
    }
  }
}
