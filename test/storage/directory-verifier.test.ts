import { beforeEach, describe, expect, it } from 'vitest'
import { type VerifyReport, verifyDirectory } from '../../src/storage/directory-verifier.ts'
import { type DirectoryEntry, joinPath } from '../../src/storage/file-system.ts'
import type { LogDirectory } from '../../src/storage/log-directory.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { type FileOperation, MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { type CountedFileSystem, countHandles } from './counting-handles.ts'
import { openDirectory, P0, P1, PATH } from './directory-fixtures.ts'
import { batchOf, cpu, readFile, segmentPath, stamped, TOPIC_ID, writeFile } from './fixtures.ts'

const LOG = `${PATH}/topics/${TOPIC_ID}/0`
const SETTINGS = { ...LOG_SETTINGS_DEFAULT, segmentBytes: 1_000, indexIntervalBytes: 150 }
const READING = new Set(['open', 'read', 'list', 'exists', 'size', 'close'])

let operations: FileOperation[]
let disk: MemoryFileSystem
let counted: CountedFileSystem

beforeEach(async () => {
  operations = []
  disk = new MemoryFileSystem({
    onOperation: (operation) => {
      operations.push(operation)
      return undefined
    },
  })
  counted = countHandles(disk)
  const { directory } = await openDirectory(disk)
  await write(directory)
  await directory.close({ cleanBrokerEpoch: 3 })
})

/** Some 30 batches in epoch 1 and some in epoch 2 over several segments, and a second log. */
async function write(directory: LogDirectory): Promise<void> {
  for (const partition of [P0, P1]) {
    const log = await directory.openPartition(partition, { create: true, settings: SETTINGS })
    for (let i = 0; i < 40; i++) {
      const batch = batchOf({ text: `${partition.partition}-${i}`, records: 2, timestampMs: 1_000 + i })
      await log.appendAsLeader(batch, i < 25 ? 1 : 2).written
    }
    await log.flush()
  }
}

function verify(path = PATH, isRunning = false): Promise<VerifyReport> {
  return verifyDirectory({
    fileSystem: counted.fileSystem,
    cpu,
    process: { isRunning: () => isRunning },
    path,
    signal: new AbortController().signal,
  })
}

/** The findings as text, without the advice. */
async function found(path = PATH, isRunning = false): Promise<string[]> {
  const { findings } = await verify(path, isRunning)
  return findings.map(({ severity, path: at, position, offset, what }) =>
    [severity, at.slice(PATH.length + 1), position ?? '-', offset ?? '-', what].join(' | '),
  )
}

async function change(path: string, edit: (bytes: Uint8Array) => Uint8Array | undefined): Promise<void> {
  const bytes = await readFile(disk, path)
  await writeFile(disk, path, edit(bytes) ?? bytes)
}

function flip(path: string, position: number): Promise<void> {
  return change(path, (bytes) => {
    bytes[position]! ^= 0x10
    return undefined
  })
}

async function segmentsOf(directory = LOG): Promise<DirectoryEntry[]> {
  return (await disk.list(directory)).filter(({ name }) => name.endsWith('.log'))
}

async function lastSegment(): Promise<string> {
  return joinPath(LOG, (await segmentsOf()).at(-1)!.name)
}

/** A place inside of the log file, as a prefix of findings. */
function at(baseOffset: number, suffix = 'log'): string {
  return segmentPath(baseOffset, suffix, `topics/${TOPIC_ID}/0`)
}

