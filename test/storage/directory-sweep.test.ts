// A random life of a data directory, cut off at every one of its file operations, against a model of what it was told.
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../src/storage/log-directory.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import type { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { sweepCrashes } from './crash-sweep.ts'
import { KEY0, openDirectory, P0, P1 } from './directory-fixtures.ts'
import { batchOf, between, readAll, seededRandom } from './fixtures.ts'

const SETTINGS = { ...LOG_SETTINGS_DEFAULT, segmentBytes: 700, indexIntervalBytes: 0 }
/** The work grows with the square of it: every operation of a life is the end of one more run. */
const STEPS = 9

/** What is known of the directory outside of it. */
class Model {
  /** The records that may be there, in order, each with its leader epoch. */
  readonly possible: { readonly text: string; readonly leaderEpoch: number }[] = []
  /** How many of them must be. */
  certain = 0
  leaderEpoch = 0
  isMade = false
  /** Values of which one must be found; the last is the newest. */
  highWatermarks: (number | undefined)[] = [undefined]
  brokerEpochs: (number | null)[] = [null]
  clusterIds: (string | null)[] = [null]
  isOtherThere: 'no' | 'maybe' | 'yes' = 'no'
  isClosed = false
}

class Life {
  readonly #directory: LogDirectory
  readonly #model: Model
  readonly #log: PartitionLog
  #texts = 0

  constructor(directory: LogDirectory, log: PartitionLog, model: Model) {
    this.#directory = directory
    this.#log = log
    this.#model = model
  }

  async step(kind: number, draw: (min: number, max: number) => number): Promise<void> {
    switch (kind) {
      case 0:
        return this.#truncate(draw(0, this.#log.logEndOffset))
      case 1:
        return this.#checkpoint(draw(0, this.#log.logEndOffset))
      case 2:
        return this.#beginEpoch()
      case 3:
        return this.#setBrokerEpoch(draw(1, 1_000))
      case 4:
        return this.#otherPartition()
      case 5:
        return this.#adoptClusterId()
      default:
        return this.#append(draw(1, 3), draw(0, 300))
    }
  }

  async #append(batches: number, paddingBytes: number): Promise<void> {
    const { possible, leaderEpoch } = this.#model
    for (let i = 0; i < batches; i++) {
      const text = `${this.#texts++}`
      possible.push({ text, leaderEpoch })
      await this.#log.appendAsLeader(batchOf({ text, paddingBytes }), leaderEpoch).written
    }
    await this.#log.flush()
    this.#model.certain = possible.length
  }

  async #truncate(offset: number): Promise<void> {
    this.#model.certain = Math.min(this.#model.certain, offset)
    await this.#log.truncateTo(offset)
    this.#model.possible.length = Math.min(this.#model.possible.length, offset)
    // A truncation drops epochs that began behind it.
    this.#model.leaderEpoch++
  }

  async #checkpoint(highWatermark: number): Promise<void> {
    this.#model.highWatermarks.push(highWatermark)
    await this.#directory.checkpoint(new Map([[KEY0, highWatermark]]))
    this.#model.highWatermarks = [highWatermark]
  }

  async #beginEpoch(): Promise<void> {
    await this.#log.beginEpoch(++this.#model.leaderEpoch)
  }

  async #setBrokerEpoch(brokerEpoch: number): Promise<void> {
    this.#model.brokerEpochs.push(brokerEpoch)
    await this.#directory.setBrokerEpoch(brokerEpoch)
    this.#model.brokerEpochs = [brokerEpoch]
  }

  async #adoptClusterId(): Promise<void> {
    this.#model.clusterIds.push('CCCCCCCCCCCCCCCCCCCCCC')
    await this.#directory.adoptClusterId('CCCCCCCCCCCCCCCCCCCCCC')
    this.#model.clusterIds = ['CCCCCCCCCCCCCCCCCCCCCC']
  }

  async #otherPartition(): Promise<void> {
    const isThere = this.#model.isOtherThere === 'yes'
    this.#model.isOtherThere = 'maybe'
    if (isThere) await this.#directory.deletePartition(P1)
    else await this.#directory.openPartition(P1, { create: true, settings: SETTINGS })
    this.#model.isOtherThere = isThere ? 'no' : 'yes'
  }
}

async function live(disk: MemoryFileSystem, model: Model, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const { directory } = await openDirectory(disk)
  const log = await directory.openPartition(P0, { create: true, settings: SETTINGS })
  model.isMade = true
  const life = new Life(directory, log, model)
  for (let i = 0; i < STEPS; i++) await life.step(random.below(12), (min, max) => between(random, [min, max]))
  await directory.close({ cleanBrokerEpoch: 7 })
  model.isClosed = true
}

async function examine(disk: MemoryFileSystem, model: Model): Promise<void> {
  const { directory, failures } = await openDirectory(disk)
  if (model.isClosed) expect(directory.cleanShutdownBrokerEpoch).toBe(7)
  const isClean = directory.cleanShutdownBrokerEpoch !== null
  expect(model.highWatermarks).toContain(directory.highWatermark(P0))
  expect(model.brokerEpochs).toContain(directory.lastBrokerEpoch)
  expect(model.clusterIds).toContain(directory.clusterId)
  const isOtherThere = directory.partitions().some(({ partition }) => partition === P1.partition)
  if (model.isOtherThere !== 'maybe') expect(isOtherThere).toBe(model.isOtherThere === 'yes')
  if (model.isMade) {
    expect(directory.hadLog(P0)).toBe(true)
    expect(directory.partitions()).toContainEqual(P0)
  }
  const log = await directory.openPartition(P0, { create: true, settings: SETTINGS })
  const records = await readAll(log)
  // Nothing flushed is lost, nothing is in another order, and nothing that was cut off is back.
  expect(records.length).toBeGreaterThanOrEqual(isClean ? model.possible.length : model.certain)
  const expected = model.possible.map(({ text, leaderEpoch }, offset) => ({ offset, leaderEpoch, text }))
  expect(records).toEqual(expected.slice(0, records.length))
  for (const { offset, leaderEpoch } of records) expect(log.epochs.epochAt(offset)).toBe(leaderEpoch)
  if (isClean) expect(log.droppedTail).toBeNull()
  // It goes on where it ends, and what is flushed now survives as well.
  const next = log.appendAsLeader(batchOf({ text: 'next' }), 100)
  await next.written
  await log.flush()
  expect(next.baseOffset).toBe(records.length)
  await directory.checkpoint(new Map())
  expect(failures).toEqual([])
  const { directory: again } = await openDirectory(disk.afterPowerLoss())
  const reopened = await again.openPartition(P0, { create: false, settings: SETTINGS })
  expect((await readAll(reopened)).map(({ text }) => text)).toEqual([
    ...records.map(({ text }) => text),
    'next',
  ])
}

describe('a life of a data directory, cut off at every operation', () => {
  it.each([1, 2, 3])(
    'SIM-22, STO-14, STO-15, STO-20, STO-21, STO-28, STO-32, STO-36: life %i -> nothing flushed is lost, nothing that was cut off is back, it goes on',
    async (seed) => {
      const operations = await sweepCrashes<Model>({
        state: () => new Model(),
        run: (disk, model) => live(disk, model, seed),
        check: examine,
        randomLosses: 1,
      })
      expect(operations).toBeGreaterThan(60)
    },
    120_000,
  )
})
