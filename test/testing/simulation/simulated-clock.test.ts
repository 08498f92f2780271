import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import {
  SimulatedClock,
  type SimulatedClockOptions,
} from '../../../src/testing/simulation/simulated-clock.ts'
import type { SimulationKernel } from '../../../src/testing/simulation/simulation-kernel.ts'
import { type ClockHarness, clockContract } from '../../contracts/clock-contract.ts'
import { newKernel } from './kernels.ts'

/** A clock for the contract: time passes on the kernel until the promise is settled. */
function harness(
  kernel: SimulationKernel,
  options: Omit<SimulatedClockOptions, 'kernel'> = {},
): ClockHarness {
  return {
    clock: new SimulatedClock({ kernel, ...options }),
    async until(promise) {
      let isSettled = false
      const settle = (): void => {
        isSettled = true
      }
      promise.then(settle, settle)
      await kernel.run({ untilMs: kernel.nowMs + 1e6, afterEvent: () => isSettled })
      await promise
    },
  }
}

clockContract('simulated', () => harness(newKernel()))
for (const rate of [0.9, 1.037, 1.1]) {
  clockContract(`simulated, rate ${rate}`, () => harness(newKernel(), { rate, wallAheadMs: -3_600_000 }))
}

describe('SimulatedClock time', () => {
  it('new -> 0 on the monotonic clock, 2026 on the wall', () => {
    const clock = new SimulatedClock({ kernel: newKernel() })
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([0, Date.UTC(2026, 0, 1)])
  })

  it('rate: 1.1 and 0.9 -> timers are due early and late by true time, on time by the clock itself', async () => {
    for (const rate of [0.9, 1, 1.1]) {
      const kernel = newKernel()
      const clock = new SimulatedClock({ kernel, rate })
      const seen: number[] = []
      clock.setTimer(99_000, () => seen.push(kernel.nowMs, clock.monotonicMs(), clock.wallMs()))
      await kernel.run({ untilMs: 200_000 })
      expect(seen[0]).toBeCloseTo(99_000 / rate, 6)
      expect(seen[1]).toBeCloseTo(99_000, 6)
      expect(seen[2]! - Date.UTC(2026, 0, 1)).toBeGreaterThanOrEqual(98_999)
      expect(seen[2]! - Date.UTC(2026, 0, 1)).toBeLessThanOrEqual(99_000)
    }
  })

  it('setTimer: any rate, moment and delay -> not earlier by the clock itself, nor noticeably later', async () => {
    const random = seededRandom(77)
    for (let i = 0; i < 300; i++) {
      const kernel = newKernel()
      const clock = new SimulatedClock({ kernel, rate: 1 + (random.below(201) - 100) / 1_000 })
      await kernel.run({ untilMs: random.u32() / 1_000 })
      const delayMs = random.below(1e7) / 997
      const dueMs = clock.monotonicMs() + delayMs
      let calledMs = -1
      clock.setTimer(delayMs, () => {
        calledMs = clock.monotonicMs()
      })
      await kernel.run({ untilMs: kernel.nowMs + 1e5 })
      expect(calledMs).toBeGreaterThanOrEqual(dueMs)
      expect(calledMs - dueMs).toBeLessThan(1e-6)
    }
  })

  it('setTimer: whoever waits for a deadline anew while it is not reached -> reaches it', async () => {
    const random = seededRandom(78)
    for (let i = 0; i < 300; i++) {
      const kernel = newKernel()
      const clock = new SimulatedClock({ kernel, rate: 1 + (random.below(201) - 100) / 1_000 })
      await kernel.run({ untilMs: random.u32() / 1_000 })
      const dueMs = clock.monotonicMs() + random.below(1e7) / 997
      let calls = 0
      const wait = (): void => {
        calls++
        const leftMs = dueMs - clock.monotonicMs()
        if (leftMs > 0) clock.setTimer(leftMs, wait)
      }
      wait()
      await kernel.run({ untilMs: kernel.nowMs + 1e5, eventsMax: 100 })
      expect(calls).toBeLessThanOrEqual(3)
    }
  })

  it('wallAheadMs and jumpWall -> move the wall clock only, and no timer', async () => {
    const kernel = newKernel()
    const clock = new SimulatedClock({ kernel, wallAheadMs: 5_000 })
    const startMs = Date.UTC(2026, 0, 1)
    expect(clock.wallMs()).toBe(startMs + 5_000)
    const seen: number[] = []
    clock.setTimer(100, () => seen.push(kernel.nowMs))
    clock.jumpWall(-3_600_000)
    expect(clock.wallMs()).toBe(startMs - 3_595_000)
    clock.jumpWall(7_200_000)
    expect([clock.wallMs(), clock.monotonicMs()]).toEqual([startMs + 3_605_000, 0])
    await kernel.run({ untilMs: 1_000 })
    expect(seen).toEqual([100])
  })
})

