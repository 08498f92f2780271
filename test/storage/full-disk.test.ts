// What logs and their directory do on a disk that is full, at any moment and in any place.
import { describe, expect, it } from 'vitest'
import { partitionKey } from '../../src/model/ids.ts'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, type LogDirectory } from '../../src/storage/log-directory.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { type FileOperation, MemoryFileSystem, posixError } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import {
  CREATE,
  EXISTING,
  KEY0,
  names,
  OTHER_TOPIC_ID,
  openDirectory,
  P0,
  P1,
  PATH,
} from './directory-fixtures.ts'
import { batchOf, joined, openTestLog, stamped, textsOf } from './fixtures.ts'
import { GatedDisk, settled } from './gated-disk.ts'

const SMALL = {
  create: true,
  settings: { ...LOG_SETTINGS_DEFAULT, segmentBytes: 400, indexIntervalBytes: 0 },
}

/** What needs room on a disk, or a free descriptor. */
const NEEDS: Readonly<Record<string, ReadonlySet<FileOperation['kind']>>> = {
  ENOSPC: new Set(['write', 'makeDirectory', 'link']),
  EMFILE: new Set(['open', 'list']),
}

async function append(log: PartitionLog, text: string, leaderEpoch = 1): Promise<string> {
  try {
    await log.appendAsLeader(batchOf({ text }), leaderEpoch).written
    return 'written'
  } catch (error) {
    expect(error).toMatchObject({ retriable: true, definite: true })
    return (error as { readonly code: string }).code
  }
}

/** A broker's day: partitions are made, filled over several segments, checkpointed, truncated and deleted. */
class Day {
  readonly written: string[] = []
  readonly refused: string[] = []
  readonly #directory: LogDirectory
  #log: PartitionLog | null = null

  readonly #onCutting: (isCutting: boolean) => void

  constructor(directory: LogDirectory, onCutting: (isCutting: boolean) => void) {
    this.#directory = directory
    this.#onCutting = onCutting
  }

