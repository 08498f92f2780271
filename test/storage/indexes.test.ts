import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { crc32c } from '../../src/base/crc32c.ts'
import { OffsetIndex } from '../../src/storage/offset-index.ts'
import { baseOffsetOfLogFile, segmentFiles } from '../../src/storage/segment-files.ts'
import { TimeIndex, timeIndexTrailer } from '../../src/storage/time-index.ts'

const BASE = 5_000_000_000

function offsetIndex(entries: readonly (readonly [number, number])[]): OffsetIndex {
  const index = new OffsetIndex(BASE)
  for (const [relative, position] of entries) index.append(BASE + relative, position)
  return index
}

describe('offset index', () => {
  it('floor -> the last entry at or below; the start of the segment below the first', () => {
    const index = offsetIndex([
      [10, 100],
      [20, 250],
      [35, 4_000_000_000],
    ])
    const floors: readonly (readonly [number, number, number])[] = [
      [0, 0, 0],
      [9, 0, 0],
      [10, 10, 100],
      [19, 10, 100],
      [20, 20, 250],
      [34, 20, 250],
      [35, 35, 4_000_000_000],
      [2 ** 31 - 1, 35, 4_000_000_000],
    ]
    for (const [asked, relative, position] of floors) {
      expect(index.floor(BASE + asked)).toEqual({ offset: BASE + relative, position })
    }
  })

  it('to bytes and back -> the same, laid out as Kafka does', () => {
    const index = offsetIndex([
      [1, 2],
      [0x01020304, 0xfffefdfc],
    ])
    const bytes = index.toBytes(0)
    expect([...bytes]).toEqual([0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 0xff, 0xfe, 0xfd, 0xfc])
    const read = OffsetIndex.fromBytes(bytes, { baseOffset: BASE, sizeBytes: 2 ** 32 })
    expect(read.toBytes(0)).toEqual(bytes)
    expect([...index.toBytes(1)]).toEqual([...bytes.subarray(8)])
  })

  it('STO-09: bytes that cannot be right -> read up to there', () => {
    const good = offsetIndex([
      [10, 100],
      [20, 200],
    ])
    const wrong: readonly (readonly [number, number])[] = [
      [20, 300],
      [30, 200],
      [30, 1000],
    ]
    for (const [relative, position] of wrong) {
      const bytes = new Uint8Array([...good.toBytes(0), ...new Uint8Array(8), ...good.toBytes(0)])
      new DataView(bytes.buffer).setUint32(16, relative)
      new DataView(bytes.buffer).setUint32(20, position)
      const read = OffsetIndex.fromBytes(bytes, { baseOffset: BASE, sizeBytes: 1000 })
      expect(read.count).toBe(2)
    }
    const cut = OffsetIndex.fromBytes(good.toBytes(0).subarray(0, 15), { baseOffset: BASE, sizeBytes: 1000 })
    expect(cut.count).toBe(1)
  })

  it('truncate -> the entries at or beyond are gone, new ones can come', () => {
    const index = offsetIndex(Array.from({ length: 100 }, (_, i) => [10 * i, 100 * i] as const))
    index.truncate(BASE + 500)
    expect(index.last).toEqual({ offset: BASE + 490, position: 4900 })
    index.append(BASE + 495, 4950)
    expect(index.floor(BASE + 1000)).toEqual({ offset: BASE + 495, position: 4950 })
    index.truncate(BASE)
    expect(index.last).toEqual({ offset: BASE, position: 0 })
  })

  it('STO-37: an offset too far from its segment -> a bug, refused', () => {
    const index = new OffsetIndex(BASE)
    index.append(BASE + 2 ** 31 - 1, 5)
    expect(() => index.append(BASE + 2 ** 31, 6)).toThrow('too far')
  })
})

describe('time index', () => {
  function timeIndex(entries: readonly (readonly [timestampMs: number, relative: number])[]): TimeIndex {
    const index = new TimeIndex(BASE)
    for (const [timestampMs, relative] of entries) index.append({ timestampMs, offset: BASE + relative })
    return index
  }

  it('searchStart -> below it no record has the time or a later one', () => {
    const index = timeIndex([
      [100, 10],
      [200, 20],
    ])
    const starts: readonly (readonly [number, number])[] = [
      [0, 0],
      [100, 0],
      [101, 10],
      [200, 10],
      [201, 20],
    ]
    for (const [timestampMs, relative] of starts) {
      expect(index.searchStart(timestampMs)).toBe(BASE + relative)
    }
  })

  it('entries that say nothing new -> left out', () => {
    const index = timeIndex([
      [100, 10],
      [100, 20],
      [90, 30],
      [200, 10],
      [200, 40],
    ])
    expect(index.count).toBe(2)
    expect(index.last).toEqual({ timestampMs: 200, offset: BASE + 40 })
  })

  it('STO-39: sealed with an earlier time than before -> says so of the whole segment', () => {
    const index = timeIndex([[200, 10]])
    index.seal({ timestampMs: 200, offset: BASE + 50 })
    expect(index.last).toEqual({ timestampMs: 200, offset: BASE + 50 })
    const later = timeIndex([[200, 10]])
    later.seal({ timestampMs: 300, offset: BASE + 50 })
    expect(later.count).toBe(2)
  })

  it('to bytes and back -> the same, also beyond 2^32 and for no time', () => {
    const index = timeIndex([
      [-1, 5],
      [1_767_225_600_123, 10],
    ])
    const bytes = index.toBytes(0)
    expect(bytes).toHaveLength(24)
    expect(new DataView(bytes.buffer).getBigInt64(12)).toBe(1_767_225_600_123n)
    const file = concatBytes([bytes, timeIndexTrailer(crc32c(bytes))])
    const read = TimeIndex.fromBytes(file, { baseOffset: BASE, endOffset: BASE + 10 })
    expect(read?.count).toBe(2)
    expect(read?.toBytes(0)).toEqual(bytes)
    expect(TimeIndex.fromBytes(file, { baseOffset: BASE, endOffset: BASE + 9 })?.count).toBe(1)
    for (const wrong of [bytes, file.subarray(0, -1), file.subarray(12), new Uint8Array(0)])
      expect(TimeIndex.fromBytes(wrong, { baseOffset: BASE, endOffset: BASE + 10 })).toBe(null)
  })

  it('truncate -> entries about what is gone go too', () => {
    const index = timeIndex([
      [100, 10],
      [200, 20],
      [300, 30],
    ])
    index.truncate(BASE + 20)
    expect(index.last).toEqual({ timestampMs: 200, offset: BASE + 20 })
    index.truncate(BASE + 19)
    expect(index.last).toEqual({ timestampMs: 100, offset: BASE + 10 })
  })
})

describe('segment files', () => {
  it('names -> 20 digits, read back only when they are exactly that', () => {
    const { log } = segmentFiles('/data', 9_007_199_254_740_991)
    expect(log).toBe('/data/00009007199254740991.log')
    expect(baseOffsetOfLogFile('00009007199254740991.log')).toBe(9_007_199_254_740_991)
    expect(baseOffsetOfLogFile('00000000000000000000.log')).toBe(0)
    for (const name of [
      '0.log',
      '00000000000000000000.index',
      '00000000000000000000.log.tmp',
      '99999999999999999999.log',
      '-0000000000000000001.log',
    ]) {
      expect(baseOffsetOfLogFile(name)).toBeNull()
    }
  })
})