describe('SimulatedClock pause', () => {
  it('pause -> holds everything back; resume -> lets it happen then, in a drawn order', async () => {
    const orders = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) {
      const kernel = newKernel({ seed })
      const clock = new SimulatedClock({ kernel })
      const seen: string[] = []
      clock.setTimer(10, () => seen.push(`a ${kernel.nowMs}`))
      clock.setTimer(20, () => seen.push(`b ${kernel.nowMs}`))
      clock.afterPendingIo(() => seen.push(`io ${kernel.nowMs}`))
      clock.setTimer(80, () => seen.push(`later ${kernel.nowMs}`))
      clock.pause()
      expect([clock.isPaused, clock.isHalted]).toEqual([true, false])
      await kernel.run({ untilMs: 50 })
      expect(seen).toEqual([])
      expect(clock.monotonicMs()).toBe(50)
      clock.resume()
      expect(clock.isPaused).toBe(false)
      await kernel.run({ untilMs: 100 })
      expect(seen.slice(0, 2).sort()).toEqual(['a 50', 'b 50'])
      // What waits for pending I/O comes behind all that is due.
      expect(seen.slice(2)).toEqual(['io 50', 'later 80'])
      orders.add(seen[0]!)
    }
    expect([...orders].sort()).toEqual(['a 50', 'b 50'])
  })

  it('pause: what was held back is cancelled, paused or just resumed -> never happens', async () => {
    const kernel = newKernel()
    const clock = new SimulatedClock({ kernel })
    const timers = [1, 2].map((delayMs) => clock.setTimer(delayMs, () => expect.unreachable()))
    clock.pause()
    await kernel.run({ untilMs: 5 })
    timers[0]!.cancel()
    clock.resume()
    timers[1]!.cancel()
    await kernel.run({ untilMs: 10 })
    expect(kernel.waiting).toBe(0)
  })

  it('pause: again right after resume -> what did not happen yet is held again', async () => {
    const kernel = newKernel()
    const clock = new SimulatedClock({ kernel })
    const seen: number[] = []
    clock.setTimer(1, () => seen.push(kernel.nowMs))
    clock.pause()
    await kernel.run({ untilMs: 5 })
    clock.resume()
    clock.pause()
    await kernel.run({ untilMs: 10 })
    expect(seen).toEqual([])
    clock.resume()
    clock.resume()
    await kernel.run({ untilMs: 20 })
    expect(seen).toEqual([10])
  })

  it('setTimer while paused -> due after its delay, but not before resume', async () => {
    const kernel = newKernel()
    const clock = new SimulatedClock({ kernel })
    const seen: number[] = []
    clock.pause()
    clock.setTimer(3, () => seen.push(kernel.nowMs))
    clock.setTimer(30, () => seen.push(kernel.nowMs))
    await kernel.run({ untilMs: 10 })
    clock.resume()
    await kernel.run({ untilMs: 100 })
    expect(seen).toEqual([10, 30])
  })
})

describe('SimulatedClock halt', () => {
  it('halt -> no call any more: of what waits, of what is held, of what is set later', async () => {
    const kernel = newKernel()
    const clock = new SimulatedClock({ kernel })
    const refuse = (): void => expect.unreachable()
    clock.setTimer(1, refuse)
    clock.pause()
    await kernel.run({ untilMs: 5 })
    clock.setTimer(10, refuse)
    clock.afterPendingIo(refuse)
    clock.halt()
    clock.setTimer(1, refuse).cancel()
    clock.setTimer(1, refuse)
    clock.afterPendingIo(refuse)
    clock.resume()
    expect([clock.isHalted, clock.isPaused]).toEqual([true, false])
    expect(kernel.waiting).toBe(0)
    await kernel.run({ untilMs: 1_000 })
    clock.pause()
    expect(clock.isHalted).toBe(true)
  })

  it('halt: between resume and what it released -> no call', async () => {
    const kernel = newKernel()
    const clock = new SimulatedClock({ kernel })
    clock.setTimer(1, () => expect.unreachable())
    clock.pause()
    await kernel.run({ untilMs: 5 })
    clock.resume()
    clock.halt()
    await kernel.run({ untilMs: 10 })
    expect(kernel.waiting).toBe(0)
  })

  it('halt: one of two clocks -> the other goes on', async () => {
    const kernel = newKernel()
    const [dead, alive] = [new SimulatedClock({ kernel }), new SimulatedClock({ kernel })]
    const seen: string[] = []
    dead.setTimer(5, () => seen.push('dead'))
    alive.setTimer(5, () => seen.push('alive'))
    alive.setTimer(2, () => dead.halt())
    await kernel.run({ untilMs: 10 })
    expect(seen).toEqual(['alive'])
  })
})
