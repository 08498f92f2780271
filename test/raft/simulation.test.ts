import { describe, expect, it } from 'vitest'
import { type Coverage, NO_COVERAGE, simulate } from './simulation.ts'

const RUNS = 100
const STEPS = 6_000

function runMany(voters: number): Coverage {
  const total = { ...NO_COVERAGE }
  for (let i = 0; i < RUNS; i++) {
    const coverage = simulate({ seed: voters * 10_000 + i, voters, steps: STEPS })
    for (const mark of Object.keys(total) as (keyof Coverage)[]) total[mark] += coverage[mark]
  }
  return total
}

const replaySeed = process.env['RAFT_SEED']

describe.skipIf(replaySeed !== undefined)('simulation', () => {
  it.each([1, 3, 5])('%i voters, random faults -> every invariant holds and peace brings agreement', (voters) => {
    const coverage = runMany(voters)
    expect(coverage.elections).toBeGreaterThan(RUNS)
    expect(coverage.committed).toBeGreaterThan(RUNS * 10)
  })
})

describe.runIf(replaySeed !== undefined)('simulation replay', () => {
  it(`seed ${replaySeed} -> holds`, () => {
    const voters = Number(process.env['RAFT_VOTERS'] ?? 3)
    expect(simulate({ seed: Number(replaySeed), voters, steps: STEPS }).elections).toBeGreaterThan(0)
  })
})
