import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/base/crc32c.ts'
import { CRC32C_VECTORS, crc32cBitByBit } from './crc32c-reference.ts'

describe('crc32c', () => {
  for (const { what, bytes, crc } of CRC32C_VECTORS) {
    it(`${what} -> the known checksum`, () => {
      expect(crc32c(bytes)).toBe(crc)
      expect(crc32cBitByBit(bytes)).toBe(crc)
    })
  }

  it('any bytes at any place of a buffer -> equals the definition', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, offset) => {
        const whole = new Uint8Array(offset + bytes.length + 3).fill(0xa5)
        whole.set(bytes, offset)
        expect(crc32c(whole.subarray(offset, offset + bytes.length))).toBe(crc32cBitByBit(bytes))
      }),
      { seed: 1 },
    )
  })

  it('cut anywhere and continued -> the checksum of the whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), fc.nat(100), (bytes, a, b) => {
        const [first, second] = [Math.min(a, b, bytes.length), Math.min(Math.max(a, b), bytes.length)]
        const start = crc32c(bytes.subarray(0, first))
        const middle = crc32c(bytes.subarray(first, second), start)
        expect(crc32c(bytes.subarray(second), middle)).toBe(crc32c(bytes))
      }),
      { seed: 2 },
    )
  })

  it('one bit of 64 bytes flipped -> another checksum, each time a different one', () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i * 5)
    const seen = new Set([crc32c(bytes)])
    for (let bit = 0; bit < 512; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      seen.add(crc32c(bytes))
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
    expect(seen.size).toBe(513)
  })
})
