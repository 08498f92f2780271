import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { withCompression, writeAttributes, writeCrc } from '../../src/record/batch-format.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { NodeFileSystem } from '../../src/storage/node-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import {
  baseOffsetsOf,
  batchOf,
  cpu,
  joined,
  openTestLog,
  readAll,
  readFile,
  recordsOf,
  segmentPath,
  stamped,
  type TestLogOptions,
  textsOf,
  writeFile,
} from './fixtures.ts'
import { GatedDisk, settled } from './gated-disk.ts'

interface Disk {
  readonly fileSystem: FileSystem
  readonly path: string
}

const DISKS: readonly (readonly [string, () => Promise<Disk>])[] = [
  ['memory', async () => ({ fileSystem: new MemoryFileSystem(), path: '/data/log' })],
  [
    'node',
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'vltava-log-'))
      onTestFinished(() => rm(directory, { recursive: true, force: true }))
      return { fileSystem: new NodeFileSystem(), path: join(directory, 'log') }
    },
  ],
]

/** Opens a log that is closed at the end of the test. */
async function open(disk: Disk, options: TestLogOptions = {}): Promise<PartitionLog> {
  const { log } = await openTestLog(disk.fileSystem, { path: disk.path, ...options })
  onTestFinished(() => log.close())
  return log
}

async function fill(log: PartitionLog, texts: readonly string[], leaderEpoch = 0): Promise<void> {
  for (const text of texts) await log.appendAsLeader(batchOf({ text }), leaderEpoch).written
}

async function logFiles({ fileSystem, path }: Disk): Promise<string[]> {
  const names = (await fileSystem.list(path)).map((entry) => entry.name)
  return names.filter((name) => name.endsWith('.log')).map((name) => String(Number(name.slice(0, 20))))
}

