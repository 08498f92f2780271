// Runs seeds in a process of their own, with or without a mutant in it.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { MUTANT_VARIABLE } from './paths.ts'
import type { SeedReport } from './run-seeds.ts'

/** Seconds of processor time: a run takes about one, and a mutant can make one that never ends. */
const START_CPU_S = 10
const SEED_CPU_S = 60
const HEAP_MB = 1_500
const OUTPUT_CHARACTERS_MAX = 4_000

export interface SeedRunOptions {
  /** null for the product as it is. */
  readonly mutantId: string | null
  /** Run one after the other in one process, up to the first that fails. */
  readonly seeds: readonly number[]
  /** Leaves the real clock and randomness in place. Default false. */
  readonly isReal?: boolean
}

export interface SeedRun {
  /** Of the seeds that came to an end. */
  readonly reports: readonly SeedReport[]
  /** `hung`: the seed behind the last report used up the processor time or the memory. */
  readonly end: 'done' | 'hung'
}

/** @throws Error when the process could not do its work, such as for a mutant whose text is no longer found. */
export async function runSeeds({ mutantId, seeds, isReal = false }: SeedRunOptions): Promise<SeedRun> {
  const script = fileURLToPath(new URL('./run-seeds.js', import.meta.url))
  const node = [
    process.execPath,
    `--max-old-space-size=${HEAP_MB}`,
    '--import',
    new URL('./register.js', import.meta.url).href,
    script,
    ...(isReal ? ['--real'] : []),
    ...seeds.map(String),
  ]
  // The limit holds also when this process is gone, so that nothing a mutant keeps busy is left behind.
  const child = spawn('/bin/sh', ['-c', 'ulimit -t "$1"; shift; exec "$@"', 'sh', cpuLimit(seeds), ...node], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [MUTANT_VARIABLE]: mutantId ?? undefined },
  })
  let errors = ''
  child.stderr.on('data', (text: Buffer) => {
    errors = `${errors}${text.toString()}`.slice(-OUTPUT_CHARACTERS_MAX)
  })
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const reports: SeedReport[] = []
  for await (const line of createInterface(child.stdout)) reports.push(JSON.parse(line) as SeedReport)
  const { code, signal } = await ended
  if (code === 0) return { reports, end: 'done' }
  // Out of processor time, or of memory.
  if (signal === 'SIGXCPU' || signal === 'SIGKILL' || signal === 'SIGABRT') return { reports, end: 'hung' }
  throw new Error(`The run of mutant ${mutantId ?? 'none'} ended with ${signal ?? code}:\n${errors}`)
}

function cpuLimit(seeds: readonly number[]): string {
  return String(START_CPU_S + SEED_CPU_S + 3 * seeds.length)
}
