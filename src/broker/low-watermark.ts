// Where the logs of the in-sync replicas start, as their leader knows it: a deletion of records is over once no replica
// that may lead next holds them any more.
import type { VltavaError } from '../model/errors.ts'
import type { NodeId, Offset } from '../model/ids.ts'

/** A deletion that waits until all in-sync replicas start at its offset. */
export interface PendingDeletion {
  readonly offset: Offset
  /** Called exactly once. */
  settle(error: VltavaError | null): void
}

export class LowWatermark {
  /** By follower, as of its last fetch in this leadership. */
  readonly #starts = new Map<NodeId, Offset>()
  readonly #pending = new Set<PendingDeletion>()

  /** A follower said where its log starts. */
  noted(replicaId: NodeId, startOffset: Offset): void {
    this.#starts.set(replicaId, startOffset)
  }

  /** The replicas that start below an offset, or have not said where. */
  startBelow(offset: Offset, replicas: readonly NodeId[]): readonly NodeId[] {
    return replicas.filter((id) => (this.#starts.get(id) ?? -1) < offset)
  }

  add(deletion: PendingDeletion): void {
    this.#pending.add(deletion)
  }

  remove(deletion: PendingDeletion): void {
    this.#pending.delete(deletion)
  }

  /** Settles the deletions that are over. @param followers the in-sync replicas without the leader. */
  release(followers: () => readonly NodeId[]): void {
    if (this.#pending.size === 0) return
    const replicas = followers()
    for (const deletion of [...this.#pending]) {
      if (this.startBelow(deletion.offset, replicas).length > 0) continue
      this.#pending.delete(deletion)
      deletion.settle(null)
    }
  }

  failAll(error: VltavaError): void {
    for (const deletion of [...this.#pending]) {
      this.#pending.delete(deletion)
      deletion.settle(error)
    }
  }
}
