import { describe, expect, it } from 'vitest'
import type { Offset } from '../../src/model/ids.ts'
import type { LogStartCheckpoint } from '../../src/storage/log-trim.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { sweepCrashes } from './crash-sweep.ts'
import { CREATE, EXISTING, names, openDirectory, P0, PATH } from './directory-fixtures.ts'
import {
  batchOf,
  LOG_PATH,
  openTestLog,
  readAll,
  recordsOf,
  stamped,
  type TestLogOptions,
  textsOf,
} from './fixtures.ts'
import { GatedDisk, settled } from './gated-disk.ts'

/** About two batches fit into a segment. */
const SETTINGS = { segmentBytes: 160, indexIntervalBytes: 0, fileDeleteDelayMs: 0 }

class MemoryCheckpoint implements LogStartCheckpoint {
  offset: Offset
  failure: Error | null = null

  constructor(offset: Offset = 0) {
    this.offset = offset
  }

  async save(offset: Offset): Promise<void> {
    if (this.failure !== null) throw this.failure
    this.offset = offset
  }
}

async function filled(disk: MemoryFileSystem, options: TestLogOptions = {}, records = 8) {
  const checkpoint = new MemoryCheckpoint()
  const opened = await openTestLog(disk, {
    tailCacheBytes: 0,
    logStart: checkpoint,
    ...options,
    settings: { ...SETTINGS, ...options.settings },
  })
  for (let i = 0; i < records; i++)
    await opened.log.appendAsLeader(batchOf({ text: `${i}`, timestampMs: 1_000 * (i + 1) }), i < 4 ? 1 : 2)
      .written
  await opened.log.flush()
  return { ...opened, checkpoint }
}

const logNames = async (disk: MemoryFileSystem): Promise<string[]> =>
  (await names(disk, LOG_PATH)).filter((name) => name.includes('.log'))

describe('retained segments', () => {
  it('bytes from an offset on -> those of its batch and all behind it, over segments, also after a start', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await filled(disk)
    const sizes: number[] = []
    for (let offset = 0; offset < 8; offset++)
      sizes.push(
        (await log.read({ offset, endOffset: offset + 1, maxBytes: 1, atLeastOneBatch: true }))[0]!.length,
      )
    const from = (offset: number): number => sizes.slice(offset).reduce((sum, size) => sum + size, 0)
    const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(from)
    const bytesOf = async (of: typeof log): Promise<number[]> =>
      Promise.all(all.map((_, offset) => of.retained.bytesFrom(offset)))
    expect(await bytesOf(log)).toEqual(all)
    await log.close()
    const again = await filled(disk.afterKill(), { recoveryPoint: 8 }, 0)
    expect(await bytesOf(again.log)).toEqual(all)
  })
})

