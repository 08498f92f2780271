import { FETCH_SESSIONS_PER_CONNECTION_MAX } from '../model/limits.ts'

/**
 * Gives each consumer of a client a number for its fetch sessions. Consumers share connections, and there a number stands for one
 * session.
 */
export class SessionIds {
  readonly #taken = new Set<number>()

  /** @returns null where all are taken: then the consumer fetches without sessions. */
  take(): number | null {
    for (let id = 1; id <= FETCH_SESSIONS_PER_CONNECTION_MAX; id++) {
      if (this.#taken.has(id)) continue
      this.#taken.add(id)
      return id
    }
    return null
  }

  give(id: number | null): void {
    if (id !== null) this.#taken.delete(id)
  }
}
