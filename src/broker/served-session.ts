// One fetch session at the broker, of a follower or of a consumer: takes its requests one after the other, looks at the
// partitions with news, and parks while there is nothing to say.
import { VltavaError } from '../model/errors.ts'
import { type PartitionKey, partitionKey, partitionOfKey, type TopicPartition } from '../model/ids.ts'
import { FETCH_SESSION_PARTITIONS_MAX, FETCH_SESSION_REQUESTS_MAX } from '../model/limits.ts'
import type { Connection } from '../net/connection.ts'
import type { WireError } from '../protocol/error-schema.ts'
import { endsStatement } from '../protocol/fetch-session.ts'
import { FetchSession, newsOf, type SessionPartition } from '../replication/fetch-session.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import { ParkedFetches, type PartitionWatcher } from './delayed-requests.ts'
import { bytesOf, type FetchAnswer, ReadBudget, type ReadLimit, type Slot } from './fetch-slots.ts'
import { type ReadAttempt, readOrPark } from './parked-read.ts'

export interface SessionRequestBody<P> {
  readonly maxWaitMs: number
  /** An answer with fewer bytes waits. */
  readonly minBytes: number
  readonly maxBytes: number
  readonly partitions: readonly (P & TopicPartition)[]
  readonly session: { readonly id: number; readonly epoch: number } | null
  readonly forgotten: readonly TopicPartition[]
}

export interface SessionResponse {
  readonly error: WireError | null
  readonly diverging: object | null
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly batchesBytes: number
}

export interface SessionBody<R> {
  readonly sessionId: number | null
  readonly about: readonly TopicPartition[]
  readonly partitions: readonly R[]
}

export type SessionAnswer<R> = FetchAnswer<SessionBody<R>>

/** What followers and consumers differ in. `J` is what became of a partition's statement. */
export interface SessionKind<P, R extends SessionResponse, J> {
  /** Takes the statement of a partition; called once for each. */
  judge(partition: P): J
  /** Who leads the partition; bounds told under another one count no more. */
  sourceOf(judged: J): unknown
  /** Where the session hears of moves of the partition. */
  watched(partition: TopicPartition): readonly ParkedFetches[]
  maxBytesOf(judged: J): number
  read(judged: J, limit: ReadLimit): Slot<R> | Promise<Slot<R>>
  /** Whether there are records that the statement waits for. */
  hasRecords(judged: J): boolean
  /** The reader is alive, and a partition moved since it was heard of last. */
  heard?(judged: J): void
  /** Tells the reader of high watermarks while its fetch parks. */
  note?(partitions: readonly { readonly judged: J; readonly highWatermark: number }[]): void
  /** Called right before an answer is given. */
  counted(about: readonly TopicPartition[], responses: readonly R[]): void
}

export interface ServedSessionOptions<P, R extends SessionResponse, J> {
  readonly id: number
  readonly environment: Pick<BrokerEnvironment, 'clock'>
  readonly connection: Connection
  readonly kind: SessionKind<P, R, J>
  /** Whether the broker can remember so many partitions more. */
  readonly hasRoomFor: (partitions: number) => boolean
}

interface Looked<R, J> {
  readonly partition: SessionPartition<J>
  readonly slot: Slot<R>
}

interface Answer<R, J> extends FetchAnswer<SessionBody<R>> {
  readonly told: readonly Looked<R, J>[]
}

interface Watched {
  readonly watcher: PartitionWatcher
  readonly at: readonly ParkedFetches[]
}

export class ServedSession<P, R extends SessionResponse, J> {
  readonly #options: ServedSessionOptions<P, R, J>
  readonly #core = new FetchSession<J>({ partitionsMax: FETCH_SESSION_PARTITIONS_MAX })
  readonly #watched = new Map<PartitionKey, Watched>()
  readonly #parked = new ParkedFetches()
  /** Resolves when the request before is answered; null while there is none. */
  #before: Promise<void> | null = null
  /** Requests that wait for that. */
  #waiting = 0
  #isEnded = false

  constructor(options: ServedSessionOptions<P, R, J>) {
    this.#options = options
  }

