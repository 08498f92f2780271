// Reads from one log: its tail from memory, and all of it from disk beside bare reads of the same sizes.
import { closeSync, openSync, read } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PartitionLog } from '../dist/storage/partition-log.js'
import type { BenchmarkOptions } from './main.js'
import {
  compare,
  countingFileSystem,
  cpu,
  MEBIBYTE,
  makeBatches,
  medianSeconds,
  type OperationCounts,
  openBenchLog,
  rateOf,
  type Timed,
  timed,
  withDirectory,
} from './storage-fixtures.js'

const readAsync = promisify(read)

const BATCH_BYTES = 64 * 1024
const FETCH_BYTES = MEBIBYTE
const ROUNDS = 7

export async function benchmarkRead(options: BenchmarkOptions): Promise<Readonly<Record<string, unknown>>> {
  const hot = await withDirectory((directory) => readHot(directory, options))
  const cold = await withDirectory((directory) => readCold(directory, options))
  return { hot, cold }
}

async function fill(log: PartitionLog, bytes: number): Promise<void> {
  const batches = makeBatches(Math.ceil(Math.min(bytes, 32 * MEBIBYTE) / BATCH_BYTES), BATCH_BYTES)
  for (let written = 0, i = 0; written < bytes; i++) {
    // A hot tail keeps the buffers, so that each append needs one of its own.
    const batch = batches[i % batches.length]!
    await log.appendAsLeader(i < batches.length ? batch : batch.slice(), 1).written
    written += batch.length
  }
}

async function readAll(log: PartitionLog, visit: (bytes: Uint8Array) => void): Promise<number> {
  let bytes = 0
  const { logEndOffset } = log
  for (let offset = log.logStartOffset; offset < logEndOffset; ) {
    const parts = await log.read({
      offset,
      endOffset: logEndOffset,
      maxBytes: FETCH_BYTES,
      atLeastOneBatch: true,
    })
    for (const part of parts) {
      visit(part)
      bytes += part.length
      offset += recordsIn(part)
    }
  }
  return bytes
}

let recordsPerBatch = 0
let batchLength = 0

/** All batches are alike, so that the benchmark need not look into them. */
function recordsIn(part: Uint8Array): number {
  return Math.round(part.length / batchLength) * recordsPerBatch
}

function learn(batch: Uint8Array): void {
  batchLength = batch.length
  recordsPerBatch = new DataView(batch.buffer, batch.byteOffset).getInt32(57)
}

async function readHot(directory: string, options: BenchmarkOptions) {
  const { fileSystem, counts } = countingFileSystem()
  const { log, close } = await openBenchLog({ fileSystem, path: directory })
  learn(makeBatches(1, BATCH_BYTES)[0]!)
  const total = options.small ? MEBIBYTE : 32 * MEBIBYTE
  await fill(log, total)
  const passes = options.small ? 1 : 20
  const before: OperationCounts = { ...counts }
  const run = (visit: (bytes: Uint8Array) => void): Promise<Timed> =>
    timed(async () => {
      for (let i = 0; i < passes; i++) await readAll(log, visit)
    })
  const views = await run(() => {})
  const checked = await run((bytes) => void cpu.crc32c(bytes))
  const operations = counts.reads + counts.opens - before.reads - before.opens
  await close()
  const rate = rateOf(total * passes, views.seconds)
  const checkedRate = rateOf(total * passes, checked.seconds)
  options.print(
    `storage-read, hot tail: ${rate} MB/s as views in fetches of 1 MiB, ${checkedRate} MB/s with a checksum over every byte ` +
      `(target 2,000), ${operations} file operations`,
  )
  return { megabytesPerSecond: rate, checkedMegabytesPerSecond: checkedRate, fileOperations: operations }
}

async function readCold(directory: string, options: BenchmarkOptions) {
  const { fileSystem, counts } = countingFileSystem()
  const settings = { flushMessages: Number.MAX_SAFE_INTEGER }
  const opened = await openBenchLog({ fileSystem, path: directory, settings, tailCacheBytes: 0 })
  const { log, logPath, close } = opened
  learn(makeBatches(1, BATCH_BYTES)[0]!)
  const total = options.small ? 4 * MEBIBYTE : 512 * MEBIBYTE
  await fill(log, total)
  const path = join(logPath, `${'0'.padStart(20, '0')}.log`)
  const ours: Timed[] = []
  const fresh: Timed[] = []
  const reused: Timed[] = []
  let bytes = 0
  counts.readBytes = 0
  const rounds = options.small ? 1 : ROUNDS
  for (let i = 0; i <= rounds; i++) {
    const times = [
      await timed(async () => {
        bytes = await readAll(log, () => {})
      }),
      await timed(() => readBare(path, { bytes, buffer: () => Buffer.allocUnsafeSlow(FETCH_BYTES) })),
    ]
    const one = Buffer.allocUnsafeSlow(FETCH_BYTES)
    times.push(await timed(() => readBare(path, { bytes, buffer: () => one })))
    if (i === 0) continue
    ours.push(times[0]!)
    fresh.push(times[1]!)
    reused.push(times[2]!)
  }
  await close()
  const readTwice = counts.readBytes / (bytes * (rounds + 1))
  const toFresh = compare(ours, fresh)
  const toReused = compare(ours, reused)
  const rate = rateOf(bytes, medianSeconds(ours))
  const bareRate = rateOf(bytes, medianSeconds(fresh))
  options.print(
    `storage-read, cold: ${rate} MB/s in fetches of 1 MiB, ${toFresh.ratio} of bare reads into fresh buffers (${bareRate} MB/s; ` +
      `target 0.7; ${toFresh.cpuRatio} by processor time), ${toReused.ratio} of those into one buffer; ` +
      `${readTwice.toFixed(2)} bytes read for each returned`,
  )
  return {
    megabytesPerSecond: rate,
    bareMegabytesPerSecond: bareRate,
    ...toFresh,
    ratioToOneBuffer: toReused.ratio,
    bytesReadPerByte: readTwice,
  }
}

async function readBare(
  path: string,
  { bytes, buffer }: { readonly bytes: number; readonly buffer: () => Buffer },
): Promise<void> {
  const fd = openSync(path, 'r')
  for (let position = 0; position < bytes; ) {
    const { bytesRead } = await readAsync(fd, buffer(), 0, FETCH_BYTES, position)
    position += bytesRead
  }
  closeSync(fd)
}
