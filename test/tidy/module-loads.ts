// What a module loads, in every form the language has, so that no form escapes the import rules.
import { posix } from 'node:path'
import ts from 'typescript'
import { lineOf, type SourceTree, walk } from './source-tree.ts'

export interface ModuleLoad {
  readonly line: number
  /** Null where the text computes it; then nobody can tell what is loaded. */
  readonly specifier: string | null
  /** Whether nothing of it is left at run time. */
  readonly typeOnly: boolean
}

/** The one way to make a `require`; by its own name, so that what it loads can be read. */
const MAKE_REQUIRE = 'createRequire'

export function loadsOf(module: ts.SourceFile): readonly ModuleLoad[] {
  const loads: ModuleLoad[] = []
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean): void => {
    const text = specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : null
    loads.push({ line: lineOf(node), specifier: text, typeOnly })
  }
  const requires = requireNamesOf(module)
  for (const { fileName, pos } of [...module.referencedFiles, ...module.typeReferenceDirectives]) {
    const line = module.getLineAndCharacterOfPosition(pos).line + 1
    loads.push({ line, specifier: fileName, typeOnly: true })
  }
  walk(module, (node) => {
    if (ts.isImportDeclaration(node)) {
      // `import { type X }` without `import type` still runs the module under verbatimModuleSyntax.
      add(node, node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    } else if (ts.isExportDeclaration(node)) {
      if (node.moduleSpecifier !== undefined) add(node, node.moduleSpecifier, node.isTypeOnly)
    } else if (ts.isImportEqualsDeclaration(node)) {
      const target = node.moduleReference
      add(node, ts.isExternalModuleReference(target) ? target.expression : undefined, node.isTypeOnly)
    } else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true)
    } else if (ts.isCallExpression(node)) {
      if (isLoadingCall(node, requires)) add(node, node.arguments[0], false)
    } else if (ts.isIdentifier(node) && escapes(node, requires)) {
      add(node, undefined, false)
    }
  })
  return loads
}

/** `require` itself and the variables that hold what createRequire returned. */
function requireNamesOf(module: ts.SourceFile): ReadonlySet<string> {
  const names = new Set(['require'])
  walk(module, (node) => {
    if (
      ts.isVariableDeclaration(node) &&
      ts.isIdentifier(node.name) &&
      node.initializer !== undefined &&
      isMakeRequireCall(node.initializer)
    ) {
      names.add(node.name.text)
    }
  })
  return names
}

function isMakeRequireCall(node: ts.Node): boolean {
  return (
    ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === MAKE_REQUIRE
  )
}

/** `import(x)`, `require(x)`, `require.resolve(x)` and `createRequire(url)(x)`. */
function isLoadingCall({ expression }: ts.CallExpression, requires: ReadonlySet<string>): boolean {
  if (expression.kind === ts.SyntaxKind.ImportKeyword || isMakeRequireCall(expression)) return true
  if (ts.isIdentifier(expression)) return requires.has(expression.text)
  return (
    ts.isPropertyAccessExpression(expression) &&
    ts.isIdentifier(expression.expression) &&
    requires.has(expression.expression.text) &&
    expression.name.text === 'resolve'
  )
}

/** Whether a `require` or `createRequire` goes elsewhere than into a call, where its loads could not be followed. */
function escapes(node: ts.Identifier, requires: ReadonlySet<string>): boolean {
  const parent = node.parent
  if (ts.isTypeQueryNode(parent)) return false
  if (node.text === MAKE_REQUIRE) {
    if (ts.isImportSpecifier(parent)) return parent.propertyName !== undefined
    return !(ts.isCallExpression(parent) && parent.expression === node && isFollowed(parent))
  }
  if (!requires.has(node.text)) return false
  if (ts.isCallExpression(parent)) return parent.expression !== node
  // A member that bears the name, or a member of the function itself such as `require.resolve`.
  if (ts.isPropertyAccessExpression(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent))
    return false
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) return parent.name !== node
  return true
}

/** Whether the result of createRequire is called at once or kept under a name. */
function isFollowed(call: ts.CallExpression): boolean {
  const parent = call.parent
  if (ts.isVariableDeclaration(parent)) return ts.isIdentifier(parent.name)
  return ts.isCallExpression(parent) && parent.expression === call
}

/** Whether a specifier names a file of this repository and not a package. */
export function isRelative(specifier: string): boolean {
  return specifier.startsWith('.')
}

/** The path a relative specifier means. It need not exist. */
export function targetOf(from: string, specifier: string): string {
  return posix.join(posix.dirname(from), specifier)
}

/** The files of the tree that each module of src loads, with the line of the first load. */
export function importGraph(
  tree: SourceTree,
  follow: (load: ModuleLoad) => boolean,
): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const graph = new Map<string, Map<string, number>>()
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/')) continue
    const targets = new Map<string, number>()
    for (const load of loadsOf(module)) {
      if (load.specifier === null || !isRelative(load.specifier) || !follow(load)) continue
      const target = targetOf(path, load.specifier)
      if (tree.modules.has(target) && !targets.has(target)) targets.set(target, load.line)
    }
    graph.set(path, targets)
  }
  return graph
}
