import { createNodeDigest } from '../../platform/node/node-digest.ts'
import { Trace } from '../simulation/trace.ts'

const LINES_KEPT = 100
/** What disks do is of use only beside everything else. */
const DISK_LINE = /^\S+ disk #/

export interface StoryOptions {
  readonly nowMs: () => number
  readonly onLine: ((line: string) => void) | null
}

/** The trace of a simulation, and in it the part that tells people something: faults, logs of nodes, and the scenario. */
export class Story {
  readonly #trace: Trace
  readonly #nowMs: () => number
  readonly #lines: string[] = []

  constructor({ nowMs, onLine }: StoryOptions) {
    this.#nowMs = nowMs
    this.#trace = new Trace({
      digest: createNodeDigest(),
      nowMs,
      ...(onLine === null ? {} : { onLine }),
    })
  }

  /** The last lines of the story, oldest first. */
  get lines(): readonly string[] {
    return this.#lines
  }

  /** The last lines of everything, oldest first. */
  get recent(): readonly string[] {
    return this.#trace.recent
  }

  digest(): string {
    return this.#trace.digest()
  }

  add(text: string): void {
    this.#trace.add(text)
    if (DISK_LINE.test(text)) return
    this.#lines.push(`${this.#nowMs().toFixed(3)} ${text}`)
    if (this.#lines.length > LINES_KEPT) this.#lines.shift()
  }

  /** For the trace alone. */
  addDetail(text: string): void {
    this.#trace.add(text)
  }
}
