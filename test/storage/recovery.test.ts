import { describe, expect, it } from 'vitest'
import { batchSizeOf } from '../../src/record/batch-format.ts'
import { CorruptLogError } from '../../src/storage/corrupt-log-error.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { MemoryFileSystem, type PowerLoss, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import {
  baseOffsetsOf,
  batchOf,
  between,
  cpu,
  joined,
  openTestLog,
  readAll,
  readFile,
  seededRandom,
  segmentPath,
  stamped,
  textsOf,
  writeFile,
} from './fixtures.ts'
import { ACTIVE, BATCHES, diskWith, ENDS, EPOCHS, flipped, NEXT_OFFSETS, WHOLE } from './recovery-fixtures.ts'

async function corruption(open: Promise<unknown>): Promise<CorruptLogError> {
  const error: unknown = await open.then(
    () => new Error('it opened'),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof CorruptLogError)) throw error
  return error
}

describe('recovery: torn tail', () => {
  it('STO-01: the file cut at every byte -> the whole batches before, appends go on there', async () => {
    for (let size = 0; size <= WHOLE.length; size++) {
      const disk = await diskWith(WHOLE.subarray(0, size))
      const whole = ENDS.filter((end) => end <= size).length
      const { log } = await openTestLog(disk)
      expect(log.logEndOffset).toBe(NEXT_OFFSETS[whole])
      expect(log.flushedOffset).toBe(NEXT_OFFSETS[whole])
      const { baseOffset, written } = log.appendAsLeader(batchOf({ text: 'next' }), 1)
      expect(baseOffset).toBe(NEXT_OFFSETS[whole])
      await written
      expect(await textsOf(log)).toEqual([...['a', 'a', 'b', 'c', 'c', 'c'].slice(0, baseOffset), 'next'])
      const cut = ENDS[whole - 1] ?? 0
      expect(log.droppedTail?.bytes ?? 0).toBe(size - cut)
      await log.close()
      // The index was made again: it opens and reads from the middle.
      const again = await openTestLog(disk, { recoveryPoint: log.flushedOffset, tailCacheBytes: 0 })
      expect((await readAll(again.log)).length).toBe(baseOffset + 1)
    }
  })

  it('STO-02: any sectors of the last unsynced batch old, zero or random -> it is dropped, all before is kept', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = seededRandom(seed)
      const disk = new MemoryFileSystem()
      const { log } = await openTestLog(disk)
      await log.appendAsLeader(batchOf({ text: 'kept', paddingBytes: random.below(1500) }), 0).written
      await log.flush()
      log.updateSettings({
        ...LOG_SETTINGS_DEFAULT,
        segmentBytes: 2 ** 30,
        indexIntervalBytes: 0,
        flushMessages: 1000,
        appendQueueBytes: 2 ** 20,
      })
      await log.appendAsLeader(batchOf({ text: 'torn', paddingBytes: random.below(3000) }), 0).written
      const loss: PowerLoss = {
        ...randomPowerLoss(random),
        sector: () => (['lost', 'kept', 'garbage'] as const)[random.below(3)]!,
        // Also longer than what was written, as a preallocated file.
        size: (_path, durableBytes, writtenBytes) =>
          between(random, [durableBytes, writtenBytes + 2000 * random.below(2)]),
      }
      const { log: recovered } = await openTestLog(disk.afterPowerLoss(loss))
      const texts = await textsOf(recovered)
      // Every sector may have been kept.
      expect([['kept'], ['kept', 'torn']]).toContainEqual(texts)
      const { baseOffset, written } = recovered.appendAsLeader(batchOf({ text: 'next' }), 1)
      await written
      expect(baseOffset).toBe(texts.length)
      expect(await textsOf(recovered)).toEqual([...texts, 'next'])
    }
  })

  it('STO-02: sectors of many unsynced batches lost -> the batches before the first loss are kept', async () => {
    const dropped = new Set<number>()
    for (let seed = 1; seed <= 150; seed++) {
      const random = seededRandom(seed)
      const disk = new MemoryFileSystem()
      const { log } = await openTestLog(disk, { settings: { flushMessages: 1000 } })
      await log.appendAsLeader(batchOf({ text: 'synced', paddingBytes: random.below(1000) }), 0).written
      await log.flush()
      for (let i = 0; i < 6; i++) {
        await log.appendAsLeader(batchOf({ text: `${i}`, paddingBytes: random.below(900) }), 0).written
      }
      const { log: recovered } = await openTestLog(disk.afterPowerLoss(randomPowerLoss(random)))
      const texts = await textsOf(recovered)
      expect(texts).toEqual(['synced', '0', '1', '2', '3', '4', '5'].slice(0, texts.length))
      expect(texts.length).toBeGreaterThanOrEqual(1)
      dropped.add(7 - texts.length)
    }
    // The losses were of all sizes, or the test would show little.
    expect(dropped.size).toBeGreaterThanOrEqual(6)
  })

  it.each([
    ['0xffffffff', 0xffffffff],
    ['the smallest negative', 0x80000000],
    ['0', 0],
    ['less than a header', 48],
    ['more than the file has', 5000],
    ['more than a batch may have', 0x7fffffff],
    ['just more than a batch may have', 8 * 1024 * 1024],
  ])('STO-03: a garbage length in the tail: %s -> boots, truncates', async (_name, length) => {
    const garbage = BATCHES[2]!.slice()
    new DataView(garbage.buffer).setUint32(8, length)
    const disk = await diskWith(joined([BATCHES[0]!, BATCHES[1]!, garbage]))
    const recording = new RecordingLog()
    const { log } = await openTestLog(disk, { log: recording })
    expect(log.logEndOffset).toBe(3)
    expect(await textsOf(log)).toEqual(['a', 'a', 'b'])
    expect((await readFile(disk, ACTIVE)).length).toBe(ENDS[1])
    expect(recording.named('log-tail-truncated')).toMatchObject([
      { level: 'info', fields: { bytes: garbage.length, offset: 3, reason: 'unacknowledged tail' } },
    ])
  })

  it('STO-04: stale batches of an older epoch line up behind the tail -> not taken for part of the log', async () => {
    // Written in epoch 0, cut off, and overwritten in epoch 1 by a batch of the same size that ends where the stale one
    // begins.
    const fresh = stamped({ text: 'B', records: 1, paddingBytes: 700, offset: 2, leaderEpoch: 1 })
    expect(fresh.length).toBe(BATCHES[1]!.length)
    const disk = await diskWith(joined([BATCHES[0]!, fresh, BATCHES[2]!]), [
      [0, 0],
      [1, 2],
    ])
    const { log } = await openTestLog(disk)
    expect(await readAll(log)).toEqual([
      { offset: 0, leaderEpoch: 0, text: 'a' },
      { offset: 1, leaderEpoch: 0, text: 'a' },
      { offset: 2, leaderEpoch: 1, text: 'B' },
    ])
    expect((await readFile(disk, ACTIVE)).length).toBe(ENDS[1])
  })

  it('STO-04: a stale batch with offsets that do not follow -> cut off', async () => {
    const stale = stamped({ text: 'old', offset: 7, leaderEpoch: 0 })
    const { log } = await openTestLog(await diskWith(joined([BATCHES[0]!, stale])))
    expect(log.logEndOffset).toBe(2)
  })

  it('STO-04: a stale batch whose epoch contradicts the epoch file -> cut off', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await openTestLog(disk)
    await log.appendAsFollower(BATCHES[0]!.slice()).written
    await log.appendAsLeader(batchOf({ text: 'new' }), 3).written
    await log.close()
    // Offset 2 belongs to epoch 3, so a batch of epoch 0 there is from before.
    await writeFile(disk, ACTIVE, joined([BATCHES[0]!, BATCHES[1]!]))
    const { log: recovered } = await openTestLog(disk, { recoveryPoint: 2 })
    expect(recovered.logEndOffset).toBe(2)
  })

  it('STO-04: a torn batch and stale batches behind it -> torn tail, not damage', async () => {
    const torn = stamped({ text: 'B', records: 1, paddingBytes: 700, offset: 2, leaderEpoch: 1 })
    const disk = await diskWith(joined([BATCHES[0]!, flipped(torn, 600), BATCHES[2]!]), [
      [0, 0],
      [1, 2],
    ])
    const { log } = await openTestLog(disk)
    expect(log.logEndOffset).toBe(2)
  })

  it('a tail that was cut off -> is cut off on disk as well', async () => {
    const disk = await diskWith(WHOLE.subarray(0, ENDS[2]! - 1))
    await openTestLog(disk)
    const after = disk.afterPowerLoss()
    expect((await readFile(after, ACTIVE)).length).toBe(ENDS[1])
  })

  it('bytes above the recovery point -> written again and synced before they count as flushed', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await openTestLog(disk, { settings: { flushMessages: 1000 } })
    await log.appendAsLeader(batchOf({ text: 'only in the page cache' }), 0).written
    const afterKill = disk.afterKill()
    const { log: recovered } = await openTestLog(afterKill)
    expect(recovered.flushedOffset).toBe(1)
    const { log: afterLoss } = await openTestLog(afterKill.afterPowerLoss(), { recoveryPoint: 1 })
    expect(await textsOf(afterLoss)).toEqual(['only in the page cache'])
  })

  it('bytes that a failed sync left unwritten -> recovery does not believe the page cache', async () => {
    let fails = false
    const disk = new MemoryFileSystem({
      onOperation: ({ kind, path }) =>
        fails && kind === 'sync' && path === ACTIVE ? new Error('EIO') : undefined,
    })
    const { log } = await openTestLog(disk)
    fails = true
    await log.appendAsLeader(batchOf({ text: 'dirty' }), 0).written
    await expect(log.flush()).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    // The kernel calls the pages clean now; only writing them again makes them durable.
    const afterKill = disk.afterKill()
    const { log: recovered } = await openTestLog(afterKill)
    expect(recovered.flushedOffset).toBe(1)
    expect(await textsOf((await openTestLog(afterKill.afterPowerLoss())).log)).toEqual(['dirty'])
  })
})

