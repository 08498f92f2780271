// Holds what the documents point at to what is there: files, links, commands of npm, and words that may not stay.
import { existsSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'
import { MACHINE_FOLDERS, UNFINISHED_MARKS } from '../tidy/shape-rules.ts'
import { documentPaths, readDocument, withSection } from './documents.ts'
import { anchors, codeBlocks, linkTargets, table } from './markdown.ts'

const FOLDERS = ['src', 'test', 'bin', 'benchmarks', 'scripts', 'docs'] as const
/** Such as `src/net/` or `test/docs/readme.test.ts`; the end of a sentence does not belong to it. */
const PATHS = new RegExp(`(?<![\\w./-])(?:${FOLDERS.join('|')})/[\\w./-]*[\\w/]`, 'g')

const documents = documentPaths().map((path) => ({ path, text: readDocument(path) }))

function missingPaths(text: string): readonly string[] {
  return [...text.matchAll(PATHS)]
    .map(([path]) => path)
    .filter((path) => !existsSync(join(REPOSITORY_ROOT, path)))
}

/** @returns why a link leads nowhere; null when it leads somewhere or to another site. */
function problemOfLink(from: string, target: string): string | null {
  if (/^[a-z]+:/.test(target)) return null
  const [file, anchor] = target.split('#') as [string, string | undefined]
  const path = file === '' ? from : posix.join(posix.dirname(from), file)
  if (!existsSync(join(REPOSITORY_ROOT, path))) return `${target}: there is no ${path}`
  if (anchor === undefined || anchors(readDocument(path)).has(anchor)) return null
  return `${target}: ${path} has no such heading`
}

const { scripts } = JSON.parse(readFileSync(join(REPOSITORY_ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>
}

function missingScripts(text: string): readonly string[] {
  const named = [...text.matchAll(/npm run ([\w-]+)/g)].map(([, name]) => name!)
  return named.filter((name) => scripts[name] === undefined)
}

const REFUSED = new RegExp(
  `\\b(?:${UNFINISHED_MARKS.join('|')})\\b|(?<![\\w.*)}/-])/(?:${MACHINE_FOLDERS.join('|')})/`,
)

/** What a check finds in all documents, each finding behind the path of its document. */
function findings(check: (document: { readonly path: string; readonly text: string }) => readonly string[]) {
  return documents.flatMap((document) => check(document).map((found) => `${document.path}: ${found}`))
}

describe('documents', () => {
  it('the files they name: exist', () => {
    expect(findings(({ text }) => missingPaths(text))).toEqual([])
  })

  it('their links: lead somewhere', () => {
    expect(
      findings(({ path, text }) => linkTargets(text).flatMap((target) => problemOfLink(path, target) ?? [])),
    ).toEqual([])
  })

  it('the scripts of npm they name: exist', () => {
    expect(findings(({ text }) => missingScripts(text))).toEqual([])
  })

  it('unfinished work and paths of one machine: none', () => {
    expect(findings(({ text }) => text.split('\n').filter((line) => REFUSED.test(line)))).toEqual([])
  })
})

describe('the checks of documents', () => {
  it('a file that does not exist -> found; the dot behind a name -> no part of it', () => {
    const text = 'See src/base/assert.ts. Not src/base/gone.ts, nor `test/gone/`.'
    expect(missingPaths(text)).toEqual(['src/base/gone.ts', 'test/gone/'])
  })

  it('a link to a file or a heading that does not exist -> refused', () => {
    expect(problemOfLink('docs/guarantees.md', 'PROTOCOL.md#errors')).toBeNull()
    expect(problemOfLink('docs/guarantees.md', '../README.md')).toBeNull()
    expect(problemOfLink('docs/guarantees.md', 'GONE.md')).toBe('GONE.md: there is no docs/GONE.md')
    expect(problemOfLink('docs/guarantees.md', '#gone')).toBe('#gone: docs/guarantees.md has no such heading')
  })

  it('headings: their anchors are those of GitHub', () => {
    const text = '# One: two-three\n## `four` (5)\n## One: two-three\n```sh\n# not a heading\n```\n'
    expect([...anchors(text)]).toEqual(['one-two-three', 'four-5', 'one-two-three-1'])
  })

  it('code blocks: found with language, mark and line', () => {
    const text = 'a\n\n<!-- runs in CI -->\n```sh\necho\n```\n\n```\nplain\n```\n'
    expect(codeBlocks(text)).toEqual([
      { language: 'sh', text: 'echo', mark: 'runs in CI', line: 4 },
      { language: '', text: 'plain', mark: null, line: 8 },
    ])
  })

  it('links in code blocks: no links', () => {
    expect(linkTargets('[a](b.md) ![c](d.png)\n```ts\nlist[0](x)\n```\n')).toEqual(['b.md', 'd.png'])
  })

  it('a generated section: replaced between its comments, and nothing else', () => {
    const text = 'before\n<!-- generated: t -->\nold\n<!-- end of generated: t -->\nafter\n'
    const section = { path: 'x.md', name: 't', body: table(['A', 'B'], [['1|2', '<id>']]) }
    expect(withSection(text, section)).toBe(
      'before\n<!-- generated: t -->\n\n| A | B |\n|---|---|\n| 1\\|2 | \\<id> |\n\n<!-- end of generated: t -->\nafter\n',
    )
    expect(() => withSection(text, { ...section, name: 'u' })).toThrow('x.md has no section "u"')
  })
})
