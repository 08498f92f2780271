// Appends to one log beside bare writes of the same sizes to one file: without fsync, and with one before every answer.
import { closeSync, fdatasync, openSync, unlinkSync, writev } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchmarkOptions } from './main.js'
import {
  compare,
  countingFileSystem,
  makeBatches,
  medianSeconds,
  openBenchLog,
  rateOf,
  round,
  type Timed,
  timed,
  withDirectory,
} from './storage-fixtures.js'

const writevAsync = promisify(writev)
const fdatasyncAsync = promisify(fdatasync)

const BATCH_BYTES = 64 * 1024
/** Appends that wait at once: what several producers or followers have under way. */
const IN_FLIGHT = 16
const ROUNDS = 7

interface Work {
  readonly batches: readonly Uint8Array[]
  readonly appends: number
  readonly isSynced: boolean
}

export async function benchmarkAppend(options: BenchmarkOptions): Promise<Readonly<Record<string, unknown>>> {
  const batches = makeBatches(options.small ? 64 : 1_536, BATCH_BYTES)
  const rounds = options.small ? 1 : ROUNDS
  const unsynced = { batches, appends: options.small ? 64 : 6_000, isSynced: false }
  const synced = { batches, appends: options.small ? 64 : 1_600, isSynced: true }
  return {
    withoutFsync: await compareAppends(options, { work: unsynced, rounds, name: 'without fsync' }),
    withFsync: await compareAppends(options, {
      work: synced,
      rounds,
      name: `with fsync, ${IN_FLIGHT} producers waiting`,
    }),
  }
}

async function compareAppends(
  options: BenchmarkOptions,
  { work, rounds, name }: { readonly work: Work; readonly rounds: number; readonly name: string },
) {
  const ours: Timed[] = []
  const bare: Timed[] = []
  let roundSize = 0
  for (let i = 0; i <= rounds; i++) {
    const log = await withDirectory((directory) => appendToLog(directory, work))
    const file = await withDirectory((directory) => writeBare(directory, { work, roundSize: log.roundSize }))
    // The first round warms up.
    if (i === 0) continue
    ours.push(log.time)
    bare.push(file)
    roundSize += log.roundSize / rounds
  }
  const bytes = work.appends * work.batches[0]!.length
  const { ratio, cpuRatio } = compare(ours, bare)
  const rate = rateOf(bytes, medianSeconds(ours))
  const bareRate = rateOf(bytes, medianSeconds(bare))
  options.print(
    `storage-append, ${name}: ${rate} MB/s in batches of 64 KiB, ${round(roundSize, 1)} of them a write; ` +
      `${ratio} of bare writev${work.isSynced ? ' and fdatasync' : ''} of the same sizes (${bareRate} MB/s; target 0.7), ` +
      `${cpuRatio} by processor time`,
  )
  return {
    megabytesPerSecond: rate,
    bareMegabytesPerSecond: bareRate,
    ratio,
    cpuRatio,
    roundSize: round(roundSize, 1),
  }
}

async function appendToLog(directory: string, { batches, appends, isSynced }: Work) {
  const { fileSystem, counts } = countingFileSystem()
  const flushMessages = isSynced ? 1 : Number.MAX_SAFE_INTEGER
  const { log, close } = await openBenchLog({ fileSystem, path: directory, settings: { flushMessages } })
  await log.beginEpoch(1)
  counts.writes = 0
  counts.writtenParts = 0
  counts.syncs = 0
  let next = 0
  const producer = async (): Promise<void> => {
    while (next < appends) {
      const batch = batches[next++ % batches.length]!
      await log.appendAsLeader(batch, 1).written
      if (isSynced) await log.flush()
    }
  }
  const time = await timed(async () => {
    await Promise.all(Array.from({ length: IN_FLIGHT }, producer))
  })
  const groups = isSynced ? counts.syncs : counts.writes
  await close()
  return { time, roundSize: counts.writtenParts / groups }
}

/** The same bytes in as many calls. */
async function writeBare(
  directory: string,
  { work, roundSize }: { readonly work: Work; readonly roundSize: number },
): Promise<Timed> {
  const { batches, appends, isSynced } = work
  const path = join(directory, 'bare')
  const fd = openSync(path, 'w')
  let position = 0
  let due = 0
  const time = await timed(async () => {
    for (let i = 0; i < appends; ) {
      due += roundSize
      const parts: Uint8Array[] = []
      while (i < appends && parts.length < Math.max(1, Math.round(due)))
        parts.push(batches[i++ % batches.length]!)
      due -= parts.length
      await writevAsync(fd, parts, position)
      position += parts.length * parts[0]!.length
      if (isSynced) await fdatasyncAsync(fd)
    }
  })
  closeSync(fd)
  unlinkSync(path)
  return time
}
