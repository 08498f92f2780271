// One flipped bit anywhere in the files of a log: never served, never cut off, always found, and repaired from a copy.
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { batchSizeOf } from '../../src/record/batch-format.ts'
import type { RepairSource } from '../../src/storage/log-repair.ts'
import { LogScrub } from '../../src/storage/log-scrub.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { sweepCrashes } from './crash-sweep.ts'
import {
  batchOf,
  LOG_PATH,
  openTestLog,
  readFile,
  recordsOf,
  segmentPath,
  stamped,
  type TestLogOptions,
  textsOf,
  writeFile,
} from './fixtures.ts'
import { GatedDisk } from './gated-disk.ts'

const TEXTS = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const END = TEXTS.length
const OPTIONS: TestLogOptions = {
  settings: { segmentBytes: 160 },
  tailCacheBytes: 0,
  recoveryPoint: END,
  toleratesDamage: true,
  endIsKnown: true,
}
/** Base offsets of the segments: two batches in each but the last. */
const SEGMENTS = [0, 2, 4, 6]

/** A log of four segments, closed in order, in two leader epochs. */
async function writtenLog(disk = new MemoryFileSystem()): Promise<MemoryFileSystem> {
  const { log } = await openTestLog(disk, { settings: { segmentBytes: 160 } })
  for (const [i, text] of TEXTS.entries()) {
    await log.appendAsLeader(batchOf({ text, timestampMs: 1000 + i }), i < 3 ? 1 : 4).written
  }
  await log.close()
  return disk
}

async function filesOf(disk: MemoryFileSystem): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const { name } of await disk.list(LOG_PATH)) {
    if (name.endsWith('.log')) {
      files[name] = Buffer.from(await readFile(disk, `${LOG_PATH}/${name}`)).toString('hex')
    }
  }
  return files
}

async function flip(disk: MemoryFileSystem, path: string, position: number, bit: number): Promise<void> {
  const bytes = await readFile(disk, path)
  bytes[position]! ^= 1 << bit
  await writeFile(disk, path, bytes)
}

/** What a reader at an offset gets: the text of the first record, or the code of the error. */
async function readAt(log: PartitionLog, offset: number): Promise<string> {
  try {
    const range = { offset, endOffset: log.logEndOffset, maxBytes: 1, atLeastOneBatch: true }
    const [first] = recordsOf(await log.read(range))
    expect(first?.offset).toBe(offset)
    return first!.text
  } catch (error) {
    if (!(error instanceof VltavaError)) throw error
    return error.code
  }
}

const readEach = async (log: PartitionLog): Promise<string[]> => {
  const texts: string[] = []
  for (let offset = 0; offset < END; offset++) texts.push(await readAt(log, offset))
  return texts
}

/** Reads from an intact copy of the log. */
async function copySource(end = END): Promise<RepairSource> {
  const { log } = await openTestLog(await writtenLog(), { ...OPTIONS, toleratesDamage: false })
  return async (offset) => {
    const parts = await log.read({ offset, endOffset: end, maxBytes: 100, atLeastOneBatch: true })
    return { bytes: Uint8Array.from(parts.flatMap((part) => [...part])), compactedBelow: 0 }
  }
}

async function repairAll(log: PartitionLog, source: RepairSource): Promise<void> {
  for (const range of log.health.damagedRanges) expect(await log.repair.repair(range, source)).toBe(true)
  expect(log.health.damagedRanges).toEqual([])
}

const noPause = async (): Promise<void> => {}