describe('verify: sound', () => {
  it('a directory after a clean stop -> no finding, and everything was counted', async () => {
    const report = await verify()
    expect(report.findings).toEqual([])
    expect(report.counts).toEqual({ damage: 0, warning: 0, note: 0 })
    expect(report).toMatchObject({ inUseBy: null, checked: { logs: 2, batches: 80, records: 160 } })
    expect(report.checked.segments).toBeGreaterThan(6)
  })

  it('logs that start inside of a segment, and one of which nothing else is left -> no finding', async () => {
    const { directory } = await openDirectory(disk)
    const settings = { ...SETTINGS, fileDeleteDelayMs: 0 }
    const logs = await Promise.all(
      [P0, P1].map((of) => directory.openPartition(of, { create: false, settings })),
    )
    await logs[0]!.trimTo(73)
    await logs[1]!.trimTo(74)
    await logs[1]!.truncateTo(74)
    await directory.close({ cleanBrokerEpoch: 3 })
    expect(await found()).toEqual([])
  })

  it('any check -> nothing is written, renamed, removed or synced, and every file is closed', async () => {
    await flip(segmentPath(0, 'log', LOG), 70)
    await change(await lastSegment(), (bytes) => bytes.subarray(0, bytes.length - 3))
    await flip(`${PATH}/meta.json`, 40)
    operations = []
    await verify()
    await verify(LOG)
    expect(operations.map(({ kind }) => kind as string).filter((kind) => !READING.has(kind))).toEqual([])
    expect(counted.open).toBe(0)
  })

  it('the directory of one log -> it alone is checked, with the marks of its data directory', async () => {
    await change(await lastSegment(), (bytes) => bytes.subarray(0, bytes.length - 3))
    const report = await verify(LOG)
    expect(report.checked.logs).toBe(1)
    expect(report.findings.map(({ severity }) => severity)).toContain('damage')
  })

  it('a copy of a log outside of a data directory -> checked without marks', async () => {
    for (const { name } of await disk.list(LOG)) {
      await disk.makeDirectory('/copy')
      await writeFile(disk, `/copy/${name}`, await readFile(disk, joinPath(LOG, name)))
    }
    const report = await verify('/copy')
    expect([report.checked.batches, report.findings]).toEqual([40, []])
  })

  it('a running node that is writing the last batch -> a note', async () => {
    const { directory } = await openDirectory(disk)
    const log = await directory.openPartition(P0, { create: false, settings: SETTINGS })
    await log.appendAsLeader(batchOf({ text: 'in flight' }), 2).written
    const path = await lastSegment()
    const size = (await readFile(disk, path)).length
    await change(path, (bytes) => Uint8Array.from([...bytes, 0, 0, 0, 0, 0, 0, 0, 81, 0, 0]))
    const report = await verify(PATH, true)
    expect(report.inUseBy).toBe(1)
    expect(await found(PATH, true)).toEqual([
      `note | ${path.slice(PATH.length + 1)} | ${size} | 81 | the last 10 bytes are no batch (the file ends within a batch header): the process that uses the directory may be writing it right now`,
    ])
  })
})

