// Leaks of the real world into simulated code, on purpose (SIM-5). They say nothing about the product: they prove that
// a run which could not be repeated does not go unnoticed.
import type { Mutant } from './mutant.ts'

const POISONED = /SIM-2\b/
const DIFFERENT = /SIM-4\b/

/**
 * All that is drawn for elections: after a link has opened or closed a node asks for votes sooner than its election timeout
 * would have it, so that in many runs the timeouts alone decide nothing and two runs with other ones are the same.
 */
const ELECTION_RANDOM = {
  file: 'src/raft/raft-state.ts',
  text: 'this.#random = options.random\n',
  replacement: `const below = (limit: number): number => Math.floor(Math.random() * limit)
    this.#random = { ...options.random, below }
`,
}

export const CANARIES: readonly Mutant[] = [
  {
    id: 'M34',
    name: 'election timeouts come from Math.random',
    item: 'SIM-4',
    edit: ELECTION_RANDOM,
    killer: { kind: 'simulation', expected: DIFFERENT, rule: 'twice' },
  },
  {
    id: 'S1',
    name: 'the same, with Math.random taken away',
    item: 'SIM-5',
    edit: ELECTION_RANDOM,
    killer: { kind: 'simulation', expected: POISONED },
  },
  {
    id: 'S2',
    name: 'the quorum takes its time from Date.now',
    item: 'SIM-5',
    edit: {
      file: 'src/controller/raft-driver.ts',
      text: 'return this.#options.clock.monotonicMs()',
      replacement: 'return Date.now()',
    },
    killer: { kind: 'simulation', expected: POISONED },
  },
  {
    id: 'S3',
    name: 'a real file is read, and nobody waits for it',
    item: 'SIM-5',
    edit: {
      file: 'src/broker/produce-flow.ts',
      text: 'let length = 0\n',
      replacement: `process.getBuiltinModule('node:fs/promises').readFile('/dev/null').catch(() => {})
    let length = 0
`,
    },
    killer: { kind: 'simulation', expected: POISONED },
  },
  {
    id: 'S4',
    name: 'a request races a real timer',
    item: 'SIM-5',
    edit: {
      file: 'src/broker/isr-proposer.ts',
      text: 'const answers = await this.#send(sent)',
      replacement: `const late = new Promise<never>((_, reject) => setTimeout(reject, 60_000))
      const answers = await Promise.race([this.#send(sent), late])`,
    },
    killer: { kind: 'simulation', expected: POISONED },
  },
  {
    id: 'S5',
    name: 'something happens when a buffer is collected',
    item: 'SIM-5',
    edit: {
      file: 'src/broker/produce-flow.ts',
      text: 'let length = 0\n',
      replacement: `new FinalizationRegistry<string>(() => {}).register(payload, 'collected')
    let length = 0
`,
    },
    killer: { kind: 'simulation', expected: POISONED },
  },
  {
    id: 'S6',
    name: 'request numbers come from a counter that outlives a run',
    item: 'SIM-5',
    edit: {
      file: 'src/net/request-table.ts',
      text: 'let id = this.#nextId\n',
      replacement: `const shared = RequestTable as unknown as { made?: number }
    shared.made = (shared.made ?? 0) + 1
    let id = shared.made
`,
    },
    killer: { kind: 'simulation', expected: DIFFERENT, rule: 'twice' },
  },
]
