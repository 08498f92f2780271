// Who imports whom: the table, the packages, the adapters, cycles, and what a browser would load.
import {
  COMPOSITION_ROOTS,
  folderOf,
  IMPORT_TABLE,
  isAmong,
  NARROWER_IMPORTS,
  PACKAGE_TABLE,
  REAL_ADAPTERS,
} from './layers.ts'
import { importGraph, isRelative, loadsOf, type ModuleLoad, targetOf } from './module-loads.ts'
import { type Finding, globalReferences, lineOf, type SourceTree } from './source-tree.ts'

/** The version of the package is read at run time; it lies at the same depth from src and from dist. */
const PACKAGE_JSON_READERS: readonly string[] = ['src/server/', 'src/cli/']

function* relativeLoads(tree: SourceTree): Generator<{ path: string; target: string; load: ModuleLoad }> {
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/')) continue
    for (const load of loadsOf(module)) {
      if (load.specifier !== null && isRelative(load.specifier)) {
        yield { path, target: targetOf(path, load.specifier), load }
      }
    }
  }
}

/** Every import inside src is one that the table allows. */
export function importTable(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const { path, target, load } of relativeLoads(tree)) {
    const message = problemOfImport(tree, { path, target, load })
    if (message !== null) findings.push({ path, line: load.line, rule: 'import-table', message })
  }
  return findings
}

function problemOfImport(
  tree: SourceTree,
  { path, target, load }: { path: string; target: string; load: ModuleLoad },
): string | null {
  if (target === 'package.json' && isAmong(path, PACKAGE_JSON_READERS)) return null
  if (!target.startsWith('src/')) return `'${load.specifier}' lies outside of src`
  if (!tree.modules.has(target)) return `'${load.specifier}' is no TypeScript file of src`
  const from = folderOf(path)
  const to = folderOf(target)
  if (from === to) return null
  const allowed = IMPORT_TABLE.get(from) ?? []
  if (!allowed.includes(to)) {
    return `${from} may import ${allowed.join(', ') || 'nothing'}; not ${to}`
  }
  const narrower = NARROWER_IMPORTS.find((row) => row.from === from && row.to === to)
  if (narrower === undefined) return null
  const fits = narrower.files?.test(path) ?? load.typeOnly
  return fits ? null : `${from} may not import ${to} here: ${narrower.reason}`
}

/** Every folder of src has a row in the table, and files at its top are entries. */
export function knownFolders({ files }: SourceTree): readonly Finding[] {
  return files
    .filter(({ path }) => path.startsWith('src/') && !IMPORT_TABLE.has(folderOf(path)))
    .map(({ path }) => ({
      path,
      line: 1,
      rule: 'known-folders',
      message: `'${folderOf(path)}' has no row in the import table (test/tidy/layers.ts)`,
    }))
}

/** Packages are loaded only where their row says, and every load can be read from the text (SEC-59). */
export function packages(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/')) continue
    for (const { line, specifier } of loadsOf(module)) {
      const message = problemOfPackage(path, specifier)
      if (message !== null) findings.push({ path, line, rule: 'packages', message })
    }
  }
  return findings
}

function problemOfPackage(path: string, specifier: string | null): string | null {
  if (specifier === null) return 'what is loaded here cannot be read from the text'
  if (isRelative(specifier)) return null
  const name = packageNameOf(specifier)
  const places = PACKAGE_TABLE.get(name)
  if (specifier === 'node:vm' || places === undefined) return `'${specifier}' may not be imported`
  return isAmong(path, places) ? null : `'${specifier}' may be imported only by ${places.join(', ')}`
}

/** 'ws', '@node-rs/crc32', or 'node:' for every built-in module; sub-paths belong to their package. */
export function packageNameOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node:'
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Real clocks, sockets and files are injected; only what wires a process together names them (SIM-1). */
export function realAdapters(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const { path, target, load } of relativeLoads(tree)) {
    if (!isAmong(target, REAL_ADAPTERS) || isAmong(path, REAL_ADAPTERS)) continue
    if (isAmong(path, COMPOSITION_ROOTS)) continue
    const message = `${target} is a real adapter: take its port as an argument`
    findings.push({ path, line: load.line, rule: 'real-adapters', message })
  }
  return findings
}

/** No file imports itself by way of others, not even for types. A file on several cycles is named in one. */
export function importCycles(tree: SourceTree): readonly Finding[] {
  const graph = importGraph(tree, () => true)
  const reported = new Set<string>()
  const findings: Finding[] = []
  for (const start of graph.keys()) {
    if (reported.has(start)) continue
    const cycle = shortestCycle(graph, start)
    if (cycle === null) continue
    for (const path of cycle) reported.add(path)
    const line = graph.get(start)!.get(cycle[1]!)!
    findings.push({ path: start, line, rule: 'import-cycles', message: cycle.join(' -> ') })
  }
  return findings
}

type Graph = ReadonlyMap<string, ReadonlyMap<string, number>>

/** The files from `start` back to it, both ends included. */
function shortestCycle(graph: Graph, start: string): readonly string[] | null {
  for (const [path, chain] of chainsFrom(graph, start)) {
    if (graph.get(path)?.has(start)) return [...chain, start]
  }
  return null
}

/** Each file that `start` reaches, with the shortest chain to it, nearest first. */
function chainsFrom(graph: Graph, start: string): ReadonlyMap<string, readonly string[]> {
  const chains = new Map<string, readonly string[]>([[start, [start]]])
  // A Map visits what is added while it is walked, so this is a breadth-first search.
  for (const [path, chain] of chains) {
    for (const target of graph.get(path)?.keys() ?? []) {
      if (!chains.has(target)) chains.set(target, [...chain, target])
    }
  }
  return chains
}

export const BROWSER_ENTRY = 'src/client/browser.ts'

/** Globals that a browser does not have, or has only because a bundler fakes them. */
const NODE_GLOBALS: ReadonlySet<string> = new Set([
  'Buffer',
  'NodeJS',
  'process',
  'global',
  'require',
  'module',
  'exports',
  '__dirname',
  '__filename',
  'setImmediate',
  'clearImmediate',
])

/** What a browser loads together with the client needs neither Node nor a package written for it. */
export function browserReach(tree: SourceTree): readonly Finding[] {
  const rule = 'browser-reach'
  if (!tree.modules.has(BROWSER_ENTRY)) {
    return [{ path: BROWSER_ENTRY, line: 1, rule, message: 'the browser entry is missing' }]
  }
  const findings: Finding[] = []
  const graph = importGraph(tree, (load) => !load.typeOnly)
  for (const [path, chain] of chainsFrom(graph, BROWSER_ENTRY)) {
    const module = tree.modules.get(path)!
    const by = `the browser loads this by ${chain.join(' -> ')}`
    for (const { line, specifier, typeOnly } of loadsOf(module)) {
      if (typeOnly || specifier === null || isRelative(specifier)) continue
      if (packageNameOf(specifier) === 'msgpackr') continue
      findings.push({ path, line, rule, message: `'${specifier}' is not for browsers; ${by}` })
    }
    for (const found of globalReferences({ tree, module, names: NODE_GLOBALS, inTypes: true })) {
      findings.push({ path, line: lineOf(found), rule, message: `${found.text} is Node's; ${by}` })
    }
  }
  return findings
}
