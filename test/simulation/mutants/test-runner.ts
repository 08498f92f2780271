// Runs tests of the product with a mutant in it: vitest itself transforms the one module (see vitest.config.ts here).
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Mutant, TestKiller } from './mutant.ts'
import { MUTANT_VARIABLE, repositoryUrl } from './paths.ts'

/** Seconds of processor time: tests of a mutant may never end. */
const CPU_S = 120

interface VitestReport {
  readonly testResults: readonly {
    readonly message: string
    readonly assertionResults: readonly { readonly status: string; readonly title: string }[]
  }[]
}

/** @returns the titles of the tests that failed. @throws Error when they could not be run. */
export async function failedTests({ id }: Mutant, { files }: TestKiller): Promise<readonly string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'vltava-mutant-'))
  try {
    const output = join(directory, 'report.json')
    await runVitest(id, ['--reporter=json', `--outputFile=${output}`, ...files])
    const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as VitestReport
    for (const { message, assertionResults } of testResults)
      if (assertionResults.length === 0)
        throw new Error(`Mutant ${id}: a file of tests did not load: ${message}`)
    return testResults.flatMap(({ assertionResults }) =>
      assertionResults.filter(({ status }) => status === 'failed').map(({ title }) => title),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function runVitest(mutantId: string, args: readonly string[]): Promise<void> {
  const vitest = fileURLToPath(new URL('node_modules/vitest/vitest.mjs', repositoryUrl))
  const config = fileURLToPath(new URL('test/simulation/mutants/vitest.config.ts', repositoryUrl))
  const command = [process.execPath, vitest, 'run', '--config', config, ...args]
  const child = spawn('/bin/sh', ['-c', `ulimit -t ${CPU_S}; exec "$@"`, 'sh', ...command], {
    cwd: fileURLToPath(repositoryUrl),
    stdio: 'ignore',
    env: { ...process.env, [MUTANT_VARIABLE]: mutantId },
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => resolve())
  })
}
