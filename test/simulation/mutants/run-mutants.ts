// Proves that the mutants are noticed.
//
//   node dist-simulation/test/simulation/mutants/run-mutants.js [options] [<mutant>...]
//
// Without options: each mutant on the seeds that are recorded for it, as CI does. With --prove: on seeds from --from on,
// at most --seeds of them, until three have noticed; --record writes those down. --jobs processes run at once. --table
// runs nothing, and prints what is recorded as a table for the documents.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { Judge, type Verdict } from './judge.ts'
import type { Mutant } from './mutant.ts'
import { MUTANTS, mutantOf } from './mutants.ts'
import { mutantsTable } from './mutants-table.ts'
import { type RecordedSeeds, readRecordedSeeds, writeRecordedSeeds } from './recorded-seeds.ts'
import { WAITING_MUTANTS } from './waiting-mutants.ts'

interface Options {
  readonly mutants: readonly Mutant[]
  readonly proves: boolean
  readonly records: boolean
  readonly isTable: boolean
  readonly from: number
  readonly seedsMax: number
  readonly jobs: number
}

function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      prove: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      table: { type: 'boolean', default: false },
      from: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '200' },
      jobs: { type: 'string', default: String(availableParallelism()) },
    },
  })
  return {
    mutants: positionals.length === 0 ? MUTANTS : positionals.map(mutantOf),
    proves: values.prove,
    records: values.record,
    isTable: values.table,
    from: wholeNumber('from', values.from),
    seedsMax: wholeNumber('seeds', values.seeds),
    jobs: wholeNumber('jobs', values.jobs),
  }
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} takes a whole number, got "${text}"`)
  return Number(text)
}

async function main(options: Options): Promise<boolean> {
  const recorded = readRecordedSeeds()
  if (options.isTable) {
    process.stdout.write(mutantsTable(recorded))
    return true
  }
  const verdicts = new Map<Mutant, Verdict>()
  const judge = new Judge()
  const waiting = [...options.mutants]
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const verdict = options.proves
        ? await judge.prove(mutant, options)
        : await judge.confirm(mutant, recorded[mutant.id])
      verdicts.set(mutant, verdict)
      console.log(lineOf(mutant, verdict))
      // At once: a proof of all takes hours, and may be cut off.
      if (options.records) writeRecordedSeeds(merged(recorded, verdicts))
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, options.jobs) }, work))
  const survivors = options.mutants.filter((mutant) => verdicts.get(mutant)!.kind === 'survived')
  for (const { id, name, waitsFor } of WAITING_MUTANTS) console.log(`${id} waits for ${waitsFor}: ${name}`)
  if (survivors.length > 0) console.log(`Survived: ${survivors.map(({ id }) => id).join(', ')}`)
  return survivors.length === 0
}

function lineOf({ id, name }: Mutant, verdict: Verdict): string {
  if (verdict.kind === 'survived') return `${id} SURVIVED ${verdict.seeds} seeds (${name}): ${verdict.reason}`
  const { needed, seeds, noticedBy } = verdict
  const how =
    seeds.length === 0 ? 'by a test' : `on seed ${seeds.join(', ')}, found with the ${needed}. tried,`
  return `${id} killed ${how} by ${noticedBy} (${name})`
}

function merged(recorded: RecordedSeeds, verdicts: ReadonlyMap<Mutant, Verdict>): RecordedSeeds {
  const found: Record<string, RecordedSeeds[string]> = {}
  for (const mutant of MUTANTS) {
    if (mutant.killer.kind === 'tests') continue
    const verdict = verdicts.get(mutant)
    if (verdict?.kind === 'killed') {
      const { seeds, needed, noticedBy } = verdict
      found[mutant.id] = { seeds, needed, noticedBy }
    } else {
      const before = recorded[mutant.id]
      if (before !== undefined) found[mutant.id] = before
    }
  }
  return found
}

process.exit((await main(readOptions(process.argv.slice(2)))) ? 0 : 1)
