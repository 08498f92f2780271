// Random histories of a compacted log with crashes, beside a naive model: for each key its last record that was flushed.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/base/async/deferred.ts'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryFileSystem, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import {
  batchesOf,
  COMPACTING,
  compact,
  type KeyedRecord,
  keyedRecords,
  lastOf,
  type Pair,
  produce,
  recordsIn,
} from './compaction-fixtures.ts'
import { openTestLog } from './fixtures.ts'
import { settled } from './gated-disk.ts'

const DELETE_RETENTION_MS = 10

type Command =
  | { readonly kind: 'produce'; readonly batches: readonly (readonly Pair[])[] }
  /** `share`: of the log, below which is the high watermark. `crashAt`: the file operation before which it stops. */
  | {
      readonly kind: 'compact'
      readonly share: number
      readonly crashAt: number | null
      readonly seed: number
    }
  | { readonly kind: 'reopen' }
  | { readonly kind: 'pass-time'; readonly ms: number }

const pair: fc.Arbitrary<Pair> = fc.tuple(
  fc.constantFrom('a', 'b', 'c', 'd', ''),
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 3, arbitrary: fc.string({ maxLength: 80 }) },
  ),
)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('produce' as const),
      batches: fc.array(fc.array(pair, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      share: fc.double({ min: 0.5, max: 1, noNaN: true }),
      crashAt: fc.option(fc.integer({ min: 1, max: 90 })),
      seed: fc.nat(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass-time' as const), ms: fc.integer({ min: 1, max: 15 }) }),
  },
)

class History {
  #disk = new MemoryFileSystem()
  #log!: PartitionLog
  /** Every record that was ever written, by offset. */
  readonly #written = new Map<number, KeyedRecord>()
  #nowMs = 1_000
  readonly #settings
  /** When a compaction may first have met the tombstone at an offset; it must stay for so long from then on. */
  readonly #metAtMs = new Map<number, number>()

  constructor(segmentBytes: number) {
    this.#settings = { ...COMPACTING, segmentBytes, deleteRetentionMs: DELETE_RETENTION_MS }
  }

  async open(): Promise<void> {
    const recoveryPoint = this.#written.size
    const opened = await openTestLog(this.#disk, {
      settings: this.#settings,
      recoveryPoint,
      tailCacheBytes: 0,
    })
    this.#log = opened.log
  }

  async run(step: Command): Promise<void> {
    switch (step.kind) {
      case 'produce': {
        const from = this.#log.logEndOffset
        await produce(this.#log, step.batches)
        for (const record of recordsIn(await batchesOf(this.#log, from)))
          this.#written.set(record.offset, record)
        return
      }
      case 'compact':
        return this.#compact(step)
      case 'reopen':
        await this.#log.close()
        return this.open()
      case 'pass-time':
        this.#nowMs += step.ms
    }
  }

  async #compact({ share, crashAt, seed }: Extract<Command, { kind: 'compact' }>): Promise<void> {
    const highWatermark = Math.floor(this.#log.logEndOffset * share)
    const before = await batchesOf(this.#log)
    await this.#log.close()
    const crashed = deferred<'crashed'>()
    let isArmed = crashAt !== null
    this.#disk = this.#disk.afterKill({
      onOperation({ sequence }) {
        if (!isArmed || sequence < crashAt! + 20) return undefined
        crashed.resolve('crashed')
        return new Promise(() => {})
      },
    })
    const run = async (): Promise<'done'> => {
      await this.open()
      await compact(this.#log, { highWatermark, nowMs: () => this.#nowMs })
      return 'done'
    }
    const outcome = await Promise.race([run(), crashed.promise])
    isArmed = false
    if (outcome === 'crashed') {
      await settled()
      this.#disk =
        seed % 2 === 0
          ? this.#disk.afterKill()
          : this.#disk.afterPowerLoss(randomPowerLoss(seededRandom(seed)))
      await this.open()
    }
    await this.#checkTombstones(highWatermark)
    const batches = await batchesOf(this.#log)
    const untouched = (list: typeof batches) => list.filter(({ nextOffset }) => nextOffset > highWatermark)
    expect(untouched(batches)).toEqual(untouched(before))
  }

  async #checkTombstones(highWatermark: number): Promise<void> {
    const offsets = new Set((await keyedRecords(this.#log)).map(({ offset }) => offset))
    for (const record of lastOf([...this.#written.values()]).values()) {
      if (record.value !== null || record.offset >= highWatermark) continue
      const metAtMs = this.#metAtMs.get(record.offset) ?? this.#nowMs
      this.#metAtMs.set(record.offset, metAtMs)
      if (this.#nowMs - metAtMs < DELETE_RETENTION_MS) expect(offsets.has(record.offset)).toBe(true)
    }
  }

  async check(): Promise<void> {
    const records = await keyedRecords(this.#log)
    const offsets = records.map(({ offset }) => offset)
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
    for (const record of records) expect(record).toEqual(this.#written.get(record.offset))
    const found = lastOf(records)
    for (const [key, last] of lastOf([...this.#written.values()])) {
      const kept = found.get(key)
      // A tombstone may be gone, but then with all that it deleted.
      if (last.value === null) expect([undefined, last.offset]).toContain(kept?.offset)
      else expect(kept).toEqual(last)
    }
    expect(this.#log.logEndOffset).toBe(this.#written.size)
    await this.#checkStrict()
  }

  /** Each batch continues the one before, and a read at an offset comes to the batch that holds it. */
  async #checkStrict(): Promise<void> {
    const batches = await batchesOf(this.#log)
    for (const [i, { baseOffset }] of batches.entries()) {
      const due = i === 0 ? 0 : batches[i - 1]!.nextOffset
      expect(baseOffset).toBe(due)
      const endOffset = this.#log.logEndOffset
      const read = { endOffset, maxBytes: 1, atLeastOneBatch: true }
      for (const offset of new Set([due, batches[i]!.nextOffset - 1])) {
        const [first] = await this.#log.read({ ...read, offset })
        expect(recordsIn([{ ...batches[i]!, bytes: first! }])).toEqual(recordsIn([batches[i]!]))
      }
    }
  }
}

describe('a compacted log', () => {
  it('STO-33: any produces, compactions, crashes and restarts -> the latest value of each key, order, offsets, tombstones in time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { minLength: 2, maxLength: 14 }),
        fc.constantFrom(150, 400, 2_000),
        async (commands, segmentBytes) => {
          const history = new History(segmentBytes)
          await history.open()
          for (const step of commands) {
            await history.run(step)
            await history.check()
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})
