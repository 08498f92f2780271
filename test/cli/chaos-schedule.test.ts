import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { conditionsOf, type Disturbance } from '../../src/cli/chaos-network.ts'
import { CLEAR } from '../../src/cli/chaos-proxy.ts'
import {
  describeFault,
  drawSchedule,
  FAULT_NAMES,
  type Fault,
  type ScheduledFault,
} from '../../src/cli/chaos-schedule.ts'

const OPTIONS = { faults: FAULT_NAMES, nodes: [1, 2, 3], durationMs: 60_000, intervalMs: 1_000 }

/** The nodes whose processes a fault concerns, and for how long. */
function processWindow(fault: Fault): { readonly nodes: readonly number[]; readonly ms: number } | null {
  switch (fault.kind) {
    case 'kill':
    case 'restart':
      return { nodes: [fault.node], ms: fault.downMs }
    case 'pause':
      return { nodes: [fault.node], ms: fault.pausedMs }
    case 'pause-kill':
      return {
        nodes: [fault.killed, ...fault.paused],
        ms: fault.beforeMs + fault.downMs + fault.afterMs,
      }
    case 'kill-all':
      return { nodes: OPTIONS.nodes, ms: fault.downMs }
    default:
      return null
  }
}

describe('drawSchedule', () => {
  it('the same seed -> the same schedule; another one -> another', () => {
    const schedule = drawSchedule({ ...OPTIONS, seed: 7 })
    expect(drawSchedule({ ...OPTIONS, seed: 7 })).toEqual(schedule)
    expect(drawSchedule({ ...OPTIONS, seed: 8 })).not.toEqual(schedule)
  })

  it('any seed -> starts in order and in time, about as often as asked for, of the kinds asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.subarray([...FAULT_NAMES], { minLength: 1 }),
        (seed, faults) => {
          const schedule = drawSchedule({ ...OPTIONS, seed, faults })
          const starts = schedule.map(({ atMs }) => atMs)
          expect(starts).toEqual(starts.toSorted((a, b) => a - b))
          expect(Math.max(0, ...starts)).toBeLessThan(OPTIONS.durationMs)
          // At least half an interval lies between two of them.
          expect(starts.length).toBeLessThanOrEqual((2 * OPTIONS.durationMs) / OPTIONS.intervalMs)
          for (const { fault } of schedule) expect(faults).toContain(fault.kind)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('any seed -> no node has two faults of its process at once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
        const windows = drawSchedule({ ...OPTIONS, seed }).flatMap(({ atMs, fault }: ScheduledFault) => {
          const window = processWindow(fault)
          return window === null ? [] : window.nodes.map((node) => ({ node, atMs, endMs: atMs + window.ms }))
        })
        for (const node of OPTIONS.nodes) {
          const own = windows.filter((window) => window.node === node)
          own.slice(1).forEach((window, i) => {
            expect(window.atMs).toBeGreaterThanOrEqual(own[i]!.endMs)
          })
        }
      }),
      { numRuns: 100 },
    )
  })

  it('all faults for long -> every kind, and every shape of partition, comes up', () => {
    const schedule = drawSchedule({ ...OPTIONS, seed: 1, durationMs: 2_000_000 })
    expect(new Set(schedule.map(({ fault }) => fault.kind))).toEqual(new Set(FAULT_NAMES))
    const shapes = schedule.flatMap(({ fault }) => (fault.kind === 'partition' ? [fault.shape] : []))
    for (const pattern of [
      /^\d \| \d, \d$/,
      /over \d/,
      /hears/,
      /does not hear/,
      /^clients \| \d$/,
      /clients, \d|\d, clients|clients$/,
    ]) {
      expect(shapes.some((shape) => pattern.test(shape))).toBe(true)
    }
  })

  it('one node -> faults that concern one node, and partitions from the clients', () => {
    const schedule = drawSchedule({ ...OPTIONS, seed: 3, nodes: [1], durationMs: 300_000 })
    expect(new Set(schedule.map(({ fault }) => fault.kind))).toEqual(
      new Set(FAULT_NAMES.filter((name) => name !== 'pause-kill')),
    )
    for (const { fault } of schedule) {
      if (fault.kind !== 'partition') continue
      expect(fault.cut).toEqual([
        { from: 'clients', to: 1 },
        { from: 1, to: 'clients' },
      ])
    }
  })

  it('every fault -> a line without holes', () => {
    for (const { fault } of drawSchedule({ ...OPTIONS, seed: 5, durationMs: 500_000 })) {
      expect(describeFault(fault)).not.toMatch(/undefined|NaN|null/)
    }
  })
})

describe('conditionsOf', () => {
  const link = { from: 1, to: 2 }

  it('nothing -> clear', () => {
    expect(conditionsOf(link, [])).toEqual(CLEAR)
  })

  it('a cut in one direction -> that direction of the connections dialled from either side', () => {
    const cut: Disturbance = { cut: [{ from: 1, to: 2 }] }
    expect(conditionsOf(link, [cut])).toEqual({ ...CLEAR, holdsForward: true })
    expect(conditionsOf({ from: 2, to: 1 }, [cut])).toEqual({ ...CLEAR, holdsBackward: true })
    expect(conditionsOf({ from: 'clients', to: 2 }, [cut])).toEqual(CLEAR)
  })

  it('several disturbances -> they add up, and the narrowest counts', () => {
    const slow = (delayMs: number, bytesPerSecond: number | null): Disturbance => ({
      slow: { between: [link], delayMs, bytesPerSecond },
    })
    expect(conditionsOf(link, [slow(10, null), slow(5, 900), slow(1, 700), { refuse: [link] }])).toEqual({
      ...CLEAR,
      refuses: true,
      delayMs: 16,
      bytesPerSecond: 700,
    })
    expect(conditionsOf({ from: 2, to: 1 }, [slow(10, null), { refuse: [link] }])).toEqual({
      ...CLEAR,
      delayMs: 10,
    })
  })
})
