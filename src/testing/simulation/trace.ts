import type { Digest } from '../../platform/node/node-digest.ts'

/** Lines between two prefix digests: a divergence of two runs is found within so many (SIM-4). */
const PREFIX_LINES = 1_000
const LINES_SHOWN = 200

export interface TraceOptions {
  readonly digest: Digest
  readonly nowMs: () => number
  /** Called with each line, as it is added. */
  readonly onLine?: (line: string) => void
}

/**
 * What happened, line by line: every message, file operation, log line, fault and client operation. Two runs of one seed
 * must have the same digest (SIM-3).
 */
export class Trace {
  readonly #options: TraceOptions
  readonly #recent: string[] = []
  readonly #prefixes: string[] = []
  /** Lines that the digest has not taken yet: one long text costs less than many short ones. */
  #waiting = ''
  #lines = 0

  constructor(options: TraceOptions) {
    this.#options = options
  }

  /** Lines so far. */
  get lines(): number {
    return this.#lines
  }

  /** The digest after every thousandth line. */
  get prefixes(): readonly string[] {
    return this.#prefixes
  }

  /** The last lines, oldest first. */
  get recent(): readonly string[] {
    const start = this.#lines % LINES_SHOWN
    if (this.#lines <= LINES_SHOWN) return this.#recent
    return [...this.#recent.slice(start), ...this.#recent.slice(0, start)]
  }

  add(text: string): void {
    const line = `${this.#options.nowMs().toFixed(3)} ${text}`
    this.#recent[this.#lines % LINES_SHOWN] = line
    this.#waiting += `${line}\n`
    this.#lines++
    if (this.#lines % PREFIX_LINES === 0) this.#prefixes.push(this.digest())
    this.#options.onLine?.(line)
  }

  digest(): string {
    this.#options.digest.update(this.#waiting)
    this.#waiting = ''
    return this.#options.digest.current()
  }
}
