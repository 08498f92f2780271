// What a compaction does to the rest of a broker: a log of 1 GiB is compacted on real files while another log of the same
// process takes a steady load of batches, each checked, written and fsynced. The delay of the event loop is what everybody
// else of the process feels; it is measured with and without the compaction.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { LogCleaner } from '../dist/broker/log-cleaner.js'
import { createNodeClock } from '../dist/platform/node/node-clock.js'
import { createNodeCpu } from '../dist/platform/node/node-cpu.js'
import { createNodeProcess } from '../dist/platform/node/node-process.js'
import { createNodeRandom } from '../dist/platform/node/node-random.js'
import {
  makeTemporaryDirectory,
  removeTemporaryDirectory,
} from '../dist/platform/node/temporary-directory.js'
import { BatchBuilder } from '../dist/record/batch-builder.js'
import { validateBatches } from '../dist/record/batch-validation.js'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, LogDirectory } from '../dist/storage/log-directory.js'
import { LOG_SETTINGS_DEFAULT } from '../dist/storage/log-settings.js'
import { NodeFileSystem } from '../dist/storage/node-file-system.js'
import type { PartitionLog } from '../dist/storage/partition-log.js'
import type { BenchmarkOptions } from './main.js'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
const VALUE_BYTES = 100
const BATCH_BYTES = 64 * 1024
const MIB = 1024 * 1024
/** The load beside: batches of 64 KiB, so many milliseconds apart (13 MB/s). */
const LOAD_PERIOD_MS = 5
const LOAD_KEYS = 1_000
const quiet = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }

interface Delay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const cpu = createNodeCpu()
const clock = createNodeClock()

export async function benchmarkCompaction(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const logBytes = options.small ? 8 * MIB : 1024 * MIB
  const keys = options.small ? 5_000 : 500_000
  // The active segment is not compacted, so there must be others.
  const segmentBytes = logBytes / 16
  const path = await makeTemporaryDirectory('vltava-compaction-')
  try {
    const directory = await openDirectory(path)
    const compacted = await openLog(directory, { partition: 0, segmentBytes })
    const loaded = await openLog(directory, { partition: 1, segmentBytes })
    await fill(compacted, { logBytes, keys })
    const idle = await underLoad(loaded, () => wait(options.small ? 500 : 10_000))
    const startMs = performance.now()
    const { delay, outcome } = await compactUnderLoad({ compacted, loaded })
    const seconds = (performance.now() - startMs) / 1_000
    await directory.close({ cleanBrokerEpoch: null })
    options.print(
      `compaction: ${Math.round(logBytes / MIB)} MiB in ${seconds.toFixed(1)} s, event-loop delay p99 ${delay.p99Ms.toFixed(1)} ms, ` +
        `max ${delay.maxMs.toFixed(1)} ms (without: p99 ${idle.p99Ms.toFixed(1)} ms, max ${idle.maxMs.toFixed(1)} ms)`,
    )
    return { logBytes, keys, seconds, delay, without: idle, outcome }
  } finally {
    await removeTemporaryDirectory(path)
  }
}

function openDirectory(path: string): Promise<LogDirectory> {
  return LogDirectory.open({
    fileSystem: new NodeFileSystem(),
    path,
    clock,
    process: createNodeProcess(),
    random: createNodeRandom(),
    cpu,
    log: quiet,
    nodeId: 1,
    settings: LOG_DIRECTORY_SETTINGS_DEFAULT,
    onFailure: (error) => {
      throw error
    },
  })
}

function openLog(
  directory: LogDirectory,
  { partition, segmentBytes }: { readonly partition: number; readonly segmentBytes: number },
): Promise<PartitionLog> {
  const settings = { ...LOG_SETTINGS_DEFAULT, segmentBytes, cleanupCompacts: partition === 0 }
  return directory.openPartition({ topicId: TOPIC_ID, partition }, { create: true, settings })
}

/** Batches of records whose keys go round. */
function batchOf(firstKey: number, keys: number): { readonly batch: Uint8Array; readonly nextKey: number } {
  const builder = new BatchBuilder({ cpu, maxBytes: BATCH_BYTES })
  const value = new Uint8Array(VALUE_BYTES)
  let key = firstKey
  while (builder.tryAppend({ key: cpu.encodeUtf8(`key-${key}`), value, timestampMs: 1 }))
    key = (key + 1) % keys
  return { batch: builder.build(), nextKey: key }
}

async function fill(
  log: PartitionLog,
  { logBytes, keys }: { readonly logBytes: number; readonly keys: number },
): Promise<void> {
  let key = 0
  for (let bytes = 0; bytes < logBytes; ) {
    const { batch, nextKey } = batchOf(key, keys)
    key = nextKey
    bytes += batch.length
    await log.appendAsLeader(batch, 1).written
  }
  await log.flush()
}

/** Runs work beside a load; @returns the delay of the event loop meanwhile. */
async function underLoad(log: PartitionLog, work: () => Promise<void>): Promise<Delay> {
  const { batch } = batchOf(0, LOAD_KEYS)
  let isOver = false
  const load = async (): Promise<void> => {
    while (!isOver) {
      const copy = batch.slice()
      validateBatches(copy, { cpu, maxBytes: MIB, origin: 'producer' })
      await log.appendAsLeader(copy, 1).written
      await wait(LOAD_PERIOD_MS)
    }
    await log.flush()
  }
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const loading = load()
  await work()
  histogram.disable()
  isOver = true
  await loading
  const ms = (nanoseconds: number): number => nanoseconds / 1e6
  return {
    p50Ms: ms(histogram.percentile(50)),
    p99Ms: ms(histogram.percentile(99)),
    maxMs: ms(histogram.max),
  }
}

/** The cleaner of a broker, at work on one log until it has nothing more to do. */
async function compactUnderLoad(logs: {
  readonly compacted: PartitionLog
  readonly loaded: PartitionLog
}): Promise<{ readonly delay: Delay; readonly outcome: unknown }> {
  const { compacted, loaded } = logs
  let outcome: unknown = null
  const delay = await underLoad(loaded, async () => {
    await new Promise<void>((resolve, reject) => {
      const log = {
        ...quiet,
        info: (_event: string, fields: unknown) => {
          outcome = fields
          resolve()
        },
        error: (_event: string, fields: unknown) => reject(new Error(JSON.stringify(fields))),
      }
      const cleaner = new LogCleaner({
        environment: { clock, cpu, log, random: createNodeRandom(), process: createNodeProcess() },
        settings: {
          backoffMs: 1_000,
          dedupeBufferBytes: 128 * MIB,
          ioMaxBytesPerSecond: Number.MAX_SAFE_INTEGER,
        },
        hosted: () =>
          outcome === null
            ? [{ key: 'compacted', log: compacted, highWatermark: compacted.logEndOffset }]
            : [],
      })
      cleaner.partitionsChanged()
    })
  })
  return { delay, outcome }
}

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(delayMs, resolve))
}
