// npm run sim: runs seeds of the simulation of whole clusters, on all cores.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { FAULT_NAMES, type FaultName } from '../../src/testing/simulation/simulation-plan.ts'
import { missingMarks, RUNS_FOR_COVERAGE } from './coverage.ts'
import { Lanes } from './lanes.ts'
import type { RunReport } from './messages.ts'
import { commitOf, describeDivergence, describeFailure, Totals } from './report.ts'
import { runSeed } from './run-seed.ts'
import { freshSeeds, regressionSeeds, seedsFrom } from './seeds.ts'
import { shrink } from './shrink.ts'
import { PLAIN, UNDER_PRESSURE, Worker } from './worker-pool.ts'

const SEED_MAX = 2 ** 32 - 1
const FIXED_SEEDS = 270
const FRESH_SEEDS = 5
/** Of the measurement of speed: enough that compiling does not count. */
const MEASURED_SEEDS = 40

const USAGE = `npm run sim -- [options]

  --minutes N       fresh seeds on all cores for so long (default: 1)
  --seeds N         so many fresh seeds instead
  --from S          take the seeds from S on instead of fresh ones
  --twice           run every seed in two processes and compare their traces
  --ci              what CI runs: ${FIXED_SEEDS} fixed seeds, all regressions and ${FRESH_SEEDS} fresh ones, each twice
  --seed S          one seed, in this process
    --verbose       print its trace
    --until E       stop it after E events
    --faults a,b    only these faults, of ${FAULT_NAMES.join(', ')}
    --shrink        find the fewest kinds of faults with which it still fails
    --no-invariants leave the checks after each event out, and with them what the flips of bits go by
  --marks           print how often what happened
  --measure         events per second and core, with and without invariants`

class UsageError extends Error {}

function integerFlag(
  value: string | undefined,
  name: string,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (value.trim() !== '' && Number.isInteger(number) && number >= range.min && number <= range.max)
    return number
  throw new UsageError(
    `--${name}: must be an integer from ${range.min} to ${range.max}, got ${JSON.stringify(value)}`,
  )
}

function faultsFlag(value: string | undefined): readonly FaultName[] | undefined {
  if (value === undefined) return undefined
  const names = value === 'none' ? [] : value.split(',')
  const unknown = names.filter((name) => !(FAULT_NAMES as readonly string[]).includes(name))
  if (unknown.length > 0)
    throw new UsageError(`--faults: unknown ${unknown.join(', ')}; there are none, ${FAULT_NAMES.join(', ')}`)
  return names as FaultName[]
}

interface Flags {
  readonly minutes?: number
  readonly seeds?: number
  readonly from?: number
  readonly seed?: number
  readonly until?: number
  readonly faults?: readonly FaultName[]
  readonly twice: boolean
  readonly ci: boolean
  readonly verbose: boolean
  readonly invariants: boolean
  readonly measure: boolean
  readonly marks: boolean
  readonly shrink: boolean
}

const TEXT = { type: 'string' } as const
const FLAG = { type: 'boolean', default: false } as const
const OPTIONS = {
  minutes: TEXT,
  seeds: TEXT,
  from: TEXT,
  seed: TEXT,
  until: TEXT,
  faults: TEXT,
  twice: FLAG,
  ci: FLAG,
  verbose: FLAG,
  'no-invariants': FLAG,
  measure: FLAG,
  marks: FLAG,
  shrink: FLAG,
  help: FLAG,
} as const

