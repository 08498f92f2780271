// What every implementation of the cpu port does.
import { describe, expect, it } from 'vitest'
import type { Cpu } from '../../src/base/cpu.ts'
import { seededRandom } from '../../src/base/random.ts'
import { CRC32C_VECTORS, crc32cBitByBit } from '../base/crc32c-reference.ts'

export function cpuContract(name: string, create: () => Cpu): void {
  describe(`cpu contract: ${name}`, () => {
    for (const { what, bytes, crc } of CRC32C_VECTORS) {
      it(`crc32c: ${what} -> the known checksum`, () => {
        expect(create().crc32c(bytes)).toBe(crc)
      })
    }

    it('crc32c: every length up to 300 and some longer -> equals the definition', () => {
      const cpu = create()
      const bytes = new Uint8Array(5000)
      seededRandom(1).fill(bytes)
      const lengths = [...Array.from({ length: 301 }, (_, i) => i), 1023, 1024, 1025, 4999]
      for (const length of lengths) {
        const part = bytes.subarray(1, 1 + length)
        expect(cpu.crc32c(part)).toBe(crc32cBitByBit(part))
      }
    })

    it('crc32c: continued from the checksum of the bytes before -> that of the whole', () => {
      const cpu = create()
      const bytes = new Uint8Array(1000)
      seededRandom(2).fill(bytes)
      const whole = cpu.crc32c(bytes)
      for (const cut of [0, 1, 7, 8, 100, 199, 200, 201, 500, 800, 801, 999, 1000]) {
        expect(cpu.crc32c(bytes.subarray(cut), cpu.crc32c(bytes.subarray(0, cut)))).toBe(whole)
      }
    })

    it('crc32c: any input -> an unsigned integer of 32 bits', () => {
      const cpu = create()
      const bytes = new Uint8Array(400)
      for (let i = 0; i < 50; i++) {
        seededRandom(i).fill(bytes)
        for (const length of [10, 400]) {
          const crc = cpu.crc32c(bytes.subarray(0, length))
          expect(Number.isInteger(crc) && crc >= 0 && crc < 2 ** 32).toBe(true)
        }
      }
    })

    for (const text of [
      '',
      'key',
      'x'.repeat(10_000),
      'Příliš žluťoučký kůň',
      '水',
      '😀 and 👩‍👩‍👧',
      '\u0000',
      '\ufeffmark',
      '\ufffd',
    ]) {
      it(`utf8: ${JSON.stringify(text.slice(0, 20))} -> comes back as it was`, () => {
        const cpu = create()
        expect(cpu.decodeUtf8(cpu.encodeUtf8(text))).toBe(text)
      })
    }

    it('encodeUtf8: one character of each length -> the known bytes', () => {
      expect([...create().encodeUtf8('a\u00e9\u6c34\u{1f600}')]).toEqual([
        0x61, 0xc3, 0xa9, 0xe6, 0xb0, 0xb4, 0xf0, 0x9f, 0x98, 0x80,
      ])
    })

    it('encodeUtf8: a lone surrogate -> U+FFFD', () => {
      expect([...create().encodeUtf8('\ud800')]).toEqual([0xef, 0xbf, 0xbd])
    })

    it('encodeUtf8: two texts -> bytes that do not overlap', () => {
      const cpu = create()
      const first = cpu.encodeUtf8('first')
      cpu.encodeUtf8('other').fill(0)
      expect(cpu.decodeUtf8(first)).toBe('first')
    })

    for (const [what, bytes, text] of [
      ['a stray byte', [0x61, 0xff, 0x62], 'a\ufffdb'],
      ['a cut character', [0x61, 0xe6, 0xb0], 'a\ufffd'],
      ['an overlong form', [0xc0, 0x80], '\ufffd\ufffd'],
      ['a surrogate', [0xed, 0xa0, 0x80], '\ufffd\ufffd\ufffd'],
      ['a value beyond Unicode', [0xf4, 0x90, 0x80, 0x80], '\ufffd\ufffd\ufffd\ufffd'],
    ] as const) {
      it(`decodeUtf8: ${what} -> U+FFFD, never an error`, () => {
        expect(create().decodeUtf8(Uint8Array.from(bytes))).toBe(text)
      })
    }

    it('decodeUtf8: a view into a larger buffer -> only these bytes', () => {
      const bytes = Uint8Array.from([0x61, 0x62, 0x63, 0x64])
      expect(create().decodeUtf8(bytes.subarray(1, 3))).toBe('bc')
    })
  })
}
