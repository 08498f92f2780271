import type * as ChildProcesses from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { RunReport } from './messages.ts'
import { PLAIN, UNDER_PRESSURE, Worker, type WorkerOptions } from './worker-pool.ts'

/** The worker of these tests: what it does depends on the seed alone. */
const SCRIPT = `
process.on('message', ({ seed }) => {
  if (seed === 1) process.exit(7)
  if (seed === 2) process.kill(process.pid, 'SIGKILL')
  if (seed === 3) return
  const report = { seed, failure: null, digest: String(process.pid), execArgv: process.execArgv }
  process.send(report, () => { if (seed === 4) process.exit(5) })
})
process.on('disconnect', () => process.exit(0))
`

const script = vi.hoisted(() => ({ path: '', children: [] as ChildProcesses.ChildProcess[] }))

vi.mock('node:child_process', async (original) => {
  const real = await original<typeof ChildProcesses>()
  return {
    ...real,
    fork: (_: string, args: readonly string[], options: ChildProcesses.ForkOptions) => {
      const child = real.fork(script.path, args, options)
      script.children.push(child)
      return child
    },
  }
})

let directory = ''
const workers: Worker[] = []

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'vltava-worker-'))
  script.path = join(directory, 'worker.mjs')
  writeFileSync(script.path, SCRIPT)
})

afterEach(() => {
  vi.useRealTimers()
  for (const worker of workers.splice(0)) worker.stop()
})

afterAll(() => rmSync(directory, { recursive: true }))

function newWorker(execArgv: WorkerOptions['execArgv'] = PLAIN): Worker {
  const worker = new Worker({ execArgv })
  workers.push(worker)
  return worker
}

async function run(worker: Worker, seed: number): Promise<RunReport> {
  return await worker.run({ seed, invariants: true })
}

describe('Worker', () => {
  it('several seeds -> one process runs them all', async () => {
    const worker = newWorker()
    const [first, second] = [await run(worker, 10), await run(worker, 11)]
    expect([first.seed, second.seed, first.failure]).toEqual([10, 11, null])
    expect(second.digest).toBe(first.digest)
  })

  it('SIM-4: flags for Node -> reach the process, of which two workers have one each', async () => {
    const reports = await Promise.all([newWorker(), newWorker(UNDER_PRESSURE)].map((each) => run(each, 10)))
    const [plain, pressed] = reports as (RunReport & { readonly execArgv: readonly string[] })[]
    expect(plain!.execArgv).toEqual([])
    expect(pressed!.execArgv).toEqual([...UNDER_PRESSURE])
    expect(plain!.digest).not.toBe(pressed!.digest)
  })

  it('the process ends or is killed -> the seed has failed, and another process runs the next', async () => {
    const worker = newWorker()
    expect((await run(worker, 1)).failure?.what).toBe('the process ended (code 7, signal null)')
    expect((await run(worker, 10)).failure).toBe(null)
    const { failure, seed } = await run(worker, 2)
    expect([seed, failure?.what]).toEqual([2, 'the process ended (code null, signal SIGKILL)'])
    expect((await run(worker, 11)).failure).toBe(null)
  })

  it('the process ends after a seed -> the next one fails with it, whether that is known yet or not', async () => {
    for (const isKnown of [true, false]) {
      const worker = newWorker()
      expect((await run(worker, 4)).failure).toBe(null)
      const child = script.children.at(-1)!
      if (isKnown) await new Promise((resolve) => child.once('close', resolve))
      expect((await run(worker, 3)).failure?.what).toBe('the process ended (code 5, signal null)')
      expect((await run(worker, 10)).failure).toBe(null)
    }
  })

  it('SIM-10: no end within a quarter of an hour of real time -> the seed has failed, its process is killed', async () => {
    const worker = newWorker()
    await run(worker, 10)
    const stuck = script.children.at(-1)!
    const ended = new Promise((resolve) => stuck.once('exit', (_, signal) => resolve(signal)))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const running = run(worker, 3)
    vi.advanceTimersByTime(899_999)
    expect(stuck.exitCode).toBe(null)
    vi.advanceTimersByTime(1)
    expect((await running).failure?.what).toBe('STUCK: the run did not end within 900 s of real time')
    vi.useRealTimers()
    expect(await ended).toBe('SIGKILL')
    expect((await run(worker, 10)).failure).toBe(null)
  })
})