describe('recovery: damage', () => {
  it.each([
    ['base offset', 7],
    ['length', 11],
    ['leader epoch', 15],
    ['magic', 16],
    ['checksum', 18],
    ['last offset delta', 26],
    ['records count', 60],
    ['payload', 200],
  ])(
    'a flipped bit below the recovery point: %s -> found when recovery walks over it, or left to reads',
    async (_name, position) => {
      const disk = await diskWith(flipped(WHOLE, ENDS[0]! + position, 1))
      const opened = openTestLog(disk, { recoveryPoint: 6 })
      // What the checksum covers is left to scrub and consumers: nothing below the recovery point is read whole at start.
      const isFraming = position < 17 || position === 26
      if (isFraming) {
        const error = await corruption(opened)
        expect(error.damage).toMatchObject({ path: ACTIVE })
        // What a header says wrong may show where the next batch does not continue it.
        expect(error.damage.offset).toBeLessThanOrEqual(position === 26 ? 5 : 3)
      } else await opened
      expect(await readFile(disk, ACTIVE)).toEqual(flipped(WHOLE, ENDS[0]! + position, 1))
    },
  )

  it.each([
    ['length', 11],
    ['leader epoch', 12],
    ['magic', 16],
    ['checksum', 18],
    ['records count', 60],
    ['payload', 200],
  ])(
    'a flipped bit above the recovery point, sound batches behind it: %s -> damage, not a torn tail',
    async (_name, position) => {
      const damaged = flipped(WHOLE, ENDS[0]! + position, 7)
      const disk = await diskWith(damaged)
      const error = await corruption(openTestLog(disk))
      expect(error.damage).toMatchObject({ path: ACTIVE, position: ENDS[0], offset: 2 })
      expect(await readFile(disk, ACTIVE)).toEqual(damaged)
    },
  )

  it('every bit of a batch flipped, with sound batches behind it -> never opened without it', async () => {
    for (let position = ENDS[0]!; position < ENDS[1]!; position++) {
      const disk = await diskWith(flipped(WHOLE, position, position % 8))
      expect((await corruption(openTestLog(disk))).damage.position).toBe(ENDS[0])
    }
  })

  it('a copy of sound batches inside of a torn record -> still a torn tail', async () => {
    const inner = stamped({ text: 'inner', offset: 50, leaderEpoch: 9 })
    const outer = stamped({
      text: String.fromCharCode(...inner),
      offset: 2,
      leaderEpoch: 0,
      paddingBytes: 900,
    })
    const disk = await diskWith(joined([BATCHES[0]!, outer]).subarray(0, ENDS[0]! + outer.length - 10))
    const { log } = await openTestLog(disk)
    expect(log.logEndOffset).toBe(2)
  })

  it('the file ends below the recovery point -> damage', async () => {
    for (const size of [0, ENDS[0]!, ENDS[1]!, ENDS[2]! - 1]) {
      const disk = await diskWith(WHOLE.subarray(0, size))
      const error = await corruption(openTestLog(disk, { recoveryPoint: 6 }))
      expect(error.message).toContain(ACTIVE)
      expect((await readFile(disk, ACTIVE)).length).toBe(size)
    }
  })

  it('no segment although records had been flushed -> damage', async () => {
    const disk = new MemoryFileSystem()
    const error = await corruption(openTestLog(disk, { recoveryPoint: 6 }))
    expect(error.damage.offset).toBe(0)
  })
})

