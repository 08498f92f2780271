import { describe, expect, it } from 'vitest'
import type { FileSystem } from '../../src/storage/file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { COMPACTING, compact, type Pair, produce, shown } from './compaction-fixtures.ts'
import { countHandles } from './counting-handles.ts'
import { openTestLog, readFile, segmentPath, type TestLogOptions } from './fixtures.ts'
import { eio, GatedDisk, settled } from './gated-disk.ts'

/** About two records in a segment, keys a, b, c in turn. */
const SETTINGS = { ...COMPACTING, segmentBytes: 300, fileDeleteDelayMs: 0 }
const RECORDS = 12

async function filled(fileSystem: FileSystem, options: TestLogOptions = {}): Promise<PartitionLog> {
  // A sealed segment is opened whenever something is read from it.
  const { log } = await openTestLog(fileSystem, {
    tailCacheBytes: 0,
    openSegmentsMax: 0,
    ...options,
    settings: SETTINGS,
  })
  const rounds = Array.from({ length: RECORDS }, (_, i): Pair[] => [['abc'[i % 3]!, `${i}`.padEnd(60, '.')]])
  await produce(log, rounds)
  await settled()
  return log
}

async function readFirst(log: PartitionLog): Promise<readonly Uint8Array[]> {
  return log.read({ offset: 0, endOffset: RECORDS, maxBytes: 100, atLeastOneBatch: true })
}

/** What opens the first segment, and what it answers when that leaves the log meanwhile. */
const WORK: Readonly<Record<string, (log: PartitionLog) => Promise<unknown>>> = {
  'a look for what could be compacted': (log) =>
    log.compaction.plan({ highWatermark: log.logEndOffset, nowMs: 10_000 }),
  'a compaction': (log) => compact(log),
  'a scrub': (log) => log.health.scrub(async () => {}),
  'a search for a time': (log) => log.offsetForTimestamp({ timestampMs: 0, endOffset: RECORDS }),
  'a read': (log) =>
    readFirst(log).catch((error: unknown) => expect(error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })),
}

const REMOVALS: Readonly<Record<string, (log: PartitionLog) => Promise<unknown>>> = {
  'records are deleted': (log) => log.trimTo(7),
  'the log begins anew': (log) => log.truncateFullyAndStartAt(3),
  'the log is truncated to its start': (log) => log.truncateTo(0),
}

const FIRST = segmentPath(0)

describe('a segment leaves the log while it is being opened', () => {
  for (const [work, begin] of Object.entries(WORK)) {
    for (const [removal, remove] of Object.entries(REMOVALS)) {
      it(`${work}, ${removal} -> both come to their end, with what is left`, async () => {
        const gated = new GatedDisk()
        const log = await filled(gated.disk)
        gated.hold({ kind: 'open', path: FIRST })
        const working = begin(log)
        await gated.held({ kind: 'open', path: FIRST })
        gated.holdNoMore()
        const removing = remove(log)
        await settled()
        gated.open()
        await Promise.all([working, removing])
        expect((await shown(log)).length).toBeLessThanOrEqual(RECORDS)
        expect(log.health.damagedRanges).toEqual([])
      })
    }
  }
})

describe('a segment leaves the log', () => {
  it('compaction replaces it while it is being opened -> the new one has the indexes that it would have otherwise', async () => {
    const filesAfter = async (withReader: boolean): Promise<readonly string[]> => {
      const gated = new GatedDisk()
      const log = await filled(gated.disk)
      log.updateSettings({ ...log.settings, segmentBytes: 10_000 })
      const reads: Promise<unknown>[] = []
      const compacting = compact(log, {
        async pause() {
          const isCopied = gated.count({ kind: 'open', path: `${FIRST}.cleaned` }) > 0
          if (!withReader || !isCopied || reads.length > 0) return
          gated.hold({ kind: 'open', path: FIRST })
          reads.push(readFirst(log))
          await gated.held({ kind: 'open', path: FIRST })
          gated.holdNoMore()
        },
      })
      await settled()
      gated.open()
      await compacting
      expect(await Promise.all(reads)).toMatchObject(withReader ? [{ length: 1 }] : [])
      const names = ['log', 'index', 'timeindex'].map((suffix) => segmentPath(0, suffix))
      return Promise.all(
        names.map(async (name) => Buffer.from(await readFile(gated.disk, name)).toString('hex')),
      )
    }
    expect(await filesAfter(true)).toEqual(await filesAfter(false))
  })

  it('it is damaged, and its repair has just begun -> there is nothing to repair any more', async () => {
    const gated = new GatedDisk()
    const log = await filled(gated.disk, { toleratesDamage: true })
    gated.disk.flip(FIRST, 70, 1)
    await log.health.scrub(async () => {})
    gated.hold({ kind: 'open', path: FIRST })
    const repairing = log.repair.repair(log.health.damagedRanges[0]!, () =>
      Promise.reject(new Error('not asked')),
    )
    await gated.held({ kind: 'open', path: FIRST })
    gated.holdNoMore()
    await log.trimTo(7)
    gated.open()
    expect(await repairing).toBe(true)
    expect(log.health.damagedRanges).toEqual([])
  })

  it('the rename of its file fails -> it stays, and is read as before', async () => {
    const gated = new GatedDisk()
    const log = await filled(gated.disk)
    const before = await shown(log)
    gated.fail({ kind: 'rename', path: FIRST }, eio())
    await expect(log.trimTo(7)).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    expect(await shown(log)).toEqual(before)
    await log.trimTo(7)
    expect(await shown(log)).toEqual(before.slice(7))
  })

  it('the log is closed while a compaction goes on from one to the next -> no file is opened again', async () => {
    const gated = new GatedDisk()
    const counted = countHandles(gated.disk)
    const log = await filled(counted.fileSystem, { openSegmentsMax: 100 })
    const third = { kind: 'close', path: segmentPath(4) } as const
    const closes: Promise<void>[] = []
    const compacting = compact(log, {
      async pause() {
        if (closes.length > 0) return
        gated.hold(third)
        closes.push(log.close())
        await gated.held(third)
      },
    })
    await gated.held(third)
    await settled()
    gated.open()
    expect(await compacting).toBe(null)
    await Promise.all(closes)
    expect(counted.open).toBe(0)
  })

  it('a read of a log that was closed -> an error that says so', async () => {
    const log = await filled(new GatedDisk().disk)
    await log.close()
    await expect(readFirst(log)).rejects.toMatchObject({ code: 'NOT_LEADER_OR_FOLLOWER' })
  })
})
