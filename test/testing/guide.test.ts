// Runs the examples of docs/testing.md as they stand there: the first version fails under the seed that the text shows, and
// passes once its difference is applied. UPDATE_DOCS=1 writes down what the first version says now.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SimulationError } from '../../src/testing/simulation-error.ts'
import { readDocument } from '../docs/documents.ts'
import { type CodeBlock, codeBlocks } from '../docs/markdown.ts'
import { makeDirectory, removeDirectory } from '../end-to-end/command.ts'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'

const GUIDE = 'docs/testing.md'
const ENTRY = join(REPOSITORY_ROOT, 'src/testing/index.ts')

const guide = readDocument(GUIDE)
const blocks = codeBlocks(guide)
const [cluster, bookkeeper, difference] = blocks.filter(({ mark }) => mark === 'runs in CI') as [
  CodeBlock,
  CodeBlock,
  CodeBlock,
]
const said = blocks.find(({ mark }) => mark === 'what the script says')!

const directory = makeDirectory('guide')
afterAll(() => removeDirectory(directory))

/** Runs a script of the guide; resolves when its top level is through. */
async function runScript(name: string, text: string): Promise<void> {
  const path = join(directory, `${name}.ts`)
  expect(text).toContain("'vltava/testing'")
  writeFileSync(path, `${text.replaceAll("'vltava/testing'", JSON.stringify(ENTRY))}\nexport {}\n`)
  await import(path)
}

/** The text with the lines of a difference exchanged. */
function applied(text: string, changes: string): string {
  const lines = changes.split('\n')
  const side = (skipped: string): string =>
    lines
      .filter((line) => !line.startsWith(skipped))
      .map((line) => line.slice(1))
      .join('\n')
  const [before, after] = [side('+'), side('-')]
  expect(text.split(before)).toHaveLength(2)
  return text.replace(before, () => after)
}

describe('the guide for tests', () => {
  it('the cluster: the example runs', async () => {
    await runScript('cluster', cluster.text)
  })

  it('the bookkeeper: passes without faults', async () => {
    await runScript('quiet', bookkeeper.text.replace('seeds: 20,', 'seeds: 1, faults: [],'))
  })

  it('the bookkeeper: fails under a seed, which is the one that the guide shows', async () => {
    const error: unknown = await runScript('bookkeeper', bookkeeper.text).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(SimulationError)
    const { seed, message, cause } = error as SimulationError
    expect(cause).toMatchObject({ name: 'AssertionError', expected: 500 })
    if (process.env['UPDATE_DOCS'] === '1') {
      const fence = '<!-- what the script says -->\n```\n'
      const from = guide.indexOf(fence) + fence.length
      const to = guide.indexOf('```', from)
      writeFileSync(join(REPOSITORY_ROOT, GUIDE), `${guide.slice(0, from)}${message}\n${guide.slice(to)}`)
      return
    }
    const shown = /^seed (\d+),/.exec(said.text)?.[1]
    expect(shown, `${GUIDE}: run the tests with UPDATE_DOCS=1`).toBe(String(seed))
  })

  it('the bookkeeper: with the difference applied -> passes under all seeds', async () => {
    await runScript('mended', applied(bookkeeper.text, difference.text))
  })

  it('the bookkeeper: saves its position before the work instead -> fails as well, as the guide says', async () => {
    const later = '    if (handled % 10 === 0) ledger.position = offset + 1\n'
    const work = '    await worker.sleep(5)'
    expect(bookkeeper.text).toContain(later)
    const early = bookkeeper.text
      .replace(later, '')
      .replace(work, `    ledger.position = offset + 1\n${work}`)
    await expect(runScript('early', early)).rejects.toBeInstanceOf(SimulationError)
  })
})
