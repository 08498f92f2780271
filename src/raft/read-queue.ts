// Reads that promise the newest state (RAFT-31). A leader may have been replaced without knowing it, so before it answers
// it asks: a round of heartbeats that began after the read came in must be answered by a majority. One round is under way
// at a time, and all reads that come in meanwhile share the next one.

/** Reads that wait at once; each is a number in a list. */
export const READS_MAX = 10_000

interface Round {
  readonly round: number
  /** What was committed when it began: at least all that was committed when its reads came in. */
  readonly index: number
  readonly reads: readonly number[]
}

/** The reads of one leadership. */
export class ReadQueue {
  #waiting: number[] = []
  #rounds: Round[] = []
  /** Confirmed, and waiting for the state up to their index to be handed out. */
  #confirmed: Round[] = []
  #round = 0
  #size = 0

  /** The newest round, which every heartbeat carries. */
  get round(): number {
    return this.#round
  }

  get isFull(): boolean {
    return this.#size >= READS_MAX
  }

  /** Whether a round would be of use, and none is on its way. */
  get wantsRound(): boolean {
    return this.#waiting.length > 0 && this.#rounds.length === 0
  }

  add(read: number): void {
    this.#waiting.push(read)
    this.#size += 1
  }

  /** Begins a round for those that wait, if any; its heartbeats are to be sent now. */
  begin(commitIndex: number): void {
    if (this.#waiting.length === 0) return
    this.#round += 1
    this.#rounds.push({ round: this.#round, index: commitIndex, reads: this.#waiting })
    this.#waiting = []
  }

  /** A majority, this node among them, has answered this round or a later one. */
  confirmed(round: number): void {
    while (this.#rounds.length > 0 && this.#rounds[0]!.round <= round) {
      this.#confirmed.push(this.#rounds.shift()!)
    }
  }

  /** Those that may be answered now that everything up to the index was handed out. */
  take(appliedIndex: number): readonly number[] {
    const reads: number[] = []
    while (this.#confirmed.length > 0 && this.#confirmed[0]!.index <= appliedIndex) {
      reads.push(...this.#confirmed.shift()!.reads)
    }
    this.#size -= reads.length
    return reads
  }
}
