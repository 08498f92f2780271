// What the storage tests share: batches whose content tells where they came from, and logs on an in-memory disk.
import { type Log, silentLog } from '../../src/base/log.ts'
import { type Random, seededRandom } from '../../src/base/random.ts'
import type { Offset } from '../../src/model/ids.ts'
import { createWebCpu } from '../../src/platform/web/web-cpu.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { baseOffsetOf, batchSizeOf, leaderEpochOf, stampBatch } from '../../src/record/batch-format.ts'
import { visitRecords } from '../../src/record/batch-reader.ts'
import { DelayedRemovals } from '../../src/storage/delayed-removals.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import { FlushLimiter } from '../../src/storage/flush-limiter.ts'
import { guardFileSystem } from '../../src/storage/guarded-file-system.ts'
import { TailBudget } from '../../src/storage/hot-tail.ts'
import type { LogObserver } from '../../src/storage/log-observer.ts'
import { type LogEnvironment, openLog } from '../../src/storage/log-open.ts'
import { LOG_SETTINGS_DEFAULT, type LogSettings } from '../../src/storage/log-settings.ts'
import { type LogStartCheckpoint, NO_LOG_START } from '../../src/storage/log-trim.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { SegmentCache } from '../../src/storage/segment-cache.ts'
import { StorageFailure } from '../../src/storage/storage-failure.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

export const cpu = createWebCpu()

export const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
export const LOG_PATH = '/data/log'

export interface BatchSpec {
  /** The first value is this text; further records repeat it. */
  readonly text: string
  /** Default 1. */
  readonly records?: number
  /** Bytes added to each value, default 0; 'x' repeated. */
  readonly paddingBytes?: number
  /** Of the first record; each further one is a millisecond later. Default 1,000. */
  readonly timestampMs?: number
}

/** One unstamped batch. */
export function batchOf(spec: BatchSpec): Uint8Array {
  const { text, records = 1, paddingBytes = 0, timestampMs = 1_000 } = spec
  const value = new TextEncoder().encode(text + 'x'.repeat(paddingBytes))
  const builder = new BatchBuilder({ cpu, maxBytes: 8 * 1024 * 1024 })
  for (let i = 0; i < records; i++) builder.tryAppend({ key: null, value, timestampMs: timestampMs + i })
  return builder.build()
}

/** A batch as a leader sends it to its followers. */
export function stamped(
  spec: BatchSpec & { readonly offset: Offset; readonly leaderEpoch: number },
): Uint8Array {
  const batch = batchOf(spec)
  stampBatch(batch, 0, { baseOffset: spec.offset, leaderEpoch: spec.leaderEpoch })
  return batch
}

export interface ReadRecord {
  readonly offset: Offset
  readonly leaderEpoch: number
  readonly text: string
}

/** Every record of the batches, its padding left out. */
export function recordsOf(parts: readonly Uint8Array[]): ReadRecord[] {
  const records: ReadRecord[] = []
  for (const bytes of parts) {
    for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) {
      const leaderEpoch = leaderEpochOf(bytes, at)
      visitRecords(bytes.subarray(at, at + batchSizeOf(bytes, at)), (record) => {
        const text = new TextDecoder().decode(record.value()!).replace(/x*$/, '')
        records.push({ offset: record.offset, leaderEpoch, text })
      })
    }
  }
  return records
}

/** The base offset of each batch. */
export function baseOffsetsOf(parts: readonly Uint8Array[]): Offset[] {
  const offsets: Offset[] = []
  for (const bytes of parts) {
    for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) offsets.push(baseOffsetOf(bytes, at))
  }
  return offsets
}

