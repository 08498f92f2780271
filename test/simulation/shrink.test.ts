import { describe, expect, it } from 'vitest'
import { FAULT_NAMES, type FaultName } from '../../src/testing/simulation/simulation-plan.ts'
import type { RunReport } from './messages.ts'
import { shrink } from './shrink.ts'

/** A seed that fails while `isCause` says so of its faults. */
function seedThatFails(isCause: (faults: readonly FaultName[]) => boolean) {
  return async (faults: readonly FaultName[] = FAULT_NAMES): Promise<RunReport> => ({
    seed: 1,
    failure: isCause(faults) ? { what: 'it', atEvent: 1, atMs: 1 } : null,
    digest: '',
    prefixes: [],
    events: 1,
    virtualMs: 1,
    cpuMs: 1,
    marks: {},
    acknowledged: 0,
    faults,
    recent: [],
  })
}

describe('shrinking a failing seed', () => {
  it('SIM-23: two faults together are the cause -> these two are left', async () => {
    const run = seedThatFails((faults) => faults.includes('kill') && faults.includes('cut'))
    expect((await shrink(run))!.faults).toEqual(['kill', 'cut'])
  })

  it('SIM-23: one fault hides the other -> the smaller set is found whatever the order', async () => {
    const run = seedThatFails(
      (faults) => faults.includes('wipe') || (faults.includes('kill') && faults.includes('pause')),
    )
    expect((await shrink(run))!.faults).toEqual(['wipe'])
  })

  it('no fault is needed -> none is left', async () => {
    expect((await shrink(seedThatFails(() => true)))!.faults).toEqual([])
  })

  it('a seed that does not fail -> says so', async () => {
    expect(await shrink(seedThatFails(() => false))).toBe(null)
  })
})