describe('log trim', () => {
  it('an offset inside of a segment -> whole segments below go, the rest stays and is not read', async () => {
    const disk = new MemoryFileSystem()
    const moved: Offset[] = []
    const { log, checkpoint } = await filled(disk, { observer: { onStartMoved: (at) => moved.push(at) } })
    const before = (await logNames(disk)).length
    await log.trimTo(5)
    expect([log.logStartOffset, checkpoint.offset, moved]).toEqual([5, 5, [5]])
    expect(await textsOf(log)).toEqual(['5', '6', '7'])
    expect(() => log.read({ offset: 4, endOffset: 8, maxBytes: 100, atLeastOneBatch: true })).toThrow(
      'Offset 4 is outside of the log, which holds 5 to 8 (exclusive).',
    )
    await settled()
    expect((await logNames(disk)).length).toBeLessThan(before)
    expect((await names(disk, LOG_PATH)).filter((name) => name.endsWith('.deleted'))).toEqual([])
    expect(log.epochs.entries).toEqual([{ epoch: 2, startOffset: 5 }])
  })

  it('an offset at or below the start -> nothing happens', async () => {
    const { log, checkpoint } = await filled(new MemoryFileSystem())
    await log.trimTo(5)
    checkpoint.failure = new Error('must not be written')
    await log.trimTo(5)
    await log.trimTo(2)
    expect(log.logStartOffset).toBe(5)
  })

  it('everything -> a new, empty segment begins, and appends go on', async () => {
    const disk = new MemoryFileSystem()
    const { log, checkpoint } = await filled(disk)
    await log.trimTo(8)
    expect([log.logStartOffset, log.logEndOffset, checkpoint.offset]).toEqual([8, 8, 0])
    await settled()
    expect(await logNames(disk)).toEqual(['00000000000000000008.log'])
    await log.appendAsLeader(batchOf({ text: 'next' }), 2).written
    expect(await textsOf(log)).toEqual(['next'])
    await log.close()
    const again = await openTestLog(disk, { settings: SETTINGS, logStart: checkpoint, recoveryPoint: 9 })
    expect([again.log.logStartOffset, await textsOf(again.log)]).toEqual([8, ['next']])
  })

  it('beyond the end -> as far as the log reaches', async () => {
    const { log } = await filled(new MemoryFileSystem())
    await log.trimTo(100)
    expect([log.logStartOffset, log.logEndOffset]).toEqual([8, 8])
  })

  it('STO-37: offsets beyond 2^32 and near 2^53 -> trimmed as others', async () => {
    for (const startOffset of [2 ** 32 - 2, 2 ** 53 - 20]) {
      const { log } = await filled(new MemoryFileSystem(), {}, 0)
      await log.truncateFullyAndStartAt(startOffset)
      for (let i = 0; i < 6; i++) await log.appendAsLeader(batchOf({ text: `${i}` }), 1).written
      await log.trimTo(startOffset + 3)
      expect([log.logStartOffset, await textsOf(log)]).toEqual([startOffset + 3, ['3', '4', '5']])
    }
  })

  it('times below the start -> are not found', async () => {
    const { log } = await filled(new MemoryFileSystem())
    await log.trimTo(3)
    expect(await log.offsetForTimestamp({ timestampMs: 0, endOffset: 8 })).toEqual({
      offset: 3,
      timestampMs: 4_000,
    })
  })

  it('STO-29: a read in the middle of a segment that goes -> out of range, never a part', async () => {
    const gated = new GatedDisk()
    const { log } = await filled(gated.disk)
    gated.hold({ kind: 'read' })
    const read = Promise.resolve(
      log.read({ offset: 1, endOffset: 8, maxBytes: 1_000, atLeastOneBatch: true }),
    ).then(recordsOf, (error: { code: string }) => error.code)
    await settled()
    await log.trimTo(6)
    while (gated.heldCount({ kind: 'read' }) > 0) await gated.release({ kind: 'read' })
    expect(await read).toBe('OFFSET_OUT_OF_RANGE')
  })

  it('STO-29: files stay for file.delete.delay.ms, then they go', async () => {
    const disk = new MemoryFileSystem()
    const clock = new ManualClock()
    const { log } = await filled(disk, { clock, settings: { fileDeleteDelayMs: 60_000 } })
    await log.trimTo(6)
    const deleted = async () =>
      (await names(disk, LOG_PATH)).filter((name) => name.endsWith('.deleted')).length
    expect(await deleted()).toBeGreaterThan(1)
    clock.advance(59_999)
    await settled()
    expect(await deleted()).toBeGreaterThan(1)
    clock.advance(1)
    await settled()
    expect(await deleted()).toBe(0)
  })

  it('STO-29: a start after a stop within the delay -> removes what was left', async () => {
    const disk = new MemoryFileSystem()
    const { log, checkpoint } = await filled(disk, { settings: { fileDeleteDelayMs: 60_000 } })
    await log.trimTo(6)
    const rest = disk.afterKill()
    const again = await openTestLog(rest, { settings: SETTINGS, logStart: checkpoint })
    await settled()
    expect((await names(rest, LOG_PATH)).filter((name) => name.endsWith('.deleted'))).toEqual([])
    expect(await textsOf(again.log)).toEqual(['6', '7'])
  })

  it('STO-16: nothing can be written -> whole segments go all the same', async () => {
    const disk = new MemoryFileSystem()
    const { log, checkpoint, failure } = await filled(disk)
    checkpoint.failure = Object.assign(new Error('no space'), { code: 'ENOSPC' })
    const before = (await logNames(disk)).length
    await expect(log.trimTo(5)).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    await settled()
    expect((await logNames(disk)).length).toBeLessThan(before)
    expect(log.logStartOffset).toBe(4)
    expect(failure.isTripped).toBe(false)
    expect(await textsOf(log)).toEqual(['4', '5', '6', '7'])
    checkpoint.failure = null
    await log.trimTo(5)
    expect(log.logStartOffset).toBe(5)
  })

  it('a rename that fails -> the log is as before, and tried again it succeeds', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await filled(disk)
    let failing = true
    const broken = disk.rename.bind(disk)
    disk.rename = (path, newPath) =>
      failing ? Promise.reject(Object.assign(new Error('bad'), { code: 'EIO' })) : broken(path, newPath)
    await expect(log.trimTo(6)).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    expect([log.logStartOffset, (await textsOf(log)).length]).toEqual([0, 8])
    failing = false
    await log.trimTo(6)
    expect(await textsOf(log)).toEqual(['6', '7'])
  })

  it('what is kept had not been flushed and is lost -> the log is empty, and its start does not go back', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await filled(disk, {}, 3)
    await log.close()
    const checkpoint = new MemoryCheckpoint(50)
    const again = await openTestLog(disk, { settings: SETTINGS, logStart: checkpoint })
    expect([again.log.logStartOffset, again.log.logEndOffset]).toEqual([50, 50])
    await again.log.appendAsLeader(batchOf({ text: 'new' }), 7).written
    expect(await readAll(again.log)).toEqual([{ offset: 50, leaderEpoch: 7, text: 'new' }])
  })

  it('REP-43: the log begins anew below a stored start -> that does not outlive it', async () => {
    const disk = new MemoryFileSystem()
    const { log, checkpoint } = await filled(disk)
    await log.trimTo(5)
    await log.truncateFullyAndStartAt(2)
    expect([checkpoint.offset, log.logStartOffset, log.logEndOffset]).toEqual([2, 2, 2])
  })
})

