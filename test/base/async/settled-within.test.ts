import { describe, expect, it } from 'vitest'
import { settledWithin } from '../../../src/base/async/settled-within.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

describe('settledWithin', () => {
  it('all settle, also by failing -> resolves, and no timer is left', async () => {
    const clock = new ManualClock()
    await settledWithin(clock, [Promise.resolve(1), Promise.reject(new Error('no'))], 50)
    expect(clock.pendingTimers).toBe(0)
  })

  it('one takes longer -> resolves when the time is up', async () => {
    const clock = new ManualClock()
    const waited = settledWithin(clock, [new Promise(() => {})], 50)
    clock.advance(50)
    await waited
    expect(clock.pendingTimers).toBe(0)
  })
})
