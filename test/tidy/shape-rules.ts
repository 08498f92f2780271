// The outer shape of the code: lengths, names, exports, and words that may not stay.
import { posix } from 'node:path'
import ts from 'typescript'
import { isAmong, PACKAGE_ENTRIES } from './layers.ts'
import { type Finding, lineCountOf, lineOf, type SourceTree, walk } from './source-tree.ts'

const FILE_LINES_MAX = 600
/** The files that attract everything; they only route between a core and its ports. */
const SHELL_LINES_MAX = 350
const SHELLS: ReadonlySet<string> = new Set([
  'partition.ts',
  'partition-log.ts',
  'connection.ts',
  'raft-node.ts',
  'controller.ts',
])

export function fileLength({ files }: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const { path, text } of files) {
    if (!path.endsWith('.ts')) continue
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
    const isShell = path.startsWith('src/') && SHELLS.has(posix.basename(path))
    const linesMax = isShell ? SHELL_LINES_MAX : FILE_LINES_MAX
    if (lines > linesMax) {
      findings.push({
        path,
        line: linesMax + 1,
        rule: 'file-length',
        message: `${lines} lines; at most ${linesMax}`,
      })
    }
  }
  return findings
}

const FUNCTION_LINES_MAX = 70
/** What holds a list of tests holds more than one thought. */
const TEST_BLOCKS: ReadonlySet<string> = new Set([
  'describe',
  'it',
  'test',
  'beforeAll',
  'beforeEach',
  'afterAll',
  'afterEach',
])

/** A function is as long as its body, from `{` to `}`. */
export function functionLength(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    walk(module, (node) => {
      const body = ts.isFunctionLike(node) ? (node as ts.FunctionLikeDeclaration).body : undefined
      if (body === undefined) return
      const lines = lineCountOf(body)
      if (lines <= FUNCTION_LINES_MAX || (path.startsWith('test/') && holdsTests(node, body))) return
      const message = `the function has ${lines} lines; at most ${FUNCTION_LINES_MAX}`
      findings.push({ path, line: lineOf(node), rule: 'function-length', message })
    })
  }
  return findings
}

/** Whether a function is handed to describe, it, it.each(...) and the like, or calls them as a contract suite does. */
function holdsTests(node: ts.Node, body: ts.Node): boolean {
  if (isTestCall(node.parent)) return true
  const statements = ts.isBlock(body) ? body.statements : []
  return statements.some(
    (statement) => ts.isExpressionStatement(statement) && isTestCall(statement.expression),
  )
}

function isTestCall(node: ts.Node): boolean {
  if (!ts.isCallExpression(node)) return false
  let callee: ts.Node = node.expression
  while (
    ts.isPropertyAccessExpression(callee) ||
    ts.isCallExpression(callee) ||
    ts.isTaggedTemplateExpression(callee)
  ) {
    callee = ts.isTaggedTemplateExpression(callee) ? callee.tag : callee.expression
  }
  return ts.isIdentifier(callee) && TEST_BLOCKS.has(callee.text)
}

const KEBAB_CASE = /^[a-z0-9]+(?:[-.][a-z0-9]+)*$/
const INDEX_FILES: ReadonlySet<string> = new Set([
  'src/index.ts',
  'src/server/index.ts',
  'src/testing/index.ts',
])

/** Names in kebab-case; in src TypeScript only, and no index file but the entries of the package. */
export function fileNames({ files }: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const { path } of files) {
    const report = (message: string): void => {
      findings.push({ path, line: 1, rule: 'file-names', message })
    }
    const isDocument = path.endsWith('.md')
    if (!isDocument && !path.split('/').every((name) => KEBAB_CASE.test(name))) report('is not in kebab-case')
    if (!path.startsWith('src/') || isDocument) continue
    // The other rules read .ts alone; a module of another kind would escape them.
    if (!path.endsWith('.ts') || path.endsWith('.d.ts')) report('is not a TypeScript module')
    if (posix.basename(path) === 'index.ts' && !INDEX_FILES.has(path))
      report('is a barrel: import the files themselves')
  }
  return findings
}

