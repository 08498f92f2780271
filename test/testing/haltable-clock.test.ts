import { describe, expect, it } from 'vitest'
import { createNodeClock } from '../../src/platform/node/node-clock.ts'
import { HaltableClock } from '../../src/testing/haltable-clock.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { clockContract } from '../contracts/clock-contract.ts'

clockContract('haltable', () => ({
  clock: new HaltableClock(createNodeClock()),
  until: (promise) => promise,
}))

describe('HaltableClock', () => {
  it('halted: calls nobody back, leaves no timer behind, and takes none', () => {
    const manual = new ManualClock()
    const clock = new HaltableClock(manual)
    const calls: string[] = []
    clock.setTimer(5, () => calls.push('before'))
    clock.setTimer(10, () => calls.push('timer'))
    clock.afterPendingIo(() => calls.push('io'))
    manual.advance(5)
    clock.halt()
    expect(manual.pendingTimers).toBe(0)
    clock.setTimer(0, () => calls.push('late'))
    clock.afterPendingIo(() => calls.push('late')).cancel()
    expect(manual.pendingTimers).toBe(0)
    manual.advance(100)
    expect(calls).toEqual(['io', 'before'])
    expect(clock.monotonicMs()).toBe(105)
  })
})
