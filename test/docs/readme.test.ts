// Runs the tour of the README as it stands there, and compiles its TypeScript.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import ts from 'typescript'
import { afterAll, describe, expect, it } from 'vitest'
import { LocalCluster } from '../../src/cli/local-cluster.ts'
import { LAUNCHER, makeDirectory, removeDirectory } from '../end-to-end/command.ts'
import { REPOSITORY_ROOT } from '../tidy/real-tree.ts'
import { documentPaths, readDocument } from './documents.ts'
import { type CodeBlock, codeBlocks } from './markdown.ts'

const BROKERS = 3
const DEFAULT_BASE_PORT = 7101
const PORT_ATTEMPTS = 50
const TOUR_TIMEOUT_MS = 180_000

const readme = codeBlocks(readDocument('README.md'))
const tour = readme.filter(({ mark }) => mark === 'runs in CI')

/** The tour on other ports, in the way it describes itself; each block says when it begins. */
function scriptOf(blocks: readonly CodeBlock[], basePort: number): string {
  const steps = blocks.map(({ text }, i) => {
    const commands = text
      .replaceAll('vltava cluster up', `vltava cluster up --base-port ${basePort}`)
      .replaceAll(/(?<=ws:\/\/127\.0\.0\.1:)\d+/g, (port) =>
        String(Number(port) - DEFAULT_BASE_PORT + basePort),
      )
    return `echo '== ${i}'\n${commands}`
  })
  return ['set -e -u -o pipefail', ...steps].join('\n')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** The first of several free ports in a row. */
async function freeBasePort(): Promise<number> {
  for (let attempt = 0; attempt < PORT_ATTEMPTS; attempt++) {
    const base = 20_000 + ((process.pid * 7 + attempt * 101) % 10_000)
    const free = await Promise.all(Array.from({ length: BROKERS }, (_, i) => isFree(base + i)))
    if (free.every((isUsable) => isUsable)) return base
  }
  throw new Error(`no ${BROKERS} free ports in a row after ${PORT_ATTEMPTS} attempts`)
}

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a script in the directory, with the command `vltava` on the path. */
async function runScript(script: string, directory: string): Promise<Outcome> {
  const bin = join(directory, 'bin')
  await mkdir(bin)
  const command = join(bin, 'vltava')
  await writeFile(
    command,
    `#!/bin/sh\nexec ${JSON.stringify(process.execPath)} ${JSON.stringify(LAUNCHER)} "$@"\n`,
  )
  await chmod(command, 0o755)
  const env = { PATH: [bin, join(process.execPath, '..'), process.env['PATH'] ?? ''].join(delimiter) }
  const child = spawn('bash', ['-c', script], { cwd: directory, env })
  const text = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString()
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...text }))
  })
}

describe('README: the tour', () => {
  const directory = makeDirectory('readme')
  const dataDir = join(directory, '.vltava')

  afterAll(async () => {
    if (existsSync(dataDir)) await LocalCluster.load(dataDir).stop(10_000)
    removeDirectory(directory)
  })

  it(
    'every block: runs, and shows what the text says',
    async () => {
      expect(tour.map(({ language }) => language)).toEqual(['sh', 'sh', 'sh', 'sh', 'sh'])
      const basePort = await freeBasePort()
      const { code, stdout, stderr } = await runScript(scriptOf(tour, basePort), directory)
      expect(code, `${stdout}\n${stderr}`).toBe(0)
      const [started, written, , afterKill] = stdout.split(/^== \d\n/m).slice(1)
      expect(started!.match(/ up$/gm)).toHaveLength(BROKERS)
      expect(written).toMatch(/^ahoj\nhello\nbonjour\ntopic greetings, id /)
      expect(afterKill).toMatch(/^ahoj\nhello\nbonjour\nstill here\ncluster /)
      expect(afterKill!.match(/ down$/gm)).toHaveLength(1)
      expect(stderr).toContain('3 records acknowledged')
      expect(stderr).toContain('3 brokers stopped.')
    },
    TOUR_TIMEOUT_MS,
  )
})

const ENTRIES: Readonly<Record<string, string>> = {
  vltava: 'src/index.ts',
  'vltava/client': 'src/client/node.ts',
  'vltava/server': 'src/server/index.ts',
  'vltava/testing': 'src/testing/index.ts',
}

const examples = documentPaths().flatMap((path) =>
  codeBlocks(readDocument(path))
    .filter(({ language }) => language === 'ts')
    .map(({ text, line }) => ({ place: `${path}:${line}`, text })),
)

const readFile = (path: string): string | undefined => ts.sys.readFile(path)

/** Compiles the texts as modules at the root of the repository, where the names of the package lead into src. */
function problemsOf(texts: readonly string[]): readonly string[] {
  const { config } = ts.readConfigFile(join(REPOSITORY_ROOT, 'tsconfig.json'), readFile) as {
    readonly config: { readonly compilerOptions: object }
  }
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, REPOSITORY_ROOT)
  options.paths = Object.fromEntries(
    Object.entries(ENTRIES).map(([name, path]) => [name, [join(REPOSITORY_ROOT, path)]]),
  )
  const virtual = new Map(
    texts.map((text, i) => [join(REPOSITORY_ROOT, `example-${i}.ts`), `${text}\nexport {}\n`]),
  )
  const host = ts.createCompilerHost(options)
  host.fileExists = (path) => virtual.has(path) || ts.sys.fileExists(path)
  host.readFile = (path) => virtual.get(path) ?? readFile(path)
  const program = ts.createProgram([...virtual.keys()], options, host)
  return [...virtual.keys()].flatMap((path) => {
    const file = program.getSourceFile(path)
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  })
}

describe('documents: TypeScript', () => {
  it('every example: compiles against the source', () => {
    expect(examples.length).toBeGreaterThanOrEqual(3)
    expect(problemsOf(examples.map(({ text }) => text)).join('\n')).toBe('')
  })

  it('an example that is wrong -> found', () => {
    const text = "import { createClient } from 'vltava/client'\ncreateClient({ bootstrap: 7 })"
    expect(problemsOf([text]).join('\n')).toContain("'number' is not assignable")
  })
})