describe('a flipped bit', () => {
  it.each([
    ['a clean stop', true],
    ['an unclean stop', false],
  ])(
    'STO-05: any byte of a segment, then %s -> right records or CORRUPT_MESSAGE, then repaired byte for byte',
    async (_name, endIsKnown) => {
      const intact = await filesOf(await writtenLog())
      const source = await copySource()
      // One that is sealed, and the active one.
      for (const base of [2, 6]) {
        const path = segmentPath(base)
        const { length } = await readFile(await writtenLog(), path)
        for (let position = 0; position < length; position++) {
          const disk = await writtenLog()
          await flip(disk, path, position, position % 8)
          const what = `${path} at ${position}`
          const { log } = await openTestLog(disk, { ...OPTIONS, endIsKnown })
          // STO-06: damage is not a shorter log.
          expect(log.logEndOffset, what).toBe(END)
          const read = await readEach(log)
          const wrong = read.filter((text, i) => text !== TEXTS[i])
          expect(new Set(wrong), what).toEqual(new Set(['CORRUPT_MESSAGE']))
          expect(wrong.length, what).toBe(1)
          expect(log.health.damagedRanges, what).toHaveLength(1)
          await repairAll(log, source)
          expect(await readEach(log), what).toEqual(TEXTS)
          expect(log.epochs.entries).toEqual([
            { epoch: 1, startOffset: 0 },
            { epoch: 4, startOffset: 3 },
          ])
          const repaired = await filesOf(disk)
          for (const [name, bytes] of Object.entries(intact)) expect(repaired[name], what).toBe(bytes)
          await log.close()
        }
      }
    },
    60_000,
  )

  it('STO-05: while the log is open -> found by whoever reads there, the rest is readable, told once', async () => {
    for (const base of SEGMENTS) {
      const disk = await writtenLog()
      const recording = new RecordingLog()
      const told: number[] = []
      const observer = { onDamaged: () => void told.push(base) }
      const { log } = await openTestLog(disk, { ...OPTIONS, log: recording, observer })
      expect(await readEach(log)).toEqual(TEXTS)
      const handle = await disk.open(segmentPath(base), 'read-write')
      await handle.write([new Uint8Array([0xff])], 65)
      await handle.close()
      const expected = TEXTS.map((text, i) => (i === base ? 'CORRUPT_MESSAGE' : text))
      expect(await readEach(log)).toEqual(expected)
      expect(await readEach(log)).toEqual(expected)
      expect(told).toEqual([base])
      expect(recording.named('log-damaged')).toMatchObject([
        {
          level: 'error',
          fields: { path: segmentPath(base), position: 0, offset: base, endOffset: base + 1 },
        },
      ])
      await repairAll(log, await copySource())
      expect(await readEach(log)).toEqual(TEXTS)
      expect(recording.named('log-repaired')).toHaveLength(1)
    }
  })

  it('STO-05: two at once in one segment, with the framing broken -> both in one range, both repaired', async () => {
    const oneSegment = async (): Promise<MemoryFileSystem> => {
      const made = new MemoryFileSystem()
      const { log: first } = await openTestLog(made)
      for (const text of TEXTS) await first.appendAsLeader(batchOf({ text }), 1).written
      await first.close()
      return made
    }
    const disk = await oneSegment()
    const copy = await filesOf(disk)
    const intact = await openTestLog(await oneSegment(), { recoveryPoint: END, tailCacheBytes: 0 })
    const { length } = await readFile(disk, segmentPath(0))
    for (const index of [1, 4]) await flip(disk, segmentPath(0), (index * length) / END + 10, 3)
    const { log } = await openTestLog(disk, { ...OPTIONS, settings: {} })
    await log.health.scrub(noPause)
    expect(log.health.damagedRanges).toMatchObject([{ offset: 1, endOffset: 5 }])
    await repairAll(log, async (offset) => {
      const range = { offset, endOffset: END, maxBytes: 1, atLeastOneBatch: true }
      return { bytes: (await intact.log.read(range))[0]!, compactedBelow: 0 }
    })
    expect(await filesOf(disk)).toEqual(copy)
  })

  it('STO-05: what another replica has there is of another epoch, damaged or shifted -> not taken', async () => {
    const disk = await writtenLog()
    await flip(disk, segmentPath(2), 66, 0)
    const { log } = await openTestLog(disk, OPTIONS)
    expect(await readAt(log, 2)).toBe('CORRUPT_MESSAGE')
    const [range] = log.health.damagedRanges
    const damaged = stamped({ text: 'c', offset: 2, leaderEpoch: 1 })
    damaged[66]! ^= 1
    const wrong = [
      stamped({ text: 'c', offset: 2, leaderEpoch: 3 }),
      stamped({ text: 'c', offset: 1, leaderEpoch: 1 }),
      stamped({ text: 'c', records: 2, offset: 2, leaderEpoch: 1 }),
      damaged,
      new Uint8Array(0),
    ]
    const before = await filesOf(disk)
    for (const bytes of wrong) {
      await expect(
        log.repair.repair(range!, async () => ({ bytes, compactedBelow: 0 })),
      ).rejects.toMatchObject({
        code: 'CORRUPT_MESSAGE',
      })
    }
    expect(await filesOf(disk)).toEqual(before)
    expect(await readEach(log)).toEqual(TEXTS.map((text, i) => (i === 2 ? 'CORRUPT_MESSAGE' : text)))
  })

  it('STO-05: known damage -> still known after a stop of any kind, until it is repaired', async () => {
    const disk = await writtenLog()
    await flip(disk, segmentPath(2), 66, 0)
    const { log } = await openTestLog(disk, OPTIONS)
    expect(await readAt(log, 2)).toBe('CORRUPT_MESSAGE')
    await log.close()
    const after = disk.afterPowerLoss()
    const { log: again } = await openTestLog(after, OPTIONS)
    expect(again.health.damagedRanges).toMatchObject([{ offset: 2, endOffset: 3 }])
    await repairAll(again, await copySource())
    await again.close()
    expect(await after.exists(`${LOG_PATH}/damaged-ranges`)).toBe(false)
  })

  it('STO-05: a truncation to before, into or behind damage -> the log ends there, without the damage', async () => {
    for (const offset of [1, 2, 3, 5]) {
      const disk = await writtenLog()
      await flip(disk, segmentPath(2), 66, 0)
      const { log } = await openTestLog(disk, OPTIONS)
      await readEach(log)
      await log.truncateTo(offset)
      expect(log.logEndOffset).toBe(offset)
      expect(log.health.damagedRanges.map((range) => range.offset)).toEqual(offset > 2 ? [2] : [])
      await log.appendAsLeader(batchOf({ text: 'next' }), 5).written
      expect(await readAt(log, offset)).toBe('next')
    }
  })

  it('STO-05: a truncation over a header that lies about its end -> goes no further back than asked', async () => {
    const disk = await writtenLog()
    // The last offset delta of offset 2: it seems to reach over offset 3.
    await flip(disk, segmentPath(2), 26, 1)
    const { log } = await openTestLog(disk, OPTIONS)
    await log.truncateTo(3)
    expect(log.logEndOffset).toBe(3)
    expect(log.health.damagedRanges).toMatchObject([{ offset: 2, endOffset: 3 }])
  })
})

