// The files under check, parsed once. Rules are functions over such a tree, so that the same rule runs on the real
// files and on planted ones that exist only as text.
import ts from 'typescript'

/** A file of the repository; the path is relative to its root, with '/'. */
export interface SourceText {
  readonly path: string
  readonly text: string
}

export interface Finding {
  readonly path: string
  /** From 1. */
  readonly line: number
  readonly rule: string
  readonly message: string
}

export type Rule = (tree: SourceTree) => readonly Finding[]

export interface SourceTree {
  /** Every file, also those that are not TypeScript. */
  readonly files: readonly SourceText[]
  /** The parsed TypeScript files by path. */
  readonly modules: ReadonlyMap<string, ts.SourceFile>
  /** What a reference means in its scope; empty for a global of the platform, also where the module `declare`s it. */
  declarationsOf(reference: ts.Identifier): readonly ts.Declaration[]
}

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  // Without it, two planted files that import nothing would share one global scope.
  moduleDetection: ts.ModuleDetectionKind.Force,
  // Without libraries no global is declared, so a name that still resolves is the module's own.
  noLib: true,
  noResolve: true,
  types: [],
}

const VALUE_MEANING = ts.SymbolFlags.Value | ts.SymbolFlags.Alias
const TYPE_MEANING = ts.SymbolFlags.Type | ts.SymbolFlags.Namespace | ts.SymbolFlags.Alias

export function parseTree(files: readonly SourceText[]): SourceTree {
  const modules = new Map<string, ts.SourceFile>()
  for (const { path, text } of files) {
    if (path.endsWith('.ts')) {
      modules.set(path, ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.TS))
    }
  }
  const host: ts.CompilerHost = {
    getSourceFile: (path) => modules.get(path),
    getDefaultLibFileName: () => '',
    getCurrentDirectory: () => '',
    getCanonicalFileName: (path) => path,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    fileExists: (path) => modules.has(path),
    readFile: (path) => modules.get(path)?.text,
    writeFile: () => {
      throw new Error('the tidy test writes nothing')
    },
  }
  const checker = ts.createProgram([...modules.keys()], OPTIONS, host).getTypeChecker()
  return { files, modules, declarationsOf: (reference) => declarationsOf(checker, reference) }
}

/** Only scopes are looked up, no types: those would need the libraries. */
function declarationsOf(checker: ts.TypeChecker, reference: ts.Identifier): readonly ts.Declaration[] {
  const wanted = ts.isPartOfTypeNode(reference) ? TYPE_MEANING : VALUE_MEANING
  const symbol = checker.getSymbolsInScope(reference, wanted).find(({ name }) => name === reference.text)
  return symbol?.declarations?.filter((declaration) => !isAmbient(declaration)) ?? []
}

/** Whether `declare` stands before it: it then names something that is there without the module. */
function isAmbient(node: ts.Node): boolean {
  if (ts.isSourceFile(node)) return false
  const modifiers = ts.canHaveModifiers(node) ? node.modifiers : undefined
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) || isAmbient(node.parent)
}

export interface ReferenceSearch {
  readonly tree: SourceTree
  readonly module: ts.SourceFile
  readonly names: ReadonlySet<string>
  /** Whether a mention inside a type counts. */
  readonly inTypes: boolean
}

/** The places where a module uses globals of these names, in the order of the text. */
export function globalReferences(search: ReferenceSearch): readonly ts.Identifier[] {
  const { tree, module, names, inTypes } = search
  const found: ts.Identifier[] = []
  const visit = (node: ts.Node): void => {
    if (!inTypes && isErased(node)) return
    const isCandidate = ts.isIdentifier(node) && names.has(node.text) && isReference(node)
    if (isCandidate && tree.declarationsOf(node).length === 0) found.push(node)
    ts.forEachChild(node, visit)
  }
  visit(module)
  return found
}

/** Whether the node leaves no trace in the JavaScript. */
function isErased(node: ts.Node): boolean {
  if (ts.isHeritageClause(node)) return node.token === ts.SyntaxKind.ImplementsKeyword
  // The class after `extends` is parsed as a type with arguments, but it is a value.
  if (ts.isExpressionWithTypeArguments(node)) return false
  return ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)
}

/** Whether an identifier stands for a variable or type, and not for a property or for an export of another module. */
function isReference(node: ts.Identifier): boolean {
  const parent = node.parent
  if (ts.isPropertyAccessExpression(parent)) return parent.name !== node
  if (ts.isQualifiedName(parent)) return parent.right !== node
  if (ts.isBindingElement(parent)) return parent.propertyName !== node
  if (ts.isClassElement(parent) || ts.isTypeElement(parent) || ts.isPropertyAssignment(parent)) {
    return parent.name !== node
  }
  if (ts.isExportSpecifier(parent)) {
    return parent.parent.parent.moduleSpecifier === undefined && (parent.propertyName ?? parent.name) === node
  }
  return !(
    ts.isImportSpecifier(parent) ||
    ts.isMetaProperty(parent) ||
    ts.isImportTypeNode(parent) ||
    ts.isNamedTupleMember(parent)
  )
}

/** Calls back for the node and everything below it. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}

/** The line a node begins on, from 1. */
export function lineOf(node: ts.Node): number {
  const module = node.getSourceFile()
  return module.getLineAndCharacterOfPosition(node.getStart(module)).line + 1
}

/** How many lines a node covers. */
export function lineCountOf(node: ts.Node): number {
  return node.getSourceFile().getLineAndCharacterOfPosition(node.getEnd()).line + 2 - lineOf(node)
}

export function formatFinding({ path, line, rule, message }: Finding): string {
  return `${path}:${line} ${rule}: ${message}`
}
