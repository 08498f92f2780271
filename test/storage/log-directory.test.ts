import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { partitionKey } from '../../src/model/ids.ts'
import { CorruptLogError } from '../../src/storage/corrupt-log-error.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { NodeFileSystem } from '../../src/storage/node-file-system.ts'
import { MemoryMachine, MemoryProcess } from '../../src/testing/memory-process.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { sweepCrashes } from './crash-sweep.ts'
import {
  CREATE,
  EXISTING,
  fill,
  KEY0,
  names,
  OTHER_TOPIC_ID,
  openDirectory as open,
  P0,
  P1,
  PATH,
} from './directory-fixtures.ts'
import { batchOf, cpu, TOPIC_ID, textsOf, writeFile } from './fixtures.ts'
import { eio, GatedDisk } from './gated-disk.ts'

describe('log directory: clean stop', () => {
  it('STO-20: a clean stop -> the next start knows its broker epoch and rescans nothing', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a', 'b'])
    await directory.close({ cleanBrokerEpoch: 42 })
    expect(await names(disk)).toContain('clean-shutdown')
    const gated: string[] = []
    const next = disk.afterKill({
      onOperation: ({ kind, path }) => {
        gated.push(`${kind} ${path}`)
        return undefined
      },
    })
    const { directory: again } = await open(next)
    expect(again.cleanShutdownBrokerEpoch).toBe(42)
    expect(await names(next)).not.toContain('clean-shutdown')
    await again.openPartition(P0, EXISTING)
    // Nothing above the recovery point: no bytes of the log are written again.
    expect(gated.filter((entry) => /^(write|sync) .*\.log$/.test(entry))).toEqual([])
  })

  it('STO-20: no clean stop -> null; the mark is good for one start only', async () => {
    const disk = new MemoryFileSystem()
    await (await open(disk)).directory.close({ cleanBrokerEpoch: null })
    const { directory } = await open(disk)
    expect(directory.cleanShutdownBrokerEpoch).toBeNull()
    await directory.close({ cleanBrokerEpoch: 3 })
    const first = disk.afterKill()
    expect((await open(first)).directory.cleanShutdownBrokerEpoch).toBe(3)
    expect((await open(first.afterKill())).directory.cleanShutdownBrokerEpoch).toBeNull()
  })

  it('STO-20: the mark is removed durably before anything is written to a log', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a'])
    await directory.close({ cleanBrokerEpoch: 42 })
    await sweepCrashes<{ appended: boolean }>({
      prepare: async (prepared) => {
        const { directory: first } = await open(prepared)
        await fill(first, ['a'])
        await first.close({ cleanBrokerEpoch: 42 })
      },
      state: () => ({ appended: false }),
      async run(running, state) {
        const { directory: second } = await open(running)
        const log = await second.openPartition(P0, EXISTING)
        state.appended = true
        await log.appendAsLeader(batchOf({ text: 'b' }), 2).written
      },
      async check(after, { appended }) {
        const { directory: third } = await open(after)
        if (appended) expect(third.cleanShutdownBrokerEpoch).toBeNull()
      },
    })
  })

  it('STO-20: a stop that is cut off anywhere -> a mark only when all is flushed and checkpointed', async () => {
    let marks = 0
    await sweepCrashes<{ isClosed: boolean }>({
      prepare: async (prepared) => {
        const { directory } = await open(prepared)
        await directory.close({ cleanBrokerEpoch: null })
      },
      state: () => ({ isClosed: false }),
      async run(running, state) {
        const { directory } = await open(running)
        const log = await directory.openPartition(P0, {
          create: true,
          settings: { ...LOG_SETTINGS_DEFAULT, flushMessages: 1000 },
        })
        await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
        await directory.close({ cleanBrokerEpoch: 9 })
        state.isClosed = true
      },
      async check(after, { isClosed }) {
        const { directory } = await open(after)
        const isClean = directory.cleanShutdownBrokerEpoch !== null
        if (isClosed) expect(directory.cleanShutdownBrokerEpoch).toBe(9)
        if (!isClean) return
        marks++
        expect(directory.cleanShutdownBrokerEpoch).toBe(9)
        const log = await directory.openPartition(P0, EXISTING)
        expect(await textsOf(log)).toEqual(['a'])
        expect(log.droppedTail).toBeNull()
      },
    })
    expect(marks).toBeGreaterThan(0)
  })

  it('STO-20: a log that could not be flushed -> no mark, but the lock is given back', async () => {
    const gated = new GatedDisk()
    const { directory, failures } = await open(gated.disk)
    const log = await directory.openPartition(P0, {
      create: true,
      settings: { ...LOG_SETTINGS_DEFAULT, flushMessages: 1000 },
    })
    await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
    gated.fail({ kind: 'sync', path: '.log' }, eio())
    await expect(directory.close({ cleanBrokerEpoch: 9 })).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    expect(failures).toHaveLength(1)
    expect(await names(gated.disk)).not.toContain('clean-shutdown')
    expect(await names(gated.disk)).not.toContain('lock')
  })
})

