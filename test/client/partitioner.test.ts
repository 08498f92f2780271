import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { murmur2 } from '../../src/client/murmur2.ts'
import { partitionForKey, StickyPartitioner } from '../../src/client/partitioner.ts'

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('murmur2', () => {
  // The vectors of Kafka's own test, UtilsTest.testMurmur2.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('%s: the hash that Kafka publishes', (text, hash) => {
    expect(murmur2(utf8(text))).toBe(hash)
  })

  it('any bytes: a signed 32-bit integer that depends on the bytes alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8), (bytes, offset) => {
        const hash = murmur2(bytes)
        expect(hash).toBe(hash | 0)
        const elsewhere = new Uint8Array(bytes.length + offset)
        elsewhere.set(bytes, offset)
        expect(murmur2(elsewhere.subarray(offset))).toBe(hash)
      }),
      { seed: 1, numRuns: 200 },
    )
  })
})

describe('partition for a key', () => {
  it.each([
    ['21', 100, 40],
    ['foobar', 100, 66],
    ['abc', 100, 7],
    ['abc', 1, 0],
  ])(
    '%s of %d partitions: %d, as Kafka divides the hash without its sign',
    (key, partitionsCount, partition) => {
      expect(partitionForKey(utf8(key), partitionsCount)).toBe(partition)
      expect((murmur2(utf8(key)) & 0x7fffffff) % partitionsCount).toBe(partition)
    },
  )
})

describe('sticky partitioner', () => {
  const random = seededRandom(1)
  const even = (): number => 0

  it('a turn: one partition until it ends, then maybe another; all get some', () => {
    const sticky = new StickyPartitioner()
    const choice = { partitionsCount: 4, available: [0, 1, 2, 3], loadBytes: even, random }
    const seen = new Set<number>()
    for (let turn = 0; turn < 100; turn++) {
      const partition = sticky.partition(choice)
      for (let i = 0; i < 3; i++) expect(sticky.partition(choice)).toBe(partition)
      sticky.endTurn((partition + 1) % 4)
      expect(sticky.partition(choice)).toBe(partition)
      sticky.endTurn(partition)
      seen.add(partition)
    }
    expect(seen.size).toBe(4)
  })

  it('partitions with a leader: preferred; without any, all count', () => {
    const sticky = new StickyPartitioner()
    const draw = (available: readonly number[]): ReadonlySet<number> => {
      const seen = new Set<number>()
      for (let turn = 0; turn < 50; turn++) {
        const partition = sticky.partition({ partitionsCount: 3, available, loadBytes: even, random })
        seen.add(partition)
        sticky.endTurn(partition)
      }
      return seen
    }
    expect([...draw([1])]).toEqual([1])
    expect(draw([])).toEqual(new Set([0, 1, 2]))
  })

  it('a loaded partition: drawn less than an idle one', () => {
    const sticky = new StickyPartitioner()
    const counts = [0, 0]
    for (let turn = 0; turn < 1_000; turn++) {
      const loadBytes = (partition: number): number => (partition === 0 ? 1_000 : 0)
      const partition = sticky.partition({ partitionsCount: 2, available: [0, 1], loadBytes, random })
      counts[partition]!++
      sticky.endTurn(partition)
    }
    // Partition 0 only where both draws fell on it.
    expect(counts[0]).toBeGreaterThan(150)
    expect(counts[0]).toBeLessThan(350)
  })

  it('a topic that shrank: the partition of the turn is given up', () => {
    const sticky = new StickyPartitioner()
    const all = { partitionsCount: 3, available: [2], loadBytes: even, random }
    expect(sticky.partition(all)).toBe(2)
    expect(sticky.partition({ ...all, partitionsCount: 1, available: [0] })).toBe(0)
  })
})
