import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseTree, type SourceText, type SourceTree } from './source-tree.ts'

export const REPOSITORY_ROOT = fileURLToPath(new URL('../../', import.meta.url))

const FOLDERS = ['src', 'test', 'bin', 'benchmarks', 'scripts'] as const

/** The files of this repository as they are on disk now. */
export function readRealTree(): SourceTree {
  const files: SourceText[] = []
  for (const folder of FOLDERS) {
    const entries = readdirSync(`${REPOSITORY_ROOT}${folder}`, { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (!entry.isFile()) continue
      const absolute = `${entry.parentPath}/${entry.name}`.replaceAll('\\', '/')
      files.push({ path: absolute.slice(REPOSITORY_ROOT.length), text: readText(absolute) })
    }
  }
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  return parseTree(files)
}

/** Binary fixtures have a name to check, but no text. */
function readText(path: string): string {
  const text = readFileSync(path, 'utf8')
  return text.includes('\0') ? '' : text
}