  /** Partitions that the session remembers. */
  get size(): number {
    return this.#isEnded ? 0 : this.#core.size
  }

  /** Fetches that wait for a partition to move: 0 or 1. */
  get parked(): number {
    return this.#parked.size
  }

  /**
   * Serves the next request. One that is parked is answered first, so that both ends agree on the order.
   * @throws VltavaError INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_ID_NOT_FOUND, INVALID_REQUEST; then the session is over.
   */
  exchange(request: SessionRequestBody<P>): SessionAnswer<R> | Promise<SessionAnswer<R>> {
    const before = this.#before
    if (before === null) return this.#following(this.#serve(request))
    if (this.#waiting >= FETCH_SESSION_REQUESTS_MAX) {
      this.end()
      const detail = `${FETCH_SESSION_REQUESTS_MAX} requests of the fetch session wait for their turn already.`
      throw new VltavaError('INVALID_REQUEST', detail)
    }
    this.#waiting++
    const answer = before.then(() => {
      this.#waiting--
      return this.#serve(request)
    })
    this.#parked.wakeAll()
    return this.#following(answer)
  }

  /** Forgets everything; a parked fetch is answered. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const key of [...this.#watched.keys()]) this.#unwatch(key)
    this.#parked.wakeAll()
  }

  /** The next request is served after this one. */
  #following<A extends SessionAnswer<R>>(answer: A | Promise<A>): A | Promise<A> {
    if (!(answer instanceof Promise)) return answer
    const settled = (): void => {
      if (this.#before === done) this.#before = null
    }
    const done: Promise<void> = answer.then(settled, settled)
    this.#before = done
    return answer
  }

  #serve(request: SessionRequestBody<P>): Answer<R, J> | Promise<Answer<R, J>> {
    this.#take(request)
    return readOrPark({
      clock: this.#options.environment.clock,
      reader: this.#options.connection,
      maxWaitMs: request.maxWaitMs,
      parkOn: [this.#parked],
      attempt: () => this.#attempt(request),
      onAnswer: (answer) => this.#answering(answer),
    })
  }

