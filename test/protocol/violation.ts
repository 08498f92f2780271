import { expect } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'

/** Expects a PROTOCOL_VIOLATION and returns its message. */
export function violationOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(VltavaError)
    expect((error as VltavaError).code).toBe('PROTOCOL_VIOLATION')
    return (error as VltavaError).message
  }
  expect.fail('expected a PROTOCOL_VIOLATION')
}
