// A hook of the module loader, on a thread of its own; see register.ts.
import type { InitializeHook, LoadHook } from 'node:module'

interface MutatedModule {
  readonly url: string
  readonly source: string
}

let mutated: MutatedModule | null = null

export const initialize: InitializeHook<MutatedModule> = (data) => {
  mutated = data
}

export const load: LoadHook = (url, context, nextLoad) => {
  if (mutated === null || url !== mutated.url) return nextLoad(url, context)
  return { format: 'module', source: mutated.source, shortCircuit: true }
}