describe('a log that begins anew with the batch in which it starts', () => {
  const BATCH = stamped({ text: 'a', records: 4, offset: 6, leaderEpoch: 3 })

  it('REP-44: the batch comes -> the log starts inside of it', async () => {
    const disk = new MemoryFileSystem()
    const { log, checkpoint } = await filled(disk)
    await log.trimTo(8)
    await log.truncateFullyAndStartAt(6, { keepsStart: true })
    expect([log.logStartOffset, log.logEndOffset]).toEqual([8, 6])
    await log.appendAsFollower(BATCH).written
    expect([log.logStartOffset, log.logEndOffset, checkpoint.offset]).toEqual([8, 10, 8])
    await log.close()
    const again = await filled(disk, { logStart: checkpoint, recoveryPoint: 10 }, 0)
    expect([again.log.logStartOffset, again.log.logEndOffset]).toEqual([8, 10])
  })

  it('REP-44, STO-29: at every operation -> the log starts where it did, and does not end before', async () => {
    const open = (disk: MemoryFileSystem, checkpoint: MemoryCheckpoint) =>
      filled(disk, { logStart: checkpoint, toleratesDamage: true }, 0)
    const operations = await sweepCrashes<{ checkpoint: MemoryCheckpoint; isDone: boolean }>({
      async prepare(disk) {
        const { log } = await filled(disk)
        await log.trimTo(8)
        await log.close()
      },
      // The name of its first segment says where the log starts.
      state: () => ({ checkpoint: new MemoryCheckpoint(), isDone: false }),
      async run(disk, state) {
        const { log } = await open(disk, state.checkpoint)
        expect(log.logStartOffset).toBe(8)
        await log.truncateFullyAndStartAt(6, { keepsStart: true })
        await log.appendAsFollower(BATCH).written
        await log.flush()
        state.isDone = true
      },
      async check(disk, { checkpoint, isDone }) {
        const { log } = await open(disk, new MemoryCheckpoint(checkpoint.offset))
        expect(log.logStartOffset).toBe(8)
        expect(log.logEndOffset).toBeGreaterThanOrEqual(isDone ? 10 : 8)
      },
      randomLosses: 2,
    })
    expect(operations).toBeGreaterThan(8)
  })
})

