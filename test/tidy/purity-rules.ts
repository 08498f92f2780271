// What code may use of the platform. Below the purity line: nothing that waits, tells the time or draws at random.
// Above it: only through ports, so that a simulated run is the same run every time (SIM-1).
import ts from 'typescript'
import { folderOf, isAmong, isBelowPurityLine } from './layers.ts'
import { loadsOf } from './module-loads.ts'
import { type Finding, globalReferences, lineOf, type SourceTree, walk } from './source-tree.ts'

/** Time, timers, chance, the process, the network, and what the garbage collector decides. */
const OUTSIDE_WORLD = [
  'Date',
  'performance',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'crypto',
  'process',
  'console',
  'fetch',
  'WebSocket',
  'EventSource',
  'XMLHttpRequest',
  'navigator',
  'MessageChannel',
  'BroadcastChannel',
  'Worker',
  'WeakRef',
  'FinalizationRegistry',
  // Whoever holds the global object reaches all of the above.
  'globalThis',
  'global',
  'window',
  'self',
] as const

/** What only shells may use: it makes sense together with waiting. */
const WAITING = [
  'Promise',
  'queueMicrotask',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
  'AbortController',
  'AbortSignal',
  'EventTarget',
  'Atomics',
  'Buffer',
] as const

/** Globals of which one member alone is refused; they may not be handed on whole. */
const REFUSED_MEMBERS: ReadonlyMap<string, string> = new Map([
  ['Math', 'random'],
  ['AbortSignal', 'timeout'],
])

const REFUSED_BELOW: ReadonlySet<string> = new Set([...OUTSIDE_WORLD, ...WAITING, 'Math'])
const REFUSED_ABOVE: ReadonlySet<string> = new Set([...OUTSIDE_WORLD, ...REFUSED_MEMBERS.keys()])

/** The real ports: the code that the rest takes as an argument. */
const REAL_PORTS: readonly string[] = [
  'src/platform/',
  'src/net/node/',
  'src/net/web/',
  'src/storage/node-file-system.ts',
]

/** Built-in modules that hand out the same things under another name. */
const MODULES_LIKE_GLOBALS: ReadonlyMap<string, string> = new Map([
  ['node:timers', 'setTimeout'],
  ['node:timers/promises', 'setTimeout'],
  ['node:perf_hooks', 'performance'],
  ['node:crypto', 'crypto'],
  ['node:process', 'process'],
  ['node:console', 'console'],
  ['node:worker_threads', 'Worker'],
])

interface Grant {
  readonly places: readonly string[]
  readonly names: readonly string[]
  readonly reason: string
}

/** Who needs a global because nothing below can do it instead. */
const GRANTS: readonly Grant[] = [
  {
    places: ['src/cli/'],
    names: ['process', 'performance', 'setTimeout', 'setInterval'],
    reason: 'a command owns its process, its terminal and its time; none of it ever runs in a simulation',
  },
  {
    places: ['src/cli/local-cluster.ts'],
    names: ['crypto'],
    reason: 'it makes the secret of the cluster it starts',
  },
  {
    places: ['src/client/browser.ts'],
    names: ['WebSocket'],
    reason: 'the entry for browsers binds what the page offers, as the entry for Node binds the adapters',
  },
]

/** Where a Date may be made from a given time, to show or to parse it. */
const SHOWS_DATES: readonly string[] = ['src/cli/', 'src/server/', 'src/testing/']

/** Code below the line is a function of its arguments. */
export function belowPurityLine(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    if (isBelowPurityLine(path)) findings.push(...impuritiesOf(tree, path, module))
  }
  return findings
}

function impuritiesOf(tree: SourceTree, path: string, module: ts.SourceFile): readonly Finding[] {
  const findings: Finding[] = []
  const refuse = (node: ts.Node, what: string): void => {
    const message = `${what} is not allowed below the purity line`
    findings.push({ path, line: lineOf(node), rule: 'below-purity-line', message })
  }
  for (const reference of globalReferences({ tree, module, names: REFUSED_BELOW, inTypes: false })) {
    if (reference.text !== 'Math' || isRefusedMember(reference)) refuse(reference, nameOf(reference))
  }
  walk(module, (node) => {
    const waiting = waitingSyntax(node)
    if (waiting !== null) refuse(node, waiting)
  })
  // The ports are declared in base, and some of them are asynchronous; a core has no use for a promise.
  if (folderOf(path) !== 'base') {
    for (const reference of promiseTypes(tree, module)) refuse(reference, 'the type Promise')
  }
  return findings.sort((a, b) => a.line - b.line)
}

