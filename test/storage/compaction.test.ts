import { describe, expect, it } from 'vitest'
import { leaderEpochOf, recordsCountOf, stampBatch } from '../../src/record/batch-format.ts'
import { emptyBatch } from '../../src/record/empty-batch.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { batchesOf, COMPACTING, compact, keyedBatch, produce, rounds, shown } from './compaction-fixtures.ts'
import { sweepCrashes } from './crash-sweep.ts'
import {
  cpu,
  joined,
  LOG_PATH,
  openTestLog,
  readFile,
  segmentPath,
  type TestLogOptions,
  writeFile,
} from './fixtures.ts'

const open = (disk: MemoryFileSystem, options: TestLogOptions = {}) =>
  openTestLog(disk, { tailCacheBytes: 0, ...options, settings: { ...COMPACTING, ...options.settings } })

async function namesIn(disk: MemoryFileSystem, suffix: string): Promise<string[]> {
  return (await disk.list(LOG_PATH)).map(({ name }) => name).filter((name) => name.endsWith(suffix))
}

describe('compaction of a log', () => {
  it('STO-33: many values of few keys -> the last of each below the active segment, with its offset', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk)
    await produce(log, rounds(20))
    const before = await shown(log)
    const segmentsBefore = (await namesIn(disk, '.log')).length
    log.updateSettings({ ...LOG_SETTINGS_DEFAULT, ...COMPACTING, segmentBytes: 10_000 })
    const outcome = await compact(log)
    const after = await shown(log)
    expect(outcome).toMatchObject({ keys: 3 })
    const { cleanedBelow } = outcome!
    expect(after).toEqual([...before.slice(cleanedBelow - 3, cleanedBelow), ...before.slice(cleanedBelow)])
    expect(segmentsBefore).toBeGreaterThan(4)
    expect(await namesIn(disk, '.log')).toHaveLength(2)
    expect(await namesIn(disk, '.cleaned')).toEqual([])
    expect(await namesIn(disk, '.swap')).toEqual([])
    expect(await namesIn(disk, '.deleted')).toEqual([])
  })

  it('STO-33: nothing at or beyond the high watermark, nor in the active segment, changes', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk)
    await produce(log, rounds(20))
    const before = await batchesOf(log)
    const highWatermark = 9
    const outcome = await compact(log, { highWatermark })
    expect(outcome!.cleanedBelow).toBeLessThanOrEqual(highWatermark)
    const from = outcome!.cleanedBelow
    expect(await batchesOf(log, from)).toEqual(before.slice(from))
    expect(await compact(log, { highWatermark })).toBeNull()
  })

  it('STO-33: a batch of which some records survive, or none -> its offsets stay', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk, { settings: { segmentBytes: 150 } })
    await produce(log, [
      [
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
      ],
      [
        ['x', '4'],
        ['y', '5'],
      ],
      [['x', '6']],
      [
        ['y', '7'],
        ['b', '8'],
      ],
      [['z', '9']],
      [['z', '10']],
    ])
    const settings = { ...COMPACTING, segmentBytes: 10_000 }
    const reopened = async () => {
      await log.close()
      return (await open(disk, { settings })).log
    }
    const again = await reopened()
    await compact(again)
    const expected = ['0 a=1', '2 c=3', '5 x=6', '6 y=7', '7 b=8', '8 z=9', '9 z=10']
    expect(await shown(again)).toEqual(expected)
    const bases = (await batchesOf(again)).map(({ baseOffset, nextOffset }) => [baseOffset, nextOffset])
    expect(bases).toEqual([
      [0, 3],
      [3, 5],
      [5, 6],
      [6, 8],
      [8, 9],
      [9, 10],
    ])
    for (const offset of [3, 4]) expect((await batchesOf(again, offset))[0]!.baseOffset).toBe(3)
    const found = await again.offsetForTimestamp({ timestampMs: 1_000, endOffset: 10 })
    expect(found).toEqual({ offset: 0, timestampMs: 1_000 })
  })

  it('STO-33: tombstones -> they stay for delete.retention.ms after the compaction that met them, then go', async () => {
    const disk = new MemoryFileSystem()
    const settings = { deleteRetentionMs: 5_000 }
    const { log } = await open(disk, { settings })
    await produce(log, [
      ...rounds(3),
      [['a', null]],
      ...rounds(9)
        .slice(4)
        .filter(([pair]) => pair![0] !== 'a'),
    ])
    const tombstone = '3 a=null'
    await compact(log, { nowMs: () => 1_000 })
    expect(await shown(log)).toContain(tombstone)
    expect(await shown(log)).not.toContainEqual(expect.stringMatching(/^0 a=/))
    const more = rounds(30).filter(([pair]) => pair![0] !== 'a')
    await produce(log, more.slice(0, 10))
    await compact(log, { nowMs: () => 5_999 })
    expect(await shown(log)).toContain(tombstone)
    await produce(log, more.slice(10))
    await compact(log, { nowMs: () => 6_000 })
    expect(await shown(log)).not.toContainEqual(expect.stringMatching(/ a=/))
  })

  it('every record of the compacted part goes -> the log can still be read to its end', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk, { settings: { segmentBytes: 100, deleteRetentionMs: 0 } })
    await produce(log, [[['a', '1']], [['a', null]], [['b', '2']], [['b', null]]])
    await compact(log)
    await produce(log, [[['c', '1']], [['c', null]], [['d', 'last']]])
    await compact(log)
    const batches = await batchesOf(log)
    expect(batches.at(-1)!.nextOffset).toBe(log.logEndOffset)
    expect(batches.at(-2)!.nextOffset).toBe(log.logEndOffset - 1)
  })

  it('the keys do not fit into memory -> the run does a part, and the next ones the rest', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk, { settings: { segmentBytes: 1024 * 1024 } })
    const key = (i: number): string => `${i}`.padStart(60_000, 'k')
    for (let i = 0; i < 60; i++) await produce(log, [[[key(i % 30), `${i}`]]])
    let runs = 0
    for (let before = -1, at = 0; before !== at; runs++) {
      before = at
      at = (await compact(log))?.cleanedBelow ?? at
    }
    expect(runs).toBeGreaterThan(2)
    const records = (await batchesOf(log, 0, 10_000_000)).length
    expect(records).toBeLessThan(60)
    expect(records).toBeGreaterThanOrEqual(30)
  })

  it('a compressed batch -> stays as it is, and so do tombstones behind it', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk, { settings: { segmentBytes: 100, deleteRetentionMs: 0 } })
    const compressed = keyedBatch([['a', 'hidden']])
    // What says that it is compressed is all that matters here: nobody decompresses it.
    const { withRecords } = await import('../../src/record/batch-rewrite.ts')
    await log.appendAsLeader(
      withRecords(compressed, { records: compressed.subarray(61), compression: 'gzip', cpu }),
      1,
    ).written
    await produce(log, [[['a', null]], [['b', '1']], [['b', '2']], [['b', '3']]])
    await compact(log)
    await produce(log, [[['b', '4']], [['b', '5']], [['b', '6']]])
    await compact(log)
    const bases = (await log.read({ offset: 0, endOffset: 8, maxBytes: 10_000, atLeastOneBatch: true }))
      .length
    expect(bases).toBe(1)
    expect((await shownUncompressed(log, 1)).slice(0, 1)).toEqual([1])
  })

  it('STO-05: a damaged batch -> the compaction stops and changes nothing', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk)
    await produce(log, rounds(12))
    const bytes = await readFile(disk, segmentPath(0))
    bytes[bytes.length - 5]! ^= 1
    await writeFile(disk, segmentPath(0), bytes)
    await expect(compact(log)).rejects.toThrow('its checksum is wrong')
    expect(await namesIn(disk, '.cleaned')).toEqual([])
    expect(log.compaction.compactedBelow).toBe(0)
  })

  it('a truncation, a stop and a close while it runs -> it gives up', async () => {
    for (const interrupt of ['truncate', 'stop', 'close'] as const) {
      const disk = new MemoryFileSystem()
      const { log } = await open(disk)
      await produce(log, rounds(20))
      let pieces = 0
      let isStopped = false
      const outcome = await compact(log, {
        isStopped: () => isStopped,
        async pause() {
          if (pieces++ !== 1) return
          if (interrupt === 'truncate') await log.truncateTo(1)
          else if (interrupt === 'close') await log.close()
          else isStopped = true
        },
      })
      expect(outcome).toBeNull()
      if (interrupt === 'truncate') expect(await shown(log)).toHaveLength(1)
    }
  })

  it('a reader under way -> it gets the same records, from the old or the new files', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk, { openSegmentsMax: 0 })
    await produce(log, rounds(30))
    const last = (await shown(log)).at(-1)
    const reads: Promise<string[]>[] = []
    await compact(log, {
      async pause() {
        reads.push(shown(log))
      },
    })
    for (const read of await Promise.all(reads)) expect(read.at(-1)).toBe(last)
    expect(reads.length).toBeGreaterThan(3)
  })

  it('a truncation below the mark -> the log is empty and counts as never compacted', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk)
    await produce(log, rounds(20))
    await compact(log)
    expect(log.compaction.compactedBelow).toBeGreaterThan(5)
    await log.truncateTo(5)
    expect([log.logStartOffset, log.logEndOffset, log.compaction.compactedBelow]).toEqual([0, 0, 0])
    await log.close()
    const { log: reopened } = await open(disk)
    expect([reopened.logEndOffset, reopened.compaction.compactedBelow]).toEqual([0, 0])
  })

  it('a truncation above the mark -> only the tail goes', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await open(disk)
    await produce(log, rounds(20))
    await compact(log)
    const before = await shown(log)
    await log.truncateTo(19)
    expect(await shown(log)).toEqual(before.slice(0, -1))
  })
})

