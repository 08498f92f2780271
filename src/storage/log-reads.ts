// Reads of one log: from memory where it has what is asked for, else from the files, again where these changed meanwhile.
import { VltavaError } from '../model/errors.ts'
import type { Offset, PartitionIndex, TopicId } from '../model/ids.ts'
import type { HotTail, ReadRange } from './hot-tail.ts'
import type { LogHealth } from './log-health.ts'
import type { LogTrim } from './log-trim.ts'
import type { LogWriter } from './log-writer.ts'
import type { Segment } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import { SegmentRetiredError } from './segment-retired-error.ts'
import { storageError } from './storage-failure.ts'
import { findTimestamp, type TimestampAndOffset, type TimestampSearch } from './timestamp-lookup.ts'

export interface LogReadsOptions {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
  readonly segments: SegmentList
  readonly tail: HotTail
  readonly writer: LogWriter
  readonly trim: LogTrim
  readonly health: LogHealth
}

export class LogReads {
  readonly #options: LogReadsOptions
  #changes = 0

  constructor(options: LogReadsOptions) {
    this.#options = options
  }

  /** A truncation, at either end, or a compaction takes something away: reads that are under way are made again. */
  changed(): void {
    this.#changes++
  }

  /** @param range not empty. */
  read(range: ReadRange): Uint8Array[] | Promise<Uint8Array[]> {
    return (
      this.#options.tail.read(range) ??
      this.#retrying(range.endOffset, (endOffset) => {
        this.checkOffset(range.offset)
        if (range.offset >= endOffset) return Promise.resolve([])
        return this.#options.health.read({ ...range, endOffset })
      })
    )
  }

  offsetForTimestamp(search: TimestampSearch): Promise<TimestampAndOffset | null> {
    const { segments, trim, health } = this.#options
    const lookup = { segments, onDamage: (segment: Segment) => health.check(segment) }
    return this.#retrying(search.endOffset, (endOffset) =>
      findTimestamp(lookup, { ...search, endOffset, startOffset: trim.readableFrom }),
    )
  }

  /** @throws VltavaError OFFSET_OUT_OF_RANGE */
  checkOffset(offset: Offset): void {
    const { trim, writer } = this.#options
    const { readableFrom } = trim
    if (offset >= readableFrom && offset <= writer.endOffset) return
    const holds = `holds ${readableFrom} to ${writer.endOffset} (exclusive)`
    throw new VltavaError('OFFSET_OUT_OF_RANGE', `Offset ${offset} is outside of the log, which ${holds}.`)
  }

  async #retrying<T>(endOffset: Offset, read: (endOffset: Offset) => Promise<T>): Promise<T> {
    for (;;) {
      const changes = this.#changes
      try {
        const found = await read(Math.min(endOffset, this.#options.writer.endOffset))
        if (changes === this.#changes) return found
      } catch (error) {
        if (changes !== this.#changes) continue
        // Whatever else retires a segment is counted before.
        throw error instanceof SegmentRetiredError ? logClosedError(this.#options) : storageError(error)
      }
    }
  }
}

/** What is answered once a log was closed: its topic was deleted, the replica moved away, or the broker stops. */
export function logClosedError(log: {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
}): VltavaError {
  const message = `The log of partition ${log.partition} of topic ${log.topicId} is closed on this broker.`
  return new VltavaError('NOT_LEADER_OR_FOLLOWER', message, { definite: true })
}
