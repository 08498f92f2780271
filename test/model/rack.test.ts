import { describe, expect, it } from 'vitest'
import { RACK_MAX_CHARACTERS } from '../../src/model/limits.ts'
import { checkRack, rackSchema } from '../../src/model/rack.ts'

describe('the rack of a broker', () => {
  it.each([null, 'a', 'eu-central-1a', 'room 4, rack 12', '~', 'x'.repeat(RACK_MAX_CHARACTERS)])(
    '%j -> allowed, and stays as it is on its way',
    (rack) => {
      expect(() => checkRack(1, rack)).not.toThrow()
      expect(rackSchema.decode(rackSchema.encode(rack), 'rack')).toBe(rack)
    },
  )

  it.each(['', ' ', ' a', 'a ', 'a\n', 'a\u007f', 'é', 'x'.repeat(RACK_MAX_CHARACTERS + 1)])(
    '%j -> refused, with what is allowed and whose it is',
    (rack) => {
      expect(() => checkRack(7, rack)).toThrow(
        expect.objectContaining({
          code: 'INVALID_REQUEST',
          message: expect.stringMatching(/^The rack of broker 7 must be 1 to 249 printable.*broker\.rack\.$/),
        }),
      )
    },
  )
})