  #take(request: SessionRequestBody<P>): void {
    const { kind } = this.#options
    this.#check(request)
    for (const { topicId, partition } of request.forgotten) {
      const key = partitionKey(topicId, partition)
      if (this.#core.forget(key) !== null) this.#unwatch(key)
    }
    for (const partition of request.partitions) {
      const key = partitionKey(partition.topicId, partition.partition)
      const judged = kind.judge(partition)
      this.#unwatch(key)
      this.#core.state(key, { statement: judged, source: kind.sourceOf(judged) })
      this.#watch(key, partition)
    }
    for (const { statement } of this.#core.heard()) kind.heard?.(statement)
  }

  #check({ session, partitions }: SessionRequestBody<P>): void {
    if (this.#isEnded) throw new VltavaError('FETCH_SESSION_ID_NOT_FOUND')
    if (!this.#core.advance(session!.epoch)) {
      this.end()
      throw new VltavaError('INVALID_FETCH_SESSION_EPOCH')
    }
    const more = this.#core.countNew(
      partitions.map(({ topicId, partition }) => partitionKey(topicId, partition)),
    )
    if (this.#core.size + more > FETCH_SESSION_PARTITIONS_MAX) {
      this.end()
      const detail = `A fetch session has at most ${FETCH_SESSION_PARTITIONS_MAX} partitions; fetch without one.`
      throw new VltavaError('INVALID_REQUEST', detail)
    }
    if (this.#options.hasRoomFor(more)) return
    this.end()
    throw new VltavaError(
      'FETCH_SESSION_ID_NOT_FOUND',
      'The broker has no room for more partitions in sessions.',
    )
  }

  #attempt(request: SessionRequestBody<P>): ReadAttempt<Answer<R, J>> | Promise<ReadAttempt<Answer<R, J>>> {
    const looked: { readonly partition: SessionPartition<J>; readonly slot: Slot<R> | Promise<Slot<R>> }[] =
      []
    // Nobody reads on.
    if (this.#isEnded) return this.#put(request, [])
    const { kind } = this.#options
    const budget = new ReadBudget(request.maxBytes)
    for (const partition of this.#core.look()) {
      const slot = kind.read(partition.statement, budget.limit)
      looked.push({ partition, slot })
      budget.take(slot, kind.maxBytesOf(partition.statement))
      // All others are looked at for the next answer.
      if (budget.isSpent) break
    }
    if (!looked.some(({ slot }) => slot instanceof Promise))
      return this.#put(request, looked as readonly Looked<R, J>[])
    return Promise.all(looked.map(async ({ partition, slot }) => ({ partition, slot: await slot }))).then(
      (all) => this.#put(request, all),
    )
  }

  /** Sorts what was seen: what an answer would tell, and what is to be looked at again until then. */
  #put(request: SessionRequestBody<P>, looked: readonly Looked<R, J>[]): ReadAttempt<Answer<R, J>> {
    const { kind } = this.#options
    const told: Looked<R, J>[] = []
    const again: PartitionKey[] = []
    const notes: Looked<R, J>[] = []
    let satisfied = this.#waiting > 0 || this.#isEnded
    for (const one of looked) {
      const { partition, slot } = one
      if (!partition.isWatched) continue
      const ends = endsStatement(slot.response)
      const news = newsOf(partition, slot.response)
      if (slot.urgent && (ends || news.isOpen)) satisfied = true
      if (ends || news.isOpen || news.isHighWatermarkNew) told.push(one)
      if (!ends && news.isHighWatermarkNew) notes.push(one)
      const mayBeNoted = kind.note !== undefined && !news.isOpen
      if (
        ends ||
        news.isOpen ||
        (news.isHighWatermarkNew && !mayBeNoted) ||
        kind.hasRecords(partition.statement)
      )
        again.push(partition.key)
    }
    this.#core.keep(again)
    const payload = told.flatMap(({ slot }) => slot.batches)
    satisfied ||= bytesOf(payload) >= request.minBytes
    if (!satisfied) this.#note(notes)
    const body = {
      sessionId: this.#options.id,
      about: told.map(({ partition }) => partitionOfKey(partition.key)),
      partitions: told.map(({ slot }) => slot.response),
    }
    return { satisfied, answer: { body, payload, told } }
  }

  /** A reader whose fetch parks hears of new high watermarks at once. */
  #note(notes: readonly Looked<R, J>[]): void {
    const { kind } = this.#options
    if (notes.length === 0 || kind.note === undefined) return
    kind.note(
      notes.map(({ partition, slot }) => ({
        judged: partition.statement,
        highWatermark: slot.response.highWatermark,
      })),
    )
    for (const { partition, slot } of notes) this.#core.noted(partition.key, slot.response.highWatermark)
  }

  #answering({ told, body }: Answer<R, J>): void {
    for (const { partition, slot } of told) {
      const { error, highWatermark, logStartOffset } = slot.response
      const ends = endsStatement(slot.response)
      this.#core.answered(partition.key, {
        told: error === null ? { highWatermark, logStartOffset } : null,
        ends,
      })
      if (ends) this.#unwatch(partition.key)
    }
    this.#options.kind.counted(body.about, body.partitions)
  }

  #watch(key: PartitionKey, partition: TopicPartition): void {
    const watcher = {
      moved: (): void => {
        this.#core.moved(key)
        this.#parked.wakeAll()
      },
    }
    const at = this.#options.kind.watched(partition)
    for (const parked of at) parked.watch(watcher)
    this.#watched.set(key, { watcher, at })
  }

  #unwatch(key: PartitionKey): void {
    const watched = this.#watched.get(key)
    if (watched === undefined) return
    this.#watched.delete(key)
    for (const parked of watched.at) parked.unwatch(watched.watcher)
  }
}

/** An answer to a fetch that belongs to no session. */
export function withoutSession<R>(
  answer: FetchAnswer<{ readonly partitions: readonly R[] }>,
): SessionAnswer<R> {
  return { body: { sessionId: null, about: [], ...answer.body }, payload: answer.payload }
}
