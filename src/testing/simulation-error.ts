import type { SimulateOptions } from './simulate-options.ts'

/** Lines of the story in the message. */
const LINES_SHOWN = 12
const LINE_MAX = 160

export interface SimulationErrorParts {
  /** What went wrong, as a sentence. */
  readonly what: string
  readonly options: SimulateOptions
  readonly virtualMs: number
  readonly events: number
  /** The end of what happened, without network and disks. */
  readonly story: readonly string[]
  /** The end of everything that happened. */
  readonly trace: readonly string[]
  readonly cause?: unknown
}

/** A scenario failed under a seed. The same seed fails in the same way again. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError'
  readonly seed: number
  /** Virtual milliseconds from the start of the cluster to the failure. */
  readonly virtualMs: number
  /** The call that runs it again. */
  readonly repro: string
  /** The last lines of the trace, oldest first. */
  readonly trace: readonly string[]

  constructor(parts: SimulationErrorParts) {
    const { what, options, virtualMs, events, story } = parts
    const repro = reproOf(options)
    const shown = story.slice(-LINES_SHOWN)
    const lines = [
      `seed ${options.seed}, ${virtualMs.toFixed(3)} ms of virtual time, event ${events}: ${what}`,
      `run it again: ${repro}`,
      `what happened last (more of it in \`trace\`):`,
      ...shown.map((line) => `  ${line.length > LINE_MAX ? `${line.slice(0, LINE_MAX)}...` : line}`),
    ]
    super(lines.join('\n'), parts.cause === undefined ? undefined : { cause: parts.cause })
    this.seed = options.seed
    this.virtualMs = virtualMs
    this.repro = repro
    this.trace = parts.trace
  }
}

function reproOf(options: SimulateOptions): string {
  const { seed, onLine: _, ...others } = options
  const texts = Object.entries({ seed, ...others })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  return `simulate({ ${texts.join(', ')} }, scenario)`
}

/** The code of this package, src or dist, as stacks name it. */
const OWN_CODE = decodeURIComponent(new URL('..', import.meta.url).pathname)

/** Where an error was made: the first line of its stack outside of this package and of Node, as `file:line:column`; or null. */
export function placeOf(error: Error): string | null {
  for (const line of (error.stack ?? '').split('\n')) {
    if (!/^\s+at /.test(line) || line.includes(OWN_CODE) || /\bnode:/.test(line)) continue
    const place = /\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/.exec(line)?.[1]
    if (place !== undefined) return place
  }
  return null
}
