// What every implementation of the Mac port does. The vectors are those of RFC 4231.
import { describe, expect, it } from 'vitest'
import type { Mac } from '../../src/base/cpu.ts'

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'ascii'))

const VECTORS = [
  {
    what: 'RFC 4231 case 1',
    key: bytesOf('0b'.repeat(20)),
    data: ascii('Hi There'),
    mac: 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  },
  {
    what: 'RFC 4231 case 2, a key shorter than the hash',
    key: ascii('Jefe'),
    data: ascii('what do ya want for nothing?'),
    mac: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  },
  {
    what: 'RFC 4231 case 3',
    key: bytesOf('aa'.repeat(20)),
    data: bytesOf('dd'.repeat(50)),
    mac: '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
  },
  {
    what: 'RFC 4231 case 6, a key longer than a block',
    key: bytesOf('aa'.repeat(131)),
    data: ascii('Test Using Larger Than Block-Size Key - Hash Key First'),
    mac: '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  },
] as const

export function macContract(name: string, create: () => Mac): void {
  describe(`mac contract: ${name}`, () => {
    for (const { what, key, data, mac } of VECTORS) {
      it(`hmacSha256: ${what} -> the known code`, () => {
        expect(Buffer.from(create().hmacSha256(key, data)).toString('hex')).toBe(mac)
      })
    }

    it('equal: the same bytes in two buffers -> true', () => {
      expect(create().equal(bytesOf('00ff10'), bytesOf('00ff10'))).toBe(true)
      expect(create().equal(new Uint8Array(0), new Uint8Array(0))).toBe(true)
    })

    it('equal: one bit differs, wherever -> false', () => {
      const mac = create()
      for (let bit = 0; bit < 256; bit++) {
        const other = new Uint8Array(32)
        other[bit >> 3]! |= 1 << (bit & 7)
        expect(mac.equal(new Uint8Array(32), other)).toBe(false)
      }
    })

    it('equal: different lengths -> false, not an error', () => {
      expect(create().equal(new Uint8Array(31), new Uint8Array(32))).toBe(false)
      expect(create().equal(new Uint8Array(0), new Uint8Array(1))).toBe(false)
    })
  })
}
