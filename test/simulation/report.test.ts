import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FAULT_NAMES } from '../../src/testing/simulation/simulation-plan.ts'
import { missingMarks, REQUIRED_MARKS } from './coverage.ts'
import type { RunReport } from './messages.ts'
import { commitOf, describeDivergence, describeFailure, Totals } from './report.ts'
import { freshSeeds, seedsFrom } from './seeds.ts'

function report(change: Partial<RunReport> = {}): RunReport {
  return {
    seed: 77,
    failure: null,
    digest: 'a'.repeat(64),
    prefixes: ['p1', 'p2', 'p3'],
    events: 1_000,
    virtualMs: 60_000,
    cpuMs: 500,
    marks: { 'fault kill': 2 },
    acknowledged: 10,
    faults: ['kill', 'pause'],
    recent: [],
    ...change,
  }
}

describe('describeDivergence', () => {
  it('SIM-4: prefixes differ -> the first thousand lines that do, by number, and how to look at them', () => {
    const b = report({ prefixes: ['p1', 'other', 'another'], digest: 'b'.repeat(64) })
    expect(describeDivergence(report(), b)).toBe(
      'seed 77 is not deterministic: two runs of it differ within the lines 1001 to 2000 of the trace (aaaaaaaaaaaa and bbbbbbbbbbbb). Compare: npm run sim -- --seed 77 --verbose',
    )
    expect(describeDivergence(report(), report({ prefixes: ['other', 'p2', 'p3'] }))).toContain(
      'within the lines 1 to 1000 ',
    )
  })

  it('SIM-4: only the rest behind the prefixes differs, or one trace is longer -> those lines', () => {
    expect(describeDivergence(report(), report({ digest: 'b' }))).toContain('within the lines 3001 to 4000 ')
    const longer = report({ prefixes: ['p1', 'p2', 'p3', 'p4'] })
    expect(describeDivergence(report(), longer)).toContain('within the lines 3001 to 4000 ')
    expect(describeDivergence(longer, report())).toContain('within the lines 3001 to 4000 ')
    expect(describeDivergence(report({ prefixes: [] }), report({ prefixes: [] }))).toContain(
      'within the lines 1 to 1000 ',
    )
  })
})

describe('describeFailure', () => {
  const before = process.cwd()
  let directory = ''

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'vltava-report-'))
    process.chdir(directory)
  })

  afterEach(() => {
    process.chdir(before)
    rmSync(directory, { recursive: true })
  })

  it('SIM-7: what, commit, Node, event, time, replay line and the end of the trace; all of it in a file', () => {
    const recent = Array.from({ length: 200 }, (_, i) => `${i}.000 line ${i}`)
    const failed = report({
      failure: { what: 'INV-7: two logs differ', atEvent: 1_234, atMs: 5_678.9 },
      recent,
    })
    const text = describeFailure(failed, 'abc123 (with changes)')
    const lines = text.split('\n')
    expect(lines[0]).toBe('seed 77 failed: INV-7: two logs differ')
    expect(lines[1]).toMatch(
      /^ {2}commit abc123 \(with changes\), Node v\d+\.\d+\.\d+, options [0-9a-f]{8}, event 1234, 5679 ms of virtual time$/,
    )
    expect(lines[2]).toContain('replay: npm run sim -- --seed 77 ')
    expect(lines[2]).toContain('--until 1234')
    expect(lines[2]).toContain('--faults kill,pause')
    expect(lines.slice(-25).map((line) => line.trim())).toEqual(recent.slice(-25))
    const kept = readFileSync(join(directory, '.vltava/simulation/seed-77.txt'), 'utf8')
    expect(kept).toContain('seed 77 failed: INV-7: two logs differ\n')
    expect(kept.trimEnd().split('\n').slice(-200)).toEqual(recent)
  })

  it('SIM-7: other faults -> another hash of the options; none -> named as none', () => {
    const failure = { what: 'x', atEvent: 1, atMs: 1 }
    const hashes = [['kill'], ['pause'], []].map(
      (faults) =>
        /options (\w+),/.exec(
          describeFailure(report({ failure, faults: faults as RunReport['faults'] }), 'c'),
        )![1],
    )
    expect(new Set(hashes).size).toBe(3)
    expect(describeFailure(report({ failure, faults: [] }), 'c')).toContain('--faults none ')
  })

  it('SIM-7: no repository -> says that the commit is unknown; one -> its commit', () => {
    expect(commitOf(directory)).toBe('unknown commit')
    expect(commitOf(before)).toMatch(/^[0-9a-f]{12}( \(with changes\))?$|^unknown commit$/)
  })
})

describe('Totals', () => {
  it('runs -> sums, and events per second of CPU', () => {
    const totals = new Totals()
    expect(totals.eventsPerSecond).toBe(0)
    totals.add(report())
    totals.add(report({ marks: { 'fault kill': 1, 'send ok': 4 }, acknowledged: 5 }))
    expect([totals.runs, totals.events, totals.acknowledged]).toEqual([2, 2_000, 15])
    expect(totals.eventsPerSecond).toBe(2_000)
    expect([...totals.marks]).toEqual([
      ['fault kill', 3],
      ['send ok', 4],
    ])
    expect(totals.describe()).toContain('2 runs, 2,000 events')
  })
})

describe('coverage', () => {
  it('SIM-25: marks that no run hit -> named; every fault is one that must be hit', () => {
    const all = new Map(REQUIRED_MARKS.map((name) => [name, 1]))
    expect(missingMarks(all)).toEqual([])
    all.delete('log log-truncated')
    all.delete('fault wipe')
    expect([...missingMarks(all)].sort()).toEqual(['fault wipe', 'log log-truncated'])
    expect(missingMarks(new Map())).toEqual(REQUIRED_MARKS)
    for (const name of FAULT_NAMES) expect(REQUIRED_MARKS).toContain(`fault ${name}`)
    expect(new Set(REQUIRED_MARKS).size).toBe(REQUIRED_MARKS.length)
  })
})

describe('seeds', () => {
  it('seedsFrom: at the end of the range -> goes on from 0', () => {
    expect(seedsFrom(5, 3)).toEqual([5, 6, 7])
    expect(seedsFrom(2 ** 32 - 2, 4)).toEqual([2 ** 32 - 2, 2 ** 32 - 1, 0, 1])
  })

  it('freshSeeds: twice -> valid seeds, others each time', () => {
    const [a, b] = [freshSeeds(3), freshSeeds(3)]
    for (const seed of [...a, ...b]) {
      expect(Number.isInteger(seed)).toBe(true)
      expect(seed).toBeGreaterThanOrEqual(0)
      expect(seed).toBeLessThan(2 ** 32)
    }
    expect(new Set(a).size).toBe(3)
    expect(a).not.toEqual(b)
  })
})