async function shownUncompressed(log: PartitionLog, from: number): Promise<number[]> {
  return (await batchesOf(log, from)).map(({ baseOffset }) => baseOffset)
}

describe('what a compaction leaves', () => {
  async function compacted(disk: MemoryFileSystem): Promise<PartitionLog> {
    const { log } = await open(disk)
    await produce(log, rounds(20))
    await compact(log)
    await log.close()
    return log
  }

  it('STO-33: batches of several leader epochs go, in one run or in two -> one empty batch for each epoch', async () => {
    const { log } = await open(new MemoryFileSystem(), { settings: { segmentBytes: 300 } })
    for (const epoch of [1, 2, 2, 4, 4, 4]) await produce(log, rounds(3), epoch)
    const ranges = async () =>
      (await batchesOf(log)).map(({ bytes, baseOffset, nextOffset }) => [
        ...[baseOffset, nextOffset, leaderEpochOf(bytes, 0), recordsCountOf(bytes, 0)],
      ])
    log.updateSettings({ ...LOG_SETTINGS_DEFAULT, ...COMPACTING, segmentBytes: 10_000 })
    await compact(log, { highWatermark: 8 })
    await compact(log)
    const all = await ranges()
    const gone = all.filter(([, , , records]) => records === 0)
    expect(gone.slice(0, 2)).toEqual([
      [0, 3, 1, 0],
      [3, 9, 2, 0],
    ])
    expect(gone[2]!.slice(0, 3)).toEqual([9, expect.any(Number), 4])
    expect(gone).toHaveLength(3)
    expect(all.every(([base], i) => base === (i === 0 ? 0 : all[i - 1]![1]))).toBe(true)
  })

  it('STO-15: the file of the mark is lost -> the same batches; the log counts as never compacted', async () => {
    const disk = new MemoryFileSystem()
    const before = await compacted(disk)
    await disk.remove(`${LOG_PATH}/compaction`)
    const { log } = await open(disk)
    expect((await batchesOf(log)).at(-1)!.nextOffset).toBe(before.logEndOffset)
    expect(log.compaction.compactedBelow).toBe(0)
  })

  it('STO-15: the file of the mark is damaged -> the log as it is counts as compacted, and nothing beyond', async () => {
    const disk = new MemoryFileSystem()
    const before = await compacted(disk)
    await writeFile(disk, `${LOG_PATH}/compaction`, new TextEncoder().encode('{'))
    const { log } = await open(disk)
    expect(log.compaction.compactedBelow).toBe(before.logEndOffset)
    await log.close()
    const { log: again } = await open(disk)
    expect(again.compaction.compactedBelow).toBe(before.logEndOffset)
    await compact(again)
  })

  it('a later release wrote the mark -> the log is not opened', async () => {
    const disk = new MemoryFileSystem()
    await compacted(disk)
    const { AtomicFile } = await import('../../src/storage/atomic-file.ts')
    const path = `${LOG_PATH}/compaction`
    await new AtomicFile({ fileSystem: disk, cpu, path, format: 'compaction', version: 2 }).write({})
    await expect(open(disk)).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION' })
  })

  it('a follower copies a compacted log -> the same batches; a gap is refused', async () => {
    const { log: leader } = await open(new MemoryFileSystem())
    await produce(leader, rounds(20))
    await produce(leader, rounds(4), 2)
    await compact(leader)
    const batches = await batchesOf(leader)
    const disk = new MemoryFileSystem()
    const { log: follower } = await open(disk)
    const append = async (): Promise<void> => {
      for (const { bytes } of batches.filter(({ baseOffset }) => baseOffset >= follower.logEndOffset))
        await follower.appendAsFollower(bytes.slice()).written
      await follower.flush()
    }
    expect(() => follower.appendAsFollower(batches[1]!.bytes.slice())).toThrow('the log ends at 0')
    await append()
    expect(await batchesOf(follower)).toEqual(batches)
    expect(follower.epochs.latestEpoch).toBe(2)
    await follower.close()
    for (const recoveryPoint of [0, 20]) {
      const { log: reopened } = await open(disk, { recoveryPoint })
      expect(await batchesOf(reopened)).toEqual(batches)
      await reopened.close()
    }
  })

  it('STO-37: more than 2^31 offsets in what a follower gets -> it takes a part, and the rest into another segment', async () => {
    const { log } = await open(new MemoryFileSystem())
    const far = 2 ** 31 - 1
    const gone = emptyBatch({ baseOffset: 0, nextOffset: far, leaderEpoch: 1 }, cpu)
    const batchAt = (baseOffset: number): Uint8Array => {
      const batch = keyedBatch([['k', `${baseOffset}`]])
      stampBatch(batch, 0, { baseOffset, leaderEpoch: 1 })
      return batch
    }
    await log.appendAsFollower(joined([gone, batchAt(far), batchAt(far + 1)])).written
    expect(log.logEndOffset).toBe(far)
    await log.appendAsFollower(joined([batchAt(far), batchAt(far + 1)])).written
    expect(await shown(log)).toEqual([`${far} k=${far}`, `${far + 1} k=${far + 1}`])
  })
})

