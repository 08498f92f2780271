// Both directions against kafkajs, which shares no code with ours.

import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RecordInput } from '../../src/record/batch-builder.ts'
import { readBatchHeader, readRecords } from '../../src/record/batch-reader.ts'
import { recordsOf, withRecords } from '../../src/record/batch-rewrite.ts'
import { deepValidateRecords, validateBatch } from '../../src/record/batch-validation.ts'
import { recordLists } from './arbitraries.ts'
import { batchOf, cpu, record, TIME_MS, utf8 } from './batches.ts'
import {
  decodeWithKafkajs,
  encodeWithKafkajs,
  KAFKAJS_GZIP,
  type KafkajsBatch,
  type KafkajsDecoded,
  kafkajsLong,
} from './kafkajs.ts'

const PRODUCER = { cpu, maxBytes: 2 ** 26, origin: 'producer' } as const

const bufferOf = (bytes: Uint8Array | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes))
const hexOf = (bytes: Uint8Array | null | undefined): string | null =>
  bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('hex')

/** The records as kafkajs shows them: numbers as text, headers as an object with lists for repeated names. */
function shownByKafkajs(records: readonly RecordInput[], baseOffset: number): unknown {
  return records.map(({ key, value, headers = [], timestampMs }, i) => {
    const byName = new Map<string, (string | null)[]>()
    for (const header of headers) {
      byName.set(header.key, [...(byName.get(header.key) ?? []), hexOf(header.value)])
    }
    return {
      offset: String(baseOffset + i),
      timestamp: String(timestampMs),
      key: hexOf(key),
      value: hexOf(value),
      headers: Object.fromEntries(byName),
    }
  })
}

/** Records with their bytes as hexadecimal text: comparing megabytes as arrays takes many seconds. */
function shown(records: readonly RecordInput[]): unknown {
  return records.map(({ key, value, headers = [], timestampMs }) => ({
    timestampMs,
    key: hexOf(key),
    value: hexOf(value),
    headers: headers.map((header) => [header.key, hexOf(header.value)]),
  }))
}

function shownFromKafkajs({ records }: KafkajsDecoded): unknown {
  return records.map(({ offset, timestamp, key, value, headers }) => ({
    offset,
    timestamp,
    key: hexOf(key),
    value: hexOf(value),
    headers: Object.fromEntries(
      Object.entries(headers).map(([name, values]) => [
        name,
        Array.isArray(values) ? (values as (Buffer | null)[]).map(hexOf) : [hexOf(values as Buffer | null)],
      ]),
    ),
  }))
}

/** The same batch as a call of kafkajs. */
function kafkajsBatchOf(records: readonly RecordInput[], rest: Partial<KafkajsBatch> = {}): KafkajsBatch {
  const baseTimestampMs = records[0]!.timestampMs
  return {
    partitionLeaderEpoch: -1,
    producerEpoch: -1,
    firstSequence: -1,
    firstTimestamp: baseTimestampMs,
    maxTimestamp: Math.max(...records.map((one) => one.timestampMs)),
    lastOffsetDelta: records.length - 1,
    records: records.map(({ key, value, headers = [], timestampMs }, offsetDelta) => ({
      key: bufferOf(key),
      value: bufferOf(value),
      headers: Object.fromEntries(headers.map((header) => [header.key, bufferOf(header.value)])),
      timestampDelta: timestampMs - baseTimestampMs,
      offsetDelta,
    })),
    ...rest,
  }
}

/** kafkajs keeps headers in an object and cannot write null values or the name __proto__. */
const recordsKafkajsCanWrite = recordLists.map((records) =>
  records.map((one) => ({
    ...one,
    headers: (one.headers ?? []).filter(
      ({ key, value }, i, all) =>
        value !== null && !/^(\d+|__proto__)$/.test(key) && all.findIndex((other) => other.key === key) === i,
    ),
  })),
)

