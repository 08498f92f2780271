import { describe, expect, it } from 'vitest'
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import type { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { sweepCrashes } from './crash-sweep.ts'
import { batchOf, cpu, openTestLog, type ReadRecord, readAll, stamped } from './fixtures.ts'

const SETTINGS = { segmentBytes: 160, indexIntervalBytes: 0 }

/** What a process was told about its log, kept outside of its disk. */
interface Told {
  /** Exclusive: what was acknowledged as flushed. */
  flushed: number
  /** The stored recovery point, as a checkpoint would hold it. */
  recoveryPoint: number
  truncatedTo: number | null
  isDone: boolean
}

const told = (): Told => ({ flushed: 0, recoveryPoint: 0, truncatedTo: null, isDone: false })

async function openChecked(disk: MemoryFileSystem, state: Told) {
  const { log } = await openTestLog(disk, {
    settings: SETTINGS,
    recoveryPoint: state.recoveryPoint,
    tailCacheBytes: 0,
    observer: {
      onFlushed(offset) {
        state.flushed = offset
      },
    },
    lowerRecoveryPoint: async (offset) => {
      state.recoveryPoint = Math.min(state.recoveryPoint, offset)
    },
  })
  return log
}

function expectContinuous(records: readonly ReadRecord[], startOffset = 0): void {
  expect(records.map((record) => record.offset)).toEqual(records.map((_, i) => startOffset + i))
}

describe('crash at every operation', () => {
  it('STO-14: a new log and its first records -> all that was acknowledged is there', async () => {
    const operations = await sweepCrashes<Told>({
      state: told,
      async run(disk, state) {
        const log = await openChecked(disk, state)
        await log.appendAsLeader(batchOf({ text: '0' }), 1).written
        await log.flush()
        await log.appendAsLeader(batchOf({ text: '1' }), 1).written
        await log.flush()
      },
      async check(disk, state) {
        const { flushed } = state
        const records = await readAll(await openChecked(disk, told()))
        expect(records.length).toBeGreaterThanOrEqual(flushed)
        expectContinuous(records)
      },
    })
    expect(operations).toBeGreaterThan(15)
  })

  it('STO-28: segment rolls -> no record lost or twice, appends go on', async () => {
    await sweepCrashes<Told>({
      state: told,
      async run(disk, state) {
        const log = await openChecked(disk, state)
        for (let i = 0; i < 6; i++) await log.appendAsLeader(batchOf({ text: `${i}` }), 1).written
        await log.flush()
      },
      async check(disk, { flushed }) {
        const log = await openChecked(disk, told())
        const records = await readAll(log)
        expect(records.length).toBeGreaterThanOrEqual(flushed)
        expectContinuous(records)
        expect(records.map((record) => record.text)).toEqual(records.map((_, i) => `${i}`))
        const next = log.appendAsLeader(batchOf({ text: 'next' }), 2)
        await next.written
        expect(next.baseOffset).toBe(records.length)
        expectContinuous(await readAll(log))
      },
    })
  })

  it('STO-32: a truncation across three segments -> a prefix of the log; repeated, the tail does not come back', async () => {
    const prepared: Told = { ...told(), recoveryPoint: 8 }
    await sweepCrashes<Told>({
      async prepare(disk) {
        const log = await openChecked(disk, told())
        for (let i = 0; i < 8; i++) {
          await log.appendAsLeader(batchOf({ text: `${i}` }), i < 4 ? 1 : 2).written
        }
        await log.close()
      },
      state: () => ({ ...prepared }),
      async run(disk, state) {
        const log = await openChecked(disk, state)
        await log.truncateTo(3)
        state.truncatedTo = 3
        await log.appendAsFollower(stamped({ text: 'new', offset: 3, leaderEpoch: 5 })).written
        await log.flush()
        state.isDone = true
      },
      async check(disk, state) {
        const log = await openChecked(disk, { ...state })
        const records = await readAll(log)
        expectContinuous(records)
        const texts = records.map((record) => record.text)
        expect(texts.slice(0, 3)).toEqual(['0', '1', '2'])
        if (state.isDone) expect(texts).toEqual(['0', '1', '2', 'new'])
        else if (state.truncatedTo !== null) expect([[], ['new']]).toContainEqual(texts.slice(3))
        else expect(texts).toEqual(texts.map((_, i) => `${i}`))
        for (const { offset, leaderEpoch } of records) expect(log.epochs.epochAt(offset)).toBe(leaderEpoch)
        await log.truncateTo(3)
        expect((await readAll(log)).map((record) => record.text)).toEqual(['0', '1', '2'])
        expect(log.epochs.latestEpoch).toBe(1)
      },
    })
  })

  it('STO-32: truncateFullyAndStartAt -> a prefix of the old log, or the new one; repeated, it is empty', async () => {
    await sweepCrashes<Told>({
      async prepare(disk) {
        const log = await openChecked(disk, told())
        for (let i = 0; i < 5; i++) await log.appendAsLeader(batchOf({ text: `${i}` }), 1).written
        await log.close()
      },
      state: () => ({ ...told(), recoveryPoint: 5 }),
      async run(disk, state) {
        const log = await openChecked(disk, state)
        await log.truncateFullyAndStartAt(100)
        state.isDone = true
      },
      async check(disk, state) {
        const log = await openChecked(disk, { ...state })
        if (state.isDone) expect([log.logStartOffset, log.logEndOffset]).toEqual([100, 100])
        expectContinuous(await readAll(log), log.logStartOffset)
        expect([0, 100]).toContain(log.logStartOffset)
        await log.truncateFullyAndStartAt(200)
        expect([log.logStartOffset, log.logEndOffset]).toEqual([200, 200])
        expect(log.epochs.entries).toEqual([])
      },
    })
  })

  it('STO-27: recovery itself -> the same log in the end', async () => {
    await sweepCrashes<Told>({
      async prepare(disk) {
        const log = await openChecked(disk, told())
        for (let i = 0; i < 3; i++) {
          await log.appendAsLeader(batchOf({ text: `${i}`, paddingBytes: 400 }), 1).written
        }
        await log.flush()
        const handle = await disk.open('/data/log/00000000000000000002.log', 'read-write')
        await handle.write([new Uint8Array(700).fill(0xee)], await handle.size())
        await handle.close()
      },
      state: told,
      async run(disk, state) {
        await openChecked(disk, state)
      },
      async check(disk) {
        const texts = (await readAll(await openChecked(disk, told()))).map((record) => record.text)
        expect(texts).toEqual(['0', '1', '2'])
      },
    })
  })

  it('STO-15: an atomic file that is replaced -> the old or the new content, also with a stale temporary file', async () => {
    const fileOn = (fileSystem: MemoryFileSystem): AtomicFile =>
      new AtomicFile({ fileSystem, cpu, path: '/data/file', format: 'test', version: 1 })
    await sweepCrashes<{ isNew: boolean }>({
      async prepare(disk) {
        await disk.makeDirectory('/data')
        await disk.syncDirectory('/')
        await fileOn(disk).write('old')
        const stale = await disk.open('/data/file.tmp', 'create')
        await stale.write([new Uint8Array(5000).fill(0x41)], 0)
        await stale.sync()
        await stale.close()
        await disk.syncDirectory('/data')
      },
      state: () => ({ isNew: false }),
      async run(disk, state) {
        await fileOn(disk).write({ content: 'new' })
        state.isNew = true
      },
      async check(disk, state) {
        const content = await fileOn(disk).read()
        if (state.isNew) expect(content).toEqual({ status: 'ok', data: { content: 'new' } })
        else
          expect([
            { status: 'ok', data: 'old' },
            { status: 'ok', data: { content: 'new' } },
          ]).toContainEqual(content)
      },
      randomLosses: 10,
    })
  })

  it('STO-15: an atomic file that is removed -> there or gone; once told, gone', async () => {
    const fileOn = (fileSystem: MemoryFileSystem): AtomicFile =>
      new AtomicFile({ fileSystem, cpu, path: '/data/file', format: 'test', version: 1 })
    await sweepCrashes<{ isGone: boolean }>({
      async prepare(disk) {
        await disk.makeDirectory('/data')
        await disk.syncDirectory('/')
        await fileOn(disk).write(1)
      },
      state: () => ({ isGone: false }),
      async run(disk, state) {
        await fileOn(disk).remove()
        state.isGone = true
      },
      async check(disk, { isGone }) {
        const { status } = await fileOn(disk).read()
        if (isGone) expect(status).toBe('absent')
        else expect(['ok', 'absent']).toContain(status)
      },
    })
  })
})