  /** Steps that are tried again until they succeed, as the broker does. */
  readonly steps: (() => Promise<void>)[] = [
    async () => {
      this.#log ??= await this.#directory.openPartition(P0, SMALL)
    },
    () => this.#log!.beginEpoch(1),
    ...['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((text) => () => this.#append(text)),
    () => this.#directory.checkpoint(new Map([[KEY0, 3]])),
    async () => {
      this.#onCutting(true)
      await this.#log!.truncateTo(2).finally(() => this.#onCutting(false))
    },
    async () => {
      this.written.length = Math.min(this.written.length, 2)
    },
    () => this.#log!.beginEpoch(3),
    ...['h', 'i', 'j', 'k', 'l'].map((text) => () => this.#append(text, 3)),
    async () => {
      await this.#directory.openPartition(P1, SMALL)
    },
    () => this.#directory.deletePartition(P1),
    () => this.#directory.setBrokerEpoch(8),
    () => this.#directory.checkpoint(new Map([[KEY0, 5]])),
  ]

  async #append(text: string, leaderEpoch = 1): Promise<void> {
    const log = this.#log!
    const before = log.logEndOffset
    const { written, baseOffset } = log.appendAsLeader(batchOf({ text }), leaderEpoch)
    try {
      await written
    } catch (error) {
      expect(error).toMatchObject({ retriable: true, definite: true })
      // Nothing is half there: memory says what the file holds.
      expect(log.logEndOffset).toBe(before)
      this.refused.push(text)
      throw error
    }
    expect(baseOffset).toBe(before)
    await log.flush()
    this.written.push(text)
    expect(log.epochs.epochAt(baseOffset)).toBe(leaderEpoch)
  }
}

const SECOND = { text: 'b', offset: 1, leaderEpoch: 2 }
const THIRD = { text: 'c', offset: 2, leaderEpoch: 3 }

/** A follower's log with one record of epoch 1. There was no room for those of the next two epochs; now there is again. */
async function refusedSecondAndThird(): Promise<{
  readonly disk: MemoryFileSystem
  readonly log: PartitionLog
}> {
  let isFull = false
  const disk = new MemoryFileSystem({
    onOperation: ({ kind, path }) =>
      isFull && kind === 'write' && path.endsWith('.log') ? posixError('ENOSPC', path) : undefined,
  })
  const { log } = await openTestLog(disk)
  await log.appendAsFollower(stamped({ text: 'a', offset: 0, leaderEpoch: 1 })).written
  isFull = true
  const { written } = log.appendAsFollower(joined([SECOND, THIRD].map(stamped)))
  await expect(written).rejects.toMatchObject({ code: 'DISK_FULL', definite: true })
  isFull = false
  return { disk, log }
}

describe('full disk', () => {
  it.each(['ENOSPC', 'EMFILE'])(
    'STO-16, STO-17: %s at each operation that could meet it, then room -> refused, nothing lost or half there, all goes on',
    async (code) => {
      const needs = NEEDS[code]!
      let met = 0
      for (let failAt = 1; ; failAt++) {
        let seen = 0
        let isArmed = false
        let isCutting = false
        const disk = new MemoryFileSystem({
          onOperation({ kind, path }) {
            // A truncation reopens a segment with the descriptor of one that it has just closed.
            const isReopened = isCutting && kind === 'open' && path.endsWith('.log')
            if (!isArmed || isReopened || !needs.has(kind) || ++seen !== failAt) return undefined
            return posixError(code, path)
          },
        })
        const clock = new ManualClock()
        const { directory, failures } = await openDirectory(disk, { clock })
        isArmed = true
        const day = new Day(directory, (is) => {
          isCutting = is
        })
        const what = `operation ${failAt}`
        for (const step of day.steps) {
          for (let tries = 0; ; tries++) {
            try {
              await step()
              break
            } catch (error) {
              if (tries > 2) throw new Error(`${what}: it does not go on`, { cause: error })
              // The next look at the disk finds room again.
              for (let i = 0; i < 6; i++) {
                clock.advance(1_000)
                await settled()
              }
            }
          }
        }
        expect(failures, what).toEqual([])
        expect(day.written, what).toEqual(['a', 'b', 'h', 'i', 'j', 'k', 'l'])
        for (const after of [disk.afterKill(), disk.afterPowerLoss()]) {
          const { directory: again } = await openDirectory(after)
          expect(again.partitions(), what).toEqual([P0])
          expect([again.lastBrokerEpoch, again.highWatermark(P0)], what).toEqual([8, 5])
          const log = await again.openPartition(P0, { ...SMALL, create: false })
          expect(await textsOf(log), what).toEqual(day.written)
          expect(log.epochs.entries, what).toEqual([
            { epoch: 1, startOffset: 0 },
            { epoch: 3, startOffset: 2 },
          ])
          expect(again.hadLog(P1), what).toBe(false)
          expect(await append(log, 'next', 3), what).toBe('written')
        }
        if (seen < failAt) break
        met++
      }
      expect(met).toBeGreaterThan(30)
    },
    60_000,
  )

  it.each(['running', 'killed', 'power lost'])(
    'REP-08, STO-16: batches of two epochs find no room (%s) -> each by itself, and another history, continue the log',
    async (then) => {
      const { disk, log } = await refusedSecondAndThird()
      const after = then === 'running' ? disk : then === 'killed' ? disk.afterKill() : disk.afterPowerLoss()
      const going = after === disk ? log : (await openTestLog(after)).log
      expect(going.epochs.epochAt(5)).toBeLessThan(THIRD.leaderEpoch)
      await going.appendAsFollower(stamped(SECOND)).written
      // A leader of which nothing was ever fetched, with more records than the epoch had that was noted.
      const others = [
        { text: 'd', offset: 2, leaderEpoch: 2, records: 3 },
        { text: 'e', offset: 5, leaderEpoch: 4 },
      ]
      await going.appendAsFollower(joined(others.map(stamped))).written
      await going.flush()
      const epochs = [
        { epoch: 1, startOffset: 0 },
        { epoch: 2, startOffset: 1 },
        { epoch: 4, startOffset: 5 },
      ]
      expect(going.epochs.entries).toEqual(epochs)
      const { log: last } = await openTestLog(after.afterPowerLoss())
      expect(last.epochs.entries).toEqual(epochs)
      expect(await textsOf(last)).toEqual(['a', 'b', 'd', 'd', 'd', 'e'])
    },
  )

  it('REP-08, STO-16: batches of two epochs find no room -> the replica can lead in a later one', async () => {
    const { log } = await refusedSecondAndThird()
    await log.beginEpoch(4)
    await log.appendAsLeader(batchOf({ text: 'd' }), 4).written
    expect(log.epochs.entries).toEqual([
      { epoch: 1, startOffset: 0 },
      { epoch: 4, startOffset: 1 },
    ])
  })

  it('STO-16: a disk that fills up -> DISK_FULL some way before its end, reads and the metadata log go on', async () => {
    const disk = new MemoryFileSystem()
    disk.capacityBytes = 200_000
    const clock = new ManualClock()
    const log = new RecordingLog()
    const { directory, failures } = await openDirectory(disk, { clock, log })
    const partition = await directory.openPartition(P0, CREATE)
    const metadata = await directory.openMetadataLog({ settings: LOG_SETTINGS_DEFAULT })
    const texts: string[] = []
    for (let i = 0; texts.length === i; i++) {
      if ((await append(partition, `${i}${'x'.repeat(900)}`)) === 'written') texts.push(`${i}`)
    }
    expect(texts.length).toBeGreaterThan(100)
    expect((await disk.space(PATH)).availableBytes).toBeGreaterThan(5_000)
    clock.advance(1_000)
    await settled()
    expect(await append(partition, 'y'.repeat(2_000))).toBe('DISK_FULL')
    clock.advance(1_000)
    await settled()
    // Something else fills it beyond the limit.
    disk.capacityBytes = 199_000
    clock.advance(1_000)
    await settled()
    expect(directory.readOnlyReason).toMatch(/9\d % full/)
    expect(log.named('disk-full')).toHaveLength(1)
    expect(await textsOf(partition)).toEqual(texts)
    expect(await append(metadata, 'entry')).toBe('written')
    await metadata.flush()
    await partition.beginEpoch(7)
    await directory.checkpoint(new Map())
    // Room again: it goes on without a restart.
    disk.capacityBytes = 400_000
    clock.advance(1_000)
    await settled()
    expect(directory.readOnlyReason).toBeNull()
    await partition.appendAsLeader(batchOf({ text: 'more' }), 7).written
    expect(failures).toEqual([])
    await directory.close({ cleanBrokerEpoch: 1 })
    expect(clock.pendingTimers).toBe(0)
  })

  it('STO-16: not one sector is free -> the deletion of a topic frees some, without writing anything first', async () => {
    const disk = new MemoryFileSystem()
    const { directory, failures } = await openDirectory(disk)
    const doomed = { topicId: OTHER_TOPIC_ID, partition: 0 }
    for (const partition of [P0, doomed]) {
      const log = await directory.openPartition(partition, CREATE)
      for (let i = 0; i < 5; i++)
        await log.appendAsLeader(batchOf({ text: `${i}`, paddingBytes: 2_000 }), 1).written
    }
    await directory.checkpoint(new Map([[partitionKey(OTHER_TOPIC_ID, 0), 5]]))
    const { totalBytes, availableBytes } = await disk.space(PATH)
    disk.capacityBytes = totalBytes - availableBytes
    await expect(directory.checkpoint(new Map())).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    await directory.deletePartition(doomed)
    expect((await disk.space(PATH)).availableBytes).toBeGreaterThan(10_000)
    await directory.checkpoint(new Map())
    expect(failures).toEqual([])
    const { directory: again } = await openDirectory(disk.afterPowerLoss())
    expect([again.partitions(), again.hadLog(doomed)]).toEqual([[P0], false])
  })

  it('STO-16: a hard limit in the middle of a write -> cut back durably, DISK_FULL, the next one at the same offset', async () => {
    const disk = new MemoryFileSystem()
    const clock = new ManualClock()
    const settings = { ...LOG_DIRECTORY_SETTINGS_DEFAULT.disk, maxPercent: 100, warnPercent: 100 }
    const { directory, failures } = await openDirectory(disk, {
      clock,
      settings: { ...LOG_DIRECTORY_SETTINGS_DEFAULT, disk: settings },
    })
    const log = await directory.openPartition(P0, CREATE)
    expect(await append(log, 'a')).toBe('written')
    const { totalBytes, availableBytes } = await disk.space(PATH)
    disk.capacityBytes = totalBytes - availableBytes + 1_024
    expect(await append(log, `b${'x'.repeat(5_000)}`)).toBe('DISK_FULL')
    expect(await append(log, 'c')).toBe('DISK_FULL')
    expect([log.logEndOffset, await textsOf(log), failures]).toEqual([1, ['a'], []])
    disk.capacityBytes = null
    for (let i = 0; i < 6; i++) {
      clock.advance(1_000)
      await settled()
    }
    expect(await append(log, 'd')).toBe('written')
    await log.flush()
    const { directory: again } = await openDirectory(disk.afterPowerLoss())
    expect(await textsOf(await again.openPartition(P0, EXISTING))).toEqual(['a', 'd'])
  })

  it('STO-16: no room for a checkpoint -> the old one is still there and true; it is saved with room', async () => {
    const gated = new GatedDisk()
    const { directory, failures } = await openDirectory(gated.disk)
    const log = await directory.openPartition(P0, CREATE)
    await append(log, 'a')
    await log.flush()
    await directory.checkpoint(new Map([[KEY0, 1]]))
    await append(log, 'b')
    await log.flush()
    for (const code of ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE']) {
      gated.fail(
        { kind: code.startsWith('E') && code.endsWith('FILE') ? 'open' : 'write', path: '.tmp' },
        posixError(code, 'x'),
      )
      await expect(directory.checkpoint(new Map([[KEY0, 2]]))).rejects.toMatchObject({
        code: 'STORAGE_ERROR',
        retriable: true,
      })
    }
    expect(failures).toEqual([])
    const killed = gated.disk.afterPowerLoss()
    const { directory: again } = await openDirectory(killed)
    expect(again.highWatermark(P0)).toBe(1)
    expect(await textsOf(await again.openPartition(P0, EXISTING))).toEqual(['a', 'b'])
    await again.checkpoint(new Map([[KEY0, 2]]))
    expect((await openDirectory(killed.afterPowerLoss())).directory.highWatermark(P0)).toBe(2)
  })

  it('STO-21: a truncation whose recovery point cannot be lowered -> not begun, the log is as it was', async () => {
    const gated = new GatedDisk()
    const { directory, failures } = await openDirectory(gated.disk)
    const log = await directory.openPartition(P0, CREATE)
    for (const text of ['a', 'b', 'c']) await append(log, text)
    await log.flush()
    await directory.checkpoint(new Map())
    for (const cut of [() => log.truncateTo(1), () => log.truncateFullyAndStartAt(9)]) {
      gated.fail({ kind: 'write', path: 'recovery-points.tmp' }, posixError('ENOSPC', 'x'))
      await expect(cut()).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
      expect([log.logStartOffset, log.logEndOffset, log.flushedOffset]).toEqual([0, 3, 3])
      expect(await textsOf(log)).toEqual(['a', 'b', 'c'])
    }
    await append(log, 'd')
    await log.truncateTo(1)
    await append(log, 'e')
    await log.flush()
    expect(failures).toEqual([])
    const { directory: again } = await openDirectory(gated.disk.afterPowerLoss())
    expect(await textsOf(await again.openPartition(P0, EXISTING))).toEqual(['a', 'e'])
  })

  it('STO-17: the directory of a log is removed while it is open -> the directory has failed; the next start knows it is lost', async () => {
    const disk = new MemoryFileSystem()
    const { directory, failures } = await openDirectory(disk)
    const log = await directory.openPartition(P0, SMALL)
    await append(log, 'a')
    const path = `${PATH}/topics/${P0.topicId}/0`
    for (const name of await names(disk, path)) await disk.remove(`${path}/${name}`)
    await disk.removeDirectory(path)
    await append(log, 'b')
    await append(log, 'c')
    await append(log, 'd')
    await directory.checkpoint(new Map()).catch(() => {})
    expect(failures).toHaveLength(1)
    const { directory: again } = await openDirectory(disk.afterKill())
    expect([again.partitions(), again.hadLog(P0)]).toEqual([[], true])
  })

  it.each(['EACCES', 'EROFS'])(
    'STO-17: %s at a roll -> refused, definite, no path in the message for clients',
    async (code) => {
      const gated = new GatedDisk()
      const { directory, failures } = await openDirectory(gated.disk)
      const log = await directory.openPartition(P0, SMALL)
      for (const text of ['a', 'b', 'c', 'd']) await append(log, text)
      gated.fail({ kind: 'open', path: '.log' }, posixError(code, `${PATH}/topics/secret`), 100)
      const outcomes = new Set<string>()
      for (let i = 0; i < 8; i++) outcomes.add(await append(log, `${i}`))
      expect([...outcomes]).toContain('STORAGE_ERROR')
      const error = await log.appendAsLeader(batchOf({ text: 'e' }), 1).written.then(
        () => null,
        (thrown: Error) => thrown.message,
      )
      expect(error).toMatch(new RegExp(`nothing was appended: ${code}`))
      expect(error).not.toContain(PATH)
      expect(failures).toEqual([])
    },
  )
})
