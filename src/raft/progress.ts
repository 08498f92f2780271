// What a leader knows about one follower, and how far it may run ahead of the answers.
import { assert } from '../base/assert.ts'
import type { Snapshot } from './types.ts'

/**
 * probe: the leader looks for the last entry both logs hold, with one append under way at a time.
 * replicate: it is found; appends go out ahead of the answers, up to the in-flight window.
 * snapshot: the leader has dropped what the follower lacks, and sends its snapshot in parts, one under way at a time.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot'

/** A snapshot on its way. It stays the same when the leader makes a newer one, or a slow follower never had a whole one. */
interface Transfer {
  readonly snapshot: Snapshot
  /** Bytes that have arrived there. */
  position: number
  /** When the part under way left. */
  sentAtMs: number
}

export class Progress {
  /** The disk that holds it: another one of the same node starts from nothing. */
  readonly directoryId: string
  #state: ProgressState = 'probe'
  #matchIndex = 0
  // Invariant: match < next. In replicate, everything before next was sent.
  #nextIndex: number
  /** Not null in snapshot. */
  #transfer: Transfer | null = null
  /** In probe and snapshot: a message is out and neither an answer nor a heartbeat came since. */
  #probing = false
  /** In replicate: the last index of each append with entries that is under way, ascending. */
  #inflight: number[] = []
  /** The highest commit index the follower will know once it got everything that was sent. */
  #commitIndexSent = 0
  readonly #inflightMax: number
  /** When this follower last answered, in milliseconds. */
  heardAtMs: number
  /** The last round of heartbeats that it answered; see ReadQueue. */
  round = 0

  constructor(options: {
    directoryId: string
    nextIndex: number
    inflightAppendsMax: number
    nowMs: number
  }) {
    this.directoryId = options.directoryId
    this.#nextIndex = options.nextIndex
    this.#inflightMax = options.inflightAppendsMax
    this.heardAtMs = options.nowMs
  }

  get state(): ProgressState {
    return this.#state
  }

  /** Up to here the follower's durable log is known to agree with the leader's. */
  get matchIndex(): number {
    return this.#matchIndex
  }

  /** The first entry of the next append. */
  get nextIndex(): number {
    return this.#nextIndex
  }

  /** Whether the follower has to answer before it gets more entries. */
  get paused(): boolean {
    return this.#state === 'replicate' ? this.#inflight.length >= this.#inflightMax : this.#probing
  }

  /** Whether an append without entries would tell the follower of a newer commit index. */
  lacksCommit(commitIndex: number): boolean {
    return this.#commitIndexSent < Math.min(commitIndex, this.#nextIndex - 1)
  }

  /** What is being sent; only in snapshot. */
  get transfer(): Readonly<Transfer> {
    assert(this.#transfer !== null, 'raft: no snapshot is being sent')
    return this.#transfer
  }

  /** The follower needs entries that are gone: it gets a snapshot, from the beginning unless it says that it has more. */
  startSnapshot(snapshot: Snapshot): void {
    this.#restartProbe()
    this.#state = 'snapshot'
    this.#transfer = { snapshot, position: 0, sentAtMs: 0 }
  }

  /** A part from the position of the transfer on went out. */
  partSent(nowMs: number): void {
    this.#probing = true
    this.#transfer!.sentAtMs = nowMs
  }

  /** The follower has so many bytes of it. An answer that tells nothing new, or of another snapshot, is old news. */
  partArrived(snapshotIndex: number, position: number): void {
    const transfer = this.#transfer
    if (transfer === null || transfer.snapshot.index !== snapshotIndex || transfer.position === position)
      return
    if (position > transfer.snapshot.data.length) return
    transfer.position = position
    this.#probing = false
  }

  /** An append with entries up to and with lastIndex went out, or one without entries where lastIndex is the previous. */
  sent(lastIndex: number, commitIndex: number): void {
    this.#commitIndexSent = Math.max(this.#commitIndexSent, Math.min(commitIndex, lastIndex))
    if (this.#state === 'probe') {
      this.#probing = true
    } else if (lastIndex >= this.#nextIndex) {
      this.#inflight.push(lastIndex)
      this.#nextIndex = lastIndex + 1
    }
  }

  /**
   * The follower holds everything up to the index. A late acknowledgement never lowers the match.
   * @returns whether the match grew
   */
  accepted(index: number): boolean {
    if (index < this.#matchIndex) return false
    const grew = index > this.#matchIndex
    this.#matchIndex = index
    // Short of the snapshot it is an answer from before, and what follows it is gone.
    if (this.#state === 'snapshot' && index < this.#transfer!.snapshot.index) return grew
    if (this.#state !== 'replicate') {
      this.#state = 'replicate'
      this.#transfer = null
      this.#nextIndex = index + 1
    } else {
      this.#nextIndex = Math.max(this.#nextIndex, index + 1)
      while (this.#inflight.length > 0 && this.#inflight[0]! <= index) this.#inflight.shift()
    }
    return grew
  }

  /**
   * The follower refused an append that followed `prevIndex`; the logs may agree at `candidateIndex`. An answer to
   * anything but the append under way is old news and changes nothing.
   */
  refused(prevIndex: number, candidateIndex: number): void {
    if (prevIndex <= this.#matchIndex) return
    if (this.#state === 'replicate') {
      this.#restartProbe()
    } else if (this.#state === 'probe' && prevIndex === this.#nextIndex - 1) {
      this.#nextIndex = Math.max(Math.min(prevIndex - 1, candidateIndex), this.#matchIndex) + 1
      this.#probing = false
      this.#commitIndexSent = 0
    }
  }

  /**
   * A heartbeat was answered: the follower lives, so an append that is still unanswered may be lost; and so may the part
   * of a snapshot, but one that left after `partLostBeforeMs` may only be slow.
   */
  resumeProbe(partLostBeforeMs: number): void {
    if (this.#transfer === null || this.#transfer.sentAtMs <= partLostBeforeMs) this.#probing = false
  }

  /** The connection broke: appends under way may be lost. A probe under way waits for a sign of life as before. */
  linkClosed(): void {
    if (this.#state !== 'probe') this.#restartProbe()
  }

  #restartProbe(): void {
    this.#state = 'probe'
    this.#nextIndex = this.#matchIndex + 1
    this.#transfer = null
    this.#probing = false
    this.#inflight = []
    this.#commitIndexSent = 0
  }
}
