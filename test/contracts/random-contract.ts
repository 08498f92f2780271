// What every implementation of the random port does.
import { describe, expect, it } from 'vitest'
import type { Random } from '../../src/base/random.ts'

export function randomContract(name: string, create: () => Random): void {
  describe(`random contract: ${name}`, () => {
    it('u32: many draws -> integers of 32 bits, every bit both ways', () => {
      const random = create()
      let ones = 0
      let zeros = 0
      for (let i = 0; i < 5000; i++) {
        const drawn = random.u32()
        expect(Number.isInteger(drawn) && drawn >= 0 && drawn < 2 ** 32).toBe(true)
        ones |= drawn
        zeros |= ~drawn
      }
      // That one bit is the same in 5,000 draws by chance has a probability of 2^-4993.
      expect(ones >>> 0).toBe(2 ** 32 - 1)
      expect(zeros >>> 0).toBe(2 ** 32 - 1)
    })

    it('u32: 100 draws -> no value twice in a row', () => {
      const random = create()
      let repeated = 0
      let before = random.u32()
      for (let i = 0; i < 100; i++) {
        const drawn = random.u32()
        if (drawn === before) repeated++
        before = drawn
      }
      // Once may happen (1 in 40 million), thrice will not.
      expect(repeated).toBeLessThan(3)
    })

    for (const limit of [1, 2, 6, 1000, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32]) {
      it(`below: limit ${limit} -> integers from 0 to limit - 1`, () => {
        const random = create()
        for (let i = 0; i < 200; i++) {
          const drawn = random.below(limit)
          expect(Number.isInteger(drawn) && drawn >= 0 && drawn < limit).toBe(true)
        }
      })
    }

    it('below: a small limit -> every value occurs about as often', () => {
      const random = create()
      const counts = new Array<number>(6).fill(0)
      for (let i = 0; i < 60_000; i++) counts[random.below(6)]!++
      // The standard deviation is 91; ten of them are not reached by chance.
      for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(910)
    })

    for (const limit of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) {
      it(`below: limit ${limit} -> RangeError`, () => {
        expect(() => create().below(limit)).toThrow(RangeError)
      })
    }

    for (const length of [0, 1, 3, 4, 5, 16, 65_536, 65_537, 200_000]) {
      it(`fill: ${length} bytes in the middle of a buffer -> fills these and no others`, () => {
        const whole = new Uint8Array(length + 20)
        create().fill(whole.subarray(10, 10 + length))
        expect(whole.subarray(0, 10)).toEqual(new Uint8Array(10))
        expect(whole.subarray(10 + length)).toEqual(new Uint8Array(10))
        // The last sixteen bytes are all 0 by chance with a probability of 2^-128.
        if (length >= 16)
          expect(whole.subarray(length - 6, length + 10).some((byte) => byte !== 0)).toBe(true)
      })
    }

    it('fill: a large buffer -> every byte value occurs', () => {
      const bytes = new Uint8Array(200_000)
      create().fill(bytes)
      expect(new Set(bytes).size).toBe(256)
    })
  })
}
