// No state lives in a module: two nodes of one process would share it, and a second simulated run would not start
// from the same point as the first.
import ts from 'typescript'
import { type Finding, lineOf, type SourceTree, walk } from './source-tree.ts'

const CONTAINERS: ReadonlySet<string> = new Set(['Map', 'Set', 'WeakMap', 'WeakSet', 'Array', 'Object'])
/** Objects that do not change, or only while one call runs. */
const HARMLESS_OBJECTS: ReadonlySet<string> = new Set([
  'RegExp',
  'TextEncoder',
  'TextDecoder',
  'Error',
  'URL',
])
const READONLY_TYPES: ReadonlySet<string> = new Set([
  'Readonly',
  'ReadonlyArray',
  'ReadonlyMap',
  'ReadonlySet',
])
const MUTABLE_TYPES: ReadonlySet<string> = new Set([
  ...CONTAINERS,
  'Record',
  'Partial',
  'Required',
  'Pick',
  'Omit',
])
const MUTATORS: ReadonlySet<string> = new Set(
  'add clear copyWithin delete fill pop push reverse set shift sort splice unshift'.split(' '),
)
/** Methods of a container or array that return one. */
const PASS_ON: ReadonlySet<string> = new Set(
  'add concat fill filter flat flatMap map reverse set slice sort splice toReversed toSorted with'.split(' '),
)
const FACTORIES: ReadonlySet<string> = new Set(
  'Array Array.from Array.of Object.assign Object.create Object.entries Object.fromEntries Object.keys Object.values'.split(
    ' ',
  ),
)

/** Objects of packages that may last. */
const LASTING_OBJECTS: readonly { readonly path: string; readonly name: string; readonly reason: string }[] =
  [
    {
      path: 'src/protocol/codec.ts',
      name: 'Packr',
      reason:
        'without records it carries nothing from one message to the next, and its setup costs too much for each',
    },
  ]

/** Nothing that a module holds from its first line on can change. */
export function moduleState(tree: SourceTree): readonly Finding[] {
  const findings: Finding[] = []
  for (const [path, module] of tree.modules) {
    if (!path.startsWith('src/')) continue
    const report = (node: ts.Node, message: string): void => {
      findings.push({ path, line: lineOf(node), rule: 'module-state', message })
    }
    for (const statement of module.statements) {
      if (ts.isVariableStatement(statement)) checkVariables(statement.declarationList, report)
    }
    walk(module, (node) => {
      if (ts.isPropertyDeclaration(node)) checkStaticField(node, report)
      else if (ts.isVariableDeclarationList(node)) checkHoisted(node, report)
    })
    checkMutations(tree, module, report)
  }
  return findings
}

type Report = (node: ts.Node, message: string) => void

function checkVariables(list: ts.VariableDeclarationList, report: Report): void {
  if ((list.flags & ts.NodeFlags.Const) === 0) {
    // A `var` is reported by checkHoisted, wherever it stands.
    if ((list.flags & ts.NodeFlags.BlockScoped) !== 0)
      report(list, `'${list.getText()}' can be assigned anew`)
    return
  }
  for (const { name, type, initializer } of list.declarations) {
    const problem = initializer === undefined ? null : mutability(initializer, type)
    if (problem !== null) report(name, `'${name.getText()}' ${problem}`)
  }
}

function checkHoisted(list: ts.VariableDeclarationList, report: Report): void {
  if ((list.flags & ts.NodeFlags.BlockScoped) === 0) report(list, "'var' can be assigned anew")
}

function checkStaticField(field: ts.PropertyDeclaration, report: Report): void {
  if (!hasModifier(field, ts.SyntaxKind.StaticKeyword)) return
  const name = field.name.getText()
  if (!hasModifier(field, ts.SyntaxKind.ReadonlyKeyword)) {
    report(field, `static '${name}' is not readonly`)
    return
  }
  const problem = field.initializer === undefined ? null : mutability(field.initializer, field.type)
  if (problem !== null) report(field, `static '${name}' ${problem}`)
}

function hasModifier(field: ts.PropertyDeclaration, kind: ts.SyntaxKind): boolean {
  return field.modifiers?.some((modifier) => modifier.kind === kind) ?? false
}

/** What keeps a value from changing: nothing, Object.freeze (not what is inside), `as const`, or its declared type. */
type Guard = 'none' | 'shallow' | 'const' | 'typed'

