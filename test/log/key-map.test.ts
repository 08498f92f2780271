import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { halfSipHash, KeyMap } from '../../src/log/key-map.ts'

const SEED = [1, -2] as const

function placeOf(text: string) {
  const bytes = new TextEncoder().encode(`..${text}..`)
  return { bytes, position: 2, length: bytes.length - 4 }
}

describe('halfSipHash', () => {
  it('the vectors of its authors -> the same hashes', () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i)
    const hashes = [0, 1, 2, 3].map((length) =>
      halfSipHash({ bytes, position: 0, length }, [0x03020100, 0x07060504]).toString(16),
    )
    expect(hashes).toEqual(['5b9f35a9', 'b85a4727', '3a662fa', '4e7fe8a'])
  })
})

describe('KeyMap', () => {
  it('STO-33: any keys and offsets -> the latest offset of each, as a Map has it', () => {
    const key = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ maxLength: 60 }))
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.nat())), (puts) => {
        const map = new KeyMap({ maxBytes: 1024 * 1024, keysMax: puts.length, seed: SEED })
        const model = new Map<string, number>()
        for (const [text, offset] of puts) {
          expect(map.put(placeOf(text), offset)).toBe(true)
          model.set(text, Math.max(model.get(text) ?? -1, offset))
        }
        expect(map.count).toBe(model.size)
        for (const [text, offset] of model) expect(map.latest(placeOf(text))).toBe(offset)
        expect(map.latest(placeOf('a key that never comes'.repeat(5)))).toBe(-1)
      }),
    )
  })

  it('an offset beyond 2^53/2 -> kept exactly', () => {
    const map = new KeyMap({ maxBytes: 1024 * 1024, keysMax: 1, seed: SEED })
    map.put(placeOf('k'), Number.MAX_SAFE_INTEGER)
    expect(map.latest(placeOf('k'))).toBe(Number.MAX_SAFE_INTEGER)
  })

  it.each([
    ['short keys: the table is full', 4],
    ['long keys: the room for keys is full', 50_000],
  ])('%s -> no further key is taken, and those that were stay', (_what, length) => {
    const map = new KeyMap({ maxBytes: 2 * 1024 * 1024, keysMax: 10 ** 9, seed: SEED })
    const textOf = (i: number): string => String(i).padStart(length, 'k')
    let count = 0
    while (map.put(placeOf(textOf(count)), count)) count++
    expect(count).toBe(map.count)
    expect(count).toBeGreaterThan(15)
    expect(map.put(placeOf(textOf(0)), 10 ** 6)).toBe(true)
    expect(map.latest(placeOf(textOf(0)))).toBe(10 ** 6)
    for (let i = 1; i < count; i += 7) expect(map.latest(placeOf(textOf(i)))).toBe(i)
    expect(map.latest(placeOf(textOf(count)))).toBe(-1)
  })
})
