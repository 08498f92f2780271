import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { writeBatchSize } from '../../src/record/batch-format.ts'
import { forEachBatch, readBatchHeader, readRecords, visitRecords } from '../../src/record/batch-reader.ts'
import { RecordCursor } from '../../src/record/record-cursor.ts'
import { batchOf, cpu, errorOf, rawBatch, record, seal, TIME_MS, utf8 } from './batches.ts'

/** One record of seven bytes: no key, no value, no headers. */
const SMALLEST = [12, 0, 0, 0, 1, 1, 0]

describe('forEachBatch', () => {
  const batches = [batchOf([record('a')]), batchOf([record('b'), record('c')]), batchOf([record('d')])]

  it('batches behind one another -> the place of each', () => {
    const places: [number, number][] = []
    forEachBatch(concatBytes(batches), (position, sizeBytes) => places.push([position, sizeBytes]))
    const [a, b, c] = batches.map((batch) => batch.length) as [number, number, number]
    expect(places).toEqual([
      [0, a],
      [a, b],
      [a + b, c],
    ])
  })

  it('no bytes -> no batch', () => {
    forEachBatch(new Uint8Array(0), () => expect.unreachable())
  })

  it('cut at every byte -> the whole batches, then CORRUPT_MESSAGE unless cut between two', () => {
    const whole = concatBytes(batches)
    const ends = [0, batches[0]!.length, batches[0]!.length + batches[1]!.length, whole.length]
    for (let length = 0; length <= whole.length; length++) {
      let visited = 0
      const walk = (): void => forEachBatch(whole.subarray(0, length), () => visited++)
      if (ends.includes(length)) walk()
      else expect(errorOf(walk).code).toBe('CORRUPT_MESSAGE')
      expect(visited).toBe(ends.filter((end) => end <= length).length - 1)
    }
  })

  it.each([60, 0, -1, -(2 ** 31) + 12, 2 ** 31 + 11])(
    'STO-03: a batch that says it has %d bytes -> CORRUPT_MESSAGE that says what is possible',
    (sizeBytes) => {
      const bytes = concatBytes(batches)
      writeBatchSize(bytes, batches[0]!.length, sizeBytes)
      const error = errorOf(() => forEachBatch(bytes, () => {}))
      expect(error.code).toBe('CORRUPT_MESSAGE')
      expect(error.message).toContain(`at position ${batches[0]!.length} says it has ${sizeBytes} bytes; 61`)
    },
  )
})

describe('readBatchHeader', () => {
  it('a batch in a buffer -> all of its fields', () => {
    const batch = batchOf([record('a'), record('b')], { baseOffset: 40, leaderEpoch: 3 })
    const bytes = concatBytes([new Uint8Array(9), batch])
    expect(readBatchHeader(bytes, 9)).toEqual({
      sizeBytes: batch.length,
      baseOffset: 40,
      leaderEpoch: 3,
      magic: 2,
      crc: cpu.crc32c(batch.subarray(21)),
      attributes: 0,
      compression: 'none',
      isLogAppendTime: false,
      isTransactional: false,
      isControl: false,
      lastOffsetDelta: 1,
      baseTimestampMs: TIME_MS,
      maxTimestampMs: TIME_MS,
      producerId: -1,
      producerEpoch: -1,
      baseSequence: -1,
      recordsCount: 2,
    })
  })
})