type Lie = (bytes: Uint8Array, entryBytes: number) => Uint8Array | null

/** Index entries whose last field, a position or an offset, is another one. */
function shifted(
  bytes: Uint8Array,
  { entryBytes, by }: { readonly entryBytes: number; readonly by: number },
): Uint8Array {
  const copy = bytes.slice()
  const view = new DataView(copy.buffer)
  for (let end = entryBytes; end <= copy.length; end += entryBytes)
    view.setUint32(end - 4, Math.max(0, view.getUint32(end - 4) + by))
  return copy
}

describe('recovery: indexes', () => {
  async function logWithIndexes(): Promise<MemoryFileSystem> {
    const disk = new MemoryFileSystem()
    const { log } = await openTestLog(disk)
    for (let i = 0; i < 20; i++) {
      await log.appendAsLeader(batchOf({ text: `${i}`, paddingBytes: 150, timestampMs: 1000 + i }), 0).written
    }
    await log.close()
    return disk
  }

  const lies: readonly [string, Lie][] = [
    ['missing', () => null],
    ['cut off', (bytes) => bytes.subarray(0, bytes.length - 3)],
    ['empty', () => new Uint8Array(0)],
    ['without its last entry', (bytes, entryBytes) => bytes.subarray(0, bytes.length - entryBytes)],
    ['zeros', (bytes) => new Uint8Array(bytes.length)],
    ['random', (bytes) => bytes.map((_, i) => (i * 73 + 11) % 256)],
    ['plausible lies, too low', (bytes, entryBytes) => shifted(bytes, { entryBytes, by: -1 })],
    ['plausible lies, too high', (bytes, entryBytes) => shifted(bytes, { entryBytes, by: 3 })],
  ]

  it.each(lies)('STO-09: an offset index that is %s -> reads are right all the same', async (_name, lie) => {
    await expectRightReads('index', lie)
  })

  it.each(lies)('STO-09: a time index that is %s -> reads are right all the same', async (_name, lie) => {
    await expectRightReads('timeindex', lie)
  })

  async function expectRightReads(kind: 'index' | 'timeindex', lie: Lie): Promise<void> {
    for (const recoveryPoint of [0, 13, 20]) {
      const disk = await logWithIndexes()
      const path = segmentPath(0, kind)
      const wrong = lie(await readFile(disk, path), kind === 'index' ? 8 : 12)
      if (wrong === null) await disk.remove(path)
      else await writeFile(disk, path, wrong)
      const { log } = await openTestLog(disk, { recoveryPoint, tailCacheBytes: 0 })
      for (let offset = 0; offset < 20; offset++) {
        const parts = await log.read({ offset, endOffset: 20, maxBytes: 1, atLeastOneBatch: true })
        expect(parts).toHaveLength(1)
        expect(new DataView(parts[0]!.buffer, parts[0]!.byteOffset).getBigInt64(0)).toBe(BigInt(offset))
        expect(parts[0]!.length).toBe(batchSizeOf(parts[0]!, 0))
        const timestampMs = 1000 + offset
        const found = await log.offsetForTimestamp({ timestampMs, endOffset: 20 })
        expect({ kind, recoveryPoint, found }).toEqual({
          kind,
          recoveryPoint,
          found: { offset, timestampMs },
        })
      }
    }
  }
})

