// Leaks of the real world into simulated code, on purpose (SIM-5). They say nothing about the product: they prove that
// a run which could not be repeated does not go unnoticed.
import type { Mutant } from './mutant.ts'

const POISONED = /SIM-2\b/
const DIFFERENT = /SIM-4\b/

const ELECTION_TIMEOUT =
  'this.electionDueMs = this.nowMs + electionTimeoutMs + this.#random.below(electionTimeoutMs)'
const LEAKED_TIMEOUT =
  'this.electionDueMs = this.nowMs + electionTimeoutMs + Math.floor(Math.random() * electionTimeoutMs)'

export const CANARIES: readonly Mutant[] = [
  {
    id: 'S1',
    name: 'the same, with Math.random taken away',
    item: 'SIM-5',
    edit: { file: 'src/raft/raft-state.ts', text: ELECTION_TIMEOUT, replacement: LEAKED_TIMEOUT },
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
