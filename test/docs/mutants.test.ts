// Holds the table of mutants in docs/simulation.md to the mutants and their recorded seeds.
import { it } from 'vitest'
import { mutantsTable } from '../simulation/mutants/mutants-table.ts'
import { readRecordedSeeds } from '../simulation/mutants/recorded-seeds.ts'
import { expectGenerated } from './documents.ts'

it('docs/simulation.md: the mutants as they are, with the seeds that kill them', () => {
  expectGenerated({
    path: 'docs/simulation.md',
    name: 'mutants',
    body: mutantsTable(readRecordedSeeds()).trimEnd(),
  })
})
