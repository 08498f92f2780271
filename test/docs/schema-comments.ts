// The comments beside the fields of schemas. What a schema value can tell of itself (names, types, ranges) comes from
// `describe()`; what its fields mean stands in comments, which only the source text has. So both are walked together,
// and a difference between them is an error.
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import ts from 'typescript'
import type { SchemaDoc } from '../../src/schema/schema.ts'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'

export interface FieldRow {
  /** Such as `partitions[].topicId`. */
  readonly path: string
  readonly type: string
  /** Empty where there is none. */
  readonly comment: string
}

/** A place in the source: an expression that makes a schema. */
export interface SchemaSource {
  readonly path: string
  readonly expression: ts.Expression
}

export interface ApiSource {
  readonly request: SchemaSource
  readonly response: SchemaSource
}

interface SourceField extends SchemaSource {
  readonly name: string
  readonly comment: string
}

/** The one struct whose fields need no rows of their own. */
const ERROR_OR_NONE = 'errorOrNoneSchema'
const PASS_THROUGH: ReadonlySet<string> = new Set(['nullable', 'withFallback', 'absentWhereNull'])
const WITH_FIELDS: ReadonlySet<string> = new Set(['struct', 'union'])

export class SchemaComments {
  readonly #files = new Map<string, ts.SourceFile>()

  ofApi(name: string): ApiSource {
    for (const file of readdirSync(`${REPOSITORY_ROOT}src/protocol`)) {
      const path = `src/protocol/${file}`
      for (const { initializer: call } of declarationsIn(this.#file(path))) {
        if (call === undefined || !ts.isCallExpression(call) || call.expression.getText() !== 'defineApi')
          continue
        const fields = new Map(
          propertiesOf(call.arguments[0]!).map((field) => [field.name.getText(), field.initializer]),
        )
        if (fields.get('name')?.getText() !== `'${name}'`) continue
        const partOf = (part: string): SchemaSource => ({ path, expression: fields.get(part)! })
        return { request: partOf('request'), response: partOf('response') }
      }
    }
    throw new Error(`no file of src/protocol defines the API ${name}`)
  }

  /** A schema that a file declares or imports as a constant. */
  ofConstant(path: string, name: string): SchemaSource {
    const { declaration, path: declaredIn } = this.#declaration(path, name)
    return { path: declaredIn, expression: declaration.initializer! }
  }

  /** The fields below a schema, each behind the one it is a part of. */
  rows(doc: SchemaDoc, source: SchemaSource, path = ''): readonly FieldRow[] {
    const { callee, call } = this.#callOf(source)
    const inner = { path: call.path, expression: call.expression.arguments[0]! }
    if (PASS_THROUGH.has(callee)) return this.rows(doc, inner, path)
    if (callee === 'list') return this.rows(doc.fields![0]!.doc, inner, `${path}[]`)
    if (!WITH_FIELDS.has(callee)) return []
    const fields = this.#fieldsOf(inner)
    const described = doc.fields ?? []
    const names = described.map((field) => field.name).join(', ')
    if (names !== fields.map((field) => field.name).join(', ')) {
      throw new Error(`${call.path}: the source of "${path}" has other fields than ${names}`)
    }
    return fields.flatMap((field, i) => this.#rowsOf(field, described[i]!.doc, path))
  }

  #rowsOf(field: SourceField, doc: SchemaDoc, outerPath: string): readonly FieldRow[] {
    const path = outerPath === '' ? field.name : `${outerPath}.${field.name}`
    if (field.expression.getText() === ERROR_OR_NONE) {
      return [
        { path, type: 'error or null', comment: 'What went wrong with this part: `code` and `detail`.' },
      ]
    }
    const row = { path, type: typeOf(doc), comment: field.comment }
    return [row, ...this.rows(doc, field, path)]
  }

  /** The call that makes the schema, behind the names that stand for it. */
  #callOf(source: SchemaSource): {
    readonly callee: string
    readonly call: { readonly path: string; readonly expression: ts.CallExpression }
  } {
    const { path, expression } = this.#resolve(source)
    if (!ts.isCallExpression(expression)) throw new Error(`${path}: ${expression.getText()} makes no schema`)
    return { callee: expression.expression.getText(), call: { path, expression } }
  }

