// What a consumer has asked of one broker on one connection, a leader as a rule. The broker watches the partitions until it has something to
// say about them (fetch sessions), so an idle one is asked for once.
import { type NodeId, type PartitionKey, partitionKey } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { RequestOf } from '../protocol/api.ts'
import { fetch } from '../protocol/fetch.ts'
import {
  type Answered,
  FetchSessionReader,
  type SessionAnswer,
  type SessionRequest,
} from '../protocol/fetch-session-reader.ts'
import type { TopicView } from './cluster-view.ts'
import type { PartitionState, UnderWay } from './subscription-state.ts'

/** What was asked of one partition; void once the partition's `underWay` is something else. */
export interface Asked {
  readonly state: PartitionState
  readonly underWay: UnderWay
}

export interface FetchStatement extends Asked {
  readonly body: RequestOf<typeof fetch>['partitions'][number]
}

/** Whether the answer still counts: a seek, or a new leader, makes it void. */
export function isCurrent({ state, underWay }: Asked): boolean {
  return state.underWay === underWay
}

export interface LeaderSessionOptions {
  readonly brokerId: NodeId
  readonly connection: Connection
  /** null: without a session, each fetch is about all partitions. */
  readonly id: number | null
}

export class LeaderSession {
  readonly brokerId: NodeId
  readonly connection: Connection
  readonly #reader: FetchSessionReader<FetchStatement>
  readonly #statements = new Map<PartitionKey, FetchStatement>()
  readonly #id: number | null
  /** Before the next fetch that asks for nothing new. */
  notBeforeMs = 0

  constructor({ brokerId, connection, id }: LeaderSessionOptions) {
    this.brokerId = brokerId
    this.connection = connection
    this.#id = id
    this.#reader = new FetchSessionReader({
      id: id ?? 0,
      // What changed is asked for under another `underWay`.
      isSame: (a, b) => a.underWay === b.underWay,
      ...(id === null && { sessionPartitionsMax: 0 }),
    })
  }

  /** Whether the leader has confirmed that it keeps the session. */
  get isOpen(): boolean {
    return this.#reader.isOpen
  }

  /** Whether it watches partitions that nobody asked for anew. */
  get isWatching(): boolean {
    return this.#reader.isOpen && this.#reader.isWatching
  }

  /** Whether the broker leads none of the partitions that are asked for. */
  get isOfReplica(): boolean {
    for (const { underWay } of this.#statements.values()) if (!underWay.fromReplica) return false
    return this.#statements.size > 0
  }

  /** All that is asked for and not answered. */
  get asked(): Iterable<Asked> {
    return this.#statements.values()
  }

  /** The partition is wanted from where it stands. */
  ask(asked: Asked, of: { readonly topic: TopicView; readonly maxPartitionBytes: number }): void {
    const { state, underWay } = asked
    const { topicId } = of.topic
    const key = partitionKey(topicId, state.partition)
    const body = {
      topicId,
      partition: state.partition,
      currentLeaderEpoch: underWay.leaderEpoch,
      fetchOffset: state.fetchOffset,
      maxBytes: of.maxPartitionBytes,
      lastFetchedEpoch: state.fetchEpoch,
      fromReplica: underWay.fromReplica,
    }
    this.#forget(key)
    this.#statements.set(key, { ...asked, body })
    this.#reader.add(key)
  }

  /** The next request, without what is not wanted any more. */
  next(): SessionRequest<FetchStatement> {
    for (const [key, statement] of this.#statements) {
      const { state } = statement
      if (isCurrent(statement) && !state.isPaused) continue
      if (isCurrent(statement)) state.underWay = null
      this.#forget(key)
    }
    return this.#reader.next((key) => this.#statements.get(key) ?? null)
  }

  /** @returns what each partition of the answer answers; null where the answer does not fit. */
  answered(
    request: SessionRequest<FetchStatement>,
    answer: SessionAnswer,
  ): readonly Answered<FetchStatement>[] | null {
    const answered = this.#reader.answered(request, answer)
    const isPlain = answer.sessionId === null
    answered?.forEach((one, i) => {
      // Where it goes on is known once it was read.
      if (one !== null && (isPlain || answer.ends[i])) this.#forget(one.key)
    })
    return answered
  }

  /** A request failed. @returns what nobody will answer now. */
  failed(request: SessionRequest<FetchStatement>): readonly Asked[] {
    const lost =
      request.session === null
        ? request.stated.map(({ statement }) => statement)
        : [...this.#statements.values()]
    this.#reader.failed(request)
    for (const { body } of lost) this.#forget(partitionKey(body.topicId, body.partition))
    return lost
  }

  /** The session is over without an answer. @returns what nobody will answer now. */
  abandoned(): readonly Asked[] {
    const lost = [...this.#statements.values()]
    for (const key of [...this.#statements.keys()]) this.#forget(key)
    return lost
  }

  /** The leader need not remember anything any more. */
  end(): void {
    if (this.#id === null || !this.isOpen || !this.connection.isOpen) return
    // A session that begins anew without partitions, and whose answer nobody wants.
    this.connection.notify(fetch, {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1,
      partitions: [],
      session: { id: this.#id, epoch: 0 },
      forgotten: [],
    })
  }

  #forget(key: PartitionKey): void {
    this.#statements.delete(key)
    this.#reader.remove(key)
  }
}
