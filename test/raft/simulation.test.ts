import { describe, expect, it } from 'vitest'
import { type Coverage, NO_COVERAGE, simulate } from './simulation.ts'

const RUNS = 100
const STEPS = 6_000
/** With changes of the voters: longer, since a node has to catch up before it is given a vote. */
const CHANGE_RUNS = 50
const CHANGE_STEPS = 12_000

function runMany(voters: number, spares?: number): Coverage {
  const total = { ...NO_COVERAGE }
  for (let i = 0; i < (spares === undefined ? RUNS : CHANGE_RUNS); i++) {
    const seed = (voters + 10 * (spares ?? 0)) * 10_000 + i
    const coverage = simulate(
      spares === undefined ? { seed, voters, steps: STEPS } : { seed, voters, spares, steps: CHANGE_STEPS },
    )
    for (const mark of Object.keys(total) as (keyof Coverage)[]) total[mark] += coverage[mark]
  }
  return total
}

const replaySeed = process.env['RAFT_SEED']

describe('simulation', () => {
  if (replaySeed !== undefined) {
    it(`seed ${replaySeed}: replayed -> holds`, () => {
      const voters = Number(process.env['RAFT_VOTERS'] ?? 3)
      const spares = process.env['RAFT_SPARES']
      const options = { seed: Number(replaySeed), voters, steps: spares === undefined ? STEPS : CHANGE_STEPS }
      const coverage = simulate(spares === undefined ? options : { ...options, spares: Number(spares) })
      expect(coverage.elections).toBeGreaterThan(0)
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

  it.each([
    [1, 2],
    [3, 2],
    [4, 1],
  ])(
    'RAFT-20 to RAFT-26, RAFT-31: %i voters and %i more nodes, voters come and go -> every invariant holds',
    (voters, spares) => {
      const coverage = runMany(voters, spares)
      expect(coverage.voterChanges).toBeGreaterThan(CHANGE_RUNS)
      expect(coverage.transfers).toBeGreaterThan(2 * CHANGE_RUNS)
      expect(coverage.reads).toBeGreaterThan(10 * CHANGE_RUNS)
      expect(coverage.lostDisks).toBeGreaterThan(CHANGE_RUNS / 10)
      expect(coverage.installs).toBeGreaterThan(CHANGE_RUNS)
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
