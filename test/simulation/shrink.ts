// Takes fault kinds away from a failing seed, one after the other, for as long as it still fails (SIM-23).
import type { FaultName } from '../../src/testing/simulation/simulation-plan.ts'
import type { RunReport } from './messages.ts'

export interface Shrunk {
  /** The fault kinds that are left; with any one of them less the seed no longer fails. */
  readonly faults: readonly FaultName[]
  readonly report: RunReport
  readonly runs: number
}

/**
 * @param run one run of the seed with these faults only.
 * @returns null when the seed does not fail at all.
 */
export async function shrink(
  run: (faults: readonly FaultName[] | undefined) => Promise<RunReport>,
): Promise<Shrunk | null> {
  let report = await run(undefined)
  let runs = 1
  if (report.failure === null) return null
  let faults = report.faults
  for (let changed = true; changed; ) {
    changed = false
    for (const fault of faults) {
      const fewer = faults.filter((other) => other !== fault)
      const without = await run(fewer)
      runs++
      if (without.failure === null) continue
      faults = fewer
      report = without
      changed = true
    }
  }
  return { faults, report, runs }
}
