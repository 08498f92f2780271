import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { CountedClock } from '../../../src/testing/simulation/counted-clock.ts'
import { SimulatedClock } from '../../../src/testing/simulation/simulated-clock.ts'
import { clockContract } from '../../contracts/clock-contract.ts'
import { newKernel } from './kernels.ts'

clockContract('counted', () => {
  const kernel = newKernel()
  return {
    clock: new CountedClock(new SimulatedClock({ kernel })),
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
})

describe('CountedClock', () => {
  it('SIM-14: timers set, called and cancelled -> counts those that wait', () => {
    const manual = new ManualClock()
    const clock = new CountedClock(manual)
    expect(clock.waiting).toBe(0)
    const first = clock.setTimer(10, () => {})
    clock.setTimer(20, () => {})
    const io = clock.afterPendingIo(() => {})
    expect(clock.waiting).toBe(3)
    io.cancel()
    expect(clock.waiting).toBe(2)
    manual.advance(15)
    expect(clock.waiting).toBe(1)
    first.cancel()
    first.cancel()
    expect(clock.waiting).toBe(1)
    manual.advance(15)
    expect(clock.waiting).toBe(0)
  })

  it('SIM-14: a timer that sets itself anew -> still waits', () => {
    const manual = new ManualClock()
    const clock = new CountedClock(manual)
    const again = (): void => void clock.setTimer(10, again)
    again()
    for (let i = 0; i < 5; i++) {
      manual.advance(10)
      expect(clock.waiting).toBe(1)
    }
  })

  it('SIM-14: others use the clock behind it -> not counted; the time is the same', () => {
    const manual = new ManualClock({ monotonicMs: 12, wallMs: 34 })
    const clock = new CountedClock(manual)
    manual.setTimer(10, () => {})
    expect([clock.waiting, clock.monotonicMs(), clock.wallMs()]).toEqual([0, 12, 34])
  })
})