describe('log directory: checkpoints', () => {
  it('STO-21: the recovery point -> only what was flushed, and damage below it is found', async () => {
    const gated = new GatedDisk()
    const { directory } = await open(gated.disk)
    const log = await directory.openPartition(P0, CREATE)
    await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
    await log.flush()
    gated.hold({ kind: 'sync', path: '.log' })
    await log.appendAsLeader(batchOf({ text: 'b' }), 1).written
    await directory.checkpoint(new Map())
    const disk = gated.disk.afterPowerLoss()
    const { directory: again } = await open(disk)
    expect(await textsOf(await again.openPartition(P0, EXISTING))).toEqual(['a'])
    await again.checkpoint(new Map())
    const killed = disk.afterKill()
    await writeFile(killed, `${PATH}/topics/${TOPIC_ID}/0/00000000000000000000.log`, new Uint8Array(0))
    const { directory: damaged } = await open(killed)
    const { health, logEndOffset } = await damaged.openPartition(P0, EXISTING)
    expect(health.damagedRanges).toMatchObject([{ offset: 0, endOffset: 1, position: 0, endPosition: 0 }])
    expect({ logEndOffset, isEndLost: health.isEndLost }).toEqual({ logEndOffset: 1, isEndLost: true })
  })

  it('STO-21: a truncation below the recovery point, then a crash -> not taken for damage', async () => {
    await sweepCrashes<{ isTruncated: boolean }>({
      prepare: async (prepared) => {
        const { directory } = await open(prepared)
        await fill(directory, ['a', 'b', 'c'])
        await directory.close({ cleanBrokerEpoch: null })
      },
      state: () => ({ isTruncated: false }),
      async run(running, state) {
        const { directory } = await open(running)
        const log = await directory.openPartition(P0, EXISTING)
        await directory.checkpoint(new Map())
        await log.truncateTo(1)
        state.isTruncated = true
        await directory.checkpoint(new Map())
      },
      async check(after, { isTruncated }) {
        const { directory } = await open(after)
        const texts = await textsOf(await directory.openPartition(P0, EXISTING))
        expect(texts).toEqual(isTruncated ? ['a'] : ['a', 'b', 'c'].slice(0, texts.length))
        expect(texts.length).toBeGreaterThanOrEqual(1)
      },
    })
  })

  it('STO-21: a checkpoint that cannot be written -> the directory has failed', async () => {
    for (const kind of ['write', 'rename'] as const) {
      const gated = new GatedDisk()
      const { directory, failures } = await open(gated.disk)
      await fill(directory, ['a'])
      gated.fail({ kind, path: 'recovery-points.tmp' }, eio())
      await expect(directory.checkpoint(new Map())).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
      expect(failures).toHaveLength(1)
    }
  })

  it('STO-12: one failed fsync -> every log of the directory refuses, the owner is told once', async () => {
    const gated = new GatedDisk()
    const { directory, failures } = await open(gated.disk)
    const logs = [await directory.openPartition(P0, CREATE), await directory.openPartition(P1, CREATE)]
    gated.fail({ kind: 'sync', path: '0/00000000000000000000.log' }, eio())
    await logs[0]!.appendAsLeader(batchOf({ text: 'a' }), 1).written
    await expect(logs[0]!.flush()).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    for (const log of logs) {
      expect(() => log.appendAsLeader(batchOf({ text: 'b' }), 1)).toThrow(
        expect.objectContaining({ code: 'STORAGE_ERROR' }),
      )
    }
    await expect(directory.checkpoint(new Map())).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    await expect(directory.setBrokerEpoch(5)).rejects.toMatchObject({ code: 'STORAGE_ERROR' })
    expect(failures).toHaveLength(1)
    await directory.close({ cleanBrokerEpoch: 3 })
    expect(await names(gated.disk)).not.toContain('clean-shutdown')
  })

  it('high watermarks -> kept for all partitions, also those not named again', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a', 'b'])
    await fill(directory, ['a'], P1)
    await directory.checkpoint(
      new Map([
        [KEY0, 2],
        [partitionKey(TOPIC_ID, 1), 1],
      ]),
    )
    await directory.checkpoint(new Map([[KEY0, 1]]))
    const { directory: again } = await open(disk.afterPowerLoss())
    expect([again.highWatermark(P0), again.highWatermark(P1)]).toEqual([1, 1])
    expect(again.highWatermark({ topicId: OTHER_TOPIC_ID, partition: 0 })).toBeUndefined()
  })

  it.each(['high-watermarks', 'recovery-points'])(
    'STO-15: %s damaged -> rebuilt from the logs',
    async (name) => {
      for (const content of ['', '{', 'x'.repeat(500)]) {
        const disk = new MemoryFileSystem()
        const { directory } = await open(disk)
        await fill(directory, ['a'])
        await directory.close({ cleanBrokerEpoch: 1 })
        await writeFile(disk, `${PATH}/${name}`, cpu.encodeUtf8(content))
        const { directory: again } = await open(disk)
        const log = await again.openPartition(P0, EXISTING)
        expect(log.logEndOffset).toBe(1)
        expect(log.flushedOffset).toBe(1)
      }
    },
  )

  it('many checkpoints at once -> they share writes', async () => {
    const gated = new GatedDisk()
    const { directory } = await open(gated.disk)
    const before = gated.count({ kind: 'rename', path: 'recovery-points.tmp' })
    await Promise.all(Array.from({ length: 50 }, () => directory.checkpoint(new Map())))
    expect(gated.count({ kind: 'rename', path: 'recovery-points.tmp' }) - before).toBeLessThanOrEqual(3)
  })
})

