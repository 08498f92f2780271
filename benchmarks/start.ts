// Cold start of one broker, from the start of its process to the first 200 of /readyz, and its memory when idle.
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { median, withCluster } from './cluster.js'
import type { BenchmarkOptions } from './main.js'

const ROUNDS = 7
const IDLE_MS = 3_000

function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024
}

export async function benchmarkStart(options: BenchmarkOptions): Promise<Readonly<Record<string, unknown>>> {
  const starts: number[] = []
  const idle: number[] = []
  for (let round = 0; round < (options.small ? 1 : ROUNDS); round++) {
    await withCluster(1, async (cluster) => {
      const startMs = performance.now()
      cluster.start(1)
      await cluster.whenReady(30_000)
      starts.push(performance.now() - startMs)
      await delay(options.small ? 0 : IDLE_MS)
      idle.push(residentMegabytes(cluster.node(1).process!.pid))
    })
  }
  const startMs = Math.round(median(starts))
  const idleMebibytes = Math.round(median(idle))
  options.print(
    `start: one broker serves ${startMs} ms after its process was started (target below 500), idle RSS ${idleMebibytes} MiB (target below 90)`,
  )
  return { startMs, startMaxMs: Math.round(Math.max(...starts)), idleMebibytes, rounds: starts.length }
}