describe('a log of which nothing is left but deleted records', () => {
  const ONE_SEGMENT = { settings: { segmentBytes: 10_000 }, toleratesDamage: true }

  it('REP-03: cut off where it starts -> what was deleted is no damage, and no dropped tail', async () => {
    const disk = new MemoryFileSystem()
    const { log, checkpoint } = await filled(disk, ONE_SEGMENT)
    await log.trimTo(6)
    await log.truncateTo(6)
    expect([log.logStartOffset, log.logEndOffset, log.epochs.entries]).toEqual([6, 6, []])
    await log.health.scrub(async () => {})
    await log.close()
    expect(await names(disk, LOG_PATH)).not.toContain('damaged-ranges')
    const again = await filled(disk.afterKill(), { ...ONE_SEGMENT, logStart: checkpoint }, 0)
    expect([again.log.logStartOffset, again.log.logEndOffset]).toEqual([6, 6])
    expect(again.log.health).toMatchObject({ damagedRanges: [], isTailDropped: false })
    await again.log.appendAsLeader(batchOf({ text: 'new' }), 7).written
    expect(await readAll(again.log)).toEqual([{ offset: 6, leaderEpoch: 7, text: 'new' }])
  })

  it('REP-03: cut off inside of the batch in which it starts -> begins there, and does not end before', async () => {
    for (const cut of [6, 7]) {
      const disk = new MemoryFileSystem()
      const { log, checkpoint } = await filled(disk, ONE_SEGMENT, 0)
      for (const text of ['a', 'b', 'c']) await log.appendAsLeader(batchOf({ text, records: 4 }), 1).written
      await log.trimTo(6)
      await log.truncateTo(cut)
      expect([log.logStartOffset, log.logEndOffset, log.epochs.entries]).toEqual([6, 6, []])
      const again = await filled(disk.afterKill(), { ...ONE_SEGMENT, logStart: checkpoint }, 0)
      expect([again.log.logStartOffset, again.log.logEndOffset]).toEqual([6, 6])
    }
  })

  it('STO-29: cut off inside of the batch in which it starts, at every operation -> starts where it did', async () => {
    const state = () => ({ checkpoint: new MemoryCheckpoint(6), isDone: false })
    const open = (disk: MemoryFileSystem, { checkpoint }: { readonly checkpoint: MemoryCheckpoint }) =>
      filled(disk, { ...ONE_SEGMENT, logStart: new MemoryCheckpoint(checkpoint.offset) }, 0)
    await sweepCrashes<ReturnType<typeof state>>({
      async prepare(disk) {
        const { log } = await filled(disk, ONE_SEGMENT, 0)
        for (const text of ['a', 'b', 'c']) await log.appendAsLeader(batchOf({ text, records: 4 }), 1).written
        await log.flush()
        await log.close()
      },
      state,
      async run(disk, told) {
        const { log } = await open(disk, told)
        await log.truncateTo(7)
        told.isDone = true
      },
      async check(disk, told) {
        const { log } = await open(disk, told)
        expect([log.logStartOffset, log.logEndOffset]).toEqual([6, told.isDone ? 6 : expect.any(Number)])
        expect(log.logEndOffset).toBeGreaterThanOrEqual(6)
        expect(log.health).toMatchObject({ damagedRanges: [], isTailDropped: false })
      },
      randomLosses: 2,
    })
  })
})

interface Told {
  checkpoint: MemoryCheckpoint
  started: Offset
  isDone: boolean
}

