import { existsSync } from 'node:fs'

/** What was compiled, or the repository when this runs from its source. */
export const compiledUrl = new URL('../../../', import.meta.url)

export const repositoryUrl = findRepository(compiledUrl)

/** The environment variable that names the mutant of a process. */
export const MUTANT_VARIABLE = 'VLTAVA_MUTANT'

function findRepository(from: URL): URL {
  if (existsSync(new URL('package.json', from))) return from
  const parent = new URL('../', from)
  if (parent.href === from.href) throw new Error('There is no package.json above the mutants.')
  return findRepository(parent)
}
