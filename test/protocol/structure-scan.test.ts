import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { HEADER_DEPTH_MAX, HEADER_ELEMENTS_MAX } from '../../src/model/limits.ts'
import { decodeWire, pack } from '../../src/protocol/codec.ts'
import { scanStructure, scanValue } from '../../src/protocol/structure-scan.ts'
import { wire } from '../../src/schema/schema.ts'
import { violationOf } from './violation.ts'
import { wireValues } from './wire-values.ts'

const of = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes)
const unpack = (bytes: Uint8Array): unknown => decodeWire(wire(), bytes)
/** So many arrays of one element around the bytes. */
const nested = (levels: number, inner: Uint8Array): Uint8Array =>
  concatBytes([new Uint8Array(levels).fill(0x91), inner])

describe('structure scan: what the protocol writes', () => {
  it('any wire value packed by the codec -> passes, and comes back equal', () => {
    fc.assert(
      fc.property(wireValues, (value) => {
        const bytes = new Uint8Array(pack(value))
        scanStructure(bytes)
        expect(unpack(bytes)).toEqual(value)
      }),
      { numRuns: 500, seed: 1 },
    )
  })

  it('every form of text, bytes, arrays and numbers at its smallest -> passes', () => {
    const forms = [
      of(0x00),
      of(0x7f),
      of(0xe0),
      of(0xff),
      of(0x90),
      of(0xa0),
      of(0xc0),
      of(0xc2),
      of(0xc3),
      of(0xc4, 0),
      of(0xc5, 0, 0),
      of(0xc6, 0, 0, 0, 0),
      of(0xca, 0, 0, 0, 0),
      of(0xcb, 0, 0, 0, 0, 0, 0, 0, 0),
      of(0xcc, 0),
      of(0xcd, 0, 0),
      of(0xce, 0, 0, 0, 0),
      of(0xcf, 0, 0, 0, 0, 0, 0, 0, 0),
      of(0xd0, 0),
      of(0xd1, 0, 0),
      of(0xd2, 0, 0, 0, 0),
      of(0xd3, 0, 0, 0, 0, 0, 0, 0, 0),
      of(0xd9, 0),
      of(0xda, 0, 0),
      of(0xdb, 0, 0, 0, 0),
      of(0xdc, 0, 0),
      of(0xdd, 0, 0, 0, 0),
    ]
    for (const form of forms) {
      scanStructure(form)
      scanStructure(nested(HEADER_DEPTH_MAX - 1, form))
      // Cut anywhere, it is refused.
      for (let length = 0; length < form.length; length++) {
        violationOf(() => scanStructure(form.subarray(0, length)))
      }
      expect(violationOf(() => scanStructure(concatBytes([form, of(0xc0)])))).toContain('1 bytes follow')
    }
  })

  it('a value inside of others -> scanValue returns where it ends', () => {
    const bytes = concatBytes([of(0x05), new Uint8Array(pack([1, ['ab', of(9, 9)]])), of(0xc3)])
    expect(scanValue(bytes, 0)).toBe(1)
    expect(scanValue(bytes, 1)).toBe(bytes.length - 1)
    expect(scanValue(bytes, bytes.length - 1)).toBe(bytes.length)
  })
})

