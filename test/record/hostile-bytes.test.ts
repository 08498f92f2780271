// Whatever bytes come in, the readers end with an answer or a VltavaError: no other error, no endless loop, no large
// allocation.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import { HEADER_BYTES } from '../../src/record/batch-format.ts'
import { forEachBatch, readBatchHeader, readRecords, visitRecords } from '../../src/record/batch-reader.ts'
import { deepValidateRecords, validateBatch, validateBatches } from '../../src/record/batch-validation.ts'
import { recordLists } from './arbitraries.ts'
import { batchOf, cpu, rawBatch, seal } from './batches.ts'

const READERS: readonly ((bytes: Uint8Array) => unknown)[] = [
  (bytes) => forEachBatch(bytes, () => {}),
  (bytes) => readBatchHeader(bytes, 0),
  (bytes) => readRecords(bytes, { cpu }),
  (bytes) => readRecords(bytes, { cpu, decompressed: bytes.subarray(HEADER_BYTES) }),
  (bytes) => visitRecords(bytes, (one) => [one.key(), one.value(), one.headers(cpu)]),
  (bytes) => validateBatch(bytes, 0, { cpu, maxBytes: 2 ** 20, origin: 'producer' }),
  (bytes) => validateBatch(bytes, 0, { cpu, maxBytes: 2 ** 20, origin: 'log' }),
  (bytes) => validateBatches(bytes, { cpu, maxBytes: 2 ** 20, origin: 'log' }),
  (bytes) => deepValidateRecords(bytes),
]

/** Runs all readers; counts those that accept the bytes. */
function acceptedBy(bytes: Uint8Array): number {
  let accepted = 0
  for (const reader of READERS) {
    try {
      reader(bytes)
      accepted++
    } catch (error) {
      if (!(error instanceof VltavaError)) throw error
    }
  }
  return accepted
}

describe('hostile bytes', () => {
  it('sound batches -> accepted, so that the rest of this file means something', () => {
    fc.assert(
      fc.property(recordLists, (records) => {
        // The two checks for the origin 'log' want a leader epoch.
        expect(acceptedBy(batchOf(records))).toBe(READERS.length - 2)
        expect(acceptedBy(batchOf(records, { leaderEpoch: 1 }))).toBe(READERS.length)
      }),
      { seed: 1, numRuns: 50 },
    )
  })

  it('random bytes -> VltavaError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300, size: 'max' }), (bytes) => {
        acceptedBy(bytes)
      }),
      { seed: 2, numRuns: 1000 },
    )
  })

  it('random bytes framed as one batch with a right checksum -> an answer or VltavaError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: HEADER_BYTES, maxLength: 300, size: 'max' }), (bytes) => {
        const batch = bytes.slice()
        batch[16] = 2
        acceptedBy(seal(batch))
      }),
      { seed: 3, numRuns: 1000 },
    )
  })

  it('random bytes as the records of a sound header -> an answer or VltavaError', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200, size: 'max' }),
        fc.integer({ min: -2, max: 30 }),
        (records, recordsCount) => {
          acceptedBy(rawBatch(records, { recordsCount, leaderEpoch: 1 }))
        },
      ),
      { seed: 4, numRuns: 1000 },
    )
  })

  it('sound batches with some bytes changed and a right checksum -> an answer or VltavaError, never a longer read', () => {
    fc.assert(
      fc.property(
        recordLists,
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        (records, changes) => {
          const batch = batchOf(records, { leaderEpoch: 1 })
          for (const [at, byte] of changes) batch[12 + (at % (batch.length - 12))] = byte
          seal(batch)
          acceptedBy(batch)
          try {
            visitRecords(batch, (one) => {
              expect(one.keyPosition + one.keyBytes).toBeLessThanOrEqual(batch.length)
              expect(one.valuePosition + one.valueBytes).toBeLessThanOrEqual(batch.length)
              expect(Number.isSafeInteger(one.offset) && Number.isSafeInteger(one.timestampMs)).toBe(true)
            })
          } catch (error) {
            if (!(error instanceof VltavaError)) throw error
          }
        },
      ),
      { seed: 5, numRuns: 500 },
    )
  })

  it('sound batches cut at every byte -> refused by every reader', () => {
    fc.assert(
      fc.property(recordLists, (records) => {
        const batch = batchOf(records, { leaderEpoch: 1 })
        for (let length = 1; length < batch.length; length++) {
          expect(acceptedBy(batch.subarray(0, length))).toBe(0)
        }
      }),
      { seed: 6, numRuns: 5 },
    )
  })

  it('records cut at every byte under a right length and checksum -> refused by all that look into them', () => {
    const batch = batchOf(
      [...Array(5).keys()].map((i) => ({ key: null, value: new Uint8Array(i * 30), timestampMs: i })),
    )
    for (let length = HEADER_BYTES; length < batch.length; length++) {
      expect(() => deepValidateRecords(seal(batch.slice(0, length)))).toThrow(VltavaError)
    }
  })
})