describe('segments that are missing or do not fit', () => {
  it('STO-08: a missing segment in the middle -> its offsets are damaged, later ones stay, repaired', async () => {
    const disk = await writtenLog()
    await disk.remove(segmentPath(2))
    await disk.syncDirectory(LOG_PATH)
    const { log } = await openTestLog(disk, OPTIONS)
    const gone = TEXTS.map((text, i) => (i === 2 || i === 3 ? 'CORRUPT_MESSAGE' : text))
    expect(await readEach(log)).toEqual(gone)
    expect(log.health.damagedRanges).toMatchObject([{ segmentBase: 0, offset: 2, endOffset: 4 }])
    await repairAll(log, await copySource())
    expect(await textsOf(log)).toEqual(TEXTS)
    await log.close()
    expect(await textsOf((await openTestLog(disk.afterPowerLoss(), OPTIONS)).log)).toEqual(TEXTS)
  })

  it('STO-08: a segment in the middle without a byte, or cut short -> as one that is missing', async () => {
    for (const left of [0, 20, 69, 100]) {
      const disk = await writtenLog()
      await writeFile(disk, segmentPath(2), (await readFile(disk, segmentPath(2))).subarray(0, left))
      const { log } = await openTestLog(disk, OPTIONS)
      expect((await readEach(log)).filter((text) => text !== 'CORRUPT_MESSAGE')).toEqual(
        TEXTS.filter((_, i) => i !== 3 && (i !== 2 || left >= 69)),
      )
      await repairAll(log, await copySource())
      expect(await textsOf(log)).toEqual(TEXTS)
      expect(await filesOf(disk)).toEqual(await filesOf(await writtenLog()))
    }
  })

  it('STO-08: a segment that reaches into the next one -> each offset is read once, from the right one', async () => {
    const disk = await writtenLog()
    const both = [await readFile(disk, segmentPath(2)), await readFile(disk, segmentPath(4))]
    await writeFile(disk, segmentPath(2), Uint8Array.from(both.flatMap((bytes) => [...bytes])))
    const { log } = await openTestLog(disk, OPTIONS)
    expect(await readEach(log)).toEqual(TEXTS)
    expect(await textsOf(log)).toEqual(TEXTS)
  })

  it('STO-08: a batch that spans the start of the next segment -> damage, not a silent gap', async () => {
    const disk = await writtenLog()
    await writeFile(disk, segmentPath(2), stamped({ text: 'c', records: 3, offset: 2, leaderEpoch: 1 }))
    const { log } = await openTestLog(disk, OPTIONS)
    expect(await readAt(log, 2)).toBe('CORRUPT_MESSAGE')
    expect(await readAt(log, 4)).toBe('e')
  })

  it('STO-08: files that are no segments -> left alone', async () => {
    const disk = await writtenLog()
    const names = ['x.tmp', '00000000000000000002.log.swap', '00000000000000000002.log.corrupt', 'notes']
    for (const name of names) await writeFile(disk, `${LOG_PATH}/${name}`, new Uint8Array([1]))
    const { log } = await openTestLog(disk, OPTIONS)
    expect(await textsOf(log)).toEqual(TEXTS)
    await log.close()
    for (const name of names) expect(await disk.exists(`${LOG_PATH}/${name}`)).toBe(true)
  })

  it('STO-07: damage in the second of four segments -> the later ones stay as they are, before and after the repair', async () => {
    const disk = await writtenLog()
    const intact = await filesOf(disk)
    await flip(disk, segmentPath(2), 10, 4)
    const damaged = await filesOf(disk)
    const { log } = await openTestLog(disk, { ...OPTIONS, endIsKnown: false })
    await readEach(log)
    expect(await filesOf(disk)).toEqual(damaged)
    await repairAll(log, await copySource())
    expect(await filesOf(disk)).toEqual(intact)
  })

  it('STO-40: the block of another partition in the place of a batch -> damage', async () => {
    const disk = await writtenLog()
    const bytes = await readFile(disk, segmentPath(2))
    bytes.set(stamped({ text: 'x', offset: 77, leaderEpoch: 1 }), 0)
    await writeFile(disk, segmentPath(2), bytes)
    const { log } = await openTestLog(disk, OPTIONS)
    expect(await readAt(log, 2)).toBe('CORRUPT_MESSAGE')
    expect(await readAt(log, 3)).toBe('d')
  })
})

