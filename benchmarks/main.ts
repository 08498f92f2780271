// npm run bench [-- <name> ...] [--small]: runs the benchmarks and prints one line of text and one of JSON for each.
import { benchmarkCompaction } from './compaction.js'
import { benchmarkFailover } from './failover.js'
import { benchmarkPartitions } from './partitions.js'
import { benchmarkProduce } from './produce.js'
import { benchmarkReplication } from './replication.js'
import { benchmarkStart } from './start.js'
import { benchmarkAppend } from './storage-append.js'
import { benchmarkRead } from './storage-read.js'
import { benchmarkRecovery } from './storage-recovery.js'
import { benchmarkStorageStart } from './storage-start.js'
import { benchmarkSteady } from './storage-steady.js'
import { benchmarkTestCluster } from './test-cluster.js'

export interface BenchmarkOptions {
  /** A quick run that proves that the benchmark works; its figures mean nothing. */
  readonly small: boolean
  readonly print: (line: string) => void
}

export type Benchmark = (options: BenchmarkOptions) => Promise<Readonly<Record<string, unknown>>>

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  compaction: benchmarkCompaction,
  failover: benchmarkFailover,
  partitions: benchmarkPartitions,
  produce: benchmarkProduce,
  replication: benchmarkReplication,
  start: benchmarkStart,
  'storage-append': benchmarkAppend,
  'storage-read': benchmarkRead,
  'storage-recovery': benchmarkRecovery,
  'storage-start': benchmarkStorageStart,
  'storage-steady': benchmarkSteady,
  'test-cluster': benchmarkTestCluster,
}

async function main(args: readonly string[]): Promise<void> {
  const small = args.includes('--small')
  const names = args.filter((arg) => arg !== '--small')
  const unknown = names.filter((name) => !Object.keys(BENCHMARKS).some((other) => isAskedFor(other, name)))
  if (unknown.length > 0) {
    console.error(`unknown benchmark: ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}`)
    process.exitCode = 2
    return
  }
  for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
    if (names.length > 0 && !names.some((asked) => isAskedFor(name, asked))) continue
    const result = await benchmark({ small, print: (line) => console.log(line) })
    console.log(JSON.stringify({ benchmark: name, node: process.version, small, ...result }))
  }
}

/** `storage` stands for all whose names begin with it. */
function isAskedFor(name: string, asked: string): boolean {
  return name === asked || name.startsWith(`${asked}-`)
}

await main(process.argv.slice(2))
