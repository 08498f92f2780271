// Runs tests with one mutant in place, which VLTAVA_MUTANT names; see test-runner.ts.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import base from '../../../vitest.config.ts'
import { mutatedSource } from './apply-mutant.ts'
import { mutantOf } from './mutants.ts'
import { MUTANT_VARIABLE, repositoryUrl } from './paths.ts'

const mutant = mutantOf(process.env[MUTANT_VARIABLE] ?? '')
const path = fileURLToPath(new URL(mutant.edit.file, repositoryUrl))

export default defineConfig({
  ...base,
  root: fileURLToPath(repositoryUrl),
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      load: (id) => (id === path ? mutatedSource(mutant) : null),
    },
  ],
})