describe('crash during a trim', () => {
  const options = (state: Told): TestLogOptions => ({
    settings: SETTINGS,
    recoveryPoint: 8,
    tailCacheBytes: 0,
    logStart: state.checkpoint,
    observer: {
      onStartMoved(at) {
        state.started = at
      },
    },
  })
  const told = (): Told => ({ checkpoint: new MemoryCheckpoint(), started: 0, isDone: false })

  it.each([3, 5, 8])(
    'STO-29: to %d, at every operation -> what was told holds, what is kept is whole',
    async (to) => {
      const operations = await sweepCrashes<Told>({
        async prepare(disk) {
          const { log } = await filled(disk)
          await log.close()
        },
        state: told,
        async run(disk, state) {
          const { log } = await openTestLog(disk, options(state))
          await log.trimTo(to)
          state.isDone = true
          await log.appendAsLeader(batchOf({ text: '8' }), 3).written
          await log.flush()
        },
        async check(disk, state) {
          const { log } = await openTestLog(
            disk,
            options({ ...state, checkpoint: new MemoryCheckpoint(state.checkpoint.offset) }),
          )
          expect(log.logStartOffset).toBeGreaterThanOrEqual(state.isDone ? to : state.started)
          expect(log.logStartOffset).toBeLessThanOrEqual(to)
          const records = await readAll(log)
          expect(records.map(({ text }) => text)).toEqual(records.map((_, i) => `${log.logStartOffset + i}`))
          expect(log.logEndOffset).toBeGreaterThanOrEqual(8)
          for (const { offset, leaderEpoch } of records) expect(log.epochs.epochAt(offset)).toBe(leaderEpoch)
          await log.trimTo(to)
          expect(log.logStartOffset).toBe(to)
          await settled()
          const left = (await logNames(disk)).filter((name) => name.endsWith('.deleted'))
          expect(left).toEqual([])
        },
        randomLosses: 2,
      })
      expect(operations).toBeGreaterThan(8)
    },
  )

  it('REP-44: through the data directory, at every operation -> the log start never goes back', async () => {
    await sweepCrashes<{ started: Offset }>({
      async prepare(disk) {
        const { directory } = await openDirectory(disk)
        const log = await directory.openPartition(P0, CREATE)
        for (let i = 0; i < 6; i++) await log.appendAsLeader(batchOf({ text: `${i}` }), 1).written
        await directory.close({ cleanBrokerEpoch: 1 })
      },
      state: () => ({ started: 0 }),
      async run(disk, state) {
        const { directory } = await openDirectory(disk)
        const log = await directory.openPartition(P0, EXISTING)
        for (const to of [2, 4]) {
          await log.trimTo(to)
          state.started = to
        }
        await directory.close({ cleanBrokerEpoch: 1 })
      },
      async check(disk, { started }) {
        const { directory } = await openDirectory(disk)
        const log = await directory.openPartition(P0, EXISTING)
        expect(log.logStartOffset).toBeGreaterThanOrEqual(started)
        const records = await readAll(log)
        expect(records.map(({ text }) => text)).toEqual(records.map((_, i) => `${log.logStartOffset + i}`))
        await directory.close({ cleanBrokerEpoch: null })
      },
      randomLosses: 1,
    })
  })

  it('a damaged file of log starts -> logs start at their first segments', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await openDirectory(disk)
    const log = await directory.openPartition(P0, CREATE)
    for (let i = 0; i < 6; i++) await log.appendAsLeader(batchOf({ text: `${i}` }), 1).written
    await log.trimTo(4)
    await directory.close({ cleanBrokerEpoch: 1 })
    const handle = await disk.open(`${PATH}/log-start-offsets`, 'read-write')
    await handle.write([new Uint8Array(20)], 10)
    await handle.close()
    const again = (await openDirectory(disk)).directory
    expect((await again.openPartition(P0, EXISTING)).logStartOffset).toBe(0)
  })
})