function waitingSyntax(node: ts.Node): string | null {
  if (ts.isAwaitExpression(node)) return 'await'
  if (ts.isForOfStatement(node) && node.awaitModifier !== undefined) return 'for await'
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async'
  if (!ts.isCallExpression(node)) return null
  if (node.expression.kind === ts.SyntaxKind.ImportKeyword) return 'import()'
  // What `await` hides, written out.
  return ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === 'then'
    ? '.then()'
    : null
}

function promiseTypes(tree: SourceTree, module: ts.SourceFile): readonly ts.Identifier[] {
  const names = new Set(['Promise', 'PromiseLike'])
  const values = new Set(globalReferences({ tree, module, names, inTypes: false }))
  return globalReferences({ tree, module, names, inTypes: true }).filter((found) => !values.has(found))
}

/** Code above the line reaches the outside world through ports only. */
export function abovePurityLine(tree: SourceTree): readonly Finding[] {
  const rule = 'above-purity-line'
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/') || isBelowPurityLine(path) || isAmong(path, REAL_PORTS)) continue
    for (const reference of globalReferences({ tree, module, names: REFUSED_ABOVE, inTypes: false })) {
      if (isAllowedAbove(path, reference)) continue
      const message = `${nameOf(reference)} is not allowed here: take a port as an argument`
      findings.push({ path, line: lineOf(reference), rule, message })
    }
    for (const { line, specifier, typeOnly } of loadsOf(module)) {
      const name = MODULES_LIKE_GLOBALS.get(specifier ?? '')
      if (name === undefined || typeOnly || isGranted(path, name)) continue
      findings.push({
        path,
        line,
        rule,
        message: `'${specifier}' is not allowed here: take a port as an argument`,
      })
    }
  }
  return findings
}

function isAllowedAbove(path: string, reference: ts.Identifier): boolean {
  if (REFUSED_MEMBERS.has(reference.text)) return !isRefusedMember(reference)
  if (reference.text === 'Date') return isAmong(path, SHOWS_DATES) && isGivenTime(reference)
  return isGranted(path, reference.text)
}

function isGranted(path: string, name: string): boolean {
  return GRANTS.some(({ names, places }) => names.includes(name) && isAmong(path, places))
}

/** Whether the member in question is used, or might be: `Math.random`, `Math[name]`, `const { random } = Math`. */
function isRefusedMember(reference: ts.Identifier): boolean {
  const parent = reference.parent
  if (ts.isPropertyAccessExpression(parent)) return parent.name.text === REFUSED_MEMBERS.get(reference.text)
  const isTested =
    ts.isBinaryExpression(parent) && parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword
  return !isTested
}

/** `new Date(ms)`, `Date.parse(text)` and `Date.UTC(...)` do not look at the clock. */
function isGivenTime(date: ts.Identifier): boolean {
  const parent = date.parent
  if (ts.isNewExpression(parent)) return (parent.arguments?.length ?? 0) > 0
  return ts.isPropertyAccessExpression(parent) && ['parse', 'UTC'].includes(parent.name.text)
}

function nameOf(reference: ts.Identifier): string {
  const parent = reference.parent
  return ts.isPropertyAccessExpression(parent) && parent.expression === reference
    ? `${reference.text}.${parent.name.text}`
    : reference.text
}

const MAKES_CODE: ReadonlySet<string> = new Set(['eval', 'Function'])

/** No text becomes code (SEC-59), in any file of src. */
export function codeFromText(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/')) continue
    for (const reference of globalReferences({ tree, module, names: MAKES_CODE, inTypes: false })) {
      const message = `${reference.text} makes code from text`
      findings.push({ path, line: lineOf(reference), rule: 'code-from-text', message })
    }
  }
  return findings
}