/** What is wrong with a lasting value of this initialiser and type annotation; null when it cannot change. */
function mutability(initializer: ts.Expression, type: ts.TypeNode | undefined): string | null {
  if (type === undefined) return problemOf(initializer, 'none')
  return problemOf(initializer, isGuard(type, initializer) ? 'typed' : 'none')
}

/** Whether a value of this type is kept from changing, as far as the two can tell. */
function isGuard(type: ts.TypeNode, value: ts.Expression): boolean {
  if (isReadonlyType(type)) return true
  // An interface says itself what is readonly, but behind the name of a container a Map may hide.
  return isNamedType(type) && !ts.isNewExpression(value) && !ts.isArrayLiteralExpression(value)
}

function problemOf(expression: ts.Expression, guard: Guard): string | null {
  if (
    ts.isParenthesizedExpression(expression) ||
    ts.isSatisfiesExpression(expression) ||
    ts.isNonNullExpression(expression)
  ) {
    return problemOf(expression.expression, guard)
  }
  if (ts.isAsExpression(expression)) {
    const { type, expression: value } = expression
    if (ts.isConstTypeReference(type)) return problemOf(value, guard === 'typed' ? 'typed' : 'const')
    return problemOf(value, isGuard(type, value) ? 'typed' : guard)
  }
  if (ts.isNewExpression(expression)) return problemOfNew(expression, guard)
  if (ts.isCallExpression(expression)) return problemOfCall(expression, guard)
  const parts = partsOf(expression)
  if (parts === null) return null
  if (guard === 'none') return "is mutable: annotate it with a readonly type, or 'as const'"
  for (const part of parts) {
    const problem = problemOf(part, guard === 'shallow' ? 'none' : guard)
    if (problem !== null) return `holds a value that ${problem}`
  }
  return null
}

/** The elements of an array literal, the values of an object literal; null for any other expression. */
function partsOf(expression: ts.Expression): readonly ts.Expression[] | null {
  if (ts.isArrayLiteralExpression(expression)) return expression.elements
  if (!ts.isObjectLiteralExpression(expression)) return null
  return expression.properties.filter(ts.isPropertyAssignment).map((property) => property.initializer)
}

function problemOfNew(expression: ts.NewExpression, guard: Guard): string | null {
  const name = expression.expression.getText()
  if (CONTAINERS.has(name)) {
    // `as const` and Object.freeze leave the methods of a Map or Set as they are.
    return guard === 'typed' ? null : `is a mutable ${name}: annotate it with its Readonly type`
  }
  if (HARMLESS_OBJECTS.has(name) || isEmptyBytes(name, expression)) return null
  const { fileName } = expression.getSourceFile()
  if (LASTING_OBJECTS.some((row) => row.path === fileName && row.name === name)) return null
  return `is a lasting ${name}: create it where it is used, or pass it in`
}

/** No byte to change: `new Uint8Array(0)`. Tables of numbers come from a function. */
function isEmptyBytes(name: string, { arguments: given }: ts.NewExpression): boolean {
  return name.endsWith('Array') && (given === undefined || given.length === 0 || given[0]!.getText() === '0')
}

/** Of calls, those that visibly return a container; the types of all others are not known here. */
function problemOfCall(call: ts.CallExpression, guard: Guard): string | null {
  const callee = call.expression.getText()
  if (callee === 'Object.freeze' && call.arguments[0] !== undefined) {
    return problemOf(call.arguments[0], guard === 'none' ? 'shallow' : guard)
  }
  if (FACTORIES.has(callee)) {
    return guard === 'typed' || guard === 'shallow'
      ? null
      : `is made by ${callee}(): annotate it with a readonly type`
  }
  if (!ts.isPropertyAccessExpression(call.expression) || !PASS_ON.has(call.expression.name.text)) return null
  return problemOf(call.expression.expression, guard === 'typed' ? 'typed' : 'none')
}

/** Whether a type says of all it spells out that it does not change. */
function isReadonlyType(type: ts.TypeNode): boolean {
  if (ts.isTypeOperatorNode(type))
    return type.operator === ts.SyntaxKind.ReadonlyKeyword && !namesMutable(type.type)
  if (ts.isTypeReferenceNode(type)) return READONLY_TYPES.has(type.typeName.getText()) && !namesMutable(type)
  return ts.isTypeLiteralNode(type) && type.members.every(isReadonlyMember)
}

