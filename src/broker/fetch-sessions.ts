// The fetch sessions of all connections. They live with their connection, so nothing has to be thrown out to make room:
// who finds none is served without a session.
import { VltavaError } from '../model/errors.ts'
import { FETCH_SESSIONS_PER_CONNECTION_MAX } from '../model/limits.ts'
import type { Connection } from '../net/connection.ts'

/** What all sessions have, whoever reads. */
export interface KeptSession {
  readonly size: number
  readonly parked: number
  end(): void
}

export class FetchSessions<S extends KeptSession> {
  readonly #partitionsMax: number
  readonly #byConnection = new Map<Connection, Map<number, S>>()

  /** @param options `partitionsMax`: how many partitions all sessions may have together. */
  constructor(options: { readonly partitionsMax: number }) {
    this.#partitionsMax = options.partitionsMax
  }

  get count(): number {
    let count = 0
    for (const sessions of this.#byConnection.values()) count += sessions.size
    return count
  }

  get partitions(): number {
    return this.#sum((session) => session.size)
  }

  /** Fetches that wait for a partition to move. */
  get parked(): number {
    return this.#sum((session) => session.parked)
  }

  hasRoomFor(partitions: number): boolean {
    return partitions === 0 || this.partitions + partitions <= this.#partitionsMax
  }

  /**
   * The session of a request. Epoch 0 begins it anew.
   * @returns null where there is no room for one: the fetch is served without.
   * @throws VltavaError FETCH_SESSION_ID_NOT_FOUND
   */
  of(
    connection: Connection,
    request: {
      readonly session: { readonly id: number; readonly epoch: number }
      readonly partitions: { readonly length: number }
    },
    begin: () => S,
  ): S | null {
    const { id, epoch } = request.session
    const sessions = this.#byConnection.get(connection)
    const found = sessions?.get(id)
    if (epoch > 0) {
      if (found !== undefined) return found
      throw new VltavaError('FETCH_SESSION_ID_NOT_FOUND')
    }
    found?.end()
    sessions?.delete(id)
    const isFull = (sessions?.size ?? 0) >= FETCH_SESSIONS_PER_CONNECTION_MAX
    if (isFull || !connection.isOpen || !this.hasRoomFor(request.partitions.length)) return null
    const session = begin()
    this.#sessionsOf(connection).set(id, session)
    return session
  }

  #sessionsOf(connection: Connection): Map<number, S> {
    let sessions = this.#byConnection.get(connection)
    if (sessions === undefined) {
      sessions = new Map()
      this.#byConnection.set(connection, sessions)
      connection.onClose(() => {
        for (const session of this.#byConnection.get(connection)?.values() ?? []) session.end()
        this.#byConnection.delete(connection)
      })
    }
    return sessions
  }

  #sum(of: (session: S) => number): number {
    let sum = 0
    for (const sessions of this.#byConnection.values())
      for (const session of sessions.values()) sum += of(session)
    return sum
  }
}
