// Finds out whether a mutant is noticed.
import type { Mutant, SimulationKiller } from './mutant.ts'
import { RECORDED_MAX, type RecordedKill } from './recorded-seeds.ts'
import { runSeeds } from './seed-runner.ts'
import { failedTests } from './test-runner.ts'

/** Seeds in one process: starting one takes longer than running a seed. */
const SEEDS_PER_PROCESS = 10
/** The seed that another one follows in the same process, for the twice rule. */
const SEED_BEFORE = 4_000_000_000

export type Verdict =
  | ({ readonly kind: 'killed' } & RecordedKill)
  | { readonly kind: 'survived'; readonly seeds: number; readonly reason: string }

/** What a run of one seed showed. */
type Outcome =
  | { readonly kind: 'quiet' }
  | { readonly kind: 'noticed'; readonly by: string }
  /** Something failed, but not what was to notice. */
  | { readonly kind: 'otherwise'; readonly failure: string }

export class Judge {
  /** Whether the product as it is passes a seed; one on which it fails proves nothing. */
  readonly #controls = new Map<number, Promise<string | null>>()
  readonly #controlsTwice = new Map<number, Promise<string | null>>()

  /** Runs the seeds that are recorded, or the tests; the first that notices is enough. */
  async confirm(mutant: Mutant, recorded: RecordedKill | undefined): Promise<Verdict> {
    if (mutant.killer.kind === 'tests') return judgeByTests(mutant)
    if (recorded === undefined)
      return { kind: 'survived', seeds: 0, reason: 'no seed is recorded; run with --prove --record' }
    const verdict = await this.#search(mutant, { seeds: recorded.seeds, wanted: 1 })
    if (verdict.kind === 'killed') return { ...verdict, needed: recorded.needed }
    const advice = `where the code has changed since, other seeds may: run with --prove --record ${mutant.id}`
    return { ...verdict, reason: `${verdict.reason}; ${advice}` }
  }

  /** Runs seeds until so many have noticed, or all are used up. */
  async prove(
    mutant: Mutant,
    options: { readonly from: number; readonly seedsMax: number },
  ): Promise<Verdict> {
    if (mutant.killer.kind === 'tests') return judgeByTests(mutant)
    const seeds = Array.from({ length: options.seedsMax }, (_, i) => options.from + i)
    return await this.#search(mutant, { seeds, wanted: RECORDED_MAX })
  }

  async #search(
    mutant: Mutant,
    { seeds, wanted }: { readonly seeds: readonly number[]; readonly wanted: number },
  ): Promise<Verdict> {
    const killer = mutant.killer as SimulationKiller
    const killing: number[] = []
    let needed = 0
    let noticedBy = ''
    let reason = 'every run was clean'
    let tried = 0
    // Once one is found the others are a reserve, and not worth a long search.
    const isDone = (): boolean =>
      killing.length >= wanted || tried >= seeds.length || (killing.length > 0 && tried > 3 * needed + 20)
    while (!isDone()) {
      const outcomes = await this.#run(mutant.id, killer, seeds.slice(tried, tried + SEEDS_PER_PROCESS))
      for (const [seed, outcome] of outcomes) {
        tried++
        if (outcome.kind === 'quiet') continue
        const control = await this.#control(seed, killer)
        if (control !== null) {
          reason = `seed ${seed} fails without the mutant: ${control}`
        } else if (outcome.kind === 'otherwise') {
          reason = `seed ${seed} failed otherwise: ${outcome.failure}`
        } else {
          if (killing.length === 0) {
            needed = tried
            noticedBy = outcome.by
          }
          killing.push(seed)
        }
      }
    }
    if (killing.length === 0) return { kind: 'survived', seeds: tried, reason }
    return { kind: 'killed', seeds: killing.slice(0, wanted), needed, noticedBy }
  }

  async #run(
    mutantId: string,
    killer: SimulationKiller,
    seeds: readonly number[],
  ): Promise<readonly (readonly [number, Outcome])[]> {
    if (killer.rule === 'twice') {
      const seed = seeds[0]!
      return [[seed, await runTwice(mutantId, seed)]]
    }
    const { reports, end } = await runSeeds({ mutantId, seeds })
    const outcomes = reports.map(({ seed, failure }) => [seed, outcomeOf(failure, killer)] as const)
    if (end === 'done') return outcomes
    const hung: Outcome =
      killer.mayHang === true
        ? { kind: 'noticed', by: 'it does not end' }
        : { kind: 'otherwise', failure: 'it does not end' }
    return [...outcomes, [seeds[reports.length]!, hung]]
  }

  /** @returns what the product as it is does wrong on this seed; null when nothing. */
  #control(seed: number, { rule }: SimulationKiller): Promise<string | null> {
    const controls = rule === 'twice' ? this.#controlsTwice : this.#controls
    let control = controls.get(seed)
    if (control === undefined) {
      control = rule === 'twice' ? controlTwice(seed) : controlOnce(seed)
      controls.set(seed, control)
    }
    return control
  }
}

async function controlOnce(seed: number): Promise<string | null> {
  const { reports } = await runSeeds({ mutantId: null, seeds: [seed] })
  const [report] = reports
  return report === undefined ? 'it does not end' : report.failure
}

async function controlTwice(seed: number): Promise<string | null> {
  const outcome = await runTwice(null, seed)
  switch (outcome.kind) {
    case 'quiet':
      return null
    case 'noticed':
      return outcome.by
    case 'otherwise':
      return outcome.failure
  }
}

async function judgeByTests(mutant: Mutant): Promise<Verdict> {
  const killer = mutant.killer
  if (killer.kind !== 'tests') throw new Error(`Mutant ${mutant.id} is not for tests.`)
  const failed = await failedTests(mutant, killer)
  const noticed = failed.find((title) => killer.expected.test(title))
  if (noticed !== undefined) return { kind: 'killed', seeds: [], needed: 0, noticedBy: noticed }
  const others = failed.length === 0 ? 'every test passed' : `others failed: ${failed.join('; ')}`
  return { kind: 'survived', seeds: 0, reason: others }
}

async function runTwice(mutantId: string | null, seed: number): Promise<Outcome> {
  const alone = await runSeeds({ mutantId, seeds: [seed], isReal: true })
  const second = await runSeeds({ mutantId, seeds: [SEED_BEFORE, seed], isReal: true })
  const [a, b] = [alone, second].map(({ reports }) => reports.find((report) => report.seed === seed))
  if (a === undefined || b === undefined) return { kind: 'otherwise', failure: 'it did not come to an end' }
  // Where both ended early neither has a digest, which would look the same.
  const crashed = [a, b].find(({ digest }) => digest === '')
  if (crashed !== undefined) return { kind: 'otherwise', failure: crashed.failure ?? 'it has no digest' }
  return a.digest === b.digest ? { kind: 'quiet' } : { kind: 'noticed', by: 'SIM-4' }
}

function outcomeOf(failure: string | null, { expected }: SimulationKiller): Outcome {
  if (failure === null) return { kind: 'quiet' }
  return expected.test(failure) ? { kind: 'noticed', by: nameOf(failure) } : { kind: 'otherwise', failure }
}

/** The invariant or check that a failure begins with; the whole first line where it begins with none. */
export function nameOf(failure: string): string {
  const named = /\b(?:INV|CHK|SIM|JEP|REP|STO)-\d+\b|\b(?:RACKS|REMOVAL|LIVENESS|CRASH)\b/.exec(failure)
  const line = failure.split('\n')[0]!.slice(0, 160)
  return named === null ? line : named[0]
}