describe('our batches, read by kafkajs', () => {
  it('any records -> the same records', async () => {
    await fc.assert(
      fc.asyncProperty(recordLists, fc.nat(2 ** 31), async (records, baseOffset) => {
        const usable = records.map((one) => ({
          ...one,
          headers: (one.headers ?? []).filter(({ key }) => key !== '__proto__'),
        }))
        const decoded = await decodeWithKafkajs(batchOf(usable, { baseOffset, leaderEpoch: 3 }))
        expect(shownFromKafkajs(decoded)).toEqual(shownByKafkajs(usable, baseOffset))
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  it('all stamps -> the same header fields', async () => {
    const batch = batchOf([record('a'), record('b', { timestampMs: TIME_MS + 3 })], {
      baseOffset: 2 ** 40 + 1,
      leaderEpoch: 77,
      producerId: 2 ** 41 + 3,
      producerEpoch: 12,
      baseSequence: 2 ** 31 - 1,
    })
    expect(await decodeWithKafkajs(batch)).toMatchObject({
      firstOffset: String(2 ** 40 + 1),
      firstTimestamp: String(TIME_MS),
      maxTimestamp: String(TIME_MS + 3),
      partitionLeaderEpoch: 77,
      inTransaction: false,
      isControlBatch: false,
      lastOffsetDelta: 1,
      producerId: String(2 ** 41 + 3),
      producerEpoch: 12,
      firstSequence: 2 ** 31 - 1,
    })
  })

  it('5,000 records and a value of 3 MB -> the same records', async () => {
    const records = Array.from({ length: 5000 }, (_, i) =>
      record(`value ${i}`, { timestampMs: TIME_MS + i * 1000 }),
    )
    records.push(record('x'.repeat(3_000_000)))
    const decoded = await decodeWithKafkajs(batchOf(records))
    expect(shownFromKafkajs(decoded)).toEqual(shownByKafkajs(records, 0))
  })

  it('compressed with gzip -> the same records', async () => {
    const records = Array.from({ length: 50 }, (_, i) => record(`value ${i}`))
    const plain = batchOf(records)
    const compressed = withRecords(plain, { records: gzipSync(recordsOf(plain)), compression: 'gzip', cpu })
    expect(shownFromKafkajs(await decodeWithKafkajs(compressed))).toEqual(shownByKafkajs(records, 0))
  })
})

describe('batches of kafkajs, read by us', () => {
  it('any records -> valid, the same records, and byte for byte what we make of them', async () => {
    await fc.assert(
      fc.asyncProperty(recordsKafkajsCanWrite, async (records) => {
        const batch = await encodeWithKafkajs(kafkajsBatchOf(records))
        expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
        deepValidateRecords(batch)
        expect(readRecords(batch, { cpu })).toEqual(records.map((one, offset) => ({ ...one, offset })))
        expect(Buffer.from(batchOf(records)).toString('hex')).toBe(Buffer.from(batch).toString('hex'))
      }),
      { seed: 2, numRuns: 200 },
    )
  })

  it('headers given as text with a repeated name -> the same in their order', async () => {
    const batch = await encodeWithKafkajs({
      ...kafkajsBatchOf([record('a')]),
      records: [
        {
          key: null,
          value: null,
          offsetDelta: 0,
          headers: { trace: ['1', '2'], jméno: 'Žofie 😀', empty: '' },
        },
      ],
    })
    expect(readRecords(batch, { cpu })[0]!.headers).toEqual([
      { key: 'trace', value: utf8('1') },
      { key: 'trace', value: utf8('2') },
      { key: 'jméno', value: utf8('Žofie 😀') },
      { key: 'empty', value: utf8('') },
    ])
  })

  it("kafkajs' own defaults for a plain producer -> valid", async () => {
    const batch = await encodeWithKafkajs({
      firstTimestamp: TIME_MS,
      maxTimestamp: TIME_MS,
      lastOffsetDelta: 0,
      records: [{ key: null, value: Buffer.from('v'), offsetDelta: 0 }],
    })
    expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
    expect(readBatchHeader(batch, 0)).toMatchObject({
      leaderEpoch: 0,
      producerId: -1,
      producerEpoch: 0,
      baseSequence: 0,
    })
  })

  it('all stamps -> byte for byte what we make of them', async () => {
    const records = [record('a'), record('b')]
    const theirs = await encodeWithKafkajs(
      kafkajsBatchOf(records, {
        firstOffset: kafkajsLong(2 ** 40 + 1),
        partitionLeaderEpoch: 77,
        producerId: kafkajsLong(2 ** 41 + 3),
        producerEpoch: 12,
        firstSequence: 13,
      }),
    )
    const ours = batchOf(records, {
      baseOffset: 2 ** 40 + 1,
      leaderEpoch: 77,
      producerId: 2 ** 41 + 3,
      producerEpoch: 12,
      baseSequence: 13,
    })
    expect(theirs).toEqual(ours)
  })

  it('no records -> none are read, and no broker accepts the batch', async () => {
    const batch = await encodeWithKafkajs({
      firstTimestamp: 0,
      maxTimestamp: 0,
      lastOffsetDelta: 0,
      records: [],
    })
    expect(readRecords(batch, { cpu })).toEqual([])
    expect(() => validateBatch(batch, 0, PRODUCER)).toThrow('says it has 0 records')
  })

  it('3,000 records and a value of 3 MB -> the same records', async () => {
    const records: RecordInput[] = Array.from({ length: 3000 }, (_, i) =>
      record(`value ${i}`, { key: i % 2 === 0 ? null : utf8(`key ${i}`), timestampMs: TIME_MS - i }),
    )
    records.push(record('x'.repeat(3_000_000)))
    const batch = await encodeWithKafkajs(kafkajsBatchOf(records))
    expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
    expect(shown(readRecords(batch, { cpu }))).toEqual(shown(records))
  })

  it('compressed with gzip -> valid, and the same records once decompressed', async () => {
    const records = Array.from({ length: 50 }, (_, i) => ({ ...record(`value ${i}`), headers: [] }))
    const batch = await encodeWithKafkajs(kafkajsBatchOf(records, { compression: KAFKAJS_GZIP }))
    expect(validateBatch(batch, 0, PRODUCER)).toBe(batch.length)
    const decompressed = Uint8Array.from(gunzipSync(recordsOf(batch)))
    deepValidateRecords(batch, decompressed)
    expect(readRecords(batch, { cpu, decompressed })).toEqual(
      records.map((one, offset) => ({ ...one, offset })),
    )
  })
})
