import { describe, expect, it } from 'vitest'
import type { VltavaError } from '../../src/model/errors.ts'
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import { openLog } from '../../src/storage/log-open.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { NO_LOG_START } from '../../src/storage/log-trim.ts'
import {
  batchOf,
  LOG_PATH,
  openTestLog,
  readAll,
  readFile,
  segmentPath,
  stamped,
  textsOf,
} from './fixtures.ts'
import { eio, GatedDisk, settled } from './gated-disk.ts'

const WRITE = { kind: 'write', path: '.log' } as const
const SYNC = { kind: 'sync', path: '.log' } as const
const TRUNCATE = { kind: 'truncate', path: '.log' } as const

async function gatedLog(options: Parameters<typeof openTestLog>[1] = {}) {
  const gated = new GatedDisk()
  const written: number[] = []
  const flushed: number[] = []
  const observer = {
    onWritten: (offset: number) => void written.push(offset),
    onFlushed: (offset: number) => void flushed.push(offset),
  }
  const opened = await openTestLog(gated.disk, { observer, ...options })
  return { gated, written, flushed, ...opened }
}

function append(log: Awaited<ReturnType<typeof gatedLog>>['log'], text: string) {
  return log.appendAsLeader(batchOf({ text }), 0)
}

function outcome(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: VltavaError) => `${error.code} ${error.definite ? 'definite' : 'indefinite'}`,
  )
}