describe.each(DISKS)('partition log on %s', (_name, makeDisk) => {
  it('a new log -> empty, and appends begin at 0', async () => {
    const log = await open(await makeDisk())
    expect([log.logStartOffset, log.logEndOffset, log.flushedOffset]).toEqual([0, 0, 0])
    expect(log.epochs.latestEpoch).toBe(-1)
    const appended = log.appendAsLeader(batchOf({ text: 'a', records: 3 }), 4)
    expect(appended).toMatchObject({ baseOffset: 0, endOffset: 3 })
    expect(log.logEndOffset).toBe(0)
    await appended.written
    expect(log.logEndOffset).toBe(3)
    expect(await readAll(log)).toEqual([0, 1, 2].map((offset) => ({ offset, leaderEpoch: 4, text: 'a' })))
  })

  it('several batches in one append -> offsets go on from one to the next', async () => {
    const log = await open(await makeDisk())
    const bytes = joined([batchOf({ text: 'a', records: 2 }), batchOf({ text: 'b' })])
    expect(log.appendAsLeader(bytes, 0)).toMatchObject({ baseOffset: 0, endOffset: 3 })
    await log.flush()
    expect(await textsOf(log)).toEqual(['a', 'a', 'b'])
    expect(log.flushedOffset).toBe(3)
  })

  it('closed and opened again -> the same records, epochs and ends, from the files', async () => {
    const disk = await makeDisk()
    const log = await open(disk)
    await fill(log, ['a', 'b'], 1)
    await fill(log, ['c'], 3)
    await log.close()
    const again = await open(disk, { recoveryPoint: 3, tailCacheBytes: 0 })
    expect([again.logStartOffset, again.logEndOffset, again.flushedOffset]).toEqual([0, 3, 3])
    expect(again.epochs.entries).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 3, startOffset: 2 },
    ])
    expect(await textsOf(again)).toEqual(['a', 'b', 'c'])
    expect(again.droppedTail).toBeNull()
  })

  it('more than segment.bytes -> rolls; all is read across the segments, also after opening again', async () => {
    const disk = await makeDisk()
    const settings = { segmentBytes: 300, indexIntervalBytes: 100 }
    const log = await open(disk, { settings, tailCacheBytes: 0 })
    const texts = Array.from({ length: 20 }, (_, i) => `record ${i}`)
    await fill(log, texts)
    expect((await logFiles(disk)).length).toBeGreaterThan(4)
    expect(await textsOf(log)).toEqual(texts)
    await log.close()
    const again = await open(disk, { settings, recoveryPoint: 20, tailCacheBytes: 0 })
    expect(await textsOf(again)).toEqual(texts)
    await fill(again, ['more'])
    expect(await textsOf(again)).toEqual([...texts, 'more'])
  })

  it('truncateTo -> the records, their segments and their epochs are gone, appends go on there', async () => {
    const disk = await makeDisk()
    const settings = { segmentBytes: 200, indexIntervalBytes: 50 }
    for (const offset of [0, 1, 3, 4, 5, 7, 9, 10]) {
      const path = join(disk.path, `${offset}`)
      const log = await open({ ...disk, path }, { settings })
      for (const epoch of [0, 0, 0, 2, 2, 2, 2, 5, 5, 5]) await fill(log, [`${epoch}`], epoch)
      await log.flush()
      await log.truncateTo(offset)
      expect([log.logEndOffset, log.flushedOffset]).toEqual([offset, offset])
      const epochs = [0, 2, 5].filter((_, i) => [0, 3, 7][i]! < offset)
      expect(log.epochs.entries.map(({ epoch }) => epoch)).toEqual(epochs)
      await fill(log, ['new'], 6)
      expect((await readAll(log)).map(({ text }) => text)).toEqual([
        ...['0', '0', '0', '2', '2', '2', '2', '5', '5', '5'].slice(0, offset),
        'new',
      ])
      await log.close()
      const again = await open({ ...disk, path }, { settings, tailCacheBytes: 0, recoveryPoint: offset + 1 })
      expect((await readAll(again)).map((record) => record.offset)).toEqual(
        Array.from({ length: offset + 1 }, (_, i) => i),
      )
    }
  })

  it('truncateFullyAndStartAt -> empty at the offset, before and after opening again', async () => {
    const disk = await makeDisk()
    const settings = { segmentBytes: 200 }
    const log = await open(disk, { settings })
    await fill(log, ['a', 'b', 'c', 'd', 'e'], 2)
    await log.truncateFullyAndStartAt(1000)
    expect([log.logStartOffset, log.logEndOffset, log.flushedOffset]).toEqual([1000, 1000, 1000])
    expect(log.epochs.entries).toEqual([])
    expect(await logFiles(disk)).toEqual(['1000'])
    await log.appendAsFollower(stamped({ text: 'new', offset: 1000, leaderEpoch: 5 })).written
    await log.close()
    const again = await open(disk, { settings, recoveryPoint: 1001 })
    expect(await readAll(again)).toEqual([{ offset: 1000, leaderEpoch: 5, text: 'new' }])
    expect(again.epochs.entries).toEqual([{ epoch: 5, startOffset: 1000 }])
  })

  it('STO-17: many sealed segments -> only some stay open', async () => {
    const disk = await makeDisk()
    const settings = { segmentBytes: 100 }
    const log = await open(disk, { settings, tailCacheBytes: 0, openSegmentsMax: 2 })
    const texts = Array.from({ length: 12 }, (_, i) => `${i}`)
    await fill(log, texts)
    const reads = texts.map((_, offset) =>
      log.read({ offset, endOffset: 12, maxBytes: 1, atLeastOneBatch: true }),
    )
    const found = await Promise.all(reads.map((read) => Promise.resolve(read)))
    expect(found.map((parts) => recordsOf(parts)[0]!.text)).toEqual(texts)
    expect(await textsOf(log)).toEqual(texts)
  })

  it('sealed segments -> their indexes are complete, and nothing is rebuilt to read them', async () => {
    const disk = await makeDisk()
    const settings = { segmentBytes: 500, indexIntervalBytes: 100 }
    const log = await open(disk, { settings })
    for (let i = 0; i < 30; i++) {
      await log.appendAsLeader(batchOf({ text: `${i}`, timestampMs: i < 15 ? 500 : 400 }), 0).written
    }
    await log.close()
    const recording = new RecordingLog()
    const again = await open(disk, { settings, recoveryPoint: 30, tailCacheBytes: 0, log: recording })
    expect((await textsOf(again)).length).toBe(30)
    expect(await again.offsetForTimestamp({ timestampMs: 501, endOffset: 30 })).toBeNull()
    expect(recording.events).toEqual([])
  })

  it('files of others in the directory -> left alone', async () => {
    const disk = await makeDisk()
    const log = await open(disk)
    await fill(log, ['a'])
    await log.close()
    const foreign = ['notes.txt', '0.log', '00000000000000000001.log.bak', 'x0000000000000000000.log']
    for (const name of foreign) {
      await writeFile(disk.fileSystem, join(disk.path, name), new Uint8Array([1]))
    }
    const again = await open(disk)
    expect(again.logEndOffset).toBe(1)
    const names = (await disk.fileSystem.list(disk.path)).map((entry) => entry.name)
    for (const name of foreign) expect(names).toContain(name)
  })
})

