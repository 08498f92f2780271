// Random histories of one log beside a naive model: a list of records.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryFileSystem, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { batchOf, openTestLog, type ReadRecord, readAll, recordsOf, stamped } from './fixtures.ts'
import { settled } from './gated-disk.ts'

type Command =
  | {
      readonly kind: 'append'
      readonly records: number
      readonly paddingBytes: number
      readonly waits: boolean
    }
  | { readonly kind: 'follow'; readonly records: number; readonly epochStep: number }
  | { readonly kind: 'flush' | 'checkpoint' | 'assign-epoch' | 'reopen' | 'kill' }
  | { readonly kind: 'truncate'; readonly share: number }
  | { readonly kind: 'start-at'; readonly skip: number }
  | { readonly kind: 'power-loss'; readonly seed: number; readonly turns: number }
  | { readonly kind: 'read'; readonly share: number; readonly maxBytes: number }

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      records: fc.integer({ min: 1, max: 4 }),
      paddingBytes: fc.integer({ min: 0, max: 700 }),
      waits: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('follow' as const),
      records: fc.integer({ min: 1, max: 3 }),
      epochStep: fc.integer({ min: 0, max: 2 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('flush', 'checkpoint', 'assign-epoch', 'reopen', 'kill'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('truncate' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('start-at' as const),
      skip: fc.integer({ min: -20, max: 20 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('power-loss' as const),
      seed: fc.nat(),
      turns: fc.integer({ min: 0, max: 30 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('read' as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      maxBytes: fc.integer({ min: 1, max: 2000 }),
    }),
  },
)

interface Settings {
  readonly segmentBytes: number
  readonly indexIntervalBytes: number
  readonly flushMessages: number
  readonly tailCacheBytes: number
}

class ModelledLog {
  readonly #settings: Settings
  #disk = new MemoryFileSystem()
  #log!: PartitionLog
  /** All that was appended and not cut off since, also what waits. */
  #records: ReadRecord[] = []
  #startOffset = 0
  #epoch = 0
  #flushedOffset = 0
  #recoveryPoint = 0
  #appends = 0

  constructor(settings: Settings) {
    this.#settings = settings
  }

  async open(): Promise<void> {
    const { tailCacheBytes, ...settings } = this.#settings
    const { log } = await openTestLog(this.#disk, {
      settings,
      tailCacheBytes,
      recoveryPoint: this.#recoveryPoint,
      openSegmentsMax: 1,
      observer: {
        onFlushed: (offset) => {
          this.#flushedOffset = Math.max(this.#flushedOffset, offset)
        },
      },
      lowerRecoveryPoint: async (offset) => {
        this.#recoveryPoint = Math.min(this.#recoveryPoint, offset)
      },
    })
    this.#log = log
  }

  async run(command: Command): Promise<void> {
    switch (command.kind) {
      case 'append':
        return this.#append(command)
      case 'follow':
        return this.#follow(command)
      case 'flush':
        await this.#log.flush()
        return expect(this.#log.flushedOffset).toBe(this.#endOffset)
      case 'checkpoint':
        this.#recoveryPoint = this.#log.flushedOffset
        return this.#log.writeIndexes()
      case 'assign-epoch':
        this.#epoch++
        return this.#log.beginEpoch(this.#epoch)
      case 'truncate':
        return this.#truncate(command.share)
      case 'start-at':
        return this.#startAt(Math.max(0, this.#endOffset + command.skip))
      case 'read':
        return this.#read(command)
      case 'reopen':
        await this.#log.close()
        this.#recoveryPoint = this.#log.flushedOffset
        expect(this.#recoveryPoint).toBe(this.#endOffset)
        return this.#recover(this.#endOffset)
      case 'kill': {
        const writtenOffset = this.#log.logEndOffset
        this.#disk = this.#disk.afterKill()
        return this.#recover(writtenOffset)
      }
      case 'power-loss':
        for (let turn = 0; turn < command.turns; turn++) await Promise.resolve()
        this.#disk = this.#disk.afterPowerLoss(randomPowerLoss(seededRandom(command.seed)))
        return this.#recover(this.#flushedOffset)
    }
  }

  async check(): Promise<void> {
    await this.#log.flush()
    expect(await readAll(this.#log, 1000)).toEqual(this.#records)
  }

  get #endOffset(): number {
    return this.#startOffset + this.#records.length
  }

  async #append(append: Command & { kind: 'append' }): Promise<void> {
    const text = `${this.#appends++}.`
    const { baseOffset, endOffset, written } = this.#log.appendAsLeader(
      batchOf({ text, ...append }),
      this.#epoch,
    )
    expect([baseOffset, endOffset]).toEqual([this.#endOffset, this.#endOffset + append.records])
    this.#note(text, append.records)
    if (append.waits) await written
  }

  async #follow({ records, epochStep }: Command & { kind: 'follow' }): Promise<void> {
    this.#epoch += epochStep
    const text = `${this.#appends++}.`
    const offset = this.#endOffset
    const { written } = this.#log.appendAsFollower(
      stamped({ text, records, offset, leaderEpoch: this.#epoch }),
    )
    this.#note(text, records)
    await written
    expect(this.#log.epochs.epochAt(offset)).toBe(this.#epoch)
  }

  #note(text: string, records: number): void {
    for (let i = 0; i < records; i++) {
      this.#records.push({ offset: this.#endOffset, leaderEpoch: this.#epoch, text })
    }
  }

  async #truncate(share: number): Promise<void> {
    const offset = this.#startOffset + Math.round(share * (this.#records.length + 2))
    await this.#log.truncateTo(offset)
    // A batch that spans the offset goes whole; all of its records have one text.
    const first = this.#records[offset - this.#startOffset]
    if (first !== undefined) {
      this.#records = this.#records.slice(
        0,
        this.#records.findIndex((record) => record.text === first.text),
      )
    }
    this.#flushedOffset = Math.min(this.#flushedOffset, this.#endOffset)
    this.#recoveryPoint = Math.min(this.#recoveryPoint, this.#endOffset)
    expect(this.#log.logEndOffset).toBe(this.#endOffset)
    this.#checkEpochs()
  }

  async #startAt(offset: number): Promise<void> {
    await this.#log.truncateFullyAndStartAt(offset)
    this.#records = []
    this.#startOffset = offset
    this.#flushedOffset = offset
    this.#recoveryPoint = 0
    expect([this.#log.logStartOffset, this.#log.logEndOffset]).toEqual([offset, offset])
    this.#checkEpochs()
  }

  async #read({ share, maxBytes }: Command & { kind: 'read' }): Promise<void> {
    const endOffset = this.#log.logEndOffset
    const offset = this.#startOffset + Math.floor(share * (endOffset - this.#startOffset))
    const parts = await this.#log.read({ offset, endOffset, maxBytes, atLeastOneBatch: true })
    const found = recordsOf(parts)
    if (offset === endOffset) return expect(found).toEqual([])
    const at = found[0]!.offset - this.#startOffset
    expect(found[0]!.offset).toBeLessThanOrEqual(offset)
    expect(found.at(-1)!.offset).toBeGreaterThanOrEqual(offset)
    expect(found).toEqual(this.#records.slice(at, at + found.length))
  }

  /** Opens again: what is found must be a prefix of what was appended, with all that could not be lost. */
  async #recover(keptOffset: number): Promise<void> {
    await settled()
    await this.open()
    const found = await readAll(this.#log)
    expect(found).toEqual(this.#records.slice(0, found.length))
    expect(this.#log.logEndOffset).toBeGreaterThanOrEqual(keptOffset)
    expect(this.#log.logStartOffset).toBe(this.#startOffset)
    expect(this.#log.flushedOffset).toBe(this.#log.logEndOffset)
    this.#records = found
    this.#flushedOffset = this.#log.flushedOffset
    this.#checkEpochs()
  }

  #checkEpochs(): void {
    for (const { offset, leaderEpoch } of this.#records) {
      expect(this.#log.epochs.epochAt(offset)).toBe(leaderEpoch)
    }
    this.#epoch = Math.max(this.#epoch, this.#log.epochs.latestEpoch)
  }
}

describe('log properties', () => {
  it('any history -> what was flushed is never lost, what is found is a prefix, offsets have no gap', async () => {
    const settings = fc.record({
      segmentBytes: fc.constantFrom(1, 300, 1500, 2 ** 30),
      indexIntervalBytes: fc.constantFrom(0, 200, 4096),
      flushMessages: fc.constantFrom(1, 1, 5, 1000),
      tailCacheBytes: fc.constantFrom(0, 700, 2 ** 20),
    })
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(command, { minLength: 5, maxLength: 60 }),
        async (chosen, commands) => {
          const log = new ModelledLog(chosen)
          await log.open()
          for (const one of commands) await log.run(one)
          await log.check()
        },
      ),
      { numRuns: 150, seed: 20_260_101 },
    )
  })
})