describe('the end of a log', () => {
  it('STO-06: damaged after an unclean stop -> the end counts as unknown, no offset is given out again', async () => {
    const disk = await writtenLog()
    await flip(disk, segmentPath(6), 11, 7)
    const { log } = await openTestLog(disk, { ...OPTIONS, endIsKnown: false })
    expect(log.health.isEndLost).toBe(true)
    expect(log.logEndOffset).toBe(END)
    expect(await readEach(log)).toEqual([...TEXTS.slice(0, 6), 'CORRUPT_MESSAGE'])
    const { baseOffset, written } = log.appendAsLeader(batchOf({ text: 'next' }), 5)
    await written
    expect(baseOffset).toBe(END)
    await log.flush()
    // Not forgotten by another stop, before the controller has heard of it.
    const again = await openTestLog(disk.afterKill(), {
      ...OPTIONS,
      recoveryPoint: END + 1,
      endIsKnown: false,
    })
    expect(again.log.health.isEndLost).toBe(true)
    expect(again.log.health.damagedRanges).toMatchObject([{ offset: 6, endOffset: 7 }])
    await repairAll(again.log, await copySource())
    await again.log.health.endLossReported()
    expect(again.log.health.isEndLost).toBe(false)
    expect(await textsOf(again.log)).toEqual([...TEXTS, 'next'])
  })

  it('STO-06: damaged after a clean stop -> the end is known', async () => {
    const disk = await writtenLog()
    await flip(disk, segmentPath(6), 11, 7)
    const { log } = await openTestLog(disk, OPTIONS)
    expect(log.health.isEndLost).toBe(false)
    expect(log.logEndOffset).toBe(END)
  })
})

