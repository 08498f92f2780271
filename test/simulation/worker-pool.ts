import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { RunReport, RunRequest } from './messages.ts'

const WORKER = fileURLToPath(new URL('./worker.js', import.meta.url))
/** Real time after which a run counts as stuck. It takes seconds, but minutes where others have the cores. */
const STUCK_AFTER_MS = 900_000

/** How a worker process differs from others: what a seed does must not depend on it. */
export const PLAIN: readonly string[] = []
export const UNDER_PRESSURE: readonly string[] = ['--max-semi-space-size=4', '--max-lazy']

export interface WorkerOptions {
  /** Flags for Node. */
  readonly execArgv: readonly string[]
}

/** One worker process; a new one takes its place when it dies or is stuck. */
export class Worker {
  readonly #options: WorkerOptions
  #child: ChildProcess | null = null

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  /** Runs a seed; a process that dies or does not come to an end is a failure of the seed. */
  run(request: RunRequest): Promise<RunReport> {
    const child = this.#running()
    return new Promise((resolve) => {
      const end = (report: RunReport): void => {
        clearTimeout(watchdog)
        child.off('message', onMessage)
        child.off('exit', onExit)
        resolve(report)
      }
      const onMessage = (report: RunReport): void => end(report)
      const onExit = (code: number | null, signal: string | null): void => {
        this.#child = null
        end(lost(request.seed, `the process ended (code ${code}, signal ${signal})`))
      }
      const watchdog = setTimeout(() => {
        child.off('exit', onExit)
        this.stop()
        end(lost(request.seed, `STUCK: the run did not end within ${STUCK_AFTER_MS / 1_000} s of real time`))
      }, STUCK_AFTER_MS)
      child.on('message', onMessage)
      child.on('exit', onExit)
      // One that ended after the seed before says so here; one that is about to end will tell by its exit.
      if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode)
      else child.send(request, () => {})
    })
  }

  stop(): void {
    this.#child?.kill('SIGKILL')
    this.#child = null
  }

  #running(): ChildProcess {
    this.#child ??= fork(WORKER, [], {
      execArgv: [...this.#options.execArgv],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    return this.#child
  }
}

function lost(seed: number, what: string): RunReport {
  return {
    seed,
    failure: { what, atEvent: 0, atMs: 0 },
    digest: '',
    prefixes: [],
    events: 0,
    virtualMs: 0,
    cpuMs: 0,
    marks: {},
    acknowledged: 0,
    faults: [],
    recent: [],
  }
}
