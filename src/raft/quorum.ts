// The arithmetic of majorities. Pure; the voters are a list without duplicates.
import { assert } from '../base/assert.ts'

/** How many of so many voters are a majority. */
export function majority(voterCount: number): number {
  assert(voterCount > 0, 'a quorum needs at least one voter')
  return Math.floor(voterCount / 2) + 1
}

/**
 * The largest value that a majority has reached. Of the indexes the voters hold durably it gives the index that may be
 * committed; of the times they were last heard, the time since which a majority is silent.
 */
export function majorityValue(values: readonly number[]): number {
  const descending = values.toSorted((a, b) => b - a)
  return descending[majority(values.length) - 1]!
}

export type VoteOutcome = 'won' | 'lost' | 'pending'

/** @param votes true for granted, false for refused; absent voters have not answered. Others than voters don't count. */
export function voteOutcome(voters: readonly number[], votes: ReadonlyMap<number, boolean>): VoteOutcome {
  let granted = 0
  let refused = 0
  for (const voter of voters) {
    const vote = votes.get(voter)
    if (vote === true) granted++
    else if (vote === false) refused++
  }
  const needed = majority(voters.length)
  if (granted >= needed) return 'won'
  return voters.length - refused < needed ? 'lost' : 'pending'
}