describe('verify: damage', () => {
  it('a flipped bit in a sealed segment -> the batch, its place and its offsets, and the rest is checked', async () => {
    await flip(segmentPath(0, 'log', LOG), 70)
    expect(await found()).toEqual([
      `damage | ${at(0)} | 0 | 0 | the batch of the offsets 0 to 1: its checksum is wrong`,
    ])
    expect((await verify()).checked.batches).toBe(80)
  })

  it('a destroyed header -> the bytes up to the next sound batch are no batch', async () => {
    const bytes = await readFile(disk, segmentPath(0, 'log', LOG))
    const size = 12 + new DataView(bytes.buffer).getInt32(8)
    await flip(segmentPath(0, 'log', LOG), size + 16)
    expect(await found()).toEqual([
      `damage | ${at(0)} | ${size} | 2 | ${size} bytes are no batch: its magic is 18 instead of 2`,
    ])
  })

  it('a sealed segment of garbage -> damage from its start to its end', async () => {
    const path = segmentPath(0, 'log', LOG)
    const { length } = await readFile(disk, path)
    await writeFile(disk, path, new Uint8Array(length).fill(0xaa))
    const lines = await found()
    expect(lines[0]).toContain(`damage | ${at(0)} | 0 | 0 | ${length} bytes are no batch`)
    expect(lines[1]).toContain('are missing before the next segment')
    expect(lines).toHaveLength(2)
  })

  it('a segment that was removed from the middle -> the offsets that are missing', async () => {
    const [first, second, third] = await segmentsOf()
    await disk.remove(joinPath(LOG, second!.name))
    const [from, to] = [Number.parseInt(second!.name, 10), Number.parseInt(third!.name, 10) - 1]
    expect(await found()).toContainEqual(
      expect.stringContaining(`| ${from} | the offsets ${from} to ${to} are missing before the next segment`),
    )
    expect(first).toBeDefined()
  })

  it('segments that overlap -> said at the first one', async () => {
    const [, second] = await segmentsOf()
    await change(segmentPath(0, 'log', LOG), (bytes) =>
      Uint8Array.from([
        ...bytes,
        ...stamped({ text: 'x', offset: Number.parseInt(second!.name, 10), leaderEpoch: 1 }),
      ]),
    )
    expect(await found()).toContainEqual(expect.stringContaining('but the next segment begins at'))
  })

  it('a batch whose offsets or epoch do not continue the log -> damage', async () => {
    const path = segmentPath(0, 'log', LOG)
    const bytes = await readFile(disk, path)
    const size = 12 + new DataView(bytes.buffer).getInt32(8)
    await change(path, (all) => {
      all[size + 7] = 3
      return undefined
    })
    expect((await found())[0]).toContain(
      `damage | ${at(0)} | ${size} | 2 | the batch of the offsets 3 to 4: the offsets 2 to 2 are missing`,
    )
    await writeFile(disk, path, bytes)
    await change(path, (all) => {
      all[size + 15] = 0
      return undefined
    })
    expect((await found())[0]).toContain('its leader epoch is 0 after 1')
  })

  it('an epoch that is not that of leader-epochs -> damage', async () => {
    const path = `${LOG}/leader-epochs`
    await writeFile(disk, path, await readFile(disk, `${PATH}/topics/${TOPIC_ID}/1/leader-epochs`))
    const covered = '"format":"leader-epochs","version":1,"data":[[1,0],[3,50]]}\n'
    const crc = cpu.crc32c(cpu.encodeUtf8(covered)).toString(16).padStart(8, '0')
    await writeFile(disk, path, cpu.encodeUtf8(`{"crc32c":"${crc}",${covered}`))
    expect((await found())[0]).toContain('have the leader epoch 2, but leader-epochs says 3 at offset 50')
  })

  it('the log ends below its recovery point -> damage; the high watermark beyond the end -> a warning', async () => {
    await change(await lastSegment(), (bytes) => bytes.subarray(0, bytes.length - 3))
    expect(await found()).toContainEqual(
      expect.stringContaining('| 78 | the log ends at offset 78, but all below 80 had been flushed'),
    )
  })

  it('no segment, but a recovery point -> damage; no directory -> a warning', async () => {
    for (const { name } of await segmentsOf()) await disk.remove(joinPath(LOG, name))
    expect(await found()).toContainEqual(
      `damage | topics/${TOPIC_ID}/0 | - | 0 | there is no segment, but all below offset 80 had been flushed`,
    )
    for (const { name } of await disk.list(LOG)) await disk.remove(joinPath(LOG, name))
    await disk.removeDirectory(LOG)
    expect(await found()).toContainEqual(
      expect.stringContaining(`warning | recovery-points | - | 0 | the log ${TOPIC_ID}/0 was flushed up to`),
    )
  })

  it.each([
    ['meta.json', 'damage'],
    ['clean-shutdown', 'warning'],
    ['broker-epoch', 'warning'],
    ['recovery-points', 'warning'],
    ['high-watermarks', 'warning'],
    [`topics/${TOPIC_ID}/0/leader-epochs`, 'warning'],
  ])('%s with a flipped bit -> %s', async (name, severity) => {
    await writeFileIfAbsent(name)
    await flip(`${PATH}/${name}`, 60)
    expect(await found()).toContainEqual(`${severity} | ${name} | - | - | is damaged: its checksum is wrong`)
  })

  it('no meta.json -> damage', async () => {
    await disk.remove(`${PATH}/meta.json`)
    expect(await found()).toContainEqual(
      'damage | meta.json | - | - | is missing, so it cannot be told whose data this is',
    )
  })
})

