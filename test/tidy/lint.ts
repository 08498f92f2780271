import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { REPOSITORY_ROOT } from './real-tree.ts'

interface Report {
  readonly diagnostics: readonly {
    readonly code: string
    readonly labels: readonly { readonly span: { readonly line: number } }[]
  }[]
}

/** What oxlint says, with the configuration of this repository, about a file of src with this text: `line rule`. */
export function lint(text: string): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), 'vltava-lint-'))
  try {
    for (const name of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) {
      copyFileSync(join(REPOSITORY_ROOT, name), join(root, name))
    }
    symlinkSync(join(REPOSITORY_ROOT, 'node_modules'), join(root, 'node_modules'), 'dir')
    mkdirSync(join(root, 'src'))
    writeFileSync(join(root, 'src', 'planted.ts'), text)
    const oxlint = join(REPOSITORY_ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint')
    const run = spawnSync(process.execPath, [oxlint, '--format=json', 'src'], { cwd: root, encoding: 'utf8' })
    if (run.error !== undefined) throw run.error
    const { diagnostics } = JSON.parse(run.stdout) as Report
    return diagnostics.map(({ code, labels }) => `${labels[0]?.span.line} ${code}`).sort()
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}
