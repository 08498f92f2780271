import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, equalBytes, toBase64Url, viewOf } from '../../src/base/bytes.ts'

describe('concatBytes', () => {
  it('several parts, empty ones too -> their bytes in order', () => {
    const parts = [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]
    expect(concatBytes(parts)).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('no part -> no bytes', () => {
    expect(concatBytes([])).toEqual(new Uint8Array(0))
  })

  it('a sole part -> the part itself, not a copy', () => {
    const part = Uint8Array.of(1, 2)
    expect(concatBytes([part])).toBe(part)
  })
})

describe('equalBytes', () => {
  it('two copies -> equal', () => {
    expect(equalBytes(Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 3))).toBe(true)
    expect(equalBytes(new Uint8Array(0), new Uint8Array(0))).toBe(true)
  })

  it('a byte differs, first or last, or the length -> not equal', () => {
    expect(equalBytes(Uint8Array.of(9, 2, 3), Uint8Array.of(1, 2, 3))).toBe(false)
    expect(equalBytes(Uint8Array.of(1, 2, 9), Uint8Array.of(1, 2, 3))).toBe(false)
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3))).toBe(false)
  })
})

describe('viewOf', () => {
  it('a view into a larger buffer -> exactly its bytes', () => {
    const view = viewOf(Uint8Array.of(0, 0, 1, 2, 0).subarray(2, 4))
    expect(view.byteLength).toBe(2)
    expect(view.getUint16(0)).toBe(0x0102)
  })
})

describe('toBase64Url', () => {
  it.each([
    ['', ''],
    ['f', 'Zg'],
    ['fo', 'Zm8'],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg'],
    ['fooba', 'Zm9vYmE'],
    ['foobar', 'Zm9vYmFy'],
  ])('RFC 4648 vector %j -> %j without padding', (text, encoded) => {
    expect(toBase64Url(Uint8Array.from(Buffer.from(text)))).toBe(encoded)
  })

  it('any bytes -> what Node makes of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'))
      }),
      { seed: 1 },
    )
  })
})
