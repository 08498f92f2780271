// Minutes of appends at a steady rate while the oldest segments are dropped: memory and open files must not grow.
import { readdirSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { PartitionLog } from '../dist/storage/partition-log.js'
import type { BenchmarkOptions } from './main.js'
import {
  countingFileSystem,
  MEBIBYTE,
  makeBatches,
  openBenchLog,
  round,
  withDirectory,
} from './storage-fixtures.js'

const BATCH_BYTES = 64 * 1024
const BYTES_PER_SECOND = 50e6
const MINUTES = Number(process.env['BENCH_MINUTES'] ?? 2)
const STEP_MS = 20
const SAMPLE_MS = 1_000
/** Bytes of a segment, and how many of them stay. */
const SEGMENT_BYTES = 32 * MEBIBYTE
const KEPT_SEGMENTS = 4

interface Sample {
  readonly minutes: number
  readonly rssMebibytes: number
  readonly files: number
}

/** Trimming is a part of retention; a build without it cannot run this. */
type TrimmableLog = PartitionLog & { trimTo?(offset: number): Promise<void> }

export async function benchmarkSteady(options: BenchmarkOptions): Promise<Readonly<Record<string, unknown>>> {
  const durationMs = options.small ? 3_000 : MINUTES * 60_000
  return withDirectory(async (path) => {
    const settings = { segmentBytes: options.small ? 4 * MEBIBYTE : SEGMENT_BYTES }
    const { fileSystem } = countingFileSystem()
    const { log, close } = await openBenchLog({ fileSystem, path, settings })
    const isTrimmed = (log as TrimmableLog).trimTo !== undefined
    const { samples, megabytes } = await run(log, { durationMs, isTrimmed })
    await close()
    // The first third fills caches and compiles code.
    const settled = samples.slice(Math.floor(samples.length / 3))
    const rssSlope = round(
      slopeOf(settled, ({ rssMebibytes }) => rssMebibytes),
      2,
    )
    const filesSlope = round(
      slopeOf(settled, ({ files }) => files),
      2,
    )
    const { rssMebibytes, files } = samples.at(-1)!
    const seconds = round(durationMs / 1_000, 0)
    const trimming = isTrimmed ? `${KEPT_SEGMENTS} segments kept` : 'nothing dropped: this build cannot trim'
    options.print(
      `storage-steady: ${round(megabytes / seconds, 1)} MB/s for ${seconds} s, ${trimming}; RSS ${rssMebibytes} MiB, ` +
        `${rssSlope} MiB a minute; ${files} open files, ${filesSlope} a minute`,
    )
    return {
      seconds,
      megabytesPerSecond: megabytes / seconds,
      isTrimmed,
      rssMebibytes,
      rssSlope,
      files,
      filesSlope,
    }
  })
}

async function run(
  log: TrimmableLog,
  { durationMs, isTrimmed }: { readonly durationMs: number; readonly isTrimmed: boolean },
): Promise<{ readonly samples: readonly Sample[]; readonly megabytes: number }> {
  const [batch] = makeBatches(1, BATCH_BYTES)
  const samples: Sample[] = []
  const startMs = performance.now()
  let bytes = 0
  let sampledMs = 0
  for (let elapsedMs = 0; elapsedMs < durationMs; elapsedMs = performance.now() - startMs) {
    const waiting: Promise<unknown>[] = []
    while (bytes < (BYTES_PER_SECOND * elapsedMs) / 1_000) {
      waiting.push(log.appendAsLeader(batch!.slice(), 1).written)
      bytes += batch!.length
      if (waiting.length >= 64) break
    }
    await Promise.all(waiting)
    if (elapsedMs - sampledMs >= SAMPLE_MS) {
      sampledMs = elapsedMs
      if (isTrimmed) await log.trimTo!(startOfKept(log))
      const rssMebibytes = Math.round(process.memoryUsage.rss() / MEBIBYTE)
      samples.push({ minutes: elapsedMs / 60_000, rssMebibytes, files: readdirSync('/proc/self/fd').length })
    }
    await delay(STEP_MS)
  }
  return { samples, megabytes: bytes / 1e6 }
}

/** Keeps the share of the offsets that the last segments hold: all batches are alike. */
function startOfKept(log: PartitionLog): number {
  const recordsPerByte = 550 / BATCH_BYTES
  const kept = Math.round(KEPT_SEGMENTS * SEGMENT_BYTES * recordsPerByte)
  return Math.max(log.logStartOffset, log.logEndOffset - kept)
}

/** How much a value grows in a minute, by least squares. */
function slopeOf(samples: readonly Sample[], figureOf: (sample: Sample) => number): number {
  const n = samples.length
  const meanX = samples.reduce((sum, { minutes }) => sum + minutes, 0) / n
  const meanY = samples.reduce((sum, sample) => sum + figureOf(sample), 0) / n
  let above = 0
  let below = 0
  for (const sample of samples) {
    above += (sample.minutes - meanX) * (figureOf(sample) - meanY)
    below += (sample.minutes - meanX) ** 2
  }
  return below === 0 ? 0 : above / below
}
