// For `node --import`: puts the mutant that VLTAVA_MUTANT names in place of its module. All other modules stay as they are.
import { register } from 'node:module'
import { mutatedModule } from './apply-mutant.ts'
import { mutantOf } from './mutants.ts'
import { compiledUrl, MUTANT_VARIABLE } from './paths.ts'

const id = process.env[MUTANT_VARIABLE]
if (id !== undefined) {
  const mutant = mutantOf(id)
  const url = new URL(mutant.edit.file.replace(/\.ts$/, '.js'), compiledUrl).href
  register('./load-hook.js', { parentURL: import.meta.url, data: { url, source: mutatedModule(mutant) } })
}