describe('recovery: index files after a lost tail', () => {
  it('records of other times come to the offsets of the lost ones -> found by their times', async () => {
    const disk = new MemoryFileSystem()
    const settings = { indexIntervalBytes: 0, flushMessages: 1000 }
    const { log } = await openTestLog(disk, { settings })
    const append = async (to: PartitionLog, timestampMs: number): Promise<void> => {
      await to.appendAsLeader(batchOf({ text: 'a', timestampMs }), 0).written
    }
    for (let i = 0; i < 3; i++) await append(log, 100 + i)
    await log.flush()
    for (let i = 3; i < 6; i++) await append(log, 100 + i)
    await log.writeIndexes()
    // The index files survive, the records behind the last fsync do not, but for a part of one.
    const lost = disk.afterPowerLoss({
      names: (_path, changes) => changes,
      sector: (path) => (path.endsWith('.log') ? 'lost' : 'kept'),
      size: (path, durableBytes, writtenBytes) => (path.endsWith('.log') ? durableBytes + 20 : writtenBytes),
    })
    const { log: second } = await openTestLog(lost, { settings, recoveryPoint: 3 })
    expect(second.droppedTail).toMatchObject({ offset: 3, bytes: 20 })
    for (let i = 0; i < 3; i++) await append(second, 900)
    await second.flush()
    const { log: third } = await openTestLog(lost.afterKill(), { settings, recoveryPoint: 6 })
    expect(await third.offsetForTimestamp({ timestampMs: 500, endOffset: 6 })).toEqual({
      offset: 3,
      timestampMs: 900,
    })
  })
})