  #resolve({ path, expression }: SchemaSource): SchemaSource {
    if (ts.isAsExpression(expression)) return this.#resolve({ path, expression: expression.expression })
    if (!ts.isIdentifier(expression)) return { path, expression }
    return this.#resolve(this.ofConstant(path, expression.text))
  }

  #fieldsOf(source: SchemaSource): readonly SourceField[] {
    const { path, expression } = this.#resolve(source)
    if (!ts.isObjectLiteralExpression(expression)) throw new Error(`${path}: fields must stand in an object`)
    // As in the object itself: a field that is given again keeps its place and has its last meaning.
    const fields = new Map<string, SourceField>()
    for (const property of expression.properties) {
      const found = ts.isSpreadAssignment(property)
        ? this.#fieldsOf({ path, expression: property.expression })
        : [this.#fieldOf(path, property)]
      for (const field of found) fields.set(field.name, field)
    }
    return [...fields.values()]
  }

  #fieldOf(path: string, property: ts.ObjectLiteralElementLike): SourceField {
    const { name } = property
    const expression = ts.isShorthandPropertyAssignment(property)
      ? property.name
      : ts.isPropertyAssignment(property)
        ? property.initializer
        : null
    if (expression === null || name === undefined)
      throw new Error(`${path}: ${property.getText()} is no field`)
    const comment = commentOf(property) || this.#commentOnSchema(path, expression)
    return { path, name: ts.isStringLiteral(name) ? name.text : name.getText(), comment, expression }
  }

  /** A schema that has a name may have its comment there. */
  #commentOnSchema(path: string, expression: ts.Expression): string {
    if (!ts.isIdentifier(expression)) return ''
    return commentOf(this.#declaration(path, expression.text).declaration.parent.parent)
  }

  #declaration(
    path: string,
    name: string,
  ): { readonly declaration: ts.VariableDeclaration; readonly path: string } {
    const file = this.#file(path)
    const declaration = declarationsIn(file).find((declared) => declared.name.getText() === name)
    if (declaration?.initializer !== undefined) return { declaration, path }
    for (const statement of file.statements) {
      if (!ts.isImportDeclaration(statement) || !ts.isStringLiteral(statement.moduleSpecifier)) continue
      const bindings = statement.importClause?.namedBindings
      if (bindings === undefined || !ts.isNamedImports(bindings)) continue
      if (!bindings.elements.some((element) => element.name.text === name)) continue
      return this.#declaration(posix.join(posix.dirname(path), statement.moduleSpecifier.text), name)
    }
    throw new Error(`${path} neither declares nor imports ${name}`)
  }

  #file(path: string): ts.SourceFile {
    let file = this.#files.get(path)
    if (file === undefined) {
      const text = readFileSync(`${REPOSITORY_ROOT}${path}`, 'utf8')
      file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.TS)
      this.#files.set(path, file)
    }
    return file
  }
}

function declarationsIn(file: ts.SourceFile): readonly ts.VariableDeclaration[] {
  return file.statements.flatMap((statement) =>
    ts.isVariableStatement(statement) ? [...statement.declarationList.declarations] : [],
  )
}

function propertiesOf(expression: ts.Expression): readonly ts.PropertyAssignment[] {
  return ts.isObjectLiteralExpression(expression) ? expression.properties.filter(ts.isPropertyAssignment) : []
}

/** The comment in front of a node, as one line; empty where there is none. */
export function commentOf(node: ts.Node): string {
  return ts
    .getJSDocCommentsAndTags(node)
    .filter(ts.isJSDoc)
    .map((comment) => ts.getTextOfJSDocComment(comment.comment) ?? '')
    .join(' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** The type of a field in a table. */
function typeOf(doc: SchemaDoc): string {
  const element = doc.fields?.length === 1 && doc.fields[0]!.name === '[]' ? doc.fields[0]!.doc : null
  if (element?.type === 'struct') return readableNumbers(`${doc.type} structs`)
  if (element !== null) return readableNumbers(`${doc.type}, each ${element.type}`)
  if (!doc.type.startsWith('union')) return readableNumbers(doc.type)
  return `one of ${doc.fields!.map((variant) => variant.name).join(', ')}`
}

const KNOWN_NUMBERS: readonly (readonly [string, string])[] = [
  [String(Number.MAX_SAFE_INTEGER), '2^53-1'],
  [String(2 ** 31 - 1), '2^31-1'],
  [String(2 ** 31), '2^31'],
]

/** Numbers as people write them: 2^53-1, 25,165,824. */
export function readableNumbers(text: string): string {
  let shown = text
  for (const [digits, name] of KNOWN_NUMBERS) shown = shown.replaceAll(digits, name)
  return shown.replaceAll(/\d{4,}/g, (digits) => Number(digits).toLocaleString('en-US'))
}
