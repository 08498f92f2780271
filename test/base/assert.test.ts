import { describe, expect, it } from 'vitest'
import { AssertionError, assert, assertSafeInteger, unreachable } from '../../src/base/assert.ts'

describe('assert', () => {
  it('true -> nothing; false -> AssertionError with the message', () => {
    expect(() => assert(true, 'holds')).not.toThrow()
    expect(() => assert(false, 'the high watermark went back')).toThrow(
      new AssertionError('the high watermark went back'),
    )
  })

  it('assertSafeInteger: integers up to 2^53-1 either way -> nothing', () => {
    for (const value of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
      expect(() => assertSafeInteger(value, 'offset')).not.toThrow()
    }
  })

  it.each([2 ** 53, 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'assertSafeInteger: %d -> AssertionError that names it',
    (value) => {
      expect(() => assertSafeInteger(value, 'offset')).toThrow(
        new AssertionError(`offset must be a safe integer, got ${value}`),
      )
    },
  )

  it('unreachable: a value the types exclude -> AssertionError that shows it', () => {
    expect(() => unreachable('surprise' as never)).toThrow(new AssertionError('unreachable: surprise'))
  })
})
