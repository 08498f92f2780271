// All mutants of the catalogue (7.1), those beside it, and the canaries (SIM-5).
import { CANARIES } from './canaries.ts'
import { CLIENT_MUTANTS } from './client-mutants.ts'
import type { Mutant } from './mutant.ts'
import { PLACEMENT_MUTANTS } from './placement-mutants.ts'
import { RAFT_MUTANTS } from './raft-mutants.ts'
import { REPLICATION_MUTANTS } from './replication-mutants.ts'
import { STORAGE_MUTANTS } from './storage-mutants.ts'

export const MUTANTS: readonly Mutant[] = [
  ...REPLICATION_MUTANTS,
  ...RAFT_MUTANTS,
  ...STORAGE_MUTANTS,
  ...CLIENT_MUTANTS,
  ...PLACEMENT_MUTANTS,
  ...CANARIES,
]

/** @throws Error for an id that is none. */
export function mutantOf(id: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.id === id)
  if (mutant === undefined)
    throw new Error(`There is no mutant ${id}; there are ${MUTANTS.map((one) => one.id).join(', ')}.`)
  return mutant
}