/** Reads the whole log from its files and memory, in small steps. */
export async function readAll(log: PartitionLog, maxBytes = 300): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  let offset = log.logStartOffset
  while (offset < log.logEndOffset) {
    const parts = await log.read({ offset, endOffset: log.logEndOffset, maxBytes, atLeastOneBatch: true })
    const read = recordsOf(parts)
    if (read.length === 0) throw new Error(`a read at ${offset} below ${log.logEndOffset} returned nothing`)
    if (read[0]!.offset !== offset) throw new Error(`a read at ${offset} began at ${read[0]!.offset}`)
    records.push(...read)
    offset = read.at(-1)!.offset + 1
  }
  return records
}

export async function textsOf(log: PartitionLog): Promise<string[]> {
  return (await readAll(log)).map((record) => record.text)
}

export interface TestLogOptions {
  readonly settings?: Partial<LogSettings>
  readonly recoveryPoint?: Offset
  readonly lowerRecoveryPoint?: (offset: Offset) => Promise<void>
  readonly observer?: LogObserver
  readonly path?: string
  readonly tailCacheBytes?: number
  readonly openSegmentsMax?: number
  readonly flushesMax?: number
  readonly log?: Log
  readonly clock?: ManualClock
  readonly logStart?: LogStartCheckpoint
  /** Default false: damage is thrown. */
  readonly toleratesDamage?: boolean
  /** Default false. */
  readonly endIsKnown?: boolean
}

export interface TestLog {
  readonly log: PartitionLog
  readonly failure: StorageFailure
  readonly environment: LogEnvironment
}

/** Opens a log by itself, without a data directory around it. */
export async function openTestLog(fileSystem: FileSystem, options: TestLogOptions = {}): Promise<TestLog> {
  const { path = LOG_PATH, log = silentLog, lowerRecoveryPoint = async () => {} } = options
  const failure = new StorageFailure()
  if (!(await fileSystem.exists(path))) {
    await fileSystem.makeDirectory(path)
    for (let at = path; at.includes('/', 1); ) {
      at = at.slice(0, at.lastIndexOf('/'))
      await fileSystem.syncDirectory(at)
    }
    await fileSystem.syncDirectory('/')
  }
  const clock = options.clock ?? new ManualClock()
  const environment: LogEnvironment = {
    clock,
    removals: new DelayedRemovals({ clock, log }),
    fileSystem: guardFileSystem(fileSystem, { failure, limiter: new FlushLimiter(options.flushesMax ?? 3) }),
    cpu,
    log,
    failure,
    cache: new SegmentCache(options.openSegmentsMax ?? 4, log),
    budget: new TailBudget(options.tailCacheBytes ?? 1024 * 1024),
  }
  const opened = await openLog(environment, {
    topicId: TOPIC_ID,
    partition: 0,
    path,
    settings: { ...LOG_SETTINGS_DEFAULT, indexIntervalBytes: 200, ...options.settings },
    recoveryPoint: options.recoveryPoint ?? 0,
    lowerRecoveryPoint,
    logStart: options.logStart ?? NO_LOG_START,
    observer: options.observer ?? {},
    toleratesDamage: options.toleratesDamage ?? false,
    endIsKnown: options.endIsKnown ?? false,
  })
  return { log: opened, failure, environment }
}

export async function readFile(fileSystem: FileSystem, path: string): Promise<Uint8Array> {
  const handle = await fileSystem.open(path, 'read')
  const bytes = new Uint8Array(await handle.size())
  await handle.read(bytes, 0)
  await handle.close()
  return bytes
}

/** Replaces the content of a file, durably. */
export async function writeFile(fileSystem: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const handle = await fileSystem.open(path, 'create')
  await handle.write([bytes], 0)
  await handle.truncate(bytes.length)
  await handle.sync()
  await handle.close()
  await fileSystem.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}

export function segmentPath(baseOffset: Offset, suffix = 'log', directory = LOG_PATH): string {
  return `${directory}/${String(baseOffset).padStart(20, '0')}.${suffix}`
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]))
}

/** An integer from min to max, both inclusive. */
export function between(random: Random, range: readonly [min: number, max: number]): number {
  return range[0] + random.below(range[1] - range[0] + 1)
}

export { seededRandom }
