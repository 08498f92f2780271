import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { compilerOptions, mutatedModule, mutatedSource } from './apply-mutant.ts'
import { nameOf } from './judge.ts'
import type { Mutant } from './mutant.ts'
import { MUTANTS, mutantOf } from './mutants.ts'
import { repositoryUrl } from './paths.ts'
import { RECORDED_MAX, readRecordedSeeds } from './recorded-seeds.ts'
import { WAITING_MUTANTS } from './waiting-mutants.ts'

const LAST_OF_CATALOGUE = 38

interface Problem {
  readonly id: string
  readonly problem: string
}

/**
 * What the compiler says of mutants of different modules, all of them in one program.
 * @param unchanged all other modules, for the next program.
 */
function typeProblems(
  mutants: readonly Mutant[],
  unchanged: Map<string, ts.SourceFile | undefined>,
): readonly Problem[] {
  const byPath = new Map(
    mutants.map((mutant) => [fileURLToPath(new URL(mutant.edit.file, repositoryUrl)), mutant] as const),
  )
  const options = { ...compilerOptions(), noUnusedLocals: false, noUnusedParameters: false }
  const host = ts.createCompilerHost(options)
  const program = ts.createProgram([...byPath.keys()], options, {
    ...host,
    readFile(path) {
      const mutant = byPath.get(path)
      return mutant === undefined ? host.readFile(path) : mutatedSource(mutant)
    },
    getSourceFile(path, languageVersion) {
      const mutant = byPath.get(path)
      if (mutant !== undefined) return ts.createSourceFile(path, mutatedSource(mutant), languageVersion)
      if (!unchanged.has(path)) unchanged.set(path, host.getSourceFile(path, languageVersion))
      return unchanged.get(path)
    },
  })
  return [...byPath].flatMap(([path, { id }]) =>
    program
      .getSemanticDiagnostics(program.getSourceFile(path))
      .map(({ messageText }) => ({ id, problem: ts.flattenDiagnosticMessageText(messageText, '\n') })),
  )
}

/** As few groups as there can be in which no module is there twice. */
function ofDifferentModules(mutants: readonly Mutant[]): readonly (readonly Mutant[])[] {
  const groups: Mutant[][] = []
  const counts = new Map<string, number>()
  for (const mutant of mutants) {
    const at = counts.get(mutant.edit.file) ?? 0
    counts.set(mutant.edit.file, at + 1)
    groups[at] = [...(groups[at] ?? []), mutant]
  }
  return groups
}

describe('mutants', () => {
  it('SIM-26: every mutant of the catalogue -> is there, or says what it waits for', () => {
    const ids = [...MUTANTS, ...WAITING_MUTANTS].map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const catalogue = Array.from({ length: LAST_OF_CATALOGUE }, (_, i) => `M${i + 1}`)
    expect(catalogue.filter((id) => !ids.includes(id))).toEqual([])
  })

  it.each(MUTANTS.map((mutant) => [mutant.id, mutant] as const))(
    '%s: its text -> stands in the source once, and what becomes of it is another module',
    (_, mutant) => {
      const source = readFileSync(new URL(mutant.edit.file, repositoryUrl), 'utf8')
      expect(mutatedSource(mutant)).not.toBe(source)
      expect(mutatedModule(mutant)).not.toContain("from './mutant")
    },
  )

  it('every mutant -> the compiler accepts its types, and would refuse others', () => {
    const unchanged = new Map<string, ts.SourceFile | undefined>()
    expect(ofDifferentModules(MUTANTS).flatMap((group) => typeProblems(group, unchanged))).toEqual([])
    const { edit, ...mutant } = mutantOf('M1')
    const planted = { ...mutant, edit: { ...edit, replacement: `const planted: number = ''\n${edit.text}` } }
    const problem = "Type 'string' is not assignable to type 'number'."
    expect(typeProblems([planted], unchanged)).toEqual([{ id: 'M1', problem }])
  })

  it('a text that is gone, or there twice -> says which mutant, file and text', () => {
    const { edit, ...mutant } = mutantOf('M1')
    const gone = { ...mutant, edit: { ...edit, text: 'no such text' } }
    expect(() => mutatedSource(gone)).toThrow(
      /M1 does not fit .*produce-flow\.ts has 0 times.*\nno such text/,
    )
    const twice = { ...mutant, edit: { ...edit, text: 'await' } }
    expect(() => mutatedSource(twice)).toThrow(/has \d+ times, instead of once/)
  })

  it('a replacement that does not parse -> refused', () => {
    const { edit, ...mutant } = mutantOf('M1')
    expect(() => mutatedModule({ ...mutant, edit: { ...edit, replacement: 'if (' } })).toThrow(
      /M1 does not compile/,
    )
  })

  it('an id that is none -> says which there are', () => {
    expect(() => mutantOf('M99')).toThrow(/There is no mutant M99; there are M1, /)
  })

  it('recorded seeds -> one to three for each mutant that a run must notice, and for no other', () => {
    const recorded = readRecordedSeeds()
    const bySimulation = MUTANTS.filter(({ killer }) => killer.kind === 'simulation').map(({ id }) => id)
    expect(Object.keys(recorded).sort()).toEqual([...bySimulation].sort())
    for (const { seeds, needed } of Object.values(recorded)) {
      expect(seeds.length).toBeGreaterThanOrEqual(1)
      expect(seeds.length).toBeLessThanOrEqual(RECORDED_MAX)
      expect(needed).toBeGreaterThanOrEqual(1)
    }
  })

  it.each([
    ['InvariantViolation: INV-5: t/0: node 1 ends at 3', 'INV-5'],
    ['CHK-4: lost', 'CHK-4'],
    ['LIVENESS: the cluster is not whole: INV-5 is no reason', 'LIVENESS'],
    ['CRASH: TypeError: x\nat y', 'CRASH'],
    ['something else\nat y', 'something else'],
  ])('the name of "%s" -> %s', (failure, name) => {
    expect(nameOf(failure)).toBe(name)
  })
})
