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

describe('simulation', () => {
  if (replaySeed !== undefined) {
    it(`seed ${replaySeed}: replayed -> holds`, () => {
      const voters = Number(process.env['RAFT_VOTERS'] ?? 3)
      expect(simulate({ seed: Number(replaySeed), voters, steps: STEPS }).elections).toBeGreaterThan(0)
    })
    return
  }

  it('1 voter, random faults -> every invariant holds, and it goes on', () => {
    const coverage = runMany(1)
    expect(coverage.elections).toBeGreaterThan(10 * RUNS)
    expect(coverage.committed).toBeGreaterThan(100 * RUNS)
    expect(coverage.lostWrites).toBeGreaterThan(RUNS)
  })

  it.each([3, 5])(
    '%i voters, random faults -> every invariant holds, and peace brings agreement',
    (voters) => {
      const coverage = runMany(voters)
      expect(coverage.elections).toBeGreaterThan(5 * RUNS)
      expect(coverage.committed).toBeGreaterThan(20 * RUNS)
      expect(coverage.truncations).toBeGreaterThan(RUNS)
      expect(coverage.refusals).toBeGreaterThan(10 * RUNS)
      expect(coverage.lostWrites).toBeGreaterThan(RUNS)
      expect(coverage.lateWrites).toBeGreaterThan(RUNS)
      expect(coverage.snapshots).toBeGreaterThan(5 * RUNS)
      expect(coverage.installs).toBeGreaterThan(RUNS / 2)
    },
  )

  it('the same seed twice -> the same, line by line', () => {
    const run = (): string[] => {
      const lines: string[] = []
      simulate({ seed: 77, voters: 3, steps: STEPS, trace: (line) => lines.push(line) })
      return lines
    }
    const first = run()
    expect(first.length).toBeGreaterThan(STEPS / 10)
    expect(run()).toEqual(first)
  })

  it('a broken invariant -> says the seed and how to replay it', () => {
    const trace = (): void => {
      throw new Error('broken on purpose')
    }
    expect(() => simulate({ seed: 5, voters: 3, steps: 10, trace })).toThrow(
      'broken on purpose\nreplay: RAFT_SEED=5 RAFT_VOTERS=3 npx vitest run test/raft/simulation.test.ts',
    )
  })
})
