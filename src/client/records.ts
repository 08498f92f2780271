// The records of the public API.

import type { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset, PartitionIndex } from '../model/ids.ts'
import type { RecordHeader, RecordInput } from '../record/batch-builder.ts'

/** A named value beside a record. */
export interface ProducerHeader {
  readonly key: string
  /** Text is sent as UTF-8. */
  readonly value: string | Uint8Array | null
}

/** What `send` and `enqueue` take. */
export interface ProducerRecord {
  readonly topic: string
  /** Text is sent as UTF-8. Records of one key go to one partition. Default null: no key. */
  readonly key?: string | Uint8Array | null | undefined
  /** Text is sent as UTF-8. null is a tombstone; null and empty are different. */
  readonly value: string | Uint8Array | null
  /** Names may repeat and keep their order. Default none. */
  readonly headers?: readonly ProducerHeader[] | undefined
  /** Default: by the key or, without one, the partitions take turns. */
  readonly partition?: PartitionIndex | undefined
  /** Milliseconds since 1970, 0 to 2^53-1. Default: now. */
  readonly timestampMs?: number | undefined
}

/** What became of a record that was taken over. */
export interface Receipt {
  readonly topic: string
  readonly partition: PartitionIndex
  /** Where the record stands in the partition. -1 with `acks: 0`, where no broker answers. */
  readonly offset: Offset
  /** The leader epoch that was stamped on the record. -1 with `acks: 0`. */
  readonly leaderEpoch: LeaderEpoch
  /** The time in the record, milliseconds since 1970. */
  readonly timestampMs: number
}

/** Called exactly once for a record that was taken, with either the error or the receipt. */
export type OnSettled = (error: VltavaError | null, receipt: Receipt | null) => void

/**
 * A record that was read. `key`, `value` and header values are views on the message they arrived in: they stay valid
 * and unchanged for as long as they are held, but hold the whole message (up to 16 MiB) in memory. Copy them with
 * `slice()` where few are kept for long.
 */
export interface ConsumerRecord {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly offset: Offset
  /**
   * The epoch of the leader that wrote the record. To go on behind it later, start at
   * `{ offset: offset + 1, leaderEpoch }`.
   */
  readonly leaderEpoch: LeaderEpoch
  /** Milliseconds since 1970. */
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/** A record on its way into a queue of the producer. Not part of the public API. */
export interface TakenRecord {
  readonly record: RecordInput
  /** What it counts in the buffer. */
  readonly recordBytes: number
  /** null: the partitioner chooses. */
  readonly partition: PartitionIndex | null
  readonly takenAtMs: number
  readonly onSettled: OnSettled
}