describe('structure scan: attacks', () => {
  const huge: readonly (readonly [string, Uint8Array])[] = [
    ['array16', of(0xdc, 0xff, 0xff)],
    ['array32 2^24', of(0xdd, 0x00, 0xff, 0xff, 0xff)],
    ['array32 2^32', of(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['fixarray', of(0x9f)],
    ['map16', of(0xde, 0xff, 0xff)],
    ['map32', of(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['fixmap', of(0x8f)],
    ['fixstr', of(0xbf)],
    ['str8', of(0xd9, 0xff)],
    ['str16', of(0xda, 0xff, 0xff)],
    ['str32', of(0xdb, 0xff, 0xff, 0xff, 0xff)],
    ['str32 signed', of(0xdb, 0x7f, 0xff, 0xff, 0xff)],
    ['bin8', of(0xc4, 0xff)],
    ['bin16', of(0xc5, 0xff, 0xff)],
    ['bin32', of(0xc6, 0xff, 0xff, 0xff, 0xff)],
    ['ext8', of(0xc7, 0xff, 0x01)],
    ['ext16', of(0xc8, 0xff, 0xff, 0x01)],
    ['ext32', of(0xc9, 0xff, 0xff, 0xff, 0xff, 0x01)],
  ]

  it.each(huge)('SEC-10: %s that announces more than is there, nested 0 to 32 deep -> refused', (_, head) => {
    for (let levels = 0; levels <= 32; levels++) {
      // In arrays of one element, and again and again behind itself (32 fixstr of 31 bytes are a good one).
      violationOf(() => unpack(nested(levels, head)))
      const count = head[0] === 0xbf ? Math.min(levels, 30) : levels
      violationOf(() => unpack(concatBytes(Array.from({ length: count + 1 }, () => head))))
      // With some of the elements really there.
      violationOf(() => unpack(concatBytes([nested(levels, head), new Uint8Array(14)])))
    }
  })

  it('SEC-10: 72 KB of nested array16 heads that killed msgpackr 1.x -> refused', () => {
    const bomb = new Uint8Array(72_000)
    for (let i = 0; i < bomb.length; i += 3) bomb.set([0xdc, 0xff, 0xff], i)
    violationOf(() => unpack(bomb))
  })

  it('SEC-10: a count that uses up exactly the bytes there are -> passes, one more -> refused', () => {
    scanStructure(concatBytes([of(0xdc, 0, 3), of(1, 2, 3)]))
    expect(violationOf(() => scanStructure(concatBytes([of(0xdc, 0, 4), of(1, 2, 3)])))).toContain(
      'an array of 4 in 3 bytes',
    )
  })

  it('SEC-10: more than HEADER_ELEMENTS_MAX values that are all there -> refused', () => {
    const head = (count: number): Uint8Array =>
      of(0xdd, count >>> 24, (count >>> 16) & 0xff, (count >>> 8) & 0xff, count & 0xff)
    const flat = (count: number): Uint8Array => concatBytes([head(count), new Uint8Array(count)])
    scanStructure(flat(HEADER_ELEMENTS_MAX - 1))
    expect(violationOf(() => scanStructure(flat(HEADER_ELEMENTS_MAX)))).toContain('values in one header')
    // Spread over two arrays the sum counts as well.
    const half = flat(HEADER_ELEMENTS_MAX / 2)
    violationOf(() => scanStructure(concatBytes([of(0x92), half, half])))
  })

  it('SEC-11: 10^5 nested arrays and maps -> refused, and the next value is decoded as ever', () => {
    for (const marker of [0x91, 0x81]) {
      violationOf(() => unpack(new Uint8Array(100_000).fill(marker)))
      violationOf(() => unpack(nested(100_000, of(0xc0))))
      expect(unpack(of(0x92, 0x01, 0xa1, 0x78))).toEqual([1, 'x'])
    }
  })

  it('SEC-11: HEADER_DEPTH_MAX levels -> pass, one more -> refused', () => {
    scanStructure(nested(HEADER_DEPTH_MAX, of(0xc0)))
    expect(violationOf(() => scanStructure(nested(HEADER_DEPTH_MAX + 1, of(0xc0))))).toContain('deeper')
    violationOf(() => scanStructure(nested(HEADER_DEPTH_MAX, of(0x90))))
    // Levels next to each other are not inside each other.
    scanStructure(concatBytes([of(0xdc, 0, 100), ...Array.from({ length: 100 }, () => of(0x91, 0x90))]))
  })

  it.each(['__proto__', 'constructor', 'prototype', 'toString', '0', 'a'])(
    'SEC-12: a map with the key %s -> refused in every form, nothing is polluted',
    (key) => {
      const text = new TextEncoder().encode(key)
      const pair = concatBytes([of(0xa0 | text.length), text, of(0x91, 0xc3)])
      for (const head of [of(0x81), of(0xde, 0, 1), of(0xdf, 0, 0, 0, 1)]) {
        for (const levels of [0, 1, 5]) {
          const message = violationOf(() => unpack(nested(levels, concatBytes([head, pair]))))
          expect(message).toContain('map')
        }
      }
      // Twice the same key.
      violationOf(() => unpack(concatBytes([of(0x82), pair, pair])))
      expect('polluted' in {}).toBe(false)
      expect(Object.keys(Object.prototype)).toEqual([])
    },
  )

  it('SEC-12: empty maps -> refused', () => {
    for (const map of [of(0x80), of(0xde, 0, 0), of(0xdf, 0, 0, 0, 0)]) violationOf(() => unpack(map))
  })

  it('SEC-13: every extension type in every form and length -> refused', () => {
    for (let type = 0; type < 256; type++) {
      for (const [i, marker] of [0xd4, 0xd5, 0xd6, 0xd7, 0xd8].entries()) {
        const bytes = concatBytes([of(marker, type), new Uint8Array(2 ** i)])
        expect(violationOf(() => unpack(bytes))).toContain('extension type')
      }
      for (const length of [0, 1, 5, 40]) {
        const data = new Uint8Array(length).fill(0x90)
        violationOf(() => unpack(concatBytes([of(0xc7, length, type), data])))
        violationOf(() => unpack(concatBytes([of(0xc8, 0, length, type), data])))
        violationOf(() => unpack(concatBytes([of(0xc9, 0, 0, 0, length, type), data])))
        violationOf(() => unpack(nested(3, concatBytes([of(0xc7, length, type), data]))))
      }
    }
  })

  it('SEC-13: a record definition and its use (ext 0x72) -> refused, later integers stay integers', () => {
    // fixext1 type 0x72 with id 0x40, then the names, then the values: what msgpackr calls a record.
    violationOf(() => unpack(of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x07)))
    expect(unpack(of(0x40))).toBe(0x40)
  })

  it('SEC-13: the never-used marker 0xc1 -> refused', () => {
    expect(violationOf(() => unpack(of(0xc1)))).toContain('never used')
    violationOf(() => unpack(of(0x92, 0x01, 0xc1)))
  })
})

describe('structure scan: against everything', () => {
  /** What the scan should say, written the obvious way. Returns the end, or null. */
  const naiveEnd = (bytes: Uint8Array, start: number, depth: number): number | null => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const marker = bytes[start]
    if (marker === undefined) return null
    const length = (size: number): number | null => {
      if (start + 1 + size > bytes.length) return null
      return size === 1
        ? view.getUint8(start + 1)
        : size === 2
          ? view.getUint16(start + 1)
          : view.getUint32(start + 1)
    }
    const skip = (head: number, count: number | null): number | null =>
      count === null || start + head + count > bytes.length ? null : start + head + count
    const each = (head: number, count: number | null): number | null => {
      if (count === null || depth === HEADER_DEPTH_MAX) return null
      let position: number | null = start + head
      for (let i = 0; i < count && position !== null; i++) position = naiveEnd(bytes, position, depth + 1)
      return position
    }
    if (marker <= 0x7f || marker >= 0xe0 || [0xc0, 0xc2, 0xc3].includes(marker)) return start + 1
    if (marker >= 0xa0 && marker <= 0xbf) return skip(1, marker & 31)
    if (marker >= 0x90 && marker <= 0x9f) return each(1, marker & 15)
    switch (marker) {
      case 0xc4:
      case 0xd9:
        return skip(2, length(1))
      case 0xc5:
      case 0xda:
        return skip(3, length(2))
      case 0xc6:
      case 0xdb:
        return skip(5, length(4))
      case 0xdc:
        return each(3, length(2))
      case 0xdd:
        return each(5, length(4))
      case 0xcc:
      case 0xd0:
        return skip(1, 1)
      case 0xcd:
      case 0xd1:
        return skip(1, 2)
      case 0xca:
      case 0xce:
      case 0xd2:
        return skip(1, 4)
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return skip(1, 8)
      default:
        return null
    }
  }

  const agrees = (bytes: Uint8Array): void => {
    if (naiveEnd(bytes, 0, 0) === bytes.length) {
      scanStructure(bytes)
      // What passes, msgpackr takes, and takes whole.
      unpack(bytes)
    } else {
      violationOf(() => scanStructure(bytes))
    }
  }

  it('random bytes -> the same verdict as a naive scan; what passes is decoded', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), agrees), { numRuns: 3_000, seed: 2 })
  })

  it('valid bytes with one byte changed, dropped or added -> the same verdict as a naive scan', () => {
    fc.assert(
      fc.property(wireValues, fc.nat(), fc.nat(255), fc.nat(2), (value, at, byte, kind) => {
        const bytes = new Uint8Array(pack(value))
        const position = at % bytes.length
        const changed = bytes.slice()
        changed[position] = byte
        const cut = concatBytes([bytes.subarray(0, position), bytes.subarray(position + 1)])
        const longer = concatBytes([bytes.subarray(0, position), of(byte), bytes.subarray(position)])
        agrees([changed, cut, longer][kind]!)
      }),
      { numRuns: 3_000, seed: 3 },
    )
  })

  it('every marker, alone and before others -> the same verdict as a naive scan', () => {
    for (let marker = 0; marker < 256; marker++) {
      agrees(of(marker))
      for (const next of [0, 1, 2, 0x40, 0x90, 0xc0, 0xc1, 0xff]) agrees(of(marker, next))
    }
    expect(() => scanStructure(of())).toThrow(VltavaError)
  })
})
