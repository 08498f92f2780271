import { describe, expect, it } from 'vitest'
import { Lanes, type LanesOptions } from './lanes.ts'
import type { RunReport } from './messages.ts'
import type { WorkerOptions } from './worker-pool.ts'

const PLAIN: WorkerOptions = { execArgv: [] }
const OTHER: WorkerOptions = { execArgv: ['--x'] }

/** Runs that last as many turns as their flavour says; what ran where, in the order of their ends. */
function lanesOf(options: Pick<LanesOptions, 'seeds' | 'lanes'> & Partial<LanesOptions>, turns = [1, 3]) {
  const seen = { runs: [] as string[], seeds: [] as string[], alive: 0, workers: [] as WorkerOptions[] }
  const nameOf = (flavour: WorkerOptions): string => (flavour === PLAIN ? 'plain' : 'other')
  const lanes = new Lanes({
    flavours: [PLAIN, OTHER],
    isOver: () => false,
    request: { invariants: true, faults: ['kill'] },
    newWorker(flavour) {
      seen.alive++
      seen.workers.push(flavour)
      return {
        async run({ seed, ...request }) {
          expect(request).toEqual({ invariants: true, faults: ['kill'] })
          for (let i = 0; i < turns[flavour === PLAIN ? 0 : 1]!; i++) await new Promise(setImmediate)
          return { seed, digest: nameOf(flavour) } as RunReport
        },
        stop: () => seen.alive--,
      }
    },
    onRun: ({ seed, digest }) => seen.runs.push(`${digest} ${seed}`),
    onSeed: (reports) => seen.seeds.push(reports.map(({ seed, digest }) => `${digest} ${seed}`).join(', ')),
    ...options,
  })
  return { lanes, seen }
}

describe('Lanes', () => {
  it.each([1, 2, 3])(
    'SIM-4: %i lanes -> each seed once in each flavour, told in their order',
    async (count) => {
      const { lanes, seen } = lanesOf({ seeds: [7, 8, 9], lanes: count })
      await lanes.run()
      expect(seen.seeds.sort()).toEqual(['plain 7, other 7', 'plain 8, other 8', 'plain 9, other 9'])
      expect(seen.runs.length).toBe(6)
      expect(seen.alive).toBe(0)
    },
  )

  it('one flavour is slower -> who is done with the other helps, with a process of that flavour', async () => {
    const { lanes, seen } = lanesOf({ seeds: [1, 2, 3, 4, 5, 6], lanes: 2 })
    await lanes.run()
    expect(seen.workers).toEqual([PLAIN, OTHER, OTHER])
    expect(seen.runs.indexOf('plain 6')).toBeLessThan(seen.runs.indexOf('other 3'))
  })

  it('the time is up -> no other seed begins, and what began is run in both flavours', async () => {
    let ran = 0
    const { lanes, seen } = lanesOf({
      seeds: Array.from({ length: 1_000 }, (_, i) => i),
      lanes: 2,
      isOver: () => ++ran > 10,
    })
    await lanes.run()
    expect(seen.seeds.length).toBeGreaterThan(3)
    expect(seen.seeds.length).toBeLessThan(20)
    expect(seen.runs.length).toBe(2 * seen.seeds.length)
    expect(seen.alive).toBe(0)
  })

  it('a run that throws -> the lanes do, and their process is stopped', async () => {
    const { lanes, seen } = lanesOf({
      seeds: [1],
      lanes: 1,
      onRun: () => {
        throw new Error('judged')
      },
    })
    await expect(lanes.run()).rejects.toThrow('judged')
    expect(seen.alive).toBe(0)
  })
})
