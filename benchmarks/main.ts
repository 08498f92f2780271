// npm run bench [-- <name> ...] [--small]: runs the benchmarks and prints one line of text and one of JSON for each.
import { benchmarkFailover } from './failover.js'
import { benchmarkProduce } from './produce.js'
import { benchmarkStart } from './start.js'
import { benchmarkTestCluster } from './test-cluster.js'

export interface BenchmarkOptions {
  /** A quick run that proves that the benchmark works; its figures mean nothing. */
  readonly small: boolean
  readonly print: (line: string) => void
}

export type Benchmark = (options: BenchmarkOptions) => Promise<Readonly<Record<string, unknown>>>

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  failover: benchmarkFailover,
  produce: benchmarkProduce,
  start: benchmarkStart,
  'test-cluster': benchmarkTestCluster,
}

async function main(args: readonly string[]): Promise<void> {
  const small = args.includes('--small')
  const names = args.filter((arg) => arg !== '--small')
  const unknown = names.filter((name) => BENCHMARKS[name] === undefined)
  if (unknown.length > 0) {
    console.error(`unknown benchmark: ${unknown.join(', ')}; there are ${Object.keys(BENCHMARKS).join(', ')}`)
    process.exitCode = 2
    return
  }
  for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
    if (names.length > 0 && !names.includes(name)) continue
    const result = await benchmark({ small, print: (line) => console.log(line) })
    console.log(JSON.stringify({ benchmark: name, node: process.version, small, ...result }))
  }
}

await main(process.argv.slice(2))
