// What waits to be written to one log. Appends that come while a write is under way are gathered into rounds; a round
// is one writev, and its appends succeed or fail together, so they share one promise.
import { type Deferred, deferred } from '../base/async/deferred.ts'
import type { EpochEntry } from '../log/epoch-history.ts'
import type { Offset } from '../model/ids.ts'
import { RELATIVE_OFFSET_MAX } from './offset-index.ts'

/** Whole batches whose offsets and epochs are stamped. */
export interface Append {
  readonly bytes: Uint8Array
  readonly baseOffset: Offset
  /** Exclusive. */
  readonly endOffset: Offset
  /** The leader epochs that begin with one of its batches. */
  readonly newEpochs: readonly EpochEntry[]
}

/** Where an append went. */
export interface Appended {
  readonly baseOffset: Offset
  /** Exclusive. */
  readonly endOffset: Offset
  /**
   * Resolves when the batches are written (not: flushed) and may be read. Rejects with STORAGE_ERROR; when that is
   * definite, the batches are not in the log and their offsets are given to others.
   */
  readonly written: Promise<void>
}

export interface Round {
  readonly kind: 'round'
  readonly appends: Append[]
  readonly baseOffset: Offset
  endOffset: Offset
  sizeBytes: number
  /** Resolves when the write has returned. */
  readonly written: Deferred<void>
}

/** Something that must not overlap with a write; it runs when all before it is written. Its errors are its own. */
export interface QueuedTask {
  readonly kind: 'task'
  readonly run: () => Promise<void>
}

/** A round holds at most so many bytes, or one append that is larger: a write of 8 MiB takes a few milliseconds. */
const ROUND_MAX_BYTES = 8 * 1024 * 1024

export class AppendQueue {
  readonly #items: (Round | QueuedTask)[] = []
  #queuedBytes = 0

  /** Bytes that wait or are being written. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /**
   * @param segmentBytes what a segment may have: a round goes into one.
   * @returns the promise of the round that the append is in.
   */
  push(append: Append, segmentBytes: number): Promise<void> {
    this.#queuedBytes += append.bytes.length
    const last = this.#items.at(-1)
    if (last?.kind === 'round' && joins(last, append, segmentBytes)) {
      last.appends.push(append)
      last.sizeBytes += append.bytes.length
      last.endOffset = append.endOffset
      return last.written.promise
    }
    const written = deferred<void>()
    // Who appends with acks=0 does not wait; the rejection must not count as unhandled.
    written.promise.catch(() => {})
    this.#items.push({
      kind: 'round',
      appends: [append],
      baseOffset: append.baseOffset,
      endOffset: append.endOffset,
      sizeBytes: append.bytes.length,
      written,
    })
    return written.promise
  }

  pushTask(run: () => Promise<void>): void {
    this.#items.push({ kind: 'task', run })
  }

  /** Takes the next round or task; nothing joins that round any more. Its bytes count until `done`. */
  take(): Round | QueuedTask | undefined {
    return this.#items.shift()
  }

  /** The bytes of a round that was taken are free. */
  done(round: Round): void {
    this.#queuedBytes -= round.sizeBytes
  }

  /** Takes all rounds out, but leaves the tasks. */
  takeRounds(): Round[] {
    const rounds: Round[] = []
    const items = this.#items.splice(0)
    for (const item of items) {
      if (item.kind === 'round') rounds.push(item)
      else this.#items.push(item)
    }
    return rounds
  }
}

/** A segment takes a whole round, so its offsets must not lie too far apart for the index. */
function joins(round: Round, append: Append, segmentBytes: number): boolean {
  return (
    round.sizeBytes + append.bytes.length <= Math.min(ROUND_MAX_BYTES, segmentBytes) &&
    append.endOffset - round.baseOffset <= RELATIVE_OFFSET_MAX
  )
}