describe('log directory: partitions', () => {
  it('created, found again, opened again', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a'])
    await fill(directory, ['b'], { topicId: OTHER_TOPIC_ID, partition: 12 })
    const { directory: again } = await open(disk.afterPowerLoss())
    expect(again.partitions()).toEqual([P0, { topicId: OTHER_TOPIC_ID, partition: 12 }])
    expect(await textsOf(await again.openPartition(P0, EXISTING))).toEqual(['a'])
  })

  it('STO-14: created and acknowledged, then power loss at every operation -> it is there', async () => {
    await sweepCrashes<{ flushed: number }>({
      state: () => ({ flushed: 0 }),
      async run(running, state) {
        const { directory } = await open(running)
        const log = await directory.openPartition(P0, CREATE)
        await log.appendAsLeader(batchOf({ text: 'a' }), 1).written
        await log.flush()
        state.flushed = 1
      },
      async check(after, { flushed }) {
        const { directory } = await open(after)
        if (flushed === 1) expect(await textsOf(await directory.openPartition(P0, EXISTING))).toEqual(['a'])
      },
    })
  })

  it('STO-14: made by a process that was killed, used by the next, then power loss -> it is there', async () => {
    await sweepCrashes<object>({
      state: () => ({}),
      async run(running) {
        const { directory } = await open(running)
        await directory.openPartition(P0, CREATE)
      },
      async check(after) {
        const { directory } = await open(after)
        await fill(directory, ['a'])
        const { directory: again } = await open(after.afterPowerLoss())
        expect(await textsOf(await again.openPartition(P0, EXISTING))).toEqual(['a'])
      },
    })
  })

  it('one that does not exist -> UNKNOWN_TOPIC_OR_PARTITION, nothing made', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await expect(directory.openPartition(P0, EXISTING)).rejects.toMatchObject({
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
    expect(directory.partitions()).toEqual([])
    expect(await names(disk, `${PATH}/topics`)).toEqual([])
  })

  it('one whose files are gone although it had records -> the message says so', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a', 'b'])
    await directory.close({ cleanBrokerEpoch: 1 })
    const path = `${PATH}/topics/${TOPIC_ID}/0`
    for (const { name } of await disk.list(path)) await disk.remove(`${path}/${name}`)
    await disk.removeDirectory(path)
    const { directory: again } = await open(disk)
    await expect(again.openPartition(P0, EXISTING)).rejects.toThrow(/2 offsets flushed here: it is lost/)
  })

  it.each(['deletePartition', 'closePartition'] as const)(
    'a checkpoint while %s is under way -> the directory goes on',
    async (end) => {
      const { directory } = await open(new MemoryFileSystem())
      await directory.openPartition(P0, CREATE)
      await Promise.all([directory[end](P0), directory.checkpoint(new Map())])
      const log = await directory.openPartition(P1, CREATE)
      await log.flush()
      expect(directory.partitions()).toContainEqual(P1)
    },
  )

  it('deleted -> gone for good, also its checkpoints; made again -> empty', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a', 'b'])
    await fill(directory, ['c'], P1)
    await directory.checkpoint(new Map([[KEY0, 2]]))
    await directory.deletePartition(P0)
    expect(directory.partitions()).toEqual([P1])
    const { directory: again } = await open(disk.afterPowerLoss())
    expect(again.partitions()).toEqual([P1])
    expect(again.highWatermark(P0)).toBeUndefined()
    const log = await again.openPartition(P0, CREATE)
    expect(log.logEndOffset).toBe(0)
  })

  it('deletion cut off anywhere -> the whole log or nothing; once told, nothing', async () => {
    await sweepCrashes<{ isDeleted: boolean }>({
      prepare: async (prepared) => {
        const { directory } = await open(prepared)
        await fill(directory, ['a', 'b'])
        await directory.close({ cleanBrokerEpoch: 1 })
      },
      state: () => ({ isDeleted: false }),
      async run(running, state) {
        const { directory } = await open(running)
        await directory.openPartition(P0, EXISTING)
        await directory.deletePartition(P0)
        state.isDeleted = true
      },
      async check(after, { isDeleted }) {
        const { directory } = await open(after)
        if (isDeleted) expect(directory.partitions()).toEqual([])
        if (directory.partitions().length > 0) {
          expect(await textsOf(await directory.openPartition(P0, EXISTING))).toEqual(['a', 'b'])
        } else {
          const log = await directory.openPartition(P0, CREATE)
          expect(log.logEndOffset).toBe(0)
          await log.appendAsLeader(batchOf({ text: 'new' }), 5).written
        }
        // Nothing of the deleted one is left behind.
        expect((await names(after, `${PATH}/topics/${TOPIC_ID}`)).join()).not.toContain('deleted')
      },
    })
  })

  it('creations and deletions of one topic at once -> do not get in each other’s way', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    const partitions = Array.from({ length: 8 }, (_, partition) => ({ topicId: TOPIC_ID, partition }))
    for (let round = 0; round < 5; round++) {
      await Promise.all(partitions.map((partition) => directory.openPartition(partition, CREATE)))
      await Promise.all(partitions.slice(1).map((partition) => directory.deletePartition(partition)))
      expect(directory.partitions()).toEqual([P0])
      await directory.deletePartition(P0)
    }
    expect(await names(disk, `${PATH}/topics`)).toEqual([])
  })

  it('closed by itself -> can be opened again', async () => {
    const { directory } = await open(new MemoryFileSystem())
    await fill(directory, ['a'])
    await directory.closePartition(P0)
    const log = await directory.openPartition(P0, EXISTING)
    expect(await textsOf(log)).toEqual(['a'])
  })

  it('STO-24: unknown directories and files -> left alone and logged', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a'])
    await directory.close({ cleanBrokerEpoch: 1 })
    const foreign = ['topics/my-topic', `topics/${TOPIC_ID}/1.stray`, `topics/${TOPIC_ID}/01`, 'lost+found']
    for (const name of foreign) {
      await disk.makeDirectory(`${PATH}/${name}`)
      await writeFile(disk, `${PATH}/${name}/file`, new Uint8Array([1]))
    }
    const log = new RecordingLog()
    const { directory: again } = await open(disk, { log })
    expect(again.partitions()).toEqual([P0])
    for (const name of foreign) expect(await disk.exists(`${PATH}/${name}/file`)).toBe(true)
    const paths = log.named('unknown-file-left-alone').map(({ fields }) => fields['path'])
    expect(new Set(paths)).toEqual(new Set(foreign.slice(0, 3).map((name) => `${PATH}/${name}`)))
  })

  it('STO-24: the metadata log -> apart from topics, with its own recovery point; damaged, it is not opened', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    const log = await directory.openMetadataLog({ settings: LOG_SETTINGS_DEFAULT })
    await log.appendAsLeader(batchOf({ text: 'entry' }), 3).written
    await log.flush()
    await directory.checkpoint(new Map())
    expect(directory.partitions()).toEqual([])
    expect(await names(disk, `${PATH}/metadata`)).toContain('00000000000000000000.log')
    const lost = disk.afterPowerLoss()
    const { directory: again } = await open(lost)
    expect(await textsOf(await again.openMetadataLog({ settings: LOG_SETTINGS_DEFAULT }))).toEqual(['entry'])
    await writeFile(lost, `${PATH}/metadata/00000000000000000000.log`, new Uint8Array(0))
    const { directory: damaged } = await open(lost.afterKill())
    await expect(damaged.openMetadataLog({ settings: LOG_SETTINGS_DEFAULT })).rejects.toBeInstanceOf(
      CorruptLogError,
    )
  })
})

