import { describe, expect, it } from 'vitest'
import { RAFT_DEFAULTS, validate } from '../../src/raft/config.ts'
import { APPEND_ABSOLUTE_MAX_BYTES, ENTRY_OVERHEAD_BYTES } from '../../src/raft/messages.ts'

describe('validate', () => {
  it('the defaults -> are valid', () => {
    expect(() => validate(RAFT_DEFAULTS)).not.toThrow()
  })

  it.each([
    [
      { electionTimeoutMs: 9 },
      'raft setting electionTimeoutMs is 9: it must be an integer from 10 to 600000',
    ],
    [{ hintRetryMinMs: 1.5 }, 'raft setting hintRetryMinMs is 1.5: it must be an integer from 1 to 60000'],
    [{ inflightAppendsMax: Number.NaN }, 'raft setting inflightAppendsMax is NaN'],
    [{ heartbeatIntervalMs: 501 }, 'it must be at most half of electionTimeoutMs (1000)'],
    [{ hintRetryMinMs: 101 }, 'it must be at most hintRetryMaxMs (100)'],
    [{ appendMaxBytes: APPEND_ABSOLUTE_MAX_BYTES + 1 }, 'raft setting appendMaxBytes is 3145729'],
    [{ uncommittedMaxBytes: 1_048_576 }, 'raft setting uncommittedMaxBytes is 1048576: it must be at least'],
  ])('%j -> refused with name, value and range', (change, message) => {
    expect(() => validate({ ...RAFT_DEFAULTS, ...change })).toThrow(RangeError)
    expect(() => validate({ ...RAFT_DEFAULTS, ...change })).toThrow(message)
  })

  it('RAFT-35: an append that could not hold the largest entry -> refused', () => {
    const entryMaxBytes = 1_000
    const fits = { ...RAFT_DEFAULTS, entryMaxBytes, appendMaxBytes: entryMaxBytes + ENTRY_OVERHEAD_BYTES }
    expect(() => validate(fits)).not.toThrow()
    expect(() => validate({ ...fits, appendMaxBytes: fits.appendMaxBytes - 1 })).toThrow(
      'raft setting appendMaxBytes is 1023: it must be at least entryMaxBytes and 24 bytes of overhead (1024)',
    )
  })
})
