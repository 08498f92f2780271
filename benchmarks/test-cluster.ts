// A cluster of three brokers inside one process, as tests start it: until it serves, and until nothing of it is left.
import { startCluster } from '../dist/testing/index.js'
import { median } from './cluster.js'
import type { BenchmarkOptions } from './main.js'

const ROUNDS = 15

const KINDS = [
  { name: 'memory', options: { sockets: false, storage: 'memory' } },
  { name: 'sockets and directory', options: { sockets: true, storage: 'directory' } },
] as const

export async function benchmarkTestCluster(
  options: BenchmarkOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const result: Record<string, unknown> = {}
  for (const kind of KINDS) {
    const starts: number[] = []
    const stops: number[] = []
    for (let round = 0; round < (options.small ? 1 : ROUNDS); round++) {
      const startMs = performance.now()
      const cluster = await startCluster({ brokers: 3, ...kind.options })
      starts.push(performance.now() - startMs)
      // What a test leaves behind: connections to all brokers, and logs with something in them.
      const client = cluster.client()
      await client.admin.createTopic({ name: 'test', partitions: 3 })
      await client.producer().send({ topic: 'test', value: 'x' })
      const stopMs = performance.now()
      await cluster.stop()
      stops.push(performance.now() - stopMs)
    }
    const rounded = {
      firstMs: starts[0]!,
      readyMs: median(starts),
      stopMs: median(stops),
      stopMaxMs: Math.max(...stops),
    }
    const figures = Object.fromEntries(Object.entries(rounded).map(([name, ms]) => [name, Math.round(ms)]))
    options.print(
      `test-cluster: three brokers (${kind.name}) serve after ${figures['readyMs']} ms, the first time ${figures['firstMs']} ms (target below 500), and are gone after ${figures['stopMs']} ms, at most ${figures['stopMaxMs']} ms (target below 200)`,
    )
    result[kind.name] = { ...figures, rounds: starts.length }
  }
  return result
}