describe('a crash at any moment', () => {
  const lossless = { randomLosses: 2 }

  it.each([
    ['written over the damage', (disk: MemoryFileSystem) => flip(disk, segmentPath(2), 20, 1)],
    [
      'a segment written anew',
      async (disk: MemoryFileSystem) => {
        await disk.remove(segmentPath(2))
        await disk.syncDirectory(LOG_PATH)
      },
    ],
  ])(
    'STO-27: of a repair, %s -> never a wrong record, and the next repair ends it',
    async (_name, damage) => {
      const source = await copySource()
      const operations = await sweepCrashes<null>({
        ...lossless,
        async prepare(disk) {
          await writtenLog(disk)
          await damage(disk)
        },
        state: () => null,
        async run(disk) {
          const { log } = await openTestLog(disk, OPTIONS)
          await readEach(log)
          for (const range of log.health.damagedRanges) await log.repair.repair(range, source)
          await log.close()
        },
        async check(disk) {
          const { log } = await openTestLog(disk, { ...OPTIONS, endIsKnown: false })
          expect(log.logEndOffset).toBe(END)
          for (const [i, text] of (await readEach(log)).entries()) {
            expect(['CORRUPT_MESSAGE', TEXTS[i]]).toContain(text)
          }
          await repairAll(log, source)
          await log.health.scrub(noPause)
          expect(log.health.damagedRanges).toEqual([])
          expect(await textsOf(log)).toEqual(TEXTS)
        },
      })
      expect(operations).toBeGreaterThan(20)
    },
  )

  it('STO-27: of a start that finds the end damaged -> it is still known to be lost', async () => {
    const source = await copySource()
    await sweepCrashes<null>({
      ...lossless,
      async prepare(disk) {
        await writtenLog(disk)
        await flip(disk, segmentPath(6), 9, 6)
      },
      state: () => null,
      async run(disk) {
        const { log } = await openTestLog(disk, { ...OPTIONS, endIsKnown: false })
        await log.close()
      },
      async check(disk) {
        const { log } = await openTestLog(disk, { ...OPTIONS, endIsKnown: false })
        expect(log.health.isEndLost).toBe(true)
        expect(log.logEndOffset).toBe(END)
        expect(await readEach(log)).toEqual([...TEXTS.slice(0, 6), 'CORRUPT_MESSAGE'])
        await repairAll(log, source)
        expect(await textsOf(log)).toEqual(TEXTS)
      },
    })
  })
})

describe('the scrub', () => {
  it('STO-10: damage that nobody reads -> found in every segment, at most as fast as it is paced', async () => {
    for (const base of SEGMENTS) {
      const disk = await writtenLog()
      const { log } = await openTestLog(disk, OPTIONS)
      let readBytes = 0
      const pace = async (bytes: number): Promise<void> => {
        readBytes += bytes
      }
      await log.health.scrub(pace)
      expect(log.health.damagedRanges).toEqual([])
      expect(readBytes).toBe(await totalBytes(disk))
      const handle = await disk.open(segmentPath(base), 'read-write')
      await handle.write([new Uint8Array([0xff])], 40)
      await handle.close()
      await log.health.scrub(pace)
      expect(log.health.damagedRanges).toMatchObject([{ offset: base, endOffset: base + 1 }])
    }
  })
})