/** Named exports only, no enums, no casts to any, no files that only pass on the exports of others. */
export function declarations(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/')) continue
    walk(module, (node) => {
      const message = problemOfDeclaration(node)
      if (message !== null) findings.push({ path, line: lineOf(node), rule: 'declarations', message })
    })
    const isBarrel = module.statements.length > 0 && module.statements.every(isReExport)
    if (isBarrel && !isAmong(path, PACKAGE_ENTRIES)) {
      const message = 'the file only passes on the exports of others'
      findings.push({ path, line: 1, rule: 'declarations', message })
    }
  }
  return findings
}

function problemOfDeclaration(node: ts.Node): string | null {
  const isDefault =
    ts.isExportAssignment(node) ||
    node.kind === ts.SyntaxKind.DefaultKeyword ||
    (ts.isExportSpecifier(node) && (node.name.text === 'default' || node.propertyName?.text === 'default'))
  if (isDefault && !ts.isCaseOrDefaultClause(node.parent)) return 'exports are named, not default'
  if (ts.isEnumDeclaration(node)) return 'an enum is not erasable: use a union of literals'
  const isCast = ts.isAsExpression(node) || ts.isTypeAssertionExpression(node)
  return isCast && node.type.kind === ts.SyntaxKind.AnyKeyword ? 'a cast to any' : null
}

function isReExport(statement: ts.Statement): boolean {
  return ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined
}

interface RefusedText {
  readonly what: string
  readonly pattern: RegExp
  /** All files when absent. */
  readonly only?: string
}

// The words are put together here, because this file is under check as well.
const word = (...parts: readonly string[]): string => parts.join('')

/** Work that was put off. */
export const UNFINISHED_MARKS: readonly string[] = [
  word('TO', 'DO'),
  word('FIX', 'ME'),
  word('XX', 'X'),
  word('HA', 'CK'),
]
/** Comments that switch a check off. */
export const CHECK_SWITCHES: readonly string[] = [
  word('@ts-', 'ignore'),
  word('@ts-', 'expect-error'),
  word('@ts-', 'nocheck'),
  word('eslint-', 'disable'),
  word('oxlint-', 'disable'),
]
export const COVERAGE_PRAGMAS: readonly string[] = [
  word('c8 ', 'ignore'),
  word('v8 ', 'ignore'),
  word('istanbul ', 'ignore'),
]
/** Folders that exist on the machine of one person. */
export const MACHINE_FOLDERS: readonly string[] = ['home', 'Users', 'root', 'work', 'tmp']

const REFUSED_TEXTS: readonly RefusedText[] = [
  { what: 'unfinished work', pattern: new RegExp(`\\b(?:${UNFINISHED_MARKS.join('|')})\\b`) },
  { what: 'a check switched off', pattern: new RegExp(CHECK_SWITCHES.join('|')), only: 'src/' },
  { what: 'a coverage pragma', pattern: new RegExp(COVERAGE_PRAGMAS.join('|')) },
  {
    what: 'a test left out or run alone',
    pattern: /\b(?:describe|it|test)\.(?:only|skip|todo)\b/,
    only: 'test/',
  },
  {
    what: 'a path of one machine',
    pattern: new RegExp(`(?<![\\w.*)}/-])/(?:${MACHINE_FOLDERS.join('|')})/|[A-Z]:\\\\{1,2}Users`),
  },
]

export function refusedTexts({ files }: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const { path, text } of files) {
    const patterns = REFUSED_TEXTS.filter(({ only }) => only === undefined || path.startsWith(only))
    for (const [index, line] of text.split('\n').entries()) {
      for (const { what, pattern } of patterns) {
        const found = pattern.exec(line)
        if (found === null) continue
        findings.push({ path, line: index + 1, rule: 'refused-texts', message: `${what}: ${found[0]}` })
      }
    }
  }
  return findings
}
