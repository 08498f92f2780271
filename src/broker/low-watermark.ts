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

/** What the leader knows; a part of PartitionLeader. */
export interface InSyncStarts {
  /** With too few in sync, others may be elected that are not (KIP-966); where their logs start is not known. */
  readonly isBelowMinIsr: boolean
  logStartOf(replicaId: NodeId): Offset
}

export class LowWatermark {
  readonly #leader: InSyncStarts
  readonly #pending = new Set<PendingDeletion>()

  constructor(leader: InSyncStarts) {
    this.#leader = leader
  }

  /** The replicas that start below an offset, or have not said where. */
  startBelow(offset: Offset, replicas: readonly NodeId[]): readonly NodeId[] {
    return replicas.filter((id) => this.#leader.logStartOf(id) < offset)
  }

  add(deletion: PendingDeletion): void {
    this.#pending.add(deletion)
  }

  remove(deletion: PendingDeletion): void {
    this.#pending.delete(deletion)
  }

  /** Settles the deletions that are over. @param followers the in-sync replicas without the leader. */
  release(followers: () => readonly NodeId[]): void {
    if (this.#pending.size === 0 || this.#leader.isBelowMinIsr) return
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
