// What every implementation of the clock port does.
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { deferred } from '../../src/base/async/deferred.ts'
import type { Clock } from '../../src/base/clock.ts'

export interface ClockHarness {
  readonly clock: Clock
  /** Lets time pass until the promise is settled. */
  readonly until: (promise: Promise<void>) => Promise<void>
}

export function clockContract(name: string, create: () => ClockHarness): void {
  /** Waits on the clock itself: what was due before has run when it returns. */
  const pass = async ({ clock, until }: ClockHarness, ms: number): Promise<void> => {
    const passed = deferred<void>()
    clock.setTimer(ms, () => passed.resolve())
    await until(passed.promise)
  }

  describe(`clock contract: ${name}`, () => {
    it('monotonicMs: many readings, also across timers -> never goes backwards', async () => {
      const harness = create()
      let before = harness.clock.monotonicMs()
      for (let i = 0; i < 3000; i++) {
        const now = harness.clock.monotonicMs()
        expect(now).toBeGreaterThanOrEqual(before)
        before = now
        if (i % 1000 === 0) await pass(harness, 1)
      }
    })

    it('wallMs: a reading -> whole milliseconds since 1970', () => {
      const { clock } = create()
      expect(Number.isInteger(clock.wallMs())).toBe(true)
      expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2020, 0, 1))
    })

    for (const delayMs of [0, 0.4, 1, 2.5, 7.9, 12]) {
      it(`setTimer: ${delayMs} ms -> calls back, not earlier`, async () => {
        // Several at different fractions of a millisecond, because that is what an early one depends on.
        for (let i = 0; i < 5; i++) {
          const { clock, until } = create()
          const elapsed = deferred<void>()
          const dueMs = clock.monotonicMs() + delayMs
          let calledMs = -1
          clock.setTimer(delayMs, () => {
            calledMs = clock.monotonicMs()
            elapsed.resolve()
          })
          await until(elapsed.promise)
          expect(calledMs).toBeGreaterThanOrEqual(dueMs)
        }
      })
    }

    it('setTimer: several delays -> calls back in the order of time', async () => {
      const harness = create()
      const order: number[] = []
      for (const delayMs of [20, 5, 40, 10]) harness.clock.setTimer(delayMs, () => order.push(delayMs))
      await pass(harness, 60)
      expect(order).toEqual([5, 10, 20, 40])
    })

    it('setTimer: delay 0 -> calls back later, not within the call', async () => {
      const harness = create()
      let called = false
      harness.clock.setTimer(0, () => {
        called = true
      })
      expect(called).toBe(false)
      await pass(harness, 2)
      expect(called).toBe(true)
    })

    it('setTimer: negative delay -> counts as 0', async () => {
      const harness = create()
      let calls = 0
      harness.clock.setTimer(-1000, () => calls++)
      await pass(harness, 2)
      expect(calls).toBe(1)
    })

    it('setTimer: a delay beyond 2^31-1 -> does not call back at once', async () => {
      const harness = create()
      let calls = 0
      const timer = harness.clock.setTimer(2 ** 40, () => calls++)
      const infinite = harness.clock.setTimer(Number.POSITIVE_INFINITY, () => calls++)
      await pass(harness, 5)
      timer.cancel()
      infinite.cancel()
      expect(calls).toBe(0)
    })

    it('setTimer: a delay that is not a number -> assertion', () => {
      const { clock } = create()
      expect(() => clock.setTimer(Number.NaN, () => {})).toThrow(AssertionError)
    })

    it('setTimer: time passes on -> calls back only once', async () => {
      const harness = create()
      let calls = 0
      harness.clock.setTimer(1, () => calls++)
      await pass(harness, 10)
      await pass(harness, 10)
      expect(calls).toBe(1)
    })

    it('cancel: before the time -> never calls back', async () => {
      const harness = create()
      let calls = 0
      const timer = harness.clock.setTimer(2, () => calls++)
      timer.cancel()
      await pass(harness, 10)
      expect(calls).toBe(0)
    })

    it('cancel: from the callback of an earlier timer -> never calls back', async () => {
      const harness = create()
      let calls = 0
      const timer = harness.clock.setTimer(20, () => calls++)
      harness.clock.setTimer(1, () => timer.cancel())
      await pass(harness, 40)
      expect(calls).toBe(0)
    })

    it('cancel: after the call, or twice -> does nothing', async () => {
      const harness = create()
      let calls = 0
      const fired = harness.clock.setTimer(1, () => calls++)
      const cancelled = harness.clock.setTimer(1, () => calls++)
      cancelled.cancel()
      await pass(harness, 10)
      cancelled.cancel()
      fired.cancel()
      fired.cancel()
      await pass(harness, 2)
      expect(calls).toBe(1)
    })

    it('afterPendingIo: several -> each calls back once, later, in their order', async () => {
      const { clock, until } = create()
      const order: string[] = []
      const done = deferred<void>()
      clock.afterPendingIo(() => order.push('first'))
      clock.afterPendingIo(() => {
        order.push('second')
        done.resolve()
      })
      expect(order).toEqual([])
      await until(done.promise)
      expect(order).toEqual(['first', 'second'])
    })

    it('afterPendingIo: cancelled, also after the call -> does not call back again', async () => {
      const { clock, until } = create()
      const calls: string[] = []
      const done = deferred<void>()
      const cancelled = clock.afterPendingIo(() => calls.push('cancelled'))
      const called = clock.afterPendingIo(() => {
        calls.push('called')
        done.resolve()
      })
      cancelled.cancel()
      await until(done.promise)
      called.cancel()
      called.cancel()
      expect(calls).toEqual(['called'])
    })
  })
}
