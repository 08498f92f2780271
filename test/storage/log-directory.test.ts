import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import type { Process } from '../../src/base/process.ts'
import { seededRandom } from '../../src/base/random.ts'
import { partitionKey } from '../../src/model/ids.ts'
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import { CorruptLogError } from '../../src/storage/corrupt-log-error.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import {
  LOG_DIRECTORY_SETTINGS_DEFAULT,
  LogDirectory,
  type LogDirectoryOptions,
} from '../../src/storage/log-directory.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { NodeFileSystem } from '../../src/storage/node-file-system.ts'
import { MemoryMachine, MemoryProcess } from '../../src/testing/memory-process.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { sweepCrashes } from './crash-sweep.ts'
import { batchOf, cpu, readFile, TOPIC_ID, textsOf, writeFile } from './fixtures.ts'
import { eio, GatedDisk } from './gated-disk.ts'

const PATH = '/var/vltava'
const OTHER_TOPIC_ID = 'BBBBBBBBBBBBBBBBBBBBBB'
const P0 = { topicId: TOPIC_ID, partition: 0 }
const P1 = { topicId: TOPIC_ID, partition: 1 }
const KEY0 = partitionKey(TOPIC_ID, 0)
const CREATE = { create: true, settings: LOG_SETTINGS_DEFAULT }
const EXISTING = { create: false, settings: LOG_SETTINGS_DEFAULT }

/** Takes every lock it finds for stale: where a test is not about the lock. */
const LONE_PROCESS: Process = {
  identity: { bootId: 'boot', pid: 1, startTime: '1' },
  isRunning: () => false,
  fail() {},
}

interface Opened {
  readonly directory: LogDirectory
  readonly failures: unknown[]
}

async function open(fileSystem: FileSystem, options: Partial<LogDirectoryOptions> = {}): Promise<Opened> {
  const failures: unknown[] = []
  const directory = await LogDirectory.open({
    fileSystem,
    path: PATH,
    process: LONE_PROCESS,
    random: seededRandom(7),
    cpu,
    log: silentLog,
    nodeId: 1,
    settings: LOG_DIRECTORY_SETTINGS_DEFAULT,
    onFailure: (error) => failures.push(error),
    ...options,
  })
  return { directory, failures }
}

async function fill(directory: LogDirectory, texts: readonly string[], partition = P0): Promise<void> {
  const log = await directory.openPartition(partition, CREATE)
  for (const text of texts) await log.appendAsLeader(batchOf({ text }), 1).written
  await log.flush()
}

