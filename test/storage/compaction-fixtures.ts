// What the tests of compaction share: keyed batches, a compaction of a test log, and what a log holds.
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { baseOffsetOf, batchSizeOf, leaderEpochOf, nextOffsetOf } from '../../src/record/batch-format.ts'
import { visitRecords } from '../../src/record/batch-reader.ts'
import { validateBatches } from '../../src/record/batch-validation.ts'
import type { CompactionOutcome, CompactionRun } from '../../src/storage/log-compaction.ts'
import type { LogSettings } from '../../src/storage/log-settings.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { cpu } from './fixtures.ts'

/** Key and value; null values are tombstones. */
export type Pair = readonly [key: string | null, value: string | null]

export interface KeyedRecord {
  readonly offset: number
  readonly leaderEpoch: number
  readonly key: string | null
  readonly value: string | null
}

export const COMPACTING: Partial<LogSettings> = {
  segmentBytes: 400,
  indexIntervalBytes: 0,
  cleanupDeletes: false,
  cleanupCompacts: true,
}

export function keyedBatch(pairs: readonly Pair[], timestampMs = 1_000): Uint8Array {
  const builder = new BatchBuilder({ cpu, maxBytes: 1024 * 1024 })
  const bytes = (text: string | null) => (text === null ? null : cpu.encodeUtf8(text))
  for (const [key, value] of pairs) builder.tryAppend({ key: bytes(key), value: bytes(value), timestampMs })
  return builder.build()
}

/** Batches of one record, keys a, b, c in turn, values counted: a small segment holds two to four of them. */
export function rounds(count: number): Pair[][] {
  return Array.from({ length: count }, (_, i) => [['abc'[i % 3]!, `${i}`.padEnd(60, '.')]])
}

/** Appends each list of pairs as a batch and flushes. */
export async function produce(
  log: PartitionLog,
  batches: readonly (readonly Pair[])[],
  epoch = 1,
): Promise<void> {
  for (const pairs of batches) await log.appendAsLeader(keyedBatch(pairs), epoch).written
  await log.flush()
}

export function compact(
  log: PartitionLog,
  run: Partial<CompactionRun> = {},
): Promise<CompactionOutcome | null> {
  return log.compaction.run({
    highWatermark: log.logEndOffset,
    nowMs: () => 10_000,
    keyMapBytes: 1024 * 1024,
    seed: [1, 2],
    pause: async () => {},
    isStopped: () => false,
    ...run,
  })
}

export interface StoredBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly bytes: Uint8Array
}

/** All batches from an offset on, read as a follower does: on from the end of the last one. */
export async function batchesOf(
  log: PartitionLog,
  from = log.logStartOffset,
  maxBytes = 200,
): Promise<StoredBatch[]> {
  const batches: StoredBatch[] = []
  let offset = from
  while (offset < log.logEndOffset) {
    const parts = await log.read({ offset, endOffset: log.logEndOffset, maxBytes, atLeastOneBatch: true })
    const before = offset
    for (const part of parts) {
      validateBatches(part, { cpu, maxBytes: 1024 * 1024, origin: 'log' })
      for (let at = 0; at < part.length; at += batchSizeOf(part, at)) {
        const bytes = part.slice(at, at + batchSizeOf(part, at))
        batches.push({ baseOffset: baseOffsetOf(part, at), nextOffset: nextOffsetOf(part, at), bytes })
        offset = nextOffsetOf(part, at)
      }
    }
    if (offset === before) throw new Error(`a read at ${offset} below ${log.logEndOffset} returned nothing`)
  }
  return batches
}

export function recordsIn(batches: readonly StoredBatch[]): KeyedRecord[] {
  const text = (bytes: Uint8Array | null) => (bytes === null ? null : cpu.decodeUtf8(bytes))
  const records: KeyedRecord[] = []
  for (const { bytes } of batches) {
    const leaderEpoch = leaderEpochOf(bytes, 0)
    visitRecords(bytes, (record) => {
      records.push({
        offset: record.offset,
        leaderEpoch,
        key: text(record.key()),
        value: text(record.value()),
      })
    })
  }
  return records
}

export async function keyedRecords(log: PartitionLog): Promise<KeyedRecord[]> {
  return recordsIn(await batchesOf(log))
}

/** The offsets and values of a log, short: `3 a=x`. */
export async function shown(log: PartitionLog): Promise<string[]> {
  return (await keyedRecords(log)).map(({ offset, key, value }) => `${offset} ${key}=${value}`)
}

/** For each key its last record. */
export function lastOf(records: readonly KeyedRecord[]): Map<string, KeyedRecord> {
  const last = new Map<string, KeyedRecord>()
  for (const record of records) if (record.key !== null) last.set(record.key, record)
  return last
}