describe('time and the active segment', () => {
  it('segment.ms passes -> the next append begins a segment', async () => {
    const disk = new MemoryFileSystem()
    const clock = new ManualClock()
    const { log } = await filled(disk, { clock, settings: { segmentBytes: 10_000, segmentMs: 1_000 } }, 2)
    clock.advance(999)
    await log.appendAsLeader(batchOf({ text: 'same' }), 2).written
    expect((await logNames(disk)).length).toBe(1)
    clock.advance(1)
    await log.appendAsLeader(batchOf({ text: 'next' }), 2).written
    expect(await logNames(disk)).toEqual(['00000000000000000000.log', '00000000000000000003.log'])
  })

  it('segment.ms passes without appends -> it begins when asked, and an empty one stays', async () => {
    const disk = new MemoryFileSystem()
    const clock = new ManualClock()
    const { log } = await filled(disk, { clock, settings: { segmentBytes: 10_000, segmentMs: 1_000 } }, 2)
    await log.rollIfOld()
    expect((await logNames(disk)).length).toBe(1)
    clock.advance(1_000)
    await log.rollIfOld()
    clock.advance(5_000)
    await log.rollIfOld()
    expect(await logNames(disk)).toEqual(['00000000000000000000.log', '00000000000000000002.log'])
  })

  it('a segment that was there at the start -> its first record says how old it is; a clock that is behind makes it new', async () => {
    const settings = { ...SETTINGS, segmentBytes: 10_000, segmentMs: 3_600_000 }
    for (const [wallMs, rolls] of [
      [1_000 + 3_600_000, true],
      [1_000 + 3_599_999, false],
      [0, false],
    ] as const) {
      const disk = new MemoryFileSystem()
      const { log } = await filled(disk, { settings }, 2)
      await log.close()
      const again = await openTestLog(disk, { settings, clock: new ManualClock({ wallMs }) })
      await again.log.rollIfOld()
      expect((await logNames(disk)).length).toBe(rolls ? 2 : 1)
    }
  })

  it('flush.ms passes -> what is written is fsynced although flush.messages is not reached', async () => {
    const clock = new ManualClock()
    const { log } = await openTestLog(new MemoryFileSystem(), {
      clock,
      settings: { flushMessages: 1_000, flushMs: 500 },
    })
    await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
    clock.advance(499)
    await settled()
    expect(log.flushedOffset).toBe(0)
    clock.advance(1)
    await settled()
    expect(log.flushedOffset).toBe(1)
    await log.appendAsLeader(batchOf({ text: 'b' }), 1).written
    await log.close()
    expect(clock.pendingTimers).toBe(0)
  })

  it('flush.ms is lowered -> what waits is fsynced by the new time; other settings do not begin the wait anew', async () => {
    const clock = new ManualClock()
    const { log } = await openTestLog(new MemoryFileSystem(), {
      clock,
      settings: { flushMessages: 1_000, flushMs: 1_000_000 },
    })
    await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
    log.updateSettings({ ...log.settings, flushMs: 500 })
    clock.advance(499)
    log.updateSettings({ ...log.settings, retentionMs: 7 })
    await settled()
    expect(log.flushedOffset).toBe(0)
    clock.advance(1)
    await settled()
    expect(log.flushedOffset).toBe(1)
    await log.close()
  })
})

describe('what retention looks at', () => {
  it('sealed and active segments -> their offsets, sizes and latest times; times only as far as they matter', async () => {
    const disk = new MemoryFileSystem()
    const { log } = await filled(disk)
    const all = await log.retained.list({ sizes: true, goesOn: () => true })
    expect(all[0]).toMatchObject({ baseOffset: 0, maxTimestampMs: 1_000 * all[0]!.endOffset })
    expect(all.at(-1)!.endOffset).toBe(8)
    expect(all.every(({ sizeBytes }) => sizeBytes > 0)).toBe(true)
    expect(await log.retained.newestTimestampMs()).toBe(8_000)
    await log.close()
    const again = await openTestLog(disk, { settings: SETTINGS, recoveryPoint: 8 })
    const some = await again.log.retained.list({ sizes: false, goesOn: () => false })
    expect(some.slice(0, 2).map(({ maxTimestampMs }) => maxTimestampMs)).toEqual([
      all[0]!.maxTimestampMs,
      null,
    ])
  })
})
