// A clean start with many partitions: a process of its own opens a data directory with 1,000 logs of 10 segments each.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AtomicFile } from '../dist/storage/atomic-file.js'
import { LOG_SETTINGS_DEFAULT } from '../dist/storage/log-settings.js'
import { NodeFileSystem } from '../dist/storage/node-file-system.js'
import type { BenchmarkOptions } from './main.js'
import {
  countingFileSystem,
  cpu,
  makeBatches,
  medianOf,
  openDataDirectory,
  TOPIC_ID,
  withDirectory,
} from './storage-fixtures.js'

const SEGMENTS = 10
const ROUNDS = 5
/** As `vltava serve` runs: 16 threads, of which a quarter stays free of fsyncs. */
const THREADS = 16
const FLUSHES_MAX = (THREADS * 3) / 4

export interface Start {
  readonly openMs: number
  readonly partitionsMs: number
  readonly cpuMs: number
  readonly bareMs: number
  readonly rssMebibytes: number
  readonly rssBeforeMebibytes: number
  readonly handles: number
  /** Handles after one read in each of the sealed segments, in turn. */
  readonly handlesAfterReads: number
  readonly handlesMax: number
  readonly rssAfterReadsMebibytes: number
}

export async function benchmarkStorageStart(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const partitions = options.small ? 20 : 1_000
  const rounds = options.small ? 1 : ROUNDS
  return withDirectory(async (path) => {
    await makeData(path, partitions)
    const starts: Start[] = []
    for (let i = 0; i < rounds; i++) starts.push(await startInChild(path))
    const middle = (pick: (start: Start) => number): number => Math.round(medianOf(starts.map(pick)))
    const startMs = middle(({ openMs, partitionsMs }) => openMs + partitionsMs)
    const bareMs = middle((start) => start.bareMs)
    const rssMebibytes = middle((start) => start.rssMebibytes)
    const cpuMs = middle((start) => start.cpuMs)
    const { handles, handlesAfterReads, handlesMax } = starts[0]!
    options.print(
      `storage-start: ${partitions} logs of ${SEGMENTS} segments open after ${startMs} ms (target 2,000; ${cpuMs} ms of processor ` +
        `time; the bare file operations alone ${bareMs} ms), RSS ${rssMebibytes} MiB (target 200; ${middle((start) => start.rssBeforeMebibytes)} before), ${handles} open files, ` +
        `${handlesAfterReads} after a read in every segment (at most ${handlesMax} at once)`,
    )
    return {
      partitions,
      segments: SEGMENTS,
      startMs,
      cpuMs,
      rssMebibytes,
      handles,
      handlesAfterReads,
      handlesMax,
    }
  })
}

/** One log is written, the others are copies: 10,000 segments with their fsyncs would take minutes. */
async function makeData(path: string, partitions: number): Promise<void> {
  const directory = await openDataDirectory({ path, fileSystem: new NodeFileSystem() })
  const [batch] = makeBatches(1, 4_096)
  const settings = { ...LOG_SETTINGS_DEFAULT, segmentBytes: 4 * batch!.length }
  const first = { topicId: TOPIC_ID, partition: 0 }
  const log = await directory.openPartition(first, { create: true, settings })
  const appends = SEGMENTS * 4
  for (let i = 0; i < appends; i++) await log.appendAsLeader(batch!.slice(), 1).written
  await log.flush()
  const end = log.logEndOffset
  await directory.close({ cleanBrokerEpoch: 1 })
  const topic = join(path, 'topics', TOPIC_ID)
  for (let partition = 1; partition < partitions; partition++) {
    const target = join(topic, String(partition))
    mkdirSync(target)
    for (const name of readdirSync(join(topic, '0'))) cpSync(join(topic, '0', name), join(target, name))
  }
  const offsets = Array.from({ length: partitions }, (_, i) => [`${TOPIC_ID}/${i}`, end])
  for (const name of ['recovery-points', 'high-watermarks']) {
    const fileSystem = new NodeFileSystem()
    await new AtomicFile({ fileSystem, cpu, path: join(path, name), format: name, version: 1 }).write(offsets)
  }
}

async function startInChild(path: string): Promise<Start> {
  const env = { ...process.env, UV_THREADPOOL_SIZE: String(THREADS) }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [fileURLToPath(import.meta.url), 'open', path],
    {
      env,
    },
  )
  return JSON.parse(stdout) as Start
}

function residentMebibytes(): number {
  return Math.round(process.memoryUsage.rss() / 1024 / 1024)
}

/**
 * What no implementation that keeps a directory and an active segment for each log can do without, all at once: list the
 * directory, sync it, open the last segment, read its header and the epochs.
 */
async function bareOperations(path: string): Promise<number> {
  const topic = join(path, 'topics', TOPIC_ID)
  const startMs = performance.now()
  await Promise.all(
    (await readdir(topic)).map(async (partition) => {
      const directory = join(topic, partition)
      const names = await readdir(directory)
      const handle = await open(directory)
      await handle.sync()
      await handle.close()
      const segment = await open(join(directory, names.findLast((name) => name.endsWith('.log'))!))
      await segment.read(Buffer.alloc(64), 0, 64, 0)
      await readFile(join(directory, 'leader-epochs'))
      await segment.close()
    }),
  )
  return performance.now() - startMs
}

/** The child: opens everything as a broker does, then reads in every segment in turn. */
async function openAll(path: string): Promise<Start> {
  const { fileSystem, counts } = countingFileSystem()
  const rssBeforeMebibytes = residentMebibytes()
  const bareMs = await bareOperations(path)
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  const directory = await openDataDirectory({ path, fileSystem, flushesMax: FLUSHES_MAX })
  const openedMs = performance.now()
  const logs = await Promise.all(
    directory
      .partitions()
      .map((partition) =>
        directory.openPartition(partition, { create: false, settings: LOG_SETTINGS_DEFAULT }),
      ),
  )
  const endMs = performance.now()
  const { user, system } = process.cpuUsage(cpuBefore)
  const rssMebibytes = residentMebibytes()
  const { handles } = counts
  const perSegment = logs[0]!.logEndOffset / SEGMENTS
  for (let segment = 0; segment < SEGMENTS; segment++) {
    for (const log of logs) {
      const range = {
        offset: segment * perSegment,
        endOffset: log.logEndOffset,
        maxBytes: 1,
        atLeastOneBatch: true,
      }
      await log.read(range)
    }
  }
  const handlesAfterReads = counts.handles
  const rssAfterReadsMebibytes = residentMebibytes()
  await directory.close({ cleanBrokerEpoch: 1 })
  return {
    openMs: openedMs - startMs,
    partitionsMs: endMs - openedMs,
    cpuMs: (user + system) / 1_000,
    bareMs,
    rssMebibytes,
    rssBeforeMebibytes,
    handles,
    handlesAfterReads,
    handlesMax: counts.handlesMax,
    rssAfterReadsMebibytes,
  }
}

if (process.argv[2] === 'open') console.log(JSON.stringify(await openAll(process.argv[3]!)))