interface Told {
  /** What the log held before the compaction. */
  before: string[]
  isDone: boolean
}

describe('crash at every operation', () => {
  it('STO-33: a compaction -> each key has its latest value, in order, and the next one ends the work', async () => {
    const settings = { segmentBytes: 200 }
    const count = 6
    const lastOf = (texts: readonly string[]): string[] =>
      [...new Map(texts.map((text) => [/ (.)=/.exec(text)![1]!, text])).values()].sort()
    const operations = await sweepCrashes<Told>({
      randomLosses: 1,
      state: () => ({ before: [], isDone: false }),
      async prepare(disk) {
        const { log } = await open(disk, { settings })
        await produce(log, rounds(count))
        await log.close()
      },
      async run(disk, state) {
        // Larger segments than before, so that several become one.
        const { log } = await open(disk, { settings: { segmentBytes: 450 }, recoveryPoint: count })
        state.before = await shown(log)
        await compact(log)
        state.isDone = true
        await log.close()
      },
      async check(disk, state) {
        const { log } = await open(disk, { settings: { segmentBytes: 450 }, recoveryPoint: count })
        expect(log.logEndOffset).toBe(count)
        const found = await shown(log)
        if (state.before.length > 0) {
          expect(state.before).toEqual(expect.arrayContaining(found))
          expect(lastOf(found)).toEqual(lastOf(state.before))
          expect(found.at(-1)).toBe(state.before.at(-1))
        }
        const offsets = found.map((text) => Number(text.split(' ')[0]))
        expect(offsets).toEqual([...offsets].sort((a, b) => a - b))
        if (state.isDone) expect(found.length).toBe(4)
        await compact(log)
        const compacted = await shown(log)
        expect(lastOf(compacted)).toEqual(lastOf(found))
        expect(compacted.length).toBeLessThan(5)
        for (const suffix of ['.cleaned', '.swap', '.deleted'])
          expect(await namesIn(disk, suffix)).toEqual([])
        await produce(log, [[['d', 'more']]])
        expect((await shown(log)).at(-1)).toBe(`${count} d=more`)
      },
    })
    expect(operations).toBeGreaterThan(60)
  })
})