describe('partition log: read', () => {
  const TEXTS = ['a', 'b', 'c', 'd', 'e', 'f']

  /** One log with all in memory, one with nothing in memory, one with a part. */
  const CACHES = [2 ** 20, 0, 250]

  async function logs(): Promise<PartitionLog[]> {
    const all: PartitionLog[] = []
    for (const tailCacheBytes of CACHES) {
      const disk = await DISKS[0]![1]()
      const log = await open(disk, { tailCacheBytes, settings: { segmentBytes: 310, indexIntervalBytes: 0 } })
      for (const text of TEXTS) await log.appendAsLeader(batchOf({ text, records: 2 }).slice(), 0).written
      all.push(log)
    }
    return all
  }

  async function textsAt(log: PartitionLog, range: Parameters<PartitionLog['read']>[0]): Promise<string> {
    return recordsOf(await log.read(range))
      .map((record) => record.text)
      .join('')
  }

  it('an offset inside of a batch -> the whole batch comes first', async () => {
    for (const log of await logs()) {
      for (let offset = 0; offset < 12; offset++) {
        const parts = await log.read({ offset, endOffset: 12, maxBytes: 1, atLeastOneBatch: true })
        expect(baseOffsetsOf(parts)).toEqual([offset - (offset % 2)])
      }
    }
  })

  it('endOffset -> no batch that reaches beyond it', async () => {
    for (const log of await logs()) {
      const all = { offset: 0, maxBytes: 10_000, atLeastOneBatch: true }
      expect(await textsAt(log, { ...all, endOffset: 0 })).toBe('')
      expect(await log.read({ ...all, endOffset: 1 })).toEqual([])
      expect(await textsAt(log, { ...all, endOffset: 2 })).toBe('aa')
      expect(await textsAt(log, { ...all, endOffset: 5 })).toBe('aabb')
      expect(await textsAt(log, { ...all, offset: 11, endOffset: 11 })).toBe('')
      expect(await textsAt(log, { ...all, offset: 12, endOffset: 12 })).toBe('')
    }
  })

  it('maxBytes -> not more, except the first batch when one is wanted at least', async () => {
    for (const log of await logs()) {
      const sizeBytes = joined(
        await log.read({ offset: 0, endOffset: 2, maxBytes: 1, atLeastOneBatch: true }),
      ).length
      const range = { offset: 0, endOffset: 12 }
      expect(await textsAt(log, { ...range, maxBytes: sizeBytes - 1, atLeastOneBatch: false })).toBe('')
      expect(await textsAt(log, { ...range, maxBytes: sizeBytes - 1, atLeastOneBatch: true })).toBe('aa')
      expect(await textsAt(log, { ...range, maxBytes: sizeBytes, atLeastOneBatch: false })).toBe('aa')
      expect(await textsAt(log, { ...range, maxBytes: 2 * sizeBytes - 1, atLeastOneBatch: true })).toBe('aa')
      expect(await textsAt(log, { ...range, maxBytes: 2 * sizeBytes, atLeastOneBatch: false })).toBe('aabb')
      expect(await textsAt(log, { ...range, maxBytes: 0, atLeastOneBatch: true })).toBe('aa')
    }
  })

  it('offsets outside of the log -> OFFSET_OUT_OF_RANGE', async () => {
    for (const log of await logs()) {
      await log.truncateFullyAndStartAt(50)
      const range = { endOffset: 50, maxBytes: 1, atLeastOneBatch: true }
      for (const offset of [0, 49, 51]) {
        expect(() => log.read({ ...range, offset })).toThrow(
          expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }),
        )
      }
      expect(await log.read({ ...range, offset: 50 })).toEqual([])
    }
  })

  it('what is in memory -> answered at once, without a file operation', async () => {
    const fileSystem = new MemoryFileSystem()
    const { log } = await openTestLog(fileSystem)
    await fill(log, TEXTS)
    await log.flush()
    const before = fileSystem.operations
    const parts = log.read({ offset: 2, endOffset: 6, maxBytes: 10_000, atLeastOneBatch: true })
    expect(Array.isArray(parts)).toBe(true)
    expect(recordsOf(parts as Uint8Array[]).map((record) => record.text)).toEqual(['c', 'd', 'e', 'f'])
    expect(fileSystem.operations).toBe(before)
  })

  it('a damaged batch in a sealed segment -> CORRUPT_MESSAGE at that offset, the rest is readable', async () => {
    const disk = await DISKS[0]![1]()
    const log = await open(disk, { tailCacheBytes: 0, settings: { segmentBytes: 10_000 } })
    await fill(log, TEXTS)
    await log.flush()
    const path = segmentPath(0)
    const bytes = await readFile(disk.fileSystem, path)
    const size = bytes.length / 6
    bytes[2 * size + 16] = 9
    await writeFile(disk.fileSystem, path, bytes)
    const range = { endOffset: 6, maxBytes: 10_000, atLeastOneBatch: true }
    expect(await textsAt(log, { ...range, offset: 0 })).toBe('ab')
    await expect(log.read({ ...range, offset: 2 })).rejects.toMatchObject({
      code: 'CORRUPT_MESSAGE',
      message: expect.stringContaining(
        `Offsets 2 to 3 (exclusive) are damaged on this replica (${path} at position ${2 * size}`,
      ) as string,
    })
  })

  it('a sealed segment that got shorter -> CORRUPT_MESSAGE, never a silent gap', async () => {
    const disk = await DISKS[0]![1]()
    const settings = { segmentBytes: 150 }
    const log = await open(disk, { settings })
    await fill(log, TEXTS)
    await log.close()
    const path = segmentPath(0)
    const bytes = await readFile(disk.fileSystem, path)
    await writeFile(disk.fileSystem, path, bytes.subarray(0, bytes.length / 2))
    const again = await open(disk, { settings, recoveryPoint: 6, tailCacheBytes: 0 })
    await expect(readAll(again)).rejects.toMatchObject({ code: 'CORRUPT_MESSAGE' })
  })

  it.each([2, 4])(
    'a read at %i that overlaps with a truncation to 3 -> never what was cut off',
    async (offset) => {
      const gated = new GatedDisk()
      const settings = { segmentBytes: 150 }
      const { log } = await openTestLog(gated.disk, { tailCacheBytes: 0, settings })
      await fill(log, ['0', '1', '2', '3', '4', '5'])
      gated.hold({ kind: 'read', path: '.log' })
      const range = { offset, endOffset: 6, maxBytes: 10_000, atLeastOneBatch: true }
      const reading = Promise.resolve(log.read(range)).then(
        (parts) => recordsOf(parts).map((record) => record.text),
        (error: unknown) => (error as { code: string }).code,
      )
      await gated.held({ kind: 'read', path: '.log' })
      gated.holdNoMore()
      const truncated = log.truncateTo(3)
      await settled()
      gated.open()
      await truncated
      await log.appendAsLeader(batchOf({ text: 'new' }), 1).written
      expect(await reading).toEqual(offset === 2 ? ['2'] : 'OFFSET_OUT_OF_RANGE')
      expect(await textsOf(log)).toEqual(['0', '1', '2', 'new'])
    },
  )
})

