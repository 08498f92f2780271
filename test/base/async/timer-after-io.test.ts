import { describe, expect, it } from 'vitest'
import { setTimerAfterIo } from '../../../src/base/async/timer-after-io.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

describe('setTimerAfterIo', () => {
  it('the time is up -> calls back once, after what waited was handled', () => {
    const clock = new ManualClock()
    const events: string[] = []
    setTimerAfterIo(clock, 100, () => events.push('timer'))
    clock.setTimer(100, () => clock.afterPendingIo(() => events.push('input')))
    clock.setTimer(99, () => events.push('before'))
    clock.advance(99)
    expect(events).toEqual(['before'])
    clock.advance(1)
    clock.runPending()
    expect(events).toEqual(['before', 'timer', 'input'])
    clock.advance(1_000)
    expect(clock.pendingTimers).toBe(0)
    expect(events).toHaveLength(3)
  })

  it.each([
    ['before the time is up', 99, 0],
    ['while input is being read', 100, 1],
  ])('cancelled %s -> never', (_, afterMs, waiting) => {
    const clock = new ManualClock()
    const afterIo = new Set<() => void>()
    clock.afterPendingIo = (callback) => {
      afterIo.add(callback)
      return { cancel: () => void afterIo.delete(callback) }
    }
    const timer = setTimerAfterIo(clock, 100, () => {})
    clock.advance(afterMs)
    expect(afterIo.size).toBe(waiting)
    timer.cancel()
    clock.advance(1_000)
    expect([afterIo.size, clock.pendingTimers]).toEqual([0, 0])
  })
})
