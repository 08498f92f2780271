// Which hazards the tests bear in their names.
import ts from 'typescript'
import { type SourceTree, walk } from '../tidy/source-tree.ts'

/** Such as "REP-14, REP-33: ..." or "INV-1, 3, 4: ...", at the start of a name. */
const NUMBERS = /^([A-Z]+)-\d+(?:, (?:[A-Z]+-)?\d+)*(?=[:, ])/

/** Where numbers stand that are no names of tests: mutants name who notices them. */
const NO_NAMES = ['test/docs/', 'test/simulation/mutants/']

/** The hazards at the start of a name; none for a name that bears no number. */
export function hazardsIn(name: string): readonly string[] {
  const found = NUMBERS.exec(name)
  if (found === null) return []
  let prefix = found[1]!
  return found[0].split(', ').map((part) => {
    const [, own, number] = /^(?:([A-Z]+)-)?(\d+)$/.exec(part)!
    prefix = own ?? prefix
    return `${prefix}-${number}`
  })
}

/**
 * The files of tests by hazard, each once and sorted. A name is any text of a module at the start of which a number
 * stands: that of a test, of a group of tests, or of a row of a table of tests. In a text scenario it is a line of its
 * story. Comments of modules do not count.
 */
export function filesByHazard({ files, modules }: SourceTree): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>()
  const note = (path: string, name: string): void => {
    for (const hazard of hazardsIn(name)) found.set(hazard, (found.get(hazard) ?? new Set()).add(path))
  }
  for (const [path, module] of modules) {
    if (!path.startsWith('test/') || NO_NAMES.some((folder) => path.startsWith(folder))) continue
    walk(module, (node) => {
      if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) note(path, node.text)
    })
  }
  for (const { path, text } of files) {
    if (!path.startsWith('test/scenarios/')) continue
    for (const [, story] of text.matchAll(/^# (.+)$/gm)) note(path, story!)
  }
  return new Map([...found].map(([hazard, paths]) => [hazard, [...paths].sort()]))
}