describe('partition log: follower', () => {
  it('batches of the leader -> byte for byte the same, with their epochs', async () => {
    const disk = await DISKS[0]![1]()
    const log = await open(disk)
    const bytes = joined([
      stamped({ text: 'a', records: 2, offset: 0, leaderEpoch: 1 }),
      stamped({ text: 'b', offset: 2, leaderEpoch: 1 }),
      stamped({ text: 'c', offset: 3, leaderEpoch: 6 }),
    ])
    const { endOffset, written } = log.appendAsFollower(bytes.slice())
    expect(endOffset).toBe(4)
    await written
    await log.flush()
    expect(await readFile(disk.fileSystem, segmentPath(0))).toEqual(bytes)
    expect(log.epochs.entries).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 6, startOffset: 3 },
    ])
  })

  it.each([
    ['a gap', stamped({ text: 'x', offset: 2, leaderEpoch: 1 })],
    ['an overlap', stamped({ text: 'x', offset: 0, leaderEpoch: 1 })],
    ['an older epoch', stamped({ text: 'x', offset: 1, leaderEpoch: 0 })],
    ['no epoch', stamped({ text: 'x', offset: 1, leaderEpoch: -1 })],
    ['a cut off batch', stamped({ text: 'x', offset: 1, leaderEpoch: 1 }).subarray(0, 60)],
    [
      'a second batch that does not follow',
      joined([
        stamped({ text: 'x', offset: 1, leaderEpoch: 1 }),
        stamped({ text: 'x', offset: 1, leaderEpoch: 1 }),
      ]),
    ],
  ])('%s -> CORRUPT_MESSAGE, nothing changed', async (_name, bytes) => {
    const log = await open(await DISKS[0]![1]())
    await log.appendAsFollower(stamped({ text: 'a', offset: 0, leaderEpoch: 1 })).written
    expect(() => log.appendAsFollower(bytes)).toThrow(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }))
    expect(log.logEndOffset).toBe(1)
    await log.appendAsFollower(stamped({ text: 'b', offset: 1, leaderEpoch: 1 })).written
    expect(await textsOf(log)).toEqual(['a', 'b'])
  })

  it('appends that wait -> the next must continue them, not what is written', async () => {
    const log = await open(await DISKS[0]![1]())
    const first = log.appendAsFollower(stamped({ text: 'a', offset: 0, leaderEpoch: 3 }))
    const second = log.appendAsFollower(stamped({ text: 'b', offset: 1, leaderEpoch: 4 }))
    expect(() => log.appendAsFollower(stamped({ text: 'c', offset: 2, leaderEpoch: 3 }))).toThrow()
    await Promise.all([first.written, second.written])
    expect(await textsOf(log)).toEqual(['a', 'b'])
  })
})

