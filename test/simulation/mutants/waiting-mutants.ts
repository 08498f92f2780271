import type { WaitingMutant } from './mutant.ts'

/** Entries of the catalogue that have nothing to break yet. Who builds what they wait for makes mutants of them. */
export const WAITING_MUTANTS: readonly WaitingMutant[] = [
  {
    id: 'M17',
    name: 'deduplication state is not replicated',
    item: 'TXN-03',
    waitsFor: 'idempotent producers',
  },
  {
    id: 'M18',
    name: 'a duplicate is answered with offset 0',
    item: 'TXN-04',
    waitsFor: 'idempotent producers',
  },
  {
    id: 'M36',
    name: 'the position of the last record is committed instead of the next',
    item: 'TXN-12',
    waitsFor: 'consumer groups',
  },
]
