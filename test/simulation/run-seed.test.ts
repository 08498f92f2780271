// SIM-2 and SIM-14 as the runner sees them: what is real is a failure of the seed, whoever swallows it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { NodePoison } from '../../src/platform/node/node-poison.ts'
import type { SimulationOptions } from '../../src/testing/simulation/simulation-run.ts'
import type { RunReport } from './messages.ts'
import { runSeed } from './run-seed.ts'

const realInterval = setInterval
const EVENTS = 300

let leftOpen: NodeJS.Timeout[] = []

beforeEach(() => {
  // Those of Vitest itself come and go.
  vi.spyOn(process, 'getActiveResourcesInfo').mockReturnValue([])
})

afterEach(() => {
  vi.restoreAllMocks()
  for (const timer of leftOpen) clearInterval(timer)
  leftOpen = []
})

/** Runs a seed in which something happens once, in the middle of simulated code. */
async function seedIn(act: () => void, options: Partial<SimulationOptions> = {}): Promise<RunReport> {
  let lines = 0
  return await runSeed({
    seed: 5,
    eventsMax: EVENTS,
    onLine: () => {
      if (++lines === 100) act()
    },
    ...options,
  })
}

describe('runSeed', () => {
  it('SIM-2: nothing real is used -> clean, without the trace; the poison is gone afterwards', async () => {
    const report = await seedIn(() => expect(NodePoison.isInstalled).toBe(true))
    expect(report).toMatchObject({ seed: 5, failure: null, events: EVENTS, recent: [] })
    expect(report.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(report.cpuMs).toBeGreaterThan(0)
    expect(NodePoison.isInstalled).toBe(false)
  })

  const leaks: Readonly<Record<string, readonly [act: () => unknown, name: string]>> = {
    'a draw': [() => Math.random(), 'Math.random'],
    'the time': [() => Date.now(), 'Date.now'],
    'a timer': [() => setTimeout(() => {}, 1), 'setTimeout'],
    'a weak reference': [() => new WeakRef({}), 'WeakRef'],
  }
  for (const [what, [act, name]] of Object.entries(leaks)) {
    it(`SIM-2: ${what} is taken from the platform, and the error swallowed -> the seed fails with its name`, async () => {
      const report = await seedIn(() => {
        try {
          act()
        } catch {
          // As careless code would.
        }
      })
      expect(report.failure?.what).toMatch(new RegExp(`^POISON: PoisonError: ${name} was used inside`))
      expect(report.failure?.what).toContain('run-seed.test.ts')
      expect(report.recent.length).toBeGreaterThan(0)
      expect(NodePoison.isInstalled).toBe(false)
    })
  }

  it('SIM-2: a rejection that nobody handles -> the seed fails with it', async () => {
    // Vitest would take it for a failure of this test.
    const listeners = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    try {
      const report = await seedIn(() => void Promise.reject(new Error('nobody cares')))
      expect(report.failure?.what).toMatch(/^POISON: unhandled rejection: Error: nobody cares/)
      expect(process.listeners('unhandledRejection')).toEqual([])
    } finally {
      for (const listener of listeners) process.on('unhandledRejection', listener)
    }
  })

  it('SIM-8: a real handle is left open -> the seed fails', async () => {
    vi.restoreAllMocks()
    // More than Vitest could have closed meanwhile.
    const report = await seedIn(() => {
      leftOpen = Array.from({ length: 50 }, () => realInterval(() => {}, 1e6))
    })
    expect(report.failure?.what).toMatch(/^POISON: real handles are left open: .*Timeout/)
  })

  it('SIM-7: the run itself fails -> that failure comes first, with the trace', async () => {
    const report = await seedIn(() => {
      throw new Error('within the run')
    })
    expect(report.failure).not.toBe(null)
    expect(report.recent.length).toBeGreaterThan(0)
    expect(NodePoison.isInstalled).toBe(false)
  })
})
