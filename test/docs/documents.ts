// The documents of this repository, and the sections of them that are made from the code. Such a section stands between
// two comments:
//
//   <!-- generated: errors -->
//   ...
//   <!-- end of generated: errors -->
//
// UPDATE_DOCS=1 writes the sections anew; review the difference.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'

/** Every document, relative to the root of the repository. */
export function documentPaths(): readonly string[] {
  const inDocs = readdirSync(join(REPOSITORY_ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => `docs/${path.replaceAll('\\', '/')}`)
  return ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'src/model/GLOSSARY.md', ...inDocs.sort()]
}

export function readDocument(path: string): string {
  return readFileSync(join(REPOSITORY_ROOT, path), 'utf8')
}

export interface GeneratedSection {
  /** The document that holds it. */
  readonly path: string
  readonly name: string
  /** What it must hold, without the comments around it. */
  readonly body: string
}

/** Compares a section with what the code says now; with UPDATE_DOCS=1 it writes the section instead. */
export function expectGenerated(section: GeneratedSection): void {
  const text = readDocument(section.path)
  const expected = withSection(text, section)
  if (process.env['UPDATE_DOCS'] === '1') {
    if (expected !== text) writeFileSync(join(REPOSITORY_ROOT, section.path), expected)
    return
  }
  const hint = `${section.path}, section "${section.name}": made from the code; run the tests with UPDATE_DOCS=1`
  expect(text, hint).toBe(expected)
}

/** The document with the section replaced. */
export function withSection(text: string, { path, name, body }: GeneratedSection): string {
  const start = `<!-- generated: ${name} -->\n`
  const end = `<!-- end of generated: ${name} -->`
  const from = text.indexOf(start)
  const to = text.indexOf(end, from)
  if (from === -1 || to === -1) throw new Error(`${path} has no section "${name}"`)
  return `${text.slice(0, from)}${start}\n${body.trim()}\n\n${text.slice(to)}`
}