describe('damage about the log start', () => {
  const START = 6

  /** Three batches of four records in one segment; the log starts inside of the second. */
  async function trimmedLog(disk = new MemoryFileSystem()): Promise<PartitionLog> {
    const settings = { segmentBytes: 10_000 }
    const { log } = await openTestLog(disk, { settings, tailCacheBytes: 0, toleratesDamage: true })
    for (const text of ['a', 'b', 'c']) await log.appendAsLeader(batchOf({ text, records: 4 }), 1).written
    await log.flush()
    await log.trimTo(START)
    return log
  }

  it('STO-05: any byte up to the batch in which the log starts -> repaired by replicas that start there as well', async () => {
    const intact = new MemoryFileSystem()
    const other = await trimmedLog(intact)
    const source: RepairSource = async (offset) => {
      const parts = await other.read({ offset, endOffset: 12, maxBytes: 1, atLeastOneBatch: true })
      return { bytes: Uint8Array.from(parts.flatMap((part) => [...part])), compactedBelow: 0 }
    }
    const path = segmentPath(0, 'log')
    const bytes = await readFile(intact, path)
    const ends = [
      batchSizeOf(bytes, 0),
      batchSizeOf(bytes, 0) + batchSizeOf(bytes, batchSizeOf(bytes, 0)),
    ] as const
    for (let position = 0; position < ends[1]; position++) {
      const disk = new MemoryFileSystem()
      const log = await trimmedLog(disk)
      await flip(disk, path, position, position % 8)
      await log.health.scrub(noPause)
      await repairAll(log, source)
      const repaired = await readFile(disk, path)
      // What lies wholly before the start is gone everywhere else, and nobody reads it.
      expect(repaired.subarray(ends[0]), `position ${position}`).toEqual(bytes.subarray(ends[0]))
      expect(repaired.length).toBe(bytes.length)
      const parts = await log.read({ offset: START, endOffset: 12, maxBytes: 1_000, atLeastOneBatch: true })
      expect(parts.length, `position ${position}`).toBeGreaterThan(0)
    }
  }, 60_000)
})

describe('the scrub beside a truncation', () => {
  it('STO-10: begun while the end is being cut off -> what is cut off is no damage', async () => {
    const gated = new GatedDisk()
    const { log } = await openTestLog(gated.disk, { settings: { segmentBytes: 10_000 }, tailCacheBytes: 0 })
    for (const text of TEXTS) await log.appendAsLeader(batchOf({ text }), 1).written
    await log.flush()
    const path = segmentPath(0, 'log')
    const [cut, size, read] = [
      { kind: 'truncate', path },
      { kind: 'size', path },
      { kind: 'read', path },
    ] as const
    gated.hold(cut)
    const truncating = log.truncateTo(3)
    await gated.held(cut)
    gated.holdNoMore()
    gated.hold(read)
    gated.hold(size)
    const scrubbing = log.health.scrub(async () => {})
    await gated.held(read)
    await gated.release(cut)
    // The file is cut off, and the log has not gone on yet.
    await gated.held(size)
    gated.holdNoMore()
    await gated.release(read)
    await scrubbing
    gated.open()
    await truncating
    expect(log.health.damagedRanges).toEqual([])
    await log.health.scrub(async () => {})
    expect(log.health.damagedRanges).toEqual([])
    expect(await textsOf(log)).toEqual(TEXTS.slice(0, 3))
  })
})

describe('the scrub of a directory', () => {
  it('STO-10: from one pass to the next the interval, no faster than the setting, damage is found', async () => {
    const disk = await writtenLog()
    await flip(disk, segmentPath(2), 65, 0)
    const { log } = await openTestLog(disk, OPTIONS)
    const clock = new ManualClock()
    const settings = { intervalMs: 10_000, bytesPerSecond: 1_000 }
    const scrub = new LogScrub({ clock, log: silentLog, settings, logs: () => [log] })
    const running = scrub.run()
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 200; i++) await Promise.resolve()
    }
    const bytes = await totalBytes(disk)
    clock.advance(9_999)
    await settle()
    expect(log.health.damagedRanges).toEqual([])
    // What stands behind damage is verified at once.
    for (let ms = 0; ms < bytes - 160; ms += 10) {
      clock.advance(10)
      await settle()
    }
    expect(scrub.passes).toBe(0)
    for (let ms = 0; ms < 200; ms += 10) {
      clock.advance(10)
      await settle()
    }
    expect(scrub.passes).toBe(1)
    expect(log.health.damagedRanges).toMatchObject([{ offset: 2, endOffset: 3 }])
    scrub.stop()
    await running
  })

  it('STO-10: an interval of 0 -> no scrub', async () => {
    const settings = { intervalMs: 0, bytesPerSecond: 1_000 }
    await new LogScrub({ clock: new ManualClock(), log: silentLog, settings, logs: () => [] }).run()
  })
})

async function totalBytes(disk: MemoryFileSystem): Promise<number> {
  let bytes = 0
  for (const base of SEGMENTS) bytes += (await readFile(disk, segmentPath(base))).length
  return bytes
}