describe('group commit', () => {
  it('STO-31: a write issued after the fsync started -> not acknowledged by it', async () => {
    const { gated, log, written, flushed } = await gatedLog()
    gated.hold(SYNC)
    await append(log, 'A').written
    await gated.held(SYNC)
    await append(log, 'B').written
    expect(log.logEndOffset).toBe(2)
    await gated.release(SYNC)
    expect(flushed).toEqual([1])
    expect(log.flushedOffset).toBe(1)
    await gated.held(SYNC)
    await gated.release(SYNC)
    expect(flushed).toEqual([1, 2])
    expect(written).toEqual([1, 2])
  })

  it('STO-31: a write that returns while an fsync runs -> power loss after that fsync loses it', async () => {
    const { gated, log } = await gatedLog()
    gated.hold(SYNC)
    await append(log, 'A').written
    await gated.held(SYNC)
    await append(log, 'B').written
    await gated.release(SYNC)
    const flushedOffset = log.flushedOffset
    const { log: recovered } = await openTestLog(gated.disk.afterPowerLoss(), {
      recoveryPoint: flushedOffset,
    })
    expect(await textsOf(recovered)).toEqual(['A'])
  })

  it('appends that come during a write -> one writev behind it, in order', async () => {
    const { gated, log, written } = await gatedLog()
    gated.hold(WRITE)
    append(log, 'A')
    await gated.held(WRITE)
    const before = gated.count(WRITE)
    for (const text of ['B', 'C', 'D']) append(log, text)
    expect(log.logEndOffset).toBe(0)
    await gated.release(WRITE)
    expect(written).toEqual([1])
    await gated.held(WRITE)
    expect(gated.count(WRITE)).toBe(before + 1)
    await gated.release(WRITE)
    expect(written).toEqual([1, 4])
    expect(await textsOf(log)).toEqual(['A', 'B', 'C', 'D'])
  })

  it('writes during one fsync -> one further fsync covers them all', async () => {
    const { gated, log, flushed } = await gatedLog()
    gated.hold(SYNC)
    await append(log, 'A').written
    await gated.held(SYNC)
    for (let i = 0; i < 5; i++) await append(log, `${i}`).written
    expect(gated.heldCount(SYNC)).toBe(1)
    await gated.release(SYNC)
    await gated.held(SYNC)
    await gated.release(SYNC)
    expect(flushed).toEqual([1, 6])
    expect(gated.heldCount(SYNC)).toBe(0)
  })

  it('STO-18: a slow fsync of one log -> others are limited in number, first come first served', async () => {
    const gated = new GatedDisk()
    const { environment, log: first } = await openTestLog(gated.disk, { flushesMax: 2, path: '/data/0' })
    const logs = [first]
    for (let partition = 1; partition < 5; partition++) {
      const path = `/data/${partition}`
      await gated.disk.makeDirectory(path)
      const lowerRecoveryPoint = async () => {}
      const start = { recoveryPoint: 0, lowerRecoveryPoint, logStart: NO_LOG_START }
      const trusting = { toleratesDamage: false, endIsKnown: false }
      const options = { topicId: 'T', partition, path, ...start, ...trusting }
      logs.push(await openLog(environment, { ...options, settings: LOG_SETTINGS_DEFAULT }))
    }
    // The first append stores the leader epoch, which takes a turn too.
    for (const log of logs) {
      await append(log, 'first').written
      await log.flush()
    }
    gated.hold(SYNC)
    for (const log of logs) await append(log, 'A').written
    await settled()
    expect(gated.heldCount(SYNC)).toBe(2)
    for (let flushed = 1; flushed <= 5; flushed++) {
      await gated.release(SYNC)
      expect(logs.map((log) => log.flushedOffset)).toEqual(
        logs.map((_, partition) => (partition < flushed ? 2 : 1)),
      )
    }
  })

  it('STO-18: epoch files of many logs at once -> their syncs are limited as well', async () => {
    const gated = new GatedDisk()
    const { environment } = await openTestLog(gated.disk, { flushesMax: 2, path: '/data/0' })
    gated.hold({ kind: 'sync' })
    const paths = Array.from({ length: 6 }, (_, i) => `/data/file-${i}`)
    const writes = paths.map((path) =>
      new AtomicFile({ ...environment, path, format: 'test', version: 1 }).write(path),
    )
    await settled()
    expect(gated.heldCount({ kind: 'sync' })).toBe(2)
    for (let i = 0; i < 6; i++) await gated.release({ kind: 'sync' })
    await Promise.all(writes)
  })

  it('flush.messages above 1 -> an fsync for so many records; flush() -> at once', async () => {
    const { gated, log, flushed } = await gatedLog({ settings: { flushMessages: 3 } })
    const before = gated.count(SYNC)
    await append(log, 'A').written
    await append(log, 'B').written
    await settled()
    expect(gated.count(SYNC)).toBe(before)
    await append(log, 'C').written
    await settled()
    expect(flushed).toEqual([3])
    await append(log, 'D').written
    await log.flush()
    expect(flushed).toEqual([3, 4])
    await append(log, 'E').written
    await settled()
    expect(flushed).toEqual([3, 4])
    log.updateSettings(LOG_SETTINGS_DEFAULT)
    await settled()
    expect(flushed).toEqual([3, 4, 5])
  })

  it('flush.messages above 1, a write during the fsync of flush() -> no further fsync for it alone', async () => {
    const { gated, log, flushed } = await gatedLog({ settings: { flushMessages: 1000 } })
    await append(log, 'A').written
    gated.hold(SYNC)
    const flushing = log.flush()
    await gated.held(SYNC)
    await append(log, 'B').written
    gated.open()
    await flushing
    await settled()
    expect(flushed).toEqual([1])
  })

  it('a truncation that removes no record, between two fsyncs -> the second still comes', async () => {
    const { gated, log, flushed } = await gatedLog()
    await log.beginEpoch(0)
    gated.hold(SYNC)
    await append(log, 'A').written
    await gated.held(SYNC)
    await append(log, 'B').written
    const truncated = log.truncateTo(2)
    gated.holdNoMore()
    await gated.release(SYNC)
    await truncated
    await settled()
    expect(flushed).toEqual([1, 2])
  })

  it('more than may wait -> SERVER_BUSY, and no offset is used up', async () => {
    const { gated, log } = await gatedLog({ settings: { appendQueueBytes: 200 } })
    gated.hold(WRITE)
    append(log, 'A')
    append(log, 'B')
    expect(() => append(log, 'C')).toThrow(
      expect.objectContaining({ code: 'SERVER_BUSY', retriable: true, definite: true }),
    )
    gated.open()
    await settled()
    expect(append(log, 'C').baseOffset).toBe(2)
  })

  it('an append larger than the queue -> taken when nothing waits', async () => {
    const { log } = await gatedLog({ settings: { appendQueueBytes: 1 } })
    await append(log, 'A').written
    expect(await textsOf(log)).toEqual(['A'])
  })

  it('STO-19: the bytes of an append -> written from the buffer that was given, which nobody changes', async () => {
    const { gated, log } = await gatedLog()
    gated.hold(WRITE)
    // A buffer of its own: a view of a much larger one would be copied for the hot tail.
    const bytes = batchOf({ text: 'A' }).slice()
    const { written } = log.appendAsLeader(bytes, 0)
    const copy = bytes.slice()
    await gated.held(WRITE)
    gated.open()
    await written
    // The disk copies when the write completes; a buffer used again by then would show.
    expect(await readFile(gated.disk, segmentPath(0))).toEqual(copy)
    const parts = await log.read({ offset: 0, endOffset: 1, maxBytes: 1000, atLeastOneBatch: true })
    expect(parts[0]).toBe(bytes)
  })

  it('STO-36: a follower sees a new epoch -> it is durable before the records count as written', async () => {
    const { gated, log } = await gatedLog()
    gated.hold({ kind: 'syncDirectory', path: '/log' })
    const { written } = log.appendAsFollower(stamped({ text: 'A', offset: 0, leaderEpoch: 7 }))
    await gated.held({ kind: 'syncDirectory', path: '/log' })
    expect(gated.count(WRITE)).toBe(0)
    expect(log.logEndOffset).toBe(0)
    expect(log.epochs.latestEpoch).toBe(-1)
    gated.open()
    await written
    expect(log.epochs.entries).toEqual([{ epoch: 7, startOffset: 0 }])
  })
})

