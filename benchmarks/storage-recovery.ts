// Opening a log of one large segment after a stop that was not clean, nothing of it known to have been flushed: the scan
// beside reading the file and its checksum, and what it costs to write the sound batches again.
import { closeSync, openSync, read, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchmarkOptions } from './main.js'
import {
  compare,
  countingFileSystem,
  cpu,
  MEBIBYTE,
  makeBatches,
  medianOf,
  medianSeconds,
  openBenchLog,
  rateOf,
  round,
  type Timed,
  timed,
  withDirectory,
} from './storage-fixtures.js'

const readAsync = promisify(read)
const BATCH_BYTES = 64 * 1024
const ROUNDS = 5
const SEGMENT = `${'0'.padStart(20, '0')}.log`

export async function benchmarkRecovery(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  return withDirectory(async (directory) => {
    const wanted = options.small ? 4 * MEBIBYTE : 512 * MEBIBYTE
    const { bytes, path } = await write(directory, wanted)
    const scans: Timed[] = []
    const bare: Timed[] = []
    const rewrites: number[] = []
    const rounds = options.small ? 1 : ROUNDS
    for (let i = 0; i <= rounds; i++) {
      const { scan, rewriteSeconds } = await recover(directory)
      const read = await timed(() => readAndCheck(path, bytes))
      if (i === 0) continue
      scans.push(scan)
      rewrites.push(rewriteSeconds)
      bare.push(read)
    }
    const { ratio, cpuRatio } = compare(scans, bare)
    const scanRate = rateOf(bytes, medianSeconds(scans))
    const bareRate = rateOf(bytes, medianSeconds(bare))
    const rewriteRate = rateOf(bytes, medianOf(rewrites))
    options.print(
      `storage-recovery: scans ${scanRate} MB/s of a segment of ${Math.round(bytes / MEBIBYTE)} MiB, ${ratio} of reading it with ` +
        `CRC-32C (${bareRate} MB/s; target 0.5; ${cpuRatio} by processor time); writing it again and syncing ${rewriteRate} MB/s`,
    )
    return {
      scanMegabytesPerSecond: scanRate,
      bareMegabytesPerSecond: bareRate,
      ratio,
      cpuRatio,
      rewriteMegabytesPerSecond: rewriteRate,
      rewriteSeconds: round(medianOf(rewrites), 2),
    }
  })
}

async function write(
  path: string,
  wanted: number,
): Promise<{ readonly bytes: number; readonly path: string }> {
  const settings = { flushMessages: Number.MAX_SAFE_INTEGER }
  const { fileSystem } = countingFileSystem()
  const { log, logPath, close } = await openBenchLog({ fileSystem, path, settings, tailCacheBytes: 0 })
  const batches = makeBatches(64, BATCH_BYTES)
  let bytes = 0
  for (let i = 0; bytes < wanted; i++) {
    const batch = batches[i % batches.length]!
    await log.appendAsLeader(batch, 1).written
    bytes += batch.length
  }
  await close()
  return { bytes, path: join(logPath, SEGMENT) }
}

/** The scan ends where the first batch is written again. */
async function recover(path: string): Promise<{ readonly scan: Timed; readonly rewriteSeconds: number }> {
  // Nothing is known to have been flushed then.
  rmSync(join(path, 'recovery-points'))
  const { fileSystem } = countingFileSystem()
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  let scanCpu = 0
  let writeMs = 0
  const watched: typeof fileSystem = {
    ...fileSystem,
    async open(file, mode) {
      const handle = await fileSystem.open(file, mode)
      if (!file.endsWith('.log')) return handle
      return {
        ...handle,
        write(parts, position) {
          if (writeMs === 0) {
            writeMs = performance.now()
            const { user, system } = process.cpuUsage(cpuBefore)
            scanCpu = (user + system) / 1e6
          }
          return handle.write(parts, position)
        },
      }
    },
  }
  const { close } = await openBenchLog({ fileSystem: watched, path })
  const endMs = performance.now()
  await close()
  return {
    scan: { seconds: (writeMs - startMs) / 1_000, cpuSeconds: scanCpu },
    rewriteSeconds: (endMs - writeMs) / 1_000,
  }
}

async function readAndCheck(path: string, bytes: number): Promise<void> {
  const fd = openSync(path, 'r')
  const buffer = Buffer.allocUnsafeSlow(MEBIBYTE)
  let crc = 0
  for (let position = 0; position < bytes; ) {
    const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, position)
    crc = cpu.crc32c(buffer.subarray(0, bytesRead), crc)
    position += bytesRead
  }
  closeSync(fd)
}
