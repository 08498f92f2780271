import type { RunReport, RunRequest } from './messages.ts'
import type { WorkerOptions } from './worker-pool.ts'

export interface LanesOptions {
  /** In the order in which they begin. */
  readonly seeds: readonly number[]
  /** The ways in which each seed is run; what the seed does must not depend on them. */
  readonly flavours: readonly WorkerOptions[]
  /** How many runs there are at once. */
  readonly lanes: number
  /** Whether no other seed may begin. */
  readonly isOver: () => boolean
  readonly newWorker: (flavour: WorkerOptions) => {
    run(request: RunRequest): Promise<RunReport>
    stop(): void
  }
  readonly request: Omit<RunRequest, 'seed'>
  /** After each run. */
  readonly onRun: (report: RunReport) => void
  /** After the last run of a seed: its reports, in the order of the flavours. */
  readonly onSeed: (reports: readonly RunReport[]) => void
}

/**
 * Runs every seed in each flavour. A lane stays with one flavour, and so with one warm process, until nothing of that is left;
 * then it helps with another. Flavours that are slower than others keep no core idle in this way.
 */
export class Lanes {
  readonly #options: LanesOptions
  /** Of each flavour the seeds to be run, the next one last. */
  readonly #waiting: readonly number[][]
  readonly #begun = new Set<number>()
  readonly #reports = new Map<number, (RunReport | null)[]>()

  constructor(options: LanesOptions) {
    this.#options = options
    const reversed = [...options.seeds].reverse()
    this.#waiting = options.flavours.map(() => [...reversed])
  }

  /** Resolves when every seed that began has been run in each flavour. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.lanes }, (_, lane) => this.#lane(lane)))
  }

  async #lane(lane: number): Promise<void> {
    const { flavours, newWorker, request } = this.#options
    let at = lane % flavours.length
    let worker = newWorker(flavours[at]!)
    try {
      for (;;) {
        const next = this.#next(at)
        if (next === null) return
        if (next.at !== at) {
          at = next.at
          worker.stop()
          worker = newWorker(flavours[at]!)
        }
        this.#ended(at, await worker.run({ ...request, seed: next.seed }))
      }
    } finally {
      worker.stop()
    }
  }

  #next(preferred: number): { readonly at: number; readonly seed: number } | null {
    const isOver = this.#options.isOver()
    const others = this.#waiting.map((_, at) => at).filter((at) => at !== preferred)
    for (const at of [preferred, ...others]) {
      const seed = this.#waiting[at]!.at(-1)
      if (seed === undefined || (isOver && !this.#begun.has(seed))) continue
      this.#waiting[at]!.pop()
      this.#begun.add(seed)
      return { at, seed }
    }
    return null
  }

  #ended(at: number, report: RunReport): void {
    const { flavours, onRun, onSeed } = this.#options
    onRun(report)
    const reports = this.#reports.get(report.seed) ?? flavours.map(() => null)
    reports[at] = report
    this.#reports.set(report.seed, reports)
    const all = reports.filter((each) => each !== null)
    if (all.length < flavours.length) return
    this.#reports.delete(report.seed)
    onSeed(all)
  }
}