describe('partition log: leader epochs', () => {
  it('beginEpoch -> begins at the log end, durably with the first append', async () => {
    const fileSystem = new MemoryFileSystem()
    const { log } = await openTestLog(fileSystem)
    await fill(log, ['a', 'b'], 1)
    await log.beginEpoch(4)
    expect(log.epochs.entries).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 4, startOffset: 2 },
    ])
    expect(log.epochs.endOffsetFor(1, log.logEndOffset)).toEqual({ epoch: 1, endOffset: 2 })
    await log.appendAsLeader(batchOf({ text: 'c' }), 4).written
    await log.flush()
    const { log: recovered } = await openTestLog(fileSystem.afterPowerLoss())
    expect(recovered.epochs.entries).toEqual(log.epochs.entries)
  })

  it('beginEpoch while appends wait -> begins behind them', async () => {
    const { log } = await openTestLog(new MemoryFileSystem())
    log.appendAsLeader(batchOf({ text: 'a', records: 5 }), 1)
    await log.beginEpoch(2)
    expect(log.epochs.entries.at(-1)).toEqual({ epoch: 2, startOffset: 5 })
  })

  it('an append with an older epoch -> a bug, refused', async () => {
    const { log } = await openTestLog(new MemoryFileSystem())
    await log.beginEpoch(5)
    expect(() => log.appendAsLeader(batchOf({ text: 'a' }), 4)).toThrow('leader epoch 4 after 5')
  })

  it('a truncation beyond the log end -> epochs without records go', async () => {
    const { log } = await openTestLog(new MemoryFileSystem())
    await fill(log, ['a'], 1)
    await log.beginEpoch(5)
    await log.truncateTo(1)
    expect(log.epochs.entries).toEqual([{ epoch: 1, startOffset: 0 }])
    await log.appendAsFollower(stamped({ text: 'b', offset: 1, leaderEpoch: 3 })).written
    expect(log.epochs.latestEpoch).toBe(3)
  })
})

describe('partition log: truncation', () => {
  it('an offset inside of a batch -> the whole batch goes', async () => {
    const { log } = await openTestLog(new MemoryFileSystem())
    await log.appendAsLeader(batchOf({ text: 'a', records: 4 }), 0).written
    await log.appendAsLeader(batchOf({ text: 'b', records: 4 }), 0).written
    await log.truncateTo(6)
    expect(log.logEndOffset).toBe(4)
    expect(await textsOf(log)).toEqual(['a', 'a', 'a', 'a'])
  })

  it('what was cut off -> no longer in memory either', async () => {
    const { log, environment } = await openTestLog(new MemoryFileSystem())
    for (const text of ['a', 'b', 'c']) {
      await log.appendAsLeader(batchOf({ text, paddingBytes: 1000 }).slice(), 0).written
    }
    const before = environment.budget.usedBytes
    await log.truncateTo(1)
    expect(environment.budget.usedBytes).toBe(before / 3)
    await log.truncateFullyAndStartAt(7)
    expect(environment.budget.usedBytes).toBe(0)
  })

  it('appends that wait -> written before, then cut off', async () => {
    const { log } = await openTestLog(new MemoryFileSystem())
    await fill(log, ['a'])
    const { written } = log.appendAsLeader(batchOf({ text: 'b' }), 0)
    const truncated = log.truncateTo(1)
    expect(() => log.appendAsLeader(batchOf({ text: 'c' }), 0)).toThrow('an append during a truncation')
    await Promise.all([written, truncated])
    expect(await textsOf(log)).toEqual(['a'])
  })
})