function isReadonlyMember(member: ts.TypeElement): boolean {
  if (ts.isMethodSignature(member)) return true
  const modifiers = ts.canHaveModifiers(member) ? member.modifiers : undefined
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ReadonlyKeyword) ?? false
}

/** Whether a type has a Map, Set or WeakMap in it: `Readonly<Map<K, V>>` can be set. Parameters do not count. */
function namesMutable(type: ts.Node): boolean {
  if (ts.isFunctionTypeNode(type)) return false
  if (ts.isTypeReferenceNode(type) && /^(?:Weak)?(?:Map|Set)$/.test(type.typeName.getText())) return true
  return ts.forEachChild(type, (child) => namesMutable(child) || undefined) ?? false
}

function isNamedType(type: ts.TypeNode): boolean {
  return ts.isTypeReferenceNode(type) && !MUTABLE_TYPES.has(type.typeName.getText())
}

/** Changes in place to what a module declares at its top, here or where it is imported from. */
function checkMutations(tree: SourceTree, module: ts.SourceFile, report: Report): void {
  walk(module, (node) => {
    const changed = changedMember(node)
    if (changed !== null) {
      const root = rootOf(changed)
      if (root !== null && tree.declarationsOf(root).some(isOfModule)) {
        report(node, `'${changed.getText()}' is changed, and it belongs to a module`)
      }
    } else if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const { expression: owner, name } = node.expression
      const root = rootOf(owner)
      const constant = root === null ? undefined : tree.declarationsOf(root).find(isModuleVariable)
      if (constant === undefined) return
      if (MUTATORS.has(name.text)) {
        report(node, `'${owner.getText()}' is changed by ${name.text}(), and it belongs to a module`)
      } else if (['exec', 'test'].includes(name.text) && hasLastIndex(constant)) {
        report(node, `${name.text}() moves the lastIndex of '${owner.getText()}', which belongs to a module`)
      }
    }
  })
}

/** `x.y` of `x.y = 1`, `x.y += 1`, `x.y++` and `delete x.y`. */
function changedMember(node: ts.Node): ts.Expression | null {
  const target = changedExpression(node)
  if (target === null) return null
  return ts.isPropertyAccessExpression(target) || ts.isElementAccessExpression(target) ? target : null
}

function changedExpression(node: ts.Node): ts.Expression | null {
  if (ts.isBinaryExpression(node)) {
    const { kind } = node.operatorToken
    const isAssignment = kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment
    return isAssignment ? node.left : null
  }
  if (ts.isDeleteExpression(node)) return node.expression
  if (ts.isPostfixUnaryExpression(node)) return node.operand
  if (!ts.isPrefixUnaryExpression(node)) return null
  const steps =
    node.operator === ts.SyntaxKind.PlusPlusToken || node.operator === ts.SyntaxKind.MinusMinusToken
  return steps ? node.operand : null
}

/** `x` of `x.y[0]!.z`. */
function rootOf(expression: ts.Expression): ts.Identifier | null {
  if (ts.isIdentifier(expression)) return expression
  const isLink =
    ts.isPropertyAccessExpression(expression) ||
    ts.isElementAccessExpression(expression) ||
    ts.isNonNullExpression(expression) ||
    ts.isParenthesizedExpression(expression) ||
    ts.isAsExpression(expression)
  return isLink ? rootOf(expression.expression) : null
}

function isOfModule(declaration: ts.Declaration): boolean {
  if (ts.isFunctionDeclaration(declaration) || ts.isClassDeclaration(declaration)) {
    return ts.isSourceFile(declaration.parent)
  }
  const isImported =
    ts.isImportSpecifier(declaration) || ts.isImportClause(declaration) || ts.isNamespaceImport(declaration)
  return isImported || isModuleVariable(declaration)
}

function isModuleVariable(declaration: ts.Declaration): declaration is ts.VariableDeclaration {
  return ts.isVariableDeclaration(declaration) && ts.isSourceFile(declaration.parent.parent.parent)
}

function hasLastIndex({ initializer }: ts.VariableDeclaration): boolean {
  return (
    initializer !== undefined &&
    ts.isRegularExpressionLiteral(initializer) &&
    /[gy][a-z]*$/.test(initializer.text)
  )
}