describe('readRecords', () => {
  it('a stamped batch -> offsets from its base offset', () => {
    const batch = batchOf([record('a'), record('b')], { baseOffset: 2 ** 45, leaderEpoch: 0 })
    expect(readRecords(batch, { cpu }).map((read) => read.offset)).toEqual([2 ** 45, 2 ** 45 + 1])
  })

  it('log append time -> every record has the max timestamp', () => {
    const records = batchOf([record('a'), record('b', { timestampMs: TIME_MS + 9 })]).subarray(61)
    const fields = { attributes: 0x08, recordsCount: 2, maxTimestampMs: TIME_MS + 1000 }
    const read = readRecords(rawBatch(records, fields), { cpu })
    expect(read.map((one) => one.timestampMs)).toEqual([TIME_MS + 1000, TIME_MS + 1000])
  })

  it('key, value and header values -> views on the batch, not copies', () => {
    const batch = batchOf([
      record('value', { key: utf8('key'), headers: [{ key: 'h', value: utf8('header') }] }),
    ])
    const [read] = readRecords(batch, { cpu })
    for (const view of [read!.key!, read!.value!, read!.headers[0]!.value!]) {
      expect(view.buffer).toBe(batch.buffer)
    }
  })

  it('headers with a repeated name -> all of them, in order', () => {
    const headers = [
      { key: 'trace', value: utf8('1') },
      { key: 'other', value: null },
      { key: 'trace', value: utf8('2') },
    ]
    expect(readRecords(batchOf([record('a', { headers })]), { cpu })[0]!.headers).toEqual(headers)
  })

  it('a batch without records -> none', () => {
    expect(readRecords(rawBatch([], { recordsCount: 0 }), { cpu })).toEqual([])
  })

  it('bytes that are more or less than one batch -> CORRUPT_MESSAGE', () => {
    const batch = batchOf([record('a')])
    for (const bytes of [concatBytes([batch, batch]), batch.subarray(0, -1), batch.subarray(0, 20)]) {
      expect(errorOf(() => readRecords(bytes, { cpu })).code).toBe('CORRUPT_MESSAGE')
    }
  })

  it('a compressed batch without the decompressed records -> UNSUPPORTED_COMPRESSION_TYPE that names the type', () => {
    const error = errorOf(() => readRecords(rawBatch(SMALLEST, { attributes: 4 }), { cpu }))
    expect(error.code).toBe('UNSUPPORTED_COMPRESSION_TYPE')
    expect(error.message).toContain('zstd')
  })

  it('a compressed batch with the decompressed records -> they are read from there', () => {
    const plain = batchOf([record('a'), record('b')])
    const compressed = rawBatch([1, 2, 3], { attributes: 1, recordsCount: 2 })
    expect(readRecords(compressed, { cpu, decompressed: plain.subarray(61) })).toEqual(
      readRecords(plain, { cpu }),
    )
  })

  it('a count that the bytes cannot hold -> INVALID_RECORD before anything is allocated', () => {
    for (const recordsCount of [-1, 2, 2 ** 31 - 1]) {
      const error = errorOf(() => readRecords(rawBatch(SMALLEST, { recordsCount }), { cpu }))
      expect(error.code).toBe('INVALID_RECORD')
      expect(error.message).toContain(`says it has ${recordsCount} records, but has 7 bytes`)
    }
  })

  it('an offset or timestamp beyond 2^53 -> refused', () => {
    const two = [...SMALLEST, 12, 0, 0, 2, 1, 1, 0]
    const highest = rawBatch(two, { baseOffset: 2 ** 53 - 2, recordsCount: 2 })
    expect(errorOf(() => readRecords(highest, { cpu })).code).toBe('CORRUPT_MESSAGE')
    const late = rawBatch([12, 0, 2, 0, 1, 1, 0], { baseTimestampMs: 2 ** 53 - 1 })
    expect(errorOf(() => readRecords(late, { cpu })).message).toContain('timestamp is 9007199254740992')
    const early = rawBatch([12, 0, 3, 0, 1, 1, 0], { baseTimestampMs: 1 })
    expect(errorOf(() => readRecords(early, { cpu })).message).toContain('timestamp is -1')
  })
})

describe('visitRecords', () => {
  it('a batch -> the same cursor for each record, with what readRecords returns', () => {
    const batch = batchOf(
      [
        record('a', { key: utf8('k'), headers: [{ key: 'h', value: null }] }),
        record(null, { timestampMs: 3 }),
        record('', { key: utf8('') }),
      ],
      { baseOffset: 7, leaderEpoch: 0 },
    )
    const cursors = new Set<RecordCursor>()
    const visited: unknown[] = []
    visitRecords(batch, (one) => {
      cursors.add(one)
      const { offset, timestampMs } = one
      visited.push({ offset, timestampMs, key: one.key(), value: one.value(), headers: one.headers(cpu) })
    })
    expect(cursors.size).toBe(1)
    expect(visited).toEqual(readRecords(batch, { cpu }))
  })

  it('positions and lengths -> point into the bytes, -1 for null', () => {
    const batch = batchOf([record('value', { key: utf8('key') }), record(null)])
    const cursor = new RecordCursor(batch)
    cursor.next()
    const { bytes, keyPosition, keyBytes, valuePosition, valueBytes } = cursor
    expect(bytes).toBe(batch)
    expect(bytes.subarray(keyPosition, keyPosition + keyBytes)).toEqual(utf8('key'))
    expect(bytes.subarray(valuePosition, valuePosition + valueBytes)).toEqual(utf8('value'))
    cursor.next()
    expect([cursor.keyBytes, cursor.valueBytes]).toEqual([-1, -1])
    expect(cursor.next()).toBe(false)
    expect(cursor.next()).toBe(false)
  })

  it('a damaged record behind sound ones -> the sound ones are visited, then the error', () => {
    const batch = batchOf([record('a'), record('b'), record('c')])
    batch[batch.length - 1] = 5
    const offsets: number[] = []
    const error = errorOf(() => visitRecords(seal(batch), (one) => offsets.push(one.offset)))
    expect(offsets).toEqual([0, 1])
    expect(error.message).toContain('Record 2 of the 3 in the batch with base offset 0')
  })
})