describe('sealed segments: indexes', () => {
  it('STO-09: an offset index of plausible lies -> reads, times and truncations are right all the same', async () => {
    const settings = { segmentBytes: 5000 }
    const path = segmentPath(0, 'index')
    const liar = async (): Promise<PartitionLog> => {
      const disk = new MemoryFileSystem()
      const { log } = await openTestLog(disk, { settings })
      for (let i = 0; i < 40; i++) {
        await log.appendAsLeader(batchOf({ text: `${i}`, paddingBytes: 150, timestampMs: 1000 + i }), 0)
          .written
      }
      await log.close()
      const bytes = await readFile(disk, path)
      const view = new DataView(bytes.buffer)
      expect(bytes.length).toBeGreaterThan(80)
      for (let at = 0; at < bytes.length; at += 8) view.setUint32(at + 4, view.getUint32(at + 4) + 61)
      await writeFile(disk, path, bytes)
      return (await openTestLog(disk, { settings, recoveryPoint: 40, tailCacheBytes: 0 })).log
    }
    const expected = Array.from({ length: 40 }, (_, i) => `${i}`)
    for (const offset of [1, 9, 15]) {
      const parts = await (await liar()).read({ offset, endOffset: 40, maxBytes: 1, atLeastOneBatch: true })
      expect(baseOffsetsOf(parts)).toEqual([offset])
      const found = await (await liar()).offsetForTimestamp({ timestampMs: 1000 + offset, endOffset: 40 })
      expect(found).toEqual({ offset, timestampMs: 1000 + offset })
      const log = await liar()
      await log.truncateTo(offset)
      expect(await textsOf(log)).toEqual(expected.slice(0, offset))
    }
    expect(await textsOf(await liar())).toEqual(expected)
  })
})

