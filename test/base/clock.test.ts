import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { clampTimerDelayMs, TIMER_DELAY_MAX_MS } from '../../src/base/clock.ts'

describe('clampTimerDelayMs', () => {
  it.each([
    [-5, 0],
    [0, 0],
    [1.5, 1.5],
    [TIMER_DELAY_MAX_MS, TIMER_DELAY_MAX_MS],
    [TIMER_DELAY_MAX_MS + 1, TIMER_DELAY_MAX_MS],
    [Number.POSITIVE_INFINITY, TIMER_DELAY_MAX_MS],
  ])('%d -> %d', (delayMs, clampedMs) => {
    expect(clampTimerDelayMs(delayMs)).toBe(clampedMs)
  })

  it('not a number -> AssertionError', () => {
    expect(() => clampTimerDelayMs(Number.NaN)).toThrow(AssertionError)
  })
})
