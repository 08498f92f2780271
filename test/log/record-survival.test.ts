import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeyMap } from '../../src/log/key-map.ts'
import {
  type Cleaning,
  hasCompactableKey,
  keyPlaceOf,
  RecordSurvival,
  tombstonesGoBelow,
  withCleaning,
} from '../../src/log/record-survival.ts'
import { COMPACTION_KEY_MAX_BYTES } from '../../src/model/limits.ts'
import { createWebCpu } from '../../src/platform/web/web-cpu.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { visitRecords } from '../../src/record/batch-reader.ts'

const cpu = createWebCpu()

/** `null` keys have none, `null` values are tombstones. The i-th record has the offset i. */
type Pair = readonly [key: string | null, value: string | null]

interface Case {
  readonly records: readonly Pair[]
  readonly mappedBelow?: number
  readonly tombstonesGoBelow?: number
  readonly unreadable?: boolean
}

/** The offsets that stay. */
function survivors({ records, mappedBelow, tombstonesGoBelow: goBelow, unreadable = false }: Case): number[] {
  const builder = new BatchBuilder({ cpu, maxBytes: 4 * 1024 * 1024 })
  for (const [key, value] of records) {
    const bytes = (text: string | null) => (text === null ? null : cpu.encodeUtf8(text))
    builder.tryAppend({ key: bytes(key), value: bytes(value), timestampMs: 1 })
  }
  const batch = builder.build()
  const end = mappedBelow ?? records.length
  const keys = new KeyMap({ maxBytes: 1024 * 1024, keysMax: records.length, seed: [7, 8] })
  visitRecords(batch, (record) => {
    if (record.offset < end && hasCompactableKey(record)) keys.put(keyPlaceOf(record), record.offset)
  })
  const survival = new RecordSurvival({ keys, mappedBelow: end, tombstonesGoBelow: goBelow ?? 0 })
  if (unreadable) survival.metUnreadable()
  const kept: number[] = []
  visitRecords(batch, (record) => {
    if (survival.keeps(record)) kept.push(record.offset)
  })
  return kept
}

const LONG_KEY = 'k'.repeat(COMPACTION_KEY_MAX_BYTES + 1)

describe('RecordSurvival', () => {
  it.each<[string, Case, number[]]>([
    [
      'a later value of the key',
      {
        records: [
          ['a', '1'],
          ['b', '1'],
          ['a', '2'],
        ],
      },
      [1, 2],
    ],
    [
      'an empty key is a key',
      {
        records: [
          ['', '1'],
          ['', '2'],
        ],
      },
      [1],
    ],
    [
      'no key',
      {
        records: [
          [null, '1'],
          [null, '2'],
        ],
      },
      [0, 1],
    ],
    [
      'a key that is too long to compare',
      {
        records: [
          [LONG_KEY, '1'],
          [LONG_KEY, null],
        ],
        tombstonesGoBelow: 9,
      },
      [0, 1],
    ],
    ['an empty value is no tombstone', { records: [['a', '']], tombstonesGoBelow: 9 }, [0]],
    [
      'a tombstone that is young',
      {
        records: [
          ['a', '1'],
          ['a', null],
        ],
        tombstonesGoBelow: 1,
      },
      [1],
    ],
    [
      'a tombstone that is old',
      {
        records: [
          ['a', '1'],
          ['a', null],
        ],
        tombstonesGoBelow: 2,
      },
      [],
    ],
    [
      'a value behind a tombstone',
      {
        records: [
          ['a', null],
          ['a', '1'],
        ],
      },
      [1],
    ],
    [
      'a later value that the map does not hold',
      {
        records: [
          ['a', '1'],
          ['a', '2'],
        ],
        mappedBelow: 1,
      },
      [0, 1],
    ],
    [
      'an old tombstone, and a batch that cannot be read',
      { records: [['a', null]], tombstonesGoBelow: 9, unreadable: true },
      [0],
    ],
  ])('STO-33: %s -> these offsets stay', (_what, given, expected) => {
    expect(survivors(given)).toEqual(expected)
  })

  it('STO-33: any records -> what a map of keys to last records holds, but for tombstones that are old', () => {
    const pair = fc.tuple(fc.constantFrom('a', 'b', 'c', ''), fc.constantFrom('x', '', null))
    fc.assert(
      fc.property(
        fc.array(pair, { minLength: 1, maxLength: 30 }),
        fc.nat({ max: 30 }),
        (records, goBelow) => {
          const last = new Map<string, number>()
          for (const [i, [key]] of records.entries()) last.set(key, i)
          const expected = [...last.values()]
            .filter((i) => records[i]![1] !== null || i >= goBelow)
            .sort((a, b) => a - b)
          expect(survivors({ records, tombstonesGoBelow: goBelow })).toEqual(expected)
        },
      ),
    )
  })
})

describe('tombstonesGoBelow', () => {
  const cleanings: Cleaning[] = [
    { below: 10, atMs: 1_000 },
    { below: 20, atMs: 2_000 },
  ]
  it.each([
    ['none is old enough', 1_999, 0],
    ['the first just is', 2_000, 10],
    ['both are', 3_000, 20],
    ['the clock went back', 0, 0],
  ])('%s -> its offset', (_what, nowMs, expected) => {
    expect(tombstonesGoBelow(cleanings, { nowMs, deleteRetentionMs: 1_000 })).toBe(expected)
  })
})

describe('withCleaning', () => {
  it('STO-33: any cleanings, one after the other -> a short list that never says too early, and in time', () => {
    const retentionMs = 1_000
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 120 }), { minLength: 1, maxLength: 300 }), (pauses) => {
        const all: Cleaning[] = []
        let kept: readonly Cleaning[] = []
        let nowMs = 0
        for (const [i, pauseMs] of pauses.entries()) {
          nowMs += pauseMs
          const cleaning = { below: i + 1, atMs: nowMs }
          all.push(cleaning)
          kept = withCleaning(kept, { cleaning, deleteRetentionMs: retentionMs })
          expect(kept.length).toBeLessThanOrEqual(2 * 32 + 3)
          const at = { nowMs, deleteRetentionMs: retentionMs }
          expect(tombstonesGoBelow(kept, at)).toBeLessThanOrEqual(tombstonesGoBelow(all, at))
          const later = { nowMs: nowMs - 2 * 120, deleteRetentionMs: retentionMs }
          expect(tombstonesGoBelow(kept, at)).toBeGreaterThanOrEqual(tombstonesGoBelow(all, later))
        }
      }),
    )
  })
})
