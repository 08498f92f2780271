// The mutants as a table in Markdown, for the documents.
import type { Mutant } from './mutant.ts'
import { MUTANTS } from './mutants.ts'
import type { RecordedSeeds } from './recorded-seeds.ts'
import { WAITING_MUTANTS } from './waiting-mutants.ts'

/** One row for each mutant, and one for each that has nothing to break yet. */
export function mutantsTable(recorded: RecordedSeeds): string {
  const rows = [
    ...MUTANTS.map((mutant) => rowOf(mutant, recorded)),
    ...WAITING_MUTANTS.map(({ id, name, item, waitsFor }) => [id, name, item, '', `waits for ${waitsFor}`]),
  ]
  rows.sort(([a], [b]) => a!.localeCompare(b!, 'en', { numeric: true }))
  const head = [
    ['Mutant', 'What the code does wrong', 'Hazard', 'Seeds needed', 'Noticed by'],
    ['---', '---', '---', '--:', '---'],
  ]
  return [...head, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function rowOf({ id, name, item, killer }: Mutant, recorded: RecordedSeeds): readonly string[] {
  if (killer.kind === 'tests') {
    const files = killer.files.map((file) => `\`${file}\``).join(', ')
    return [id, name, item, '', `${files}: ${killer.reason}`]
  }
  const kill = recorded[id]
  return kill === undefined
    ? [id, name, item, '', 'nothing yet']
    : [id, name, item, String(kill.needed), kill.noticedBy]
}