/** Small files that a short life of a directory does not make. */
async function writeFileIfAbsent(name: string): Promise<void> {
  if (await disk.exists(`${PATH}/${name}`)) return
  const covered = `"format":"${name}","version":1,"data":{"brokerEpoch":7}}\n`
  const crc = cpu.crc32c(cpu.encodeUtf8(covered)).toString(16).padStart(8, '0')
  await writeFile(disk, `${PATH}/${name}`, cpu.encodeUtf8(`{"crc32c":"${crc}",${covered}`))
}

describe('verify: what is no damage', () => {
  it('a torn tail above the recovery point -> a note', async () => {
    const path = await lastSegment()
    const size = (await readFile(disk, path)).length
    const batch = stamped({ text: 'torn', offset: 80, leaderEpoch: 2 })
    await change(path, (bytes) => Uint8Array.from([...bytes, ...batch.subarray(0, 65)]))
    const report = await verify()
    expect(report.counts).toEqual({ damage: 0, warning: 0, note: 1 })
    expect(report.findings[0]).toMatchObject({
      position: size,
      offset: 80,
      what: expect.stringContaining('a torn tail that was never acknowledged'),
    })
  })

  it('damage above the recovery point with sound batches behind it -> damage all the same', async () => {
    const path = await lastSegment()
    const first = stamped({ text: 'a', offset: 80, leaderEpoch: 2 })
    const second = stamped({ text: 'b', offset: 81, leaderEpoch: 2 })
    first[66]! ^= 1
    await change(path, (bytes) => Uint8Array.from([...bytes, ...first, ...second]))
    expect(await found()).toEqual([
      expect.stringContaining('the batch of the offsets 80 to 80: its checksum is wrong'),
    ])
  })

  it('an index entry that points to no batch, or to another one -> a warning', async () => {
    const path = segmentPath(0, 'index', LOG)
    await change(path, (bytes) => {
      bytes[7]! += 1
      return undefined
    })
    expect(await found()).toEqual([
      expect.stringMatching(
        /^warning .*\.index \| 0 \| - \| an entry is wrong: no batch begins at its position/,
      ),
    ])
    await change(path, (bytes) => {
      bytes[7]! -= 1
      bytes[3]! += 1
      return undefined
    })
    expect(await found()).toEqual([expect.stringContaining('but the batch there has')])
  })

  it('a time index that tells an earlier time than a record has, or a part of an entry -> a warning', async () => {
    const path = segmentPath(0, 'timeindex', LOG)
    const bytes = await readFile(disk, path)
    await change(path, (all) => {
      all[7] = 0
      return undefined
    })
    expect(await found()).toEqual([expect.stringContaining('is later than its time')])
    await writeFile(disk, path, bytes.subarray(0, bytes.length - 5))
    expect(await found()).toEqual([expect.stringContaining('the file ends within an entry')])
  })

  it('an index file that is missing -> a note', async () => {
    await disk.remove(segmentPath(0, 'index', LOG))
    expect(await found()).toEqual([`note | ${at(0, 'index')} | - | - | is missing; it is made again`])
  })

  it('foreign and left-over files -> notes, each with what it is', async () => {
    for (const name of ['notes.txt', '7.log', `${'9'.padStart(20, '0')}.index`, 'leader-epochs.tmp']) {
      await writeFile(disk, `${LOG}/${name}`, new Uint8Array(3))
    }
    await writeFile(disk, `${PATH}/readme`, new Uint8Array(1))
    const lines = await found()
    expect(lines).toHaveLength(5)
    for (const line of lines) expect(line).toMatch(/^note /)
  })
})

describe('verify: refused', () => {
  it('a directory of something else -> says what is looked for', async () => {
    await disk.makeDirectory('/srv/me')
    await expect(verify('/srv/me')).rejects.toThrow(
      '/srv/me is no data directory and no directory of a partition: it has neither meta.json, topics nor metadata',
    )
  })

  it('an abort -> ends between two batches', async () => {
    const controller = new AbortController()
    controller.abort()
    const options = { fileSystem: disk, cpu, process: { isRunning: () => false }, path: PATH }
    await expect(verifyDirectory({ ...options, signal: controller.signal })).rejects.toThrow('aborted')
  })
})
