// The reader's end of a fetch session: what it has said of each partition, and what it has to say next. Without sockets
// and time. It serves brokers that keep no sessions as well: then each request names all partitions.
//
// Requests of a session are answered in the order in which they were sent, so a statement made in a request holds for all
// answers from that request's on, until one of them ends it.
import { type PartitionKey, partitionKey, partitionOfKey, type TopicPartition } from '../model/ids.ts'
import { FETCH_SESSION_PARTITIONS_MAX, PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'

export interface FetchSessionReaderOptions<S> {
  /** Which session of its connection, from 1. */
  readonly id: number
  readonly isSame: (a: S, b: S) => boolean
  /** Default FETCH_SESSION_PARTITIONS_MAX. */
  readonly sessionPartitionsMax?: number
  /** Default PARTITIONS_PER_REQUEST_MAX. */
  readonly requestPartitionsMax?: number
}

/** One request, to be sent before the next one is made. */
export interface SessionRequest<S> {
  readonly number: number
  readonly session: { readonly id: number; readonly epoch: number } | null
  readonly stated: readonly { readonly key: PartitionKey; readonly statement: S }[]
  readonly forgotten: readonly TopicPartition[]
}

/** What an answer is, as far as the session cares. */
export interface SessionAnswer {
  readonly sessionId: number | null
  readonly about: readonly TopicPartition[]
  /** For each partition of the answer: does it end the statement (`endsStatement`)? */
  readonly ends: readonly boolean[]
}

/** For one partition of an answer: what it answers; null where that was taken back since, so that it says nothing. */
export type Answered<S> = { readonly key: PartitionKey; readonly statement: S } | null

export class FetchSessionReader<S> {
  readonly #id: number
  readonly #isSame: (a: S, b: S) => boolean
  readonly #sessionPartitionsMax: number
  readonly #requestPartitionsMax: number
  readonly #wanted = new Set<PartitionKey>()
  readonly #stated = new Map<PartitionKey, { readonly statement: S; readonly number: number }>()
  /** To be stated as soon as possible, the one that waited longest first. */
  readonly #due = new Set<PartitionKey>()
  /** To be looked at when the next request is made anyway. */
  readonly #touched = new Set<PartitionKey>()
  readonly #forgotten = new Set<PartitionKey>()
  /** Those that the broker remembers, also after their statement has ended. */
  readonly #remembered = new Set<PartitionKey>()
  #number = 0
  /** The request that began the session; answers to older ones are about another session. */
  #firstNumber = 0
  #epoch = 0
  #isOpen = false

  constructor(options: FetchSessionReaderOptions<S>) {
    this.#id = options.id
    this.#isSame = options.isSame
    this.#sessionPartitionsMax = options.sessionPartitionsMax ?? FETCH_SESSION_PARTITIONS_MAX
    this.#requestPartitionsMax = options.requestPartitionsMax ?? PARTITIONS_PER_REQUEST_MAX
  }

  /** Whether the broker has confirmed the session. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the broker watches any partition for us. */
  get isWatching(): boolean {
    return this.#stated.size > 0
  }

  /** Partitions that wait to be stated. */
  get due(): Iterable<PartitionKey> {
    return this.#due
  }

  /** Whether the broker has a statement about the partition, or will have when it has read what was sent. */
  isStated(key: PartitionKey): boolean {
    return this.#stated.has(key)
  }

  add(key: PartitionKey): void {
    this.#wanted.add(key)
    this.#due.add(key)
  }

  remove(key: PartitionKey): void {
    this.#wanted.delete(key)
    this.#due.delete(key)
    this.#touched.delete(key)
    this.#stated.delete(key)
    if (this.#remembered.has(key)) this.#forgotten.add(key)
  }

  /** The partition can be stated now, or has to be stated anew. */
  changed(key: PartitionKey): void {
    if (this.#wanted.has(key)) this.#due.add(key)
  }

  /** Something about the partition may have changed; nobody has to hear of it before the next request. */
  touched(key: PartitionKey): void {
    if (this.#wanted.has(key)) this.#touched.add(key)
  }

  /** Whether a request would say something that does not wait. @param current as for `next`. */
  hasNews(current: (key: PartitionKey) => S | null): boolean {
    for (const key of this.#due) {
      const statement = current(key)
      if (statement === null) continue
      if (!this.#isKnown(key, statement)) return true
      this.#due.delete(key)
    }
    return false
  }

  /**
   * The next request.
   * @param current what there is to say of a partition; null while it cannot be read: it stays due.
   */
  next(current: (key: PartitionKey) => S | null): SessionRequest<S> {
    const isTooLarge = this.#wanted.size > this.#sessionPartitionsMax
    if (isTooLarge && this.#epoch > 0) this.reset()
    const number = ++this.#number
    const stated = this.#state(this.#due, { number, current, max: this.#requestPartitionsMax })
    // Beside a first request of which it is not known whether it has begun a session.
    if (isTooLarge || (this.#epoch > 0 && !this.#isOpen))
      return { number, session: null, stated, forgotten: [] }
    if (this.#epoch === 0) {
      this.#firstNumber = number
      this.#forgotten.clear()
      this.#remembered.clear()
    }
    const max = this.#requestPartitionsMax - stated.length
    // Before the broker knows anything, all there is to say is due.
    if (this.#isOpen) stated.push(...this.#state(this.#touched, { number, current, max }))
    const forgotten = [...this.#forgotten].slice(0, this.#requestPartitionsMax)
    for (const key of forgotten) {
      this.#forgotten.delete(key)
      this.#remembered.delete(key)
    }
    for (const { key } of stated) this.#remembered.add(key)
    const session = { id: this.#id, epoch: this.#epoch++ }
    return { number, session, stated, forgotten: forgotten.map(partitionOfKey) }
  }

  /**
   * Takes an answer.
   * @returns what each partition of it answers, in its order; null where the answer does not fit the request: then the
   *   session is over, and nothing of the answer may be used.
   */
  answered(request: SessionRequest<S>, answer: SessionAnswer): readonly Answered<S>[] | null {
    if (answer.sessionId === null) return this.#answeredPlainly(request, answer)
    const isFitting = answer.sessionId === request.session?.id && answer.about.length === answer.ends.length
    if (!isFitting) {
      this.failed(request)
      return null
    }
    if (request.number < this.#firstNumber || this.#epoch === 0) return answer.about.map(() => null)
    this.#isOpen = true
    return answer.about.map(({ topicId, partition }, i) => {
      const key = partitionKey(topicId, partition)
      const found = this.#stated.get(key)
      // Stated anew since: the broker reads that after it wrote this.
      if (found === undefined || found.number > request.number) return null
      if (answer.ends[i]) {
        this.#stated.delete(key)
        this.#due.add(key)
      } else this.#touched.add(key)
      return { key, statement: found.statement }
    })
  }

  /** The request has no answer, and it is not known how far the broker got: the session begins anew. */
  failed(request: SessionRequest<S>): void {
    if (request.session !== null && request.number >= this.#firstNumber && this.#epoch > 0) this.reset()
    else for (const { key } of request.stated) this.#takeBack(key, request.number)
  }

  /** The session is over, as with its connection: everything is stated anew in another one. */
  reset(): void {
    for (const key of this.#stated.keys()) this.#due.add(key)
    this.#stated.clear()
    this.#touched.clear()
    this.#forgotten.clear()
    this.#remembered.clear()
    this.#epoch = 0
    this.#firstNumber = this.#number + 1
    this.#isOpen = false
  }

  #state(
    keys: Set<PartitionKey>,
    of: {
      readonly number: number
      readonly current: (key: PartitionKey) => S | null
      readonly max: number
    },
  ): SessionRequest<S>['stated'][number][] {
    const stated: SessionRequest<S>['stated'][number][] = []
    for (const key of keys) {
      if (stated.length === of.max) break
      const statement = of.current(key)
      if (statement === null) continue
      keys.delete(key)
      if (this.#isKnown(key, statement)) continue
      this.#stated.set(key, { statement, number: of.number })
      this.#forgotten.delete(key)
      stated.push({ key, statement })
    }
    return stated
  }

  #isKnown(key: PartitionKey, statement: S): boolean {
    const found = this.#stated.get(key)
    return found !== undefined && this.#isSame(found.statement, statement)
  }

  /** An answer of a broker that keeps no session: in the order of the request, after which it knows nothing any more. */
  #answeredPlainly(request: SessionRequest<S>, answer: SessionAnswer): readonly Answered<S>[] | null {
    const isMidway = request.session !== null && request.session.epoch > 0 && this.#isOpen
    if (isMidway || answer.ends.length !== request.stated.length) {
      this.failed(request)
      return null
    }
    if (request.session !== null && request.number >= this.#firstNumber) {
      this.#epoch = 0
      this.#isOpen = false
    }
    const answered = request.stated.map(({ key, statement }) =>
      this.#stated.get(key)?.number === request.number ? { key, statement } : null,
    )
    // Who got records comes last: else partitions full of records would starve the others.
    request.stated.forEach(({ key }, i) => {
      if (answer.ends[i] === false) this.#takeBack(key, request.number)
    })
    for (const { key } of request.stated) this.#takeBack(key, request.number)
    return answered
  }

  #takeBack(key: PartitionKey, number: number): void {
    if (this.#stated.get(key)?.number !== number) return
    this.#stated.delete(key)
    this.#due.add(key)
  }
}
