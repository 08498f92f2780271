// A process of its own that runs seeds and prints one line of JSON for each. See `register.ts` for the mutant in it.
//
//   node --import ./register.js run-seeds.js [--real] <seed>...
//
// It stops at the first seed that fails. `--real` leaves the real clock and randomness in place.
import { writeSync } from 'node:fs'
import { NodePoison } from '../../../src/platform/node/node-poison.ts'
import { runSimulation } from '../../../src/testing/simulation/simulation-run.ts'

/** What one run came to. */
export interface SeedReport {
  readonly seed: number
  /** null when nothing was found. */
  readonly failure: string | null
  readonly digest: string
  readonly events: number
}

const STDOUT = 1

async function main(args: readonly string[]): Promise<void> {
  const seeds = args.filter((arg) => arg !== '--real').map(Number)
  let current = 0
  const fail = (what: string): never => {
    report({ seed: current, failure: what, digest: '', events: 0 })
    process.exit(0)
  }
  // A node would end of it. Nothing is left to go on with: what threw may be the very turn that drives the simulation.
  process.on('unhandledRejection', (thrown) => fail(`CRASH: ${describe(thrown)}`))
  process.on('uncaughtException', (thrown) => fail(`CRASH: ${describe(thrown)}`))
  const poison = args.includes('--real') ? null : new NodePoison(({ message }) => fail(`SIM-2: ${message}`))
  const onTurn = poison === null ? {} : { onTurn: { begin: () => poison.begin(), end: () => poison.end() } }
  for (const seed of seeds) {
    current = seed
    const { failure, digest, events } = await runSimulation({ seed, ...onTurn })
    report({ seed, failure: failure?.what ?? null, digest, events })
    if (failure !== null) break
  }
  // What a mutant has left behind must not keep the process.
  process.exit(0)
}

function report(of: SeedReport): void {
  writeSync(STDOUT, `${JSON.stringify(of)}\n`)
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
}

await main(process.argv.slice(2))
