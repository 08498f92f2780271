// Holds the table of hazards in docs/guarantees.md to the names of the tests.
import { describe, expect, it } from 'vitest'
import { readRealTree } from '../tidy/real-tree.ts'
import { expectGenerated, readDocument } from './documents.ts'
import { HAZARDS } from './hazards.ts'
import { code, table } from './markdown.ts'
import { filesByHazard, hazardsIn } from './test-names.ts'

/** Hazards of a product have two digits, the checks and the items of the simulation as many as they need. */
const PADDED = ['REP', 'RAFT', 'STO', 'SEC']

const numbers = (
  prefix: string,
  ranges: readonly (readonly [from: number, to: number])[],
): readonly string[] =>
  ranges.flatMap(([from, to]) =>
    Array.from(
      { length: to - from + 1 },
      (_, i) => `${prefix}-${String(from + i).padStart(PADDED.includes(prefix) ? 2 : 1, '0')}`,
    ),
  )

/** What no change may leave without a test. */
const REQUIRED: readonly string[] = [
  ...numbers('REP', [
    [1, 1],
    [5, 5],
    [7, 8],
    [15, 20],
    [23, 27],
    [33, 33],
    [41, 41],
  ]),
  ...numbers('RAFT', [[1, 10]]),
  ...numbers('STO', [
    [1, 4],
    [12, 15],
    [20, 23],
    [31, 31],
  ]),
  ...numbers('SEC', [
    [10, 13],
    [30, 33],
  ]),
  // docs/simulation.md says what the others wait for.
  ...numbers('CHK', [[0, 19]]),
  ...numbers('INV', [
    [1, 1],
    [3, 7],
    [10, 11],
    [13, 17],
    [19, 19],
    [22, 23],
    [25, 25],
  ]),
  ...numbers('SIM', [
    [2, 4],
    [6, 9],
    [14, 14],
    [23, 23],
    [27, 27],
  ]),
]

const files = filesByHazard(readRealTree())
const isHazard = (name: string): boolean => /^(?:REP|RAFT|STO|SEC)-/.test(name)

/** The hazards to which docs/guarantees.md gives a reason why they have no test; none where it has no such table. */
function explainedHazards(area: string): ReadonlySet<string> {
  const heading = new RegExp(`Items of ${area} that have no test of their own:\\n\\n([\\s\\S]+?)\\n\\n`)
  const [, reasons = ''] = heading.exec(readDocument('docs/guarantees.md')) ?? []
  const explained = new Set<string>()
  for (const line of reasons.split('\n').slice(2)) {
    const column = line.split('|')[1]!
    for (const [, prefix, from, to] of column.matchAll(/([A-Z]+)-(\d+)(?: to [A-Z]+-(\d+))?/g)) {
      for (const hazard of numbers(prefix!, [[Number(from), Number(to ?? from)]])) explained.add(hazard)
    }
  }
  return explained
}

describe('hazards', () => {
  it.each([
    ['REP-01: a restart -> no truncation', ['REP-01']],
    ['REP-14, REP-33: a matrix', ['REP-14', 'REP-33']],
    ['INV-1, 3, 16: any faults -> hold', ['INV-1', 'INV-3', 'INV-16']],
    ['REP-07 A: equal logs', ['REP-07']],
    ['a name with REP-01 behind', []],
    ['UTF-8 text', []],
  ])('the numbers of %j: %j', (name, expected) => {
    expect(hazardsIn(name).filter((hazard) => !hazard.startsWith('UTF'))).toEqual(expected)
  })

  it('those that must be covered: each has a test', () => {
    expect(REQUIRED.filter((hazard) => !files.has(hazard))).toEqual([])
  })

  it.each([
    ['storage', 'STO', 44],
    ['replication and consensus', 'REP', 46],
    ['replication and consensus', 'RAFT', 40],
  ] as const)('those of %s, %s: each has a test or a reason why not', (area, prefix, last) => {
    const explained = explainedHazards(area)
    const unexplained = numbers(prefix, [[1, last]]).filter(
      (hazard) => !files.has(hazard) && !explained.has(hazard),
    )
    expect(unexplained).toEqual([])
    // A reason that has a test beside it was true once.
    expect([...explained].filter((hazard) => hazard.startsWith(`${prefix}-`) && files.has(hazard))).toEqual(
      [],
    )
  })

  it('those that tests name: each has a line that says what it is', () => {
    expect([...files.keys()].filter((hazard) => isHazard(hazard) && !HAZARDS.has(hazard))).toEqual([])
  })

  it('the table in docs/guarantees.md: as the tests are named', () => {
    const rows = [...HAZARDS].flatMap(([hazard, sentence]) => {
      const paths = files.get(hazard)
      return paths === undefined ? [] : [[hazard, sentence, paths.map(code).join(', ')]]
    })
    const body = table(['Number', 'What could happen', 'Tests'], rows)
    expectGenerated({ path: 'docs/guarantees.md', name: 'hazards', body })
  })
})