describe('log directory on a real disk', () => {
  it('start, append, clean stop, start, kill, start', async () => {
    const root = await mkdtemp(join(tmpdir(), 'vltava-directory-'))
    onTestFinished(() => rm(root, { recursive: true, force: true }))
    const path = join(root, 'a/b')
    const fileSystem = new NodeFileSystem()
    const machine = new MemoryMachine()
    const first = new MemoryProcess({ machine })
    const { directory } = await open(fileSystem, { path, process: first })
    await fill(directory, ['a', 'b'])
    await expect(open(fileSystem, { path, process: new MemoryProcess({ machine }) })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
    await directory.close({ cleanBrokerEpoch: 4 })
    const second = new MemoryProcess({ machine })
    const { directory: again } = await open(fileSystem, { path, process: second })
    expect(again.cleanShutdownBrokerEpoch).toBe(4)
    const log = await again.openPartition(P0, EXISTING)
    await log.appendAsLeader(batchOf({ text: 'c' }), 2).written
    second.kill()
    const { directory: last } = await open(fileSystem, { path, process: new MemoryProcess({ machine }) })
    expect(await textsOf(await last.openPartition(P0, EXISTING))).toEqual(['a', 'b', 'c'])
    await last.deletePartition(P0)
    await last.close({ cleanBrokerEpoch: null })
    expect(await names(fileSystem, join(path, 'topics'))).toEqual([])
  })
})