describe('failing disk', () => {
  it('STO-13: short writes -> the rest is written', async () => {
    const { gated, log } = await gatedLog()
    gated.fail(WRITE, { writeBytes: 1 })
    gated.fail(WRITE, { writeBytes: 70 })
    gated.fail(WRITE, { writeBytes: 5 })
    await log.appendAsLeader(Uint8Array.from([...batchOf({ text: 'A' }), ...batchOf({ text: 'B' })]), 0)
      .written
    expect(gated.count(WRITE)).toBe(4)
    expect((await openTestLog(gated.disk.afterKill())).log.logEndOffset).toBe(2)
    expect(await textsOf(log)).toEqual(['A', 'B'])
  })

  it('STO-13: a write that takes nothing, for ever -> refused, not a loop', async () => {
    const { gated, log } = await gatedLog()
    gated.fail(WRITE, { writeBytes: 0 }, 1000)
    expect(await outcome(append(log, 'A').written)).toBe('STORAGE_ERROR definite')
  })

  it('STO-13: EIO on write -> the log is cut back durably, nothing counts, appends go on at the same offset', async () => {
    const { gated, log, failure, written } = await gatedLog()
    await append(log, 'A').written
    await log.flush()
    gated.hold(WRITE)
    const failing = append(log, 'B')
    await gated.held(WRITE)
    const behind = append(log, 'C')
    expect(behind.baseOffset).toBe(2)
    // A part of it has reached the file before.
    await gated.release(WRITE, { writeBytes: 40 })
    await gated.held(WRITE)
    await gated.release(WRITE, eio())
    expect(await outcome(failing.written)).toBe('STORAGE_ERROR definite')
    expect(await outcome(behind.written)).toBe('STORAGE_ERROR definite')
    expect(failure.isTripped).toBe(false)
    expect(log.logEndOffset).toBe(1)
    expect(written).toEqual([1])
    gated.open()
    const next = append(log, 'D')
    expect(next.baseOffset).toBe(1)
    await next.written
    expect(await textsOf(log)).toEqual(['A', 'D'])
    await log.flush()
    const { log: recovered } = await openTestLog(gated.disk.afterPowerLoss(), { recoveryPoint: 2 })
    expect(await textsOf(recovered)).toEqual(['A', 'D'])
  })

  it('STO-13: a refused append that had reached the file -> does not come back after power loss', async () => {
    const { gated, log } = await gatedLog()
    await append(log, 'A').written
    await log.flush()
    const size = (await readFile(gated.disk, segmentPath(0))).length
    gated.fail(WRITE, { writeBytes: size })
    gated.fail(WRITE, eio())
    const two = Uint8Array.from([...batchOf({ text: 'B' }), ...batchOf({ text: 'C' })])
    expect(await outcome(log.appendAsLeader(two, 0).written)).toBe('STORAGE_ERROR definite')
    const { log: recovered } = await openTestLog(gated.disk.afterKill())
    expect(await textsOf(recovered)).toEqual(['A'])
  })

  it('STO-13: EIO on write, and the cut back fails too -> the directory has failed', async () => {
    for (const broken of [TRUNCATE, SYNC] as const) {
      const { gated, log, failure } = await gatedLog()
      await append(log, 'A').written
      await log.flush()
      gated.fail(WRITE, eio())
      gated.fail(broken, eio())
      expect(await outcome(append(log, 'B').written)).toBe('STORAGE_ERROR indefinite')
      expect(failure.isTripped).toBe(true)
      expect(() => append(log, 'C')).toThrow(expect.objectContaining({ code: 'STORAGE_ERROR' }))
    }
  })

  it('STO-13: an epoch that cannot be stored -> the append is refused, the epoch is not known', async () => {
    const { gated, log } = await gatedLog()
    gated.fail({ kind: 'write', path: 'leader-epochs.tmp' }, eio())
    expect(await outcome(append(log, 'A').written)).toBe('STORAGE_ERROR definite')
    expect(log.epochs.latestEpoch).toBe(-1)
    await append(log, 'B').written
    expect(await readAll(log)).toEqual([{ offset: 0, leaderEpoch: 0, text: 'B' }])
    expect(log.epochs.latestEpoch).toBe(0)
  })

  it('beginEpoch -> nothing is written; the first append stores the epoch before its record, later ones nothing', async () => {
    const { gated, log } = await gatedLog()
    const STORE = { kind: 'write', path: 'leader-epochs.tmp' } as const
    await log.beginEpoch(0)
    expect(log.epochs.latestEpoch).toBe(0)
    expect(gated.count(STORE)).toBe(0)
    gated.hold(WRITE)
    const { written } = append(log, 'A')
    await gated.held(WRITE)
    // Its name is durable as well: the record comes behind all of it.
    expect(gated.operations.slice(-3).map(({ kind }) => kind)).toEqual(['rename', 'syncDirectory', 'write'])
    gated.open()
    await written
    await append(log, 'B').written
    expect(gated.count(STORE)).toBe(1)
    const { log: again } = await openTestLog(gated.disk.afterKill())
    expect(again.epochs.entries).toEqual([{ epoch: 0, startOffset: 0 }])
  })

  it('STO-13: an epoch that has begun cannot be stored -> appends are refused until it can', async () => {
    const { gated, log } = await gatedLog()
    await log.beginEpoch(0)
    for (let i = 0; i < 2; i++) {
      gated.fail({ kind: 'write', path: 'leader-epochs.tmp' }, eio())
      expect(await outcome(append(log, 'A').written)).toBe('STORAGE_ERROR definite')
      expect(log.epochs.latestEpoch).toBe(0)
      expect(log.logEndOffset).toBe(0)
    }
    await append(log, 'B').written
    const { log: recovered } = await openTestLog(gated.disk.afterKill())
    expect(await readAll(recovered)).toEqual([{ offset: 0, leaderEpoch: 0, text: 'B' }])
    expect(recovered.epochs.entries).toEqual([{ epoch: 0, startOffset: 0 }])
  })

  it('an epoch has begun, then the log is cut below and trimmed -> the file holds what memory says', async () => {
    const { gated, log } = await gatedLog()
    for (const leaderEpoch of [1, 2, 3])
      await log.appendAsLeader(batchOf({ text: `${leaderEpoch}` }), leaderEpoch).written
    await log.flush()
    await log.beginEpoch(4)
    await log.trimTo(1)
    await log.appendAsLeader(batchOf({ text: '4' }), 4).written
    await log.beginEpoch(5)
    await log.truncateTo(3)
    expect(log.epochs.entries).toEqual([
      { epoch: 2, startOffset: 1 },
      { epoch: 3, startOffset: 2 },
    ])
    await log.beginEpoch(6)
    await log.appendAsLeader(batchOf({ text: '6' }), 6).written
    const { log: recovered } = await openTestLog(gated.disk.afterKill())
    expect(recovered.epochs.entries.slice(-2)).toEqual([
      { epoch: 3, startOffset: 2 },
      { epoch: 6, startOffset: 3 },
    ])
  })

  it('STO-12: the n-th fsync fails once, then works -> nothing after it is acknowledged, the directory fails once', async () => {
    for (let n = 1; n <= 4; n++) {
      const { gated, log, failure, flushed } = await gatedLog()
      const trips: unknown[] = []
      failure.onTrip((error) => trips.push(error))
      for (let i = 1; i < n; i++) {
        await append(log, `${i}`).written
        await log.flush()
      }
      gated.fail(SYNC, eio())
      const { written } = append(log, 'lost')
      await written
      const flush = outcome(log.flush())
      expect(await flush).toBe('STORAGE_ERROR indefinite')
      expect(trips).toHaveLength(1)
      expect(trips[0]).toMatchObject({ code: 'EIO' })
      const syncs = gated.count(SYNC)
      expect(() => append(log, 'more')).toThrow(expect.objectContaining({ code: 'STORAGE_ERROR' }))
      expect(await outcome(log.flush())).toBe('STORAGE_ERROR indefinite')
      await settled()
      expect(gated.count(SYNC)).toBe(syncs)
      expect(log.flushedOffset).toBe(n - 1)
      expect(flushed).toEqual(Array.from({ length: n - 1 }, (_, i) => i + 1))
      // The acknowledged records are there after power loss.
      const disk = gated.disk.afterPowerLoss()
      const { log: recovered } = await openTestLog(disk, { recoveryPoint: n - 1 })
      expect(await textsOf(recovered)).toEqual(flushed.map((offset) => `${offset}`))
    }
  })

  it('STO-12: a failed fsync while appends wait and a write runs -> all of them are refused as indefinite', async () => {
    const { gated, log } = await gatedLog()
    gated.hold(SYNC)
    await append(log, 'A').written
    await gated.held(SYNC)
    gated.hold(WRITE)
    const running = append(log, 'B')
    await gated.held(WRITE)
    const waiting = append(log, 'C')
    const flush = outcome(log.flush())
    await gated.release(SYNC, eio())
    expect(await outcome(waiting.written)).toBe('STORAGE_ERROR indefinite')
    gated.open()
    expect(await outcome(running.written)).toBe('STORAGE_ERROR indefinite')
    expect(await flush).toBe('STORAGE_ERROR indefinite')
    expect(log.logEndOffset).toBe(1)
  })

  it.each([
    ['an epoch file', { kind: 'sync', path: 'leader-epochs.tmp' }],
    ['the name of an epoch file', { kind: 'syncDirectory', path: '/log' }],
  ] as const)('STO-12: a failed sync of %s -> the directory has failed', async (_name, pattern) => {
    const { gated, log, failure } = await gatedLog()
    gated.fail(pattern, eio())
    expect(await outcome(append(log, 'A').written)).toBe('STORAGE_ERROR indefinite')
    expect(failure.isTripped).toBe(true)
    expect(log.logEndOffset).toBe(0)
    expect(log.epochs.latestEpoch).toBe(-1)
    await expect(log.beginEpoch(3)).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    await expect(log.truncateTo(0)).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
  })

  it('STO-13: a roll that fails -> the append is refused, a later one rolls; no empty segment is left', async () => {
    for (const kind of ['open', 'truncate'] as const) {
      const { gated, log, failure } = await gatedLog({ settings: { segmentBytes: 100 } })
      await append(log, 'A').written
      gated.fail({ kind, path: '1.log' }, eio())
      expect(await outcome(append(log, 'B').written)).toBe('STORAGE_ERROR definite')
      expect(failure.isTripped).toBe(false)
      expect((await gated.disk.list(LOG_PATH)).filter(({ name }) => name.endsWith('.log'))).toHaveLength(1)
      await append(log, 'C').written
      expect(await textsOf(log)).toEqual(['A', 'C'])
    }
  })

  it('STO-12: a failed directory -> its log still closes, without a further fsync', async () => {
    const { gated, log } = await gatedLog()
    await append(log, 'A').written
    gated.fail(SYNC, eio())
    await append(log, 'B').written
    expect(await outcome(log.flush())).toBe('STORAGE_ERROR indefinite')
    const syncs = gated.count(SYNC)
    await log.close({ flush: false })
    expect(gated.count(SYNC)).toBe(syncs)
    expect(() => append(log, 'C')).toThrow(expect.objectContaining({ code: 'NOT_LEADER_OR_FOLLOWER' }))
  })
})