describe('partition log: time', () => {
  async function timedLog(tailCacheBytes = 0): Promise<PartitionLog> {
    const settings = { segmentBytes: 400, indexIntervalBytes: 100 }
    const { log } = await openTestLog(new MemoryFileSystem(), { settings, tailCacheBytes })
    // Times go back once.
    for (const timestampMs of [100, 200, 300, 250, 260, 400, 500, 600, 700, 800]) {
      await log.appendAsLeader(batchOf({ text: `${timestampMs}`, records: 2, timestampMs }), 0).written
    }
    return log
  }

  it.each([
    [0, 0, 100],
    [100, 0, 100],
    [101, 1, 101],
    [102, 2, 200],
    [201, 3, 201],
    [250, 4, 300],
    [302, 10, 400],
    [601, 15, 601],
    [801, 19, 801],
  ])('the time %i -> offset %i of time %i', async (timestampMs, offset, found) => {
    const log = await timedLog()
    expect(await log.offsetForTimestamp({ timestampMs, endOffset: 20 })).toEqual({
      offset,
      timestampMs: found,
    })
  })

  it('a time beyond all, or only at or beyond the end offset -> null', async () => {
    const log = await timedLog()
    expect(await log.offsetForTimestamp({ timestampMs: 802, endOffset: 20 })).toBeNull()
    expect(await log.offsetForTimestamp({ timestampMs: 302, endOffset: 10 })).toBeNull()
    expect(await log.offsetForTimestamp({ timestampMs: 0, endOffset: 0 })).toBeNull()
  })

  it('after a truncation -> what was cut off is forgotten', async () => {
    const log = await timedLog()
    await log.truncateTo(11)
    await log.appendAsLeader(batchOf({ text: 'late', timestampMs: 305 }), 1).written
    expect(await log.offsetForTimestamp({ timestampMs: 302, endOffset: 11 })).toEqual({
      offset: 10,
      timestampMs: 305,
    })
    expect(await log.offsetForTimestamp({ timestampMs: 306, endOffset: 11 })).toBeNull()
  })

  it('after a truncation between two index entries -> the times before it still count', async () => {
    const settings = { indexIntervalBytes: 250 }
    const { log } = await openTestLog(new MemoryFileSystem(), { settings })
    for (const timestampMs of [900, 100, 100]) {
      await log.appendAsLeader(batchOf({ text: 'a', timestampMs }), 0).written
    }
    await log.truncateTo(2)
    for (let i = 0; i < 10; i++) await log.appendAsLeader(batchOf({ text: 'b', timestampMs: 100 }), 0).written
    expect(await log.offsetForTimestamp({ timestampMs: 500, endOffset: 12 })).toEqual({
      offset: 0,
      timestampMs: 900,
    })
  })

  it('after a truncation and a kill -> the index files say nothing about the records that were cut off', async () => {
    const fileSystem = new MemoryFileSystem()
    const settings = { indexIntervalBytes: 0 }
    const { log } = await openTestLog(fileSystem, { settings })
    for (let i = 0; i < 6; i++)
      await log.appendAsLeader(batchOf({ text: 'a', timestampMs: 100 + i }), 0).written
    await log.writeIndexes()
    await log.truncateTo(3)
    for (let i = 0; i < 3; i++) await log.appendAsLeader(batchOf({ text: 'b', timestampMs: 900 }), 0).written
    await log.flush()
    const { log: again } = await openTestLog(fileSystem.afterKill(), { settings, recoveryPoint: 6 })
    expect(await again.offsetForTimestamp({ timestampMs: 500, endOffset: 6 })).toEqual({
      offset: 3,
      timestampMs: 900,
    })
  })

  it('a compressed batch -> its first record stands for all', async () => {
    const { log } = await openTestLog(new MemoryFileSystem())
    const builder = new BatchBuilder({ cpu, maxBytes: 1000 })
    for (const timestampMs of [10, 20, 30]) builder.tryAppend({ key: null, value: null, timestampMs })
    const batch = builder.build()
    writeAttributes(batch, 0, withCompression(0, 'zstd'))
    writeCrc(batch, 0, cpu.crc32c(batch.subarray(21)))
    await log.appendAsLeader(batch, 0).written
    expect(await log.offsetForTimestamp({ timestampMs: 25, endOffset: 3 })).toEqual({
      offset: 0,
      timestampMs: 10,
    })
  })
})