function names(fileSystem: FileSystem, path = PATH): Promise<string[]> {
  return fileSystem.list(path).then((entries) => entries.map((entry) => entry.name))
}

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
    await expect(damaged.openPartition(P0, EXISTING)).rejects.toBeInstanceOf(CorruptLogError)
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
      const disk = new MemoryFileSystem()
      const { directory } = await open(disk)
      await fill(directory, ['a'])
      await directory.close({ cleanBrokerEpoch: 1 })
      for (const content of ['', '{', 'x'.repeat(500)]) {
        await writeFile(disk, `${PATH}/${name}`, cpu.encodeUtf8(content))
        const { directory: again } = await open(disk.afterKill())
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

describe('log directory: lock', () => {
  it('STO-22: a second process -> refused, with the pid and the path', async () => {
    const machine = new MemoryMachine()
    const disk = new MemoryFileSystem()
    const first = new MemoryProcess({ machine })
    const { directory } = await open(disk, { process: first })
    const second = new MemoryProcess({ machine })
    const error = await open(disk, { process: second }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'INVALID_REQUEST' })
    expect(String(error)).toContain(`pid ${first.identity.pid}`)
    expect(String(error)).toContain(PATH)
    await directory.close({ cleanBrokerEpoch: null })
    await (await open(disk, { process: second })).directory.close({ cleanBrokerEpoch: null })
  })

  it('STO-22: kill -9, a reboot, or a pid that was given to another process -> the lock does not block', async () => {
    const machine = new MemoryMachine()
    const disk = new MemoryFileSystem()
    const killed = new MemoryProcess({ machine })
    await open(disk, { process: killed })
    killed.kill()
    machine.start(killed.identity.pid)
    const rebooted = new MemoryProcess({ machine })
    await open(disk, { process: rebooted })
    machine.reboot()
    await open(disk, { process: new MemoryProcess({ machine }) })
    expect((await names(disk)).filter((name) => name.startsWith('lock'))).toEqual(['lock'])
  })

  it('STO-22: several starters at once, with and without a stale lock -> exactly one gets it', async () => {
    for (const isStale of [false, true]) {
      const machine = new MemoryMachine()
      const disk = new MemoryFileSystem()
      const first = new MemoryProcess({ machine })
      const { directory } = await open(disk, { process: first })
      if (isStale) first.kill()
      else await directory.close({ cleanBrokerEpoch: null })
      const starts = Array.from({ length: 6 }, (_, i) =>
        open(disk, { process: new MemoryProcess({ machine }), random: seededRandom(100 + i) }),
      )
      const outcomes = await Promise.allSettled(starts)
      expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'INVALID_REQUEST' })
      }
      expect((await names(disk)).filter((name) => name.startsWith('lock'))).toEqual(['lock'])
    }
  })

  it('STO-22: starters that run at different speeds -> never two at once', async () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = seededRandom(seed)
      const machine = new MemoryMachine()
      const stale = new MemoryFileSystem()
      const dead = new MemoryProcess({ machine })
      await open(stale, { process: dead })
      dead.kill()
      // Each operation of a starter takes some turns of the event loop, so that all orders come up.
      const disk = stale.afterKill({
        async onOperation() {
          for (let turns = random.below(6); turns > 0; turns--) await Promise.resolve()
          return undefined
        },
      })
      const processes = Array.from({ length: 4 }, () => new MemoryProcess({ machine }))
      const holders: MemoryProcess[] = []
      await Promise.all(
        processes.map(async (process, i) => {
          const started = await open(disk, { process, random: seededRandom(10 * seed + i) }).catch(() => null)
          if (started === null) return
          holders.push(process)
          expect(holders.filter((holder) => holder.isRunning(holder.identity))).toHaveLength(1)
          // Some die at once, and the others may have the directory.
          if (random.below(2) === 0) process.kill()
        }),
      )
      expect(holders.length).toBeGreaterThanOrEqual(1)
    }
  })

  it('STO-22: a start that dies anywhere -> does not block the next one', async () => {
    const machine = new MemoryMachine()
    await sweepCrashes<{ process: MemoryProcess }>({
      prepare: async (prepared) => {
        const dead = new MemoryProcess({ machine })
        await open(prepared, { process: dead })
        dead.kill()
      },
      state: () => ({ process: new MemoryProcess({ machine }) }),
      async run(running, { process }) {
        await open(running, { process, random: seededRandom(1) })
      },
      async check(after, { process }) {
        process.kill()
        const { directory } = await open(after, { process: new MemoryProcess({ machine }) })
        await directory.close({ cleanBrokerEpoch: null })
        expect(await names(after)).not.toContain('lock')
      },
    })
  })

  it('a damaged lock file -> refused with what to do', async () => {
    const disk = new MemoryFileSystem()
    await disk.makeDirectory(PATH)
    await writeFile(disk, `${PATH}/lock`, cpu.encodeUtf8('{"pid":'))
    await expect(open(disk)).rejects.toThrow(
      /lock is damaged. If no process uses this data directory, remove/,
    )
  })
})

