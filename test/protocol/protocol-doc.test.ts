// Holds docs/PROTOCOL.md to the code: its tables are made from the values that the code runs on.
import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { metadataRecordSchema } from '../../src/metadata/metadata-records.ts'
import { ERRORS, type ErrorRow } from '../../src/model/error-codes.ts'
import * as LIMITS from '../../src/model/limits.ts'
import { CLOSE_CODES, type CloseCode } from '../../src/net/close-codes.ts'
import type { AnyApi } from '../../src/protocol/api.ts'
import { APIS } from '../../src/protocol/api-table.ts'
import { raftMessageSchema } from '../../src/raft/messages.ts'
import { expectGenerated, readDocument } from '../docs/documents.ts'
import { meaningOf } from '../docs/field-meanings.ts'
import { anchors, code, table } from '../docs/markdown.ts'
import { commentOf, type FieldRow, readableNumbers, SchemaComments } from '../docs/schema-comments.ts'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'

const path = 'docs/PROTOCOL.md'
const comments = new SchemaComments()
const byKey = APIS.toSorted((a, b) => a.key - b.key)
const limits = new Map<string, unknown>(Object.entries(LIMITS))
const yesNo = (value: boolean): string => (value ? 'yes' : 'no')

/** @param owner the name of the API, Raft message or metadata record. */
function fieldTable(owner: string, rows: readonly FieldRow[]): string {
  if (rows.length === 0) return 'No fields.'
  const cells = rows.map((row) => {
    const meaning = meaningOf(owner, row)
    if (meaning === '') throw new Error(`${owner} ${row.path} has no meaning: comment on it in its schema`)
    return [code(row.path), row.type, meaning]
  })
  return table(['Field', 'Type', 'Meaning'], cells)
}

function apiSection(api: AnyApi): string {
  const { key, name, version, caller, servedBy, oneWay, doc, payload, errors } = api
  const kind = oneWay ? 'one-way' : 'request and response'
  const source = comments.ofApi(name)
  const parts = [
    `### ${key} ${name}`,
    doc,
    `Key ${key}, version ${version}. Called by: ${caller}. Served by: ${servedBy}. Form: ${kind}.`,
    'Request:',
    fieldTable(name, comments.rows(api.request.describe(), source.request)),
  ]
  if (payload?.request !== undefined) parts.push(`Payload of the request: ${payload.request}.`)
  if (!oneWay) {
    parts.push('Response:', fieldTable(name, comments.rows(api.response.describe(), source.response)))
  }
  if (payload?.response !== undefined) parts.push(`Payload of the response: ${payload.response}.`)
  if (!oneWay) parts.push(`Errors: ${errors.length === 0 ? 'none of its own' : errors.map(code).join(', ')}.`)
  return parts.join('\n\n')
}

/** The variants of a tagged union, a section each. */
function variantSections(
  schema: typeof raftMessageSchema | typeof metadataRecordSchema,
  rows: readonly FieldRow[],
): string {
  return schema
    .describe()
    .fields!.map(({ name }, tag) => {
      const about = rows.find((row) => row.path === name)!.comment
      const fields = rows
        .filter((row) => row.path.startsWith(`${name}.`))
        .map((row) => ({ ...row, path: row.path.slice(name.length + 1) }))
      return [`#### ${tag} ${name}`, ...(about === '' ? [] : [about]), fieldTable(name, fields)].join('\n\n')
    })
    .join('\n\n')
}

/** The numbers of model/limits.ts with the comments in front of them. */
function limitRows(): readonly (readonly string[])[] {
  const text = readFileSync(`${REPOSITORY_ROOT}src/model/limits.ts`, 'utf8')
  const file = ts.createSourceFile('limits.ts', text, ts.ScriptTarget.ES2023, true)
  let comment = ''
  return file.statements.filter(ts.isVariableStatement).map((statement) => {
    const name = statement.declarationList.declarations[0]!.name.getText()
    // A limit without a comment belongs to the one above it.
    comment = commentOf(statement) === '' ? comment : commentOf(statement)
    return [code(name), readableNumbers(String(limits.get(name))), comment]
  })
}

describe('docs/PROTOCOL.md', () => {
  it('the table of APIs: as in the code', () => {
    const rows = byKey.map(({ key, name, version, caller, servedBy, oneWay }) => [
      String(key),
      `[${name}](#${key}-${name})`,
      String(version),
      caller,
      servedBy,
      oneWay ? 'one-way' : 'request and response',
    ])
    const body = table(['Key', 'Name', 'Version', 'Called by', 'Served by', 'Form'], rows)
    expectGenerated({ path, name: 'apis', body })
  })

  it('the reference of APIs: as in the code', () => {
    expectGenerated({ path, name: 'api-reference', body: byKey.map(apiSection).join('\n\n') })
  })

  it('the table of errors: as in the code', () => {
    const rows = (Object.entries(ERRORS) as [string, ErrorRow][])
      .toSorted(([, a], [, b]) => a.code - b.code)
      .map(([name, row]) => [
        String(row.code),
        code(name),
        yesNo(row.retriable),
        yesNo(row.definite),
        row.message,
      ])
    const body = table(['Code', 'Name', 'Retriable', 'Definite', 'Meaning'], rows)
    expectGenerated({ path, name: 'errors', body })
  })

  it('the table of close codes: as in the code', () => {
    const rows = (Object.entries(CLOSE_CODES) as [string, CloseCode][]).map(([name, row]) => [
      String(row.code),
      code(name),
      yesNo(row.retriable),
      row.meaning,
    ])
    expectGenerated({
      path,
      name: 'close-codes',
      body: table(['Code', 'Name', 'Dial again', 'Meaning'], rows),
    })
  })

  it('the table of limits: as in the code', () => {
    expectGenerated({ path, name: 'limits', body: table(['Limit', 'Value', 'Meaning'], limitRows()) })
  })

  it('the Raft messages: as in the code', () => {
    const rows = comments.rows(
      raftMessageSchema.describe(),
      comments.ofConstant('src/raft/messages.ts', 'variants'),
    )
    expectGenerated({ path, name: 'raft-messages', body: variantSections(raftMessageSchema, rows) })
  })

  it('the metadata records: as in the code', () => {
    const source = comments.ofConstant('src/metadata/metadata-records.ts', 'metadataRecordSchema')
    const rows = comments.rows(metadataRecordSchema.describe(), source)
    expectGenerated({ path, name: 'metadata-records', body: variantSections(metadataRecordSchema, rows) })
  })

  it('every API: has a heading of its own in the document', () => {
    const headings = anchors(readDocument(path))
    expect(APIS.filter(({ key, name }) => !headings.has(`${key}-${name}`)).map(({ name }) => name)).toEqual(
      [],
    )
  })
})
