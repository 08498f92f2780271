// What the storage benchmarks share: batches, logs on the real disk, and a file system that counts.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../dist/base/log.js'
import { createNodeClock } from '../dist/platform/node/node-clock.js'
import { createNodeCpu } from '../dist/platform/node/node-cpu.js'
import { createNodeProcess } from '../dist/platform/node/node-process.js'
import { createNodeRandom } from '../dist/platform/node/node-random.js'
import { BatchBuilder } from '../dist/record/batch-builder.js'
import type { FileHandle, FileSystem } from '../dist/storage/file-system.js'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, LogDirectory } from '../dist/storage/log-directory.js'
import { LOG_SETTINGS_DEFAULT, type LogSettings } from '../dist/storage/log-settings.js'
import { NodeFileSystem } from '../dist/storage/node-file-system.js'
import type { PartitionLog } from '../dist/storage/partition-log.js'

export const cpu = createNodeCpu()
export const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
export const MEBIBYTE = 1024 * 1024

/** Runs the task with a directory that is removed afterwards. */
export async function withDirectory<T>(task: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'vltava-storage-'))
  try {
    return await task(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Batches of almost so many bytes, of 100-byte records, each in a buffer of its own as they come from the network. */
export function makeBatches(count: number, batchBytes: number): Uint8Array[] {
  const builder = new BatchBuilder({ cpu, maxBytes: batchBytes })
  const value = new Uint8Array(100).fill(120)
  while (builder.tryAppend({ key: null, value, timestampMs: 1_700_000_000_000 }));
  const batch = builder.build()
  return Array.from({ length: count }, () => {
    const copy = new Uint8Array(new ArrayBuffer(batch.length))
    copy.set(batch)
    return copy
  })
}

export interface OperationCounts {
  opens: number
  /** Handles that are open now, and the most there were at once. */
  handles: number
  handlesMax: number
  reads: number
  readBytes: number
  writes: number
  writtenParts: number
  writtenBytes: number
  syncs: number
}

/** Counts what reaches the disk; costs next to nothing. */
export function countingFileSystem(fileSystem: FileSystem = new NodeFileSystem()): {
  readonly fileSystem: FileSystem
  readonly counts: OperationCounts
} {
  const counts: OperationCounts = {
    opens: 0,
    handles: 0,
    handlesMax: 0,
    reads: 0,
    readBytes: 0,
    writes: 0,
    writtenParts: 0,
    writtenBytes: 0,
    syncs: 0,
  }
  const counted: FileSystem = {
    async open(path, mode) {
      const handle = await fileSystem.open(path, mode)
      counts.opens++
      counts.handlesMax = Math.max(counts.handlesMax, ++counts.handles)
      return countingHandle(handle, counts)
    },
    list: (path) => fileSystem.list(path),
    exists: (path) => fileSystem.exists(path),
    space: (path) => fileSystem.space(path),
    link: (path, newPath) => fileSystem.link(path, newPath),
    rename: (path, newPath) => fileSystem.rename(path, newPath),
    remove: (path) => fileSystem.remove(path),
    makeDirectory: (path) => fileSystem.makeDirectory(path),
    removeDirectory: (path) => fileSystem.removeDirectory(path),
    syncDirectory: (path) => fileSystem.syncDirectory(path),
  }
  return { fileSystem: counted, counts }
}

function countingHandle(handle: FileHandle, counts: OperationCounts): FileHandle {
  return {
    read(target, position) {
      counts.reads++
      counts.readBytes += target.length
      return handle.read(target, position)
    },
    write(parts, position) {
      counts.writes++
      counts.writtenParts += parts.length
      for (const part of parts) counts.writtenBytes += part.length
      return handle.write(parts, position)
    },
    sync() {
      counts.syncs++
      return handle.sync()
    },
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    size: () => handle.size(),
    close() {
      counts.handles--
      return handle.close()
    },
  }
}

export interface BenchLogOptions {
  readonly fileSystem: FileSystem
  /** A data directory; it holds one log. */
  readonly path: string
  readonly settings?: Partial<LogSettings>
  readonly tailCacheBytes?: number
}

export interface BenchLog {
  readonly log: PartitionLog
  /** The directory of its files. */
  readonly logPath: string
  readonly close: () => Promise<void>
}

/** The one place that says how a data directory is opened. */
export function openDataDirectory(options: {
  readonly fileSystem: FileSystem
  readonly path: string
  readonly tailCacheBytes?: number
  /** Default 3, as with the thread pool that Node has by itself. */
  readonly flushesMax?: number
}): Promise<LogDirectory> {
  const { fileSystem, path, tailCacheBytes = 64 * MEBIBYTE, flushesMax = 3 } = options
  const ports = {
    fileSystem,
    path,
    process: createNodeProcess(),
    random: createNodeRandom(),
    cpu,
    log: silentLog,
    nodeId: 1,
    settings: { ...LOG_DIRECTORY_SETTINGS_DEFAULT, tailCacheBytes, flushesMax },
    clock: createNodeClock(),
    onFailure: (error: unknown) => {
      throw error
    },
  }
  return LogDirectory.open(ports)
}

/** Opens a log, made when there is none, with everything that a broker puts around it. */
export async function openBenchLog(options: BenchLogOptions): Promise<BenchLog> {
  const directory = await openDataDirectory(options)
  const partition = { topicId: TOPIC_ID, partition: 0 }
  const settings = { ...LOG_SETTINGS_DEFAULT, ...options.settings }
  const log = await directory.openPartition(partition, { create: true, settings })
  return {
    log,
    logPath: join(options.path, 'topics', TOPIC_ID, '0'),
    close: () => directory.close({ cleanBrokerEpoch: 1 }),
  }
}

export interface Timed {
  readonly seconds: number
  /** Of all threads of this process, user and system. */
  readonly cpuSeconds: number
}

/** How long a task takes, and how much of the processors. */
export async function timed(task: () => Promise<void>): Promise<Timed> {
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  await task()
  const seconds = (performance.now() - startMs) / 1_000
  const { user, system } = process.cpuUsage(cpuBefore)
  return { seconds, cpuSeconds: (user + system) / 1e6 }
}

/** The ratio of two rates for the same work, by time and by processor time: medians over rounds that took turns. */
export function compare(ours: readonly Timed[], bare: readonly Timed[]) {
  const rounds = ours.map((round, i) => ({
    time: bare[i]!.seconds / round.seconds,
    cpu: bare[i]!.cpuSeconds / round.cpuSeconds,
  }))
  return {
    ratio: round(medianOf(rounds.map(({ time }) => time)), 2),
    cpuRatio: round(medianOf(rounds.map(({ cpu }) => cpu)), 2),
  }
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

export function medianSeconds(rounds: readonly Timed[]): number {
  return medianOf(rounds.map(({ seconds }) => seconds))
}

export function round(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits
}

/** Megabytes (10^6) a second, for people. */
export function rateOf(bytes: number, seconds: number): number {
  return Math.round(bytes / 1e6 / seconds)
}
