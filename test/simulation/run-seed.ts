// One seed inside of this process, with everything that is real out of its reach (SIM-2).
import { NodePoison, type PoisonError } from '../../src/platform/node/node-poison.ts'
import { runSimulation, type SimulationOptions } from '../../src/testing/simulation/simulation-run.ts'
import type { RunReport } from './messages.ts'

export async function runSeed(options: Omit<SimulationOptions, 'onTurn'>): Promise<RunReport> {
  const strays: string[] = []
  const poison = new NodePoison((error: PoisonError) => strays.push(error.stack ?? error.message))
  const onRejection = (reason: unknown): void => {
    strays.push(`unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}`)
  }
  const resourcesBefore = process.getActiveResourcesInfo().length
  process.on('unhandledRejection', onRejection)
  const startUs = process.cpuUsage()
  try {
    const result = await runSimulation({
      ...options,
      onTurn: { begin: () => poison.begin(), end: () => poison.end() },
    })
    const cpu = process.cpuUsage(startUs)
    if (process.getActiveResourcesInfo().length > resourcesBefore)
      strays.push(`real handles are left open: ${process.getActiveResourcesInfo().join(', ')}`)
    const { failure, plan, marks } = result
    const stray =
      strays.length === 0
        ? null
        : { what: `POISON: ${strays[0]}`, atEvent: result.events, atMs: result.virtualMs }
    return {
      seed: result.seed,
      failure: failure ?? stray,
      digest: result.digest,
      prefixes: result.prefixes,
      events: result.events,
      virtualMs: result.virtualMs,
      cpuMs: (cpu.user + cpu.system) / 1_000,
      marks: Object.fromEntries(marks),
      acknowledged: result.acknowledged,
      faults: plan.faults,
      recent: failure === null && stray === null ? [] : result.recent,
    }
  } finally {
    process.off('unhandledRejection', onRejection)
    poison.remove()
  }
}
