import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../dist/cli/free-ports.js'
import { LocalCluster } from '../dist/cli/local-cluster.js'

/** Until three brokers serve that start beside other work. */
const READY_MS = 60_000

/** Runs the task beside a cluster of real processes in a temporary directory. */
export async function withCluster<T>(
  brokers: number,
  task: (cluster: LocalCluster) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'vltava-bench-'))
  const cluster = LocalCluster.create({ dataDir, brokers, ports: await freePorts(brokers) })
  try {
    return await task(cluster)
  } finally {
    await cluster.stop(10_000)
    rmSync(dataDir, { recursive: true, force: true })
  }
}

/** The same, once all brokers serve. */
export function withReadyCluster<T>(
  brokers: number,
  task: (cluster: LocalCluster) => Promise<T>,
): Promise<T> {
  return withCluster(brokers, async (cluster) => {
    for (const { id } of cluster.nodes) cluster.start(id)
    await cluster.whenReady(READY_MS)
    return task(cluster)
  })
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}
