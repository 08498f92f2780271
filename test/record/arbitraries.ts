// Generators of records for property tests.
import fc from 'fast-check'
import type { RecordHeader, RecordInput } from '../../src/record/batch-builder.ts'
import { TIME_MS } from './batches.ts'

const bytes = fc.uint8Array({ maxLength: 80 })

const timestampMs = fc.oneof(
  fc.integer({ min: TIME_MS - 100_000, max: TIME_MS + 100_000 }),
  fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER),
)

const headers: fc.Arbitrary<RecordHeader[]> = fc.array(
  fc.record({
    key: fc.string({ unit: 'grapheme', maxLength: 12 }),
    value: fc.option(bytes, { nil: null }),
  }),
  { maxLength: 4 },
)

export const recordInputs: fc.Arbitrary<RecordInput> = fc.record({
  key: fc.option(bytes, { nil: null }),
  value: fc.option(bytes, { nil: null }),
  headers: fc.option(headers, { nil: undefined, freq: 2 }),
  timestampMs,
})

export const recordLists: fc.Arbitrary<RecordInput[]> = fc.array(recordInputs, {
  minLength: 1,
  maxLength: 12,
})