describe('sealed segments: time indexes', () => {
  it('STO-09: any bit of a time index flipped -> records are found by their times, and no segment seems older', async () => {
    const settings = { segmentBytes: 2500 }
    const disk = new MemoryFileSystem()
    const { log } = await openTestLog(disk, { settings })
    for (let i = 0; i < 20; i++) {
      await log.appendAsLeader(batchOf({ text: `${i}`, paddingBytes: 150, timestampMs: 1000 + i }), 0).written
    }
    await log.close()
    const path = segmentPath(0, 'timeindex')
    const bytes = await readFile(disk, path)
    const facts = async (of: PartitionLog): Promise<unknown> =>
      (await of.retained.list({ sizes: true, goesOn: () => true })).map(({ baseOffset, maxTimestampMs }) => ({
        baseOffset,
        maxTimestampMs,
      }))
    const sound = await openTestLog(disk.afterKill(), { settings, recoveryPoint: 20, tailCacheBytes: 0 })
    const expected = await facts(sound.log)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const wrong = bytes.slice()
      wrong[bit >> 3]! ^= 1 << (bit & 7)
      const damaged = disk.afterKill()
      await writeFile(damaged, path, wrong)
      const opened = await openTestLog(damaged, { settings, recoveryPoint: 20, tailCacheBytes: 0 })
      for (const offset of [1, 5, 8]) {
        const timestampMs = 1000 + offset
        const found = await opened.log.offsetForTimestamp({ timestampMs, endOffset: 20 })
        expect({ bit, found }).toEqual({ bit, found: { offset, timestampMs } })
      }
      expect({ bit, facts: await facts(opened.log) }).toEqual({ bit, facts: expected })
    }
  })
})

describe('recovery: leader epochs', () => {
  const EXPECTED = [
    { epoch: 1, startOffset: 0 },
    { epoch: 4, startOffset: 2 },
    { epoch: 5, startOffset: 5 },
  ]

  async function logWithEpochs(segmentBytes: number): Promise<MemoryFileSystem> {
    const disk = new MemoryFileSystem()
    const { log } = await openTestLog(disk, { settings: { segmentBytes } })
    for (const epoch of [1, 1, 4, 4, 4, 5]) {
      await log.appendAsLeader(batchOf({ text: `${epoch}`, paddingBytes: 200 }), epoch).written
    }
    await log.close()
    return disk
  }

  it.each([
    ['missing', null],
    ['empty', ''],
    ['garbled', '{"crc32c":"00000000","format":"leader-epochs","version":1,"data":[[9,0]]}\n'],
  ])('REP-09: the epoch file is %s -> rebuilt from the batches of all segments', async (_name, content) => {
    for (const segmentBytes of [500, 2 ** 30]) {
      const disk = await logWithEpochs(segmentBytes)
      if (content === null) await disk.remove(EPOCHS)
      else await writeFile(disk, EPOCHS, new TextEncoder().encode(content))
      const { log } = await openTestLog(disk, { recoveryPoint: 6 })
      expect(log.epochs.entries).toEqual(EXPECTED)
      await log.close()
      // It was also written.
      const { log: again } = await openTestLog(disk.afterPowerLoss(), { recoveryPoint: 6 })
      expect(again.epochs.entries).toEqual(EXPECTED)
    }
  })

  it('REP-09: an epoch that begins at the log end -> dropped', async () => {
    const disk = await logWithEpochs(2 ** 30)
    const { log } = await openTestLog(disk, { recoveryPoint: 6 })
    await log.beginEpoch(8)
    expect(log.epochs.latestEpoch).toBe(8)
    await log.close()
    const { log: again } = await openTestLog(disk, { recoveryPoint: 6 })
    expect(again.epochs.entries).toEqual(EXPECTED)
  })

  it('REP-09: epochs beyond a tail that was lost -> dropped', async () => {
    const disk = await logWithEpochs(2 ** 30)
    const bytes = await readFile(disk, ACTIVE)
    await writeFile(disk, ACTIVE, bytes.subarray(0, bytes.length - 1))
    const { log } = await openTestLog(disk)
    expect(log.epochs.entries).toEqual(EXPECTED.slice(0, 2))
  })

  it('a file of a later release -> refused, unchanged', async () => {
    const disk = await logWithEpochs(2 ** 30)
    const covered = '"format":"leader-epochs","version":2,"data":{}}\n'
    const crc = cpu.crc32c(cpu.encodeUtf8(covered)).toString(16).padStart(8, '0')
    const text = `{"crc32c":"${crc}",${covered}`
    await writeFile(disk, EPOCHS, cpu.encodeUtf8(text))
    await expect(openTestLog(disk)).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION' })
    expect(new TextDecoder().decode(await readFile(disk, EPOCHS))).toBe(text)
  })
})