function parse(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** Options that mean something only with a seed, or only without one. */
function checkTogether(values: ReturnType<typeof parse>): void {
  const withSeed = (['until', 'verbose', 'shrink', 'no-invariants'] as const).filter((name) => values[name])
  const withoutSeed = (['minutes', 'seeds', 'from', 'twice', 'ci', 'marks'] as const).filter(
    (name) => values[name],
  )
  if (values.seed === undefined && withSeed.some((name) => name !== 'no-invariants'))
    throw new UsageError(`--${withSeed[0]}: needs --seed`)
  if (values.seed !== undefined && withoutSeed.length > 0)
    throw new UsageError(`--${withoutSeed[0]}: does not go with --seed, which runs one seed once`)
}

function readFlags(args: readonly string[]): Flags | null {
  const values = parse(args)
  if (values.help) return null
  const optional = {
    minutes: integerFlag(values.minutes, 'minutes', { min: 1, max: 100_000 }),
    seeds: integerFlag(values.seeds, 'seeds', { min: 1, max: 10_000_000 }),
    from: integerFlag(values.from, 'from', { min: 0, max: SEED_MAX }),
    seed: integerFlag(values.seed, 'seed', { min: 0, max: SEED_MAX }),
    until: integerFlag(values.until, 'until', { min: 1, max: Number.MAX_SAFE_INTEGER }),
    faults: faultsFlag(values.faults),
  }
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  checkTogether(values)
  const { twice, ci, verbose, measure, marks, shrink: shrinks } = values
  return {
    ...given,
    twice: twice || ci,
    ci,
    verbose,
    measure,
    marks,
    shrink: shrinks,
    invariants: !values['no-invariants'],
  }
}

interface ChosenSeeds {
  readonly seeds: readonly number[]
  /** What they are, in words that let anybody run them again. */
  readonly described: string
}

/** The seeds to run, until they or the time are used up. */
function chooseSeeds(flags: Flags): ChosenSeeds {
  if (!flags.ci) {
    const count = flags.seeds ?? 1_000_000
    const seeds = flags.from === undefined ? freshSeeds(count) : seedsFrom(flags.from, count)
    return { seeds, described: `${flags.seeds ?? 'all'} seeds from ${seeds[0]} on` }
  }
  const regressions = regressionSeeds().map(({ seed }) => seed)
  const fresh = freshSeeds(FRESH_SEEDS)
  return {
    seeds: [...new Set([...regressions, ...seedsFrom(1, FIXED_SEEDS), ...fresh])],
    described: `seeds 1 to ${FIXED_SEEDS}, ${regressions.length} regressions, and ${FRESH_SEEDS} fresh ones from ${fresh[0]} on`,
  }
}

class Runner {
  readonly #flags: Flags
  readonly #commit = commitOf(process.cwd())
  readonly #totals = new Totals()
  readonly #problems: string[] = []
  readonly #workers = new Set<Worker>()
  readonly #startMs = performance.now()
  #lastSaidMs = performance.now()

  constructor(flags: Flags) {
    this.#flags = flags
  }

  async run(): Promise<boolean> {
    const { seeds, described } = chooseSeeds(this.#flags)
    const until =
      this.#flags.seeds === undefined && !this.#flags.ci
        ? this.#startMs + (this.#flags.minutes ?? 1) * 60_000
        : Number.POSITIVE_INFINITY
    const twice = this.#flags.twice ? ', each twice' : ''
    console.log(`simulation of ${this.#commit} on Node ${process.version}: ${described}${twice}`)
    const { faults, invariants } = this.#flags
    await new Lanes({
      seeds,
      flavours: (this.#flags.twice ? [PLAIN, UNDER_PRESSURE] : [PLAIN]).map((execArgv) => ({ execArgv })),
      lanes: availableParallelism(),
      isOver: () => performance.now() >= until,
      request: { invariants, ...(faults === undefined ? {} : { faults }) },
      newWorker: (flavour) => {
        const worker = new Worker(flavour)
        this.#workers.add(worker)
        return worker
      },
      onRun: (report) => {
        this.#totals.add(report)
        this.#say()
      },
      onSeed: (reports) => this.#judge(reports),
    }).run()
    return this.#conclude()
  }

  stop(): void {
    for (const worker of this.#workers) worker.stop()
  }

  #judge(reports: readonly RunReport[]): void {
    const failed = reports.find(({ failure }) => failure !== null)
    const [a, b] = reports
    if (failed !== undefined) this.#problem(describeFailure(failed, this.#commit))
    else if (b !== undefined && a!.digest !== b.digest) this.#problem(describeDivergence(a!, b))
  }

  #problem(text: string): void {
    this.#problems.push(text)
    console.log(text)
  }

  #say(): void {
    const nowMs = performance.now()
    if (nowMs - this.#lastSaidMs < 30_000) return
    this.#lastSaidMs = nowMs
    console.log(
      `${Math.round((nowMs - this.#startMs) / 1_000)} s: ${this.#totals.describe()}, ${this.#problems.length} problems`,
    )
  }

  #conclude(): boolean {
    const missing =
      this.#totals.runs >= RUNS_FOR_COVERAGE && this.#flags.faults === undefined
        ? missingMarks(this.#totals.marks)
        : []
    if (this.#flags.marks) {
      const sorted = [...this.#totals.marks].sort(([a], [b]) => (a < b ? -1 : 1))
      for (const [name, count] of sorted) console.log(`  ${name}: ${count}`)
    }
    if (missing.length > 0)
      this.#problem(`never reached in ${this.#totals.runs} runs, so not tested: ${missing.join(', ')}`)
    console.log(
      `${this.#totals.describe()}, ${Math.round((performance.now() - this.#startMs) / 1_000)} s in all`,
    )
    console.log(
      this.#problems.length === 0 ? 'simulation: clean' : `simulation: ${this.#problems.length} PROBLEMS`,
    )
    return this.#problems.length === 0
  }
}

async function runHere(flags: Flags & { readonly seed: number }): Promise<boolean> {
  const { print } = { print: console.log.bind(console) }
  const report = await runSeed({
    seed: flags.seed,
    invariants: flags.invariants,
    ...(flags.faults === undefined ? {} : { faults: flags.faults }),
    ...(flags.until === undefined ? {} : { eventsMax: flags.until }),
    ...(flags.verbose ? { onLine: print } : {}),
  })
  if (report.failure !== null) console.log(describeFailure(report, commitOf(process.cwd())))
  console.log(
    `seed ${report.seed}: ${report.failure === null ? 'clean' : 'FAILED'}, ${report.events} events, ${Math.round(report.virtualMs)} ms of virtual time, ${report.acknowledged} acknowledged records, trace ${report.digest}`,
  )
  if (flags.verbose) console.log(JSON.stringify(report.marks))
  return report.failure === null
}

async function shrinkHere(seed: number): Promise<boolean> {
  const shrunk = await shrink((faults) => runSeed({ seed, ...(faults === undefined ? {} : { faults }) }))
  if (shrunk === null) {
    console.log(`seed ${seed}: clean, so there is nothing to shrink`)
    return true
  }
  console.log(describeFailure(shrunk.report, commitOf(process.cwd())))
  console.log(`still fails with --faults ${shrunk.faults.join(',') || 'none'} (${shrunk.runs} runs)`)
  return false
}

async function measure(): Promise<boolean> {
  for (const invariants of [false, true, false, true]) {
    const totals = new Totals()
    for (const seed of seedsFrom(1, MEASURED_SEEDS)) totals.add(await runSeed({ seed, invariants }))
    console.log(
      `${invariants ? 'with' : 'without'} invariants: ${Math.round(totals.eventsPerSecond).toLocaleString('en')} events per second and core (${totals.describe()})`,
    )
  }
  return true
}

async function main(): Promise<boolean> {
  const flags = readFlags(process.argv.slice(2))
  if (flags === null) {
    console.log(USAGE)
    return true
  }
  if (flags.measure) return measure()
  const { seed } = flags
  if (seed !== undefined && flags.shrink) return shrinkHere(seed)
  if (seed !== undefined) return runHere({ ...flags, seed })
  const runner = new Runner(flags)
  process.on('SIGINT', () => {
    runner.stop()
    process.exit(130)
  })
  return runner.run()
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
}
