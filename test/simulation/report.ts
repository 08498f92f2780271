// What is printed of runs and kept of failures.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunReport } from './messages.ts'

const KEPT_IN = '.vltava/simulation'
const LINES_PRINTED = 25

/** The commit of the sources, with a mark when files differ from it. */
export function commitOf(directory: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    return `${git('rev-parse', '--short=12', 'HEAD')}${git('status', '--porcelain', '-uno') === '' ? '' : ' (with changes)'}`
  } catch {
    return 'unknown commit'
  }
}

/** Keeps the end of the trace in a file and says how to see it again (SIM-7). */
export function describeFailure(report: RunReport, commit: string): string {
  mkdirSync(KEPT_IN, { recursive: true })
  const file = join(KEPT_IN, `seed-${report.seed}.txt`)
  const { what, atEvent, atMs } = report.failure!
  const options = createHash('sha256').update(report.faults.join()).digest('hex').slice(0, 8)
  const head = [
    `seed ${report.seed} failed: ${what}`,
    `  commit ${commit}, Node ${process.version}, options ${options}, event ${atEvent}, ${Math.round(atMs)} ms of virtual time`,
    `  replay: npm run sim -- --seed ${report.seed}   (--verbose prints the trace, --until ${atEvent} stops there, --faults ${report.faults.join(',') || 'none'} are what it drew)`,
  ]
  writeFileSync(file, [...head, '', ...report.recent, ''].join('\n'))
  return [
    ...head,
    `  the last lines of the trace (${report.recent.length} of them in ${file}):`,
    ...report.recent.slice(-LINES_PRINTED).map((line) => `    ${line}`),
  ].join('\n')
}

/** Two runs of one seed took different ways: where (SIM-4). */
export function describeDivergence(a: RunReport, b: RunReport): string {
  let at = 0
  while (at < a.prefixes.length && a.prefixes[at] === b.prefixes[at]) at++
  return (
    `seed ${a.seed} is not deterministic: two runs of it differ within the lines ${at * 1_000 + 1} to ${(at + 1) * 1_000} of the trace ` +
    `(${a.digest.slice(0, 12)} and ${b.digest.slice(0, 12)}). Compare: npm run sim -- --seed ${a.seed} --verbose`
  )
}

/** Sums over many runs. */
export class Totals {
  readonly marks = new Map<string, number>()
  runs = 0
  events = 0
  virtualMs = 0
  cpuMs = 0
  acknowledged = 0

  add(report: RunReport): void {
    this.runs++
    this.events += report.events
    this.virtualMs += report.virtualMs
    this.cpuMs += report.cpuMs
    this.acknowledged += report.acknowledged
    for (const [name, count] of Object.entries(report.marks))
      this.marks.set(name, (this.marks.get(name) ?? 0) + count)
  }

  get eventsPerSecond(): number {
    return this.cpuMs === 0 ? 0 : this.events / (this.cpuMs / 1_000)
  }

  describe(): string {
    const hours = this.virtualMs / 3_600_000
    return (
      `${this.runs} runs, ${this.events.toLocaleString('en')} events, ${hours.toFixed(1)} hours of virtual time, ` +
      `${this.acknowledged.toLocaleString('en')} acknowledged records, ${Math.round(this.cpuMs / 1_000)} s of CPU, ` +
      `${Math.round(this.eventsPerSecond).toLocaleString('en')} events per second and core`
    )
  }
}