describe('log directory: whose it is', () => {
  it('STO-23: another node id -> refused with both ids, nothing changed', async () => {
    const disk = new MemoryFileSystem()
    await (await open(disk, { nodeId: 3 })).directory.close({ cleanBrokerEpoch: 7 })
    const before = await readFile(disk, `${PATH}/meta.json`)
    await expect(open(disk, { nodeId: 4 })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message: expect.stringMatching(/node 3 .*id 4/) as string,
    })
    expect(await readFile(disk, `${PATH}/meta.json`)).toEqual(before)
    expect(await names(disk)).toContain('clean-shutdown')
    expect(await names(disk)).not.toContain('lock')
  })

  it('STO-23: a newer format version -> refused with both versions, nothing rewritten', async () => {
    const disk = new MemoryFileSystem()
    await disk.makeDirectory(PATH)
    const path = `${PATH}/meta.json`
    const later = new AtomicFile({ fileSystem: disk, cpu, path, format: 'data-directory', version: 9 })
    await later.write({ shape: 'unknown' })
    const before = await readFile(disk, path)
    await expect(open(disk)).rejects.toMatchObject({
      code: 'UNSUPPORTED_VERSION',
      message: expect.stringMatching(/version 9; .* up to 1/) as string,
    })
    expect(await readFile(disk, path)).toEqual(before)
  })

  it('STO-23: another cluster id -> refused with both; none yet -> adopted for good', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    expect(directory.clusterId).toBeNull()
    directory.expectClusterId('any')
    await directory.adoptClusterId('cluster-a')
    expect(directory.clusterId).toBe('cluster-a')
    const { directory: again } = await open(disk.afterPowerLoss())
    expect(again.clusterId).toBe('cluster-a')
    expect(again.directoryId).toBe(directory.directoryId)
    again.expectClusterId('cluster-a')
    const refused = expect.objectContaining({
      code: 'INCONSISTENT_CLUSTER_ID',
      message: expect.stringMatching(/cluster-a.*cluster-b/) as string,
    }) as Error
    expect(() => again.expectClusterId('cluster-b')).toThrow(refused)
    await expect(again.adoptClusterId('cluster-b')).rejects.toThrow(refused)
  })

  it.each(['', '{"crc32c":"00000000","format"', 'garbage'])(
    'STO-15: meta.json is %j -> refused, not made anew',
    async (content) => {
      const disk = new MemoryFileSystem()
      await (await open(disk)).directory.close({ cleanBrokerEpoch: null })
      await writeFile(disk, `${PATH}/meta.json`, cpu.encodeUtf8(content))
      await expect(open(disk)).rejects.toMatchObject({ code: 'STORAGE_ERROR', retriable: false })
      expect(new TextDecoder().decode(await readFile(disk, `${PATH}/meta.json`))).toBe(content)
    },
  )

  it('STO-15: meta.json is missing although there are logs -> refused', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    await fill(directory, ['a'])
    await directory.close({ cleanBrokerEpoch: null })
    await disk.remove(`${PATH}/meta.json`)
    await expect(open(disk)).rejects.toMatchObject({ code: 'STORAGE_ERROR', retriable: false })
    expect(await names(disk)).not.toContain('meta.json')
  })

  it('two new directories -> different ids', async () => {
    const first = await open(new MemoryFileSystem(), { random: seededRandom(1) })
    const second = await open(new MemoryFileSystem(), { random: seededRandom(2) })
    expect(first.directory.directoryId).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(first.directory.directoryId).not.toBe(second.directory.directoryId)
  })

  it('the broker epoch -> durable', async () => {
    const disk = new MemoryFileSystem()
    const { directory } = await open(disk)
    expect(directory.lastBrokerEpoch).toBeNull()
    await directory.setBrokerEpoch(12)
    expect(directory.lastBrokerEpoch).toBe(12)
    expect((await open(disk.afterPowerLoss())).directory.lastBrokerEpoch).toBe(12)
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

  it('unknown directories and files -> left alone and logged', async () => {
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
    expect(paths.sort()).toEqual(
      foreign
        .slice(0, 3)
        .map((name) => `${PATH}/${name}`)
        .sort(),
    )
  })

  it('the metadata log -> apart from topics, with its own recovery point', async () => {
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
