// The rules of the code base that the compiler and the linters do not know. Each runs on the real files, and on planted
// ones that must fail: a rule that finds nothing proves nothing by itself.
import { describe, expect, it } from 'vitest'
import { lint } from './tidy/lint.ts'
import { PLANTED_IMPORTS } from './tidy/planted/imports.ts'
import type { Planted } from './tidy/planted/planted.ts'
import { PLANTED_IMPURITIES } from './tidy/planted/purity.ts'
import { PLANTED_SHAPES } from './tidy/planted/shape.ts'
import { PLANTED_STATE } from './tidy/planted/state.ts'
import { readRealTree } from './tidy/real-tree.ts'
import { RULES } from './tidy/rules.ts'
import { formatFinding, parseTree } from './tidy/source-tree.ts'

const PLANTED: readonly Planted[] = [
  ...PLANTED_IMPORTS,
  ...PLANTED_IMPURITIES,
  ...PLANTED_STATE,
  ...PLANTED_SHAPES,
]

const realTree = readRealTree()

describe('tidy', () => {
  it('the reader: it sees the source, the tests and itself', () => {
    const paths = [...realTree.modules.keys()]
    expect(paths.filter((path) => path.startsWith('src/')).length).toBeGreaterThan(50)
    expect(paths).toContain('src/base/assert.ts')
    expect(paths).toContain('test/tidy.test.ts')
  })

  it('planted files: every one of them -> belongs to a rule', () => {
    expect(PLANTED.filter(({ rule }) => !RULES.has(rule))).toEqual([])
  })

  for (const [name, rule] of RULES) {
    const planted = PLANTED.filter((row) => row.rule === name)

    describe(name, () => {
      it('the files of this repository -> no finding', () => {
        expect(rule(realTree).map(formatFinding)).toEqual([])
      })

      it('planted files: at least one of them -> refused', () => {
        expect(planted.some(({ findings }) => findings.length > 0)).toBe(true)
      })

      for (const { name: title, files, findings } of planted) {
        it(title, () => {
          const tree = parseTree(Object.entries(files).map(([path, text]) => ({ path, text })))
          expect(rule(tree).map(formatFinding)).toEqual(findings)
        })
      }
    })
  }
})

const LINTED = `
interface Port { send(): Promise<void> }
export function floating(port: Port): void {
  port.send()
}
export function voided(port: Port): void {
  void port.send()
}
export function unhandled(port: Port): void {
  port.send().then(() => {})
}
export function misused(port: Port): void {
  new Map([[1, 2]]).forEach(() => port.send())
}
export function condition(port: Port): boolean {
  return port.send() ? true : false
}
export async function plain(): Promise<void> {
  await 3
}
export function open(role: 'leader' | 'follower'): number {
  switch (role) {
    case 'leader':
      return 1
  }
  return 2
}
export function handled(port: Port, failed: (error: unknown) => void): void {
  port.send().catch(failed)
}
`

describe('lint configuration', () => {
  it('oxlint: promises that nobody waits for and open switches -> refused; handled ones -> allowed', () => {
    expect(lint(LINTED)).toEqual([
      '10 typescript(no-floating-promises)',
      '13 typescript(no-misused-promises)',
      '16 typescript(no-misused-promises)',
      '19 typescript(await-thenable)',
      '22 typescript(switch-exhaustiveness-check)',
      '4 typescript(no-floating-promises)',
      '7 typescript(no-floating-promises)',
    ])
  })
})
