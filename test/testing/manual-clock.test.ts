import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

describe('ManualClock', () => {
  it('new -> 0 on the monotonic clock, 2026 on the wall, unless told otherwise', () => {
    expect([new ManualClock().monotonicMs(), new ManualClock().wallMs()]).toEqual([0, Date.UTC(2026, 0, 1)])
    const clock = new ManualClock({ monotonicMs: 500, wallMs: 7 })
    expect([clock.monotonicMs(), clock.wallMs()]).toEqual([500, 7])
  })

  it('nobody advances it -> it stands still', () => {
    const clock = new ManualClock()
    clock.setTimer(0, () => expect.unreachable())
    expect([clock.monotonicMs(), clock.monotonicMs()]).toEqual([0, 0])
  })

  it('advance: timers due on the way -> run in the order of time, each at its time', () => {
    const clock = new ManualClock({ wallMs: 1_000_000 })
    const calls: string[] = []
    const note = (name: string) => (): void =>
      void calls.push(`${name} at ${clock.monotonicMs()}, wall ${clock.wallMs()}`)
    clock.setTimer(30, note('c'))
    clock.setTimer(10, note('a'))
    clock.setTimer(20, note('b'))
    clock.setTimer(31, note('later'))
    clock.advance(30)
    expect(calls).toEqual(['a at 10, wall 1000010', 'b at 20, wall 1000020', 'c at 30, wall 1000030'])
    expect([clock.monotonicMs(), clock.wallMs(), clock.pendingTimers, clock.nextTimerMs]).toEqual([
      30, 1_000_030, 1, 31,
    ])
  })

  it('advance: timers due at the same time -> in the order of their creation', () => {
    const clock = new ManualClock()
    const calls: string[] = []
    clock.setTimer(10, () => calls.push('first'))
    clock.setTimer(5, () => clock.setTimer(5, () => calls.push('third')))
    clock.setTimer(10, () => calls.push('second'))
    clock.advance(10)
    expect(calls).toEqual(['first', 'second', 'third'])
  })

  it('advance: a timer that starts itself anew -> runs as often as the span allows', () => {
    const clock = new ManualClock()
    const times: number[] = []
    const tick = (): void => {
      times.push(clock.monotonicMs())
      clock.setTimer(10, tick)
    }
    clock.setTimer(10, tick)
    clock.advance(35)
    expect(times).toEqual([10, 20, 30])
    expect(clock.nextTimerMs).toBe(40)
  })

  it('advance: a callback cancels the next timer of the same time -> it does not run', () => {
    const clock = new ManualClock()
    let calls = 0
    clock.setTimer(10, () => second.cancel())
    const second = clock.setTimer(10, () => calls++)
    clock.advance(10)
    expect([calls, clock.pendingTimers]).toEqual([0, 0])
  })

  it('advance: 0 -> runs what is due, time stands still', () => {
    const clock = new ManualClock()
    const calls: string[] = []
    clock.setTimer(0, () => calls.push('due'))
    clock.setTimer(1, () => calls.push('not due'))
    clock.advance(0)
    expect([calls, clock.monotonicMs()]).toEqual([['due'], 0])
  })

  it('advance: callbacks of afterPendingIo -> run before time moves and before the timers of that time', () => {
    const clock = new ManualClock()
    const calls: string[] = []
    clock.setTimer(0, () => calls.push('timer'))
    clock.setTimer(10, () => {
      clock.afterPendingIo(() => calls.push(`io of timer at ${clock.monotonicMs()}`))
    })
    clock.afterPendingIo(() => {
      calls.push(`io at ${clock.monotonicMs()}`)
      clock.afterPendingIo(() => calls.push('io of io'))
    })
    clock.advance(50)
    expect(calls).toEqual(['io at 0', 'io of io', 'timer', 'io of timer at 10'])
    expect([clock.pendingTimers, clock.monotonicMs()]).toEqual([0, 50])
  })

  it('runPending -> only what waits in afterPendingIo now, without what is added or cancelled meanwhile', () => {
    const clock = new ManualClock()
    const calls: string[] = []
    clock.setTimer(0, () => calls.push('timer'))
    clock.afterPendingIo(() => {
      calls.push('first')
      second.cancel()
      clock.afterPendingIo(() => calls.push('added'))
    })
    const second = clock.afterPendingIo(() => calls.push('second'))
    clock.afterPendingIo(() => calls.push('third'))
    expect(clock.pendingTimers).toBe(4)
    clock.runPending()
    expect(calls).toEqual(['first', 'third'])
    expect(clock.pendingTimers).toBe(2)
    clock.runPending()
    expect(calls).toEqual(['first', 'third', 'added'])
  })

  it('STO-39: jumpWall either way -> the wall jumps, timers and the monotonic clock do not notice', () => {
    const clock = new ManualClock({ wallMs: 10_000 })
    let calls = 0
    clock.setTimer(10, () => calls++)
    clock.jumpWall(-9000)
    expect([clock.wallMs(), clock.monotonicMs()]).toEqual([1000, 0])
    clock.jumpWall(50_000)
    clock.advance(9)
    expect([clock.wallMs(), clock.monotonicMs(), calls]).toEqual([51_009, 9, 0])
    clock.advance(1)
    expect(calls).toBe(1)
  })

  it('a callback throws -> the error comes through, the clock goes on from there', () => {
    const clock = new ManualClock()
    const calls: number[] = []
    clock.setTimer(10, () => {
      throw new Error('broken')
    })
    clock.setTimer(20, () => calls.push(clock.monotonicMs()))
    expect(() => clock.advance(100)).toThrow('broken')
    expect(clock.monotonicMs()).toBe(10)
    clock.advance(10)
    expect(calls).toEqual([20])
  })

  it('a callback advances the clock -> assertion', () => {
    const clock = new ManualClock()
    clock.setTimer(1, () => clock.advance(1))
    expect(() => clock.advance(1)).toThrow(AssertionError)
    clock.afterPendingIo(() => clock.runPending())
    expect(() => clock.runPending()).toThrow(AssertionError)
  })

  it('a timer that starts itself anew without a delay -> assertion instead of an endless loop', () => {
    const clock = new ManualClock()
    const again = (): void => void clock.setTimer(0, again)
    again()
    expect(() => clock.advance(1)).toThrow('keeps starting itself anew')
  })

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('advance: %d -> assertion', (ms) => {
    expect(() => new ManualClock().advance(ms)).toThrow(AssertionError)
  })
})
