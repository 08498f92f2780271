import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import { HardStateFile } from '../../src/controller/hard-state-file.ts'
import { decodeSnapshot, encodeSnapshot } from '../../src/controller/metadata-snapshot.ts'
import type { PersistedState } from '../../src/controller/raft-driver.ts'
import { RaftLogStore, type StoredLog } from '../../src/controller/raft-log-store.ts'
import { SnapshotFiles } from '../../src/controller/snapshot-files.ts'
import { EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import type { Entry, HardState, Snapshot } from '../../src/raft/types.ts'
import { makeDurableDirectory } from '../../src/storage/file-io.ts'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, LogDirectory } from '../../src/storage/log-directory.ts'
import {
  MemoryFileSystem,
  type MemoryFileSystemOptions,
  randomPowerLoss,
} from '../../src/storage/memory-file-system.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { MemoryMachine, MemoryProcess } from '../../src/testing/memory-process.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'

const METADATA = '/data/metadata'
const SEGMENT_BYTES = 64 * 1024

function entry(index: number, term: number, text: string | null = `${term}.${index}`): Entry {
  return { index, term, data: text === null ? null : new Uint8Array(new TextEncoder().encode(text)) }
}

function shown({ hardState, loaded, entries }: StoredLog): string {
  const list = entries.map(({ index, term, data }) => {
    return `${index}/${term}:${data === null ? 'null' : new TextDecoder().decode(data)}`
  })
  const snapshot = loaded === null ? '' : `snapshot ${loaded.snapshot.index}/${loaded.snapshot.term} `
  return `term ${hardState.term} vote ${hardState.votedFor ?? 'none'} | ${snapshot}${list.join(' ')}`
}

const machine = new MemoryMachine()

/** One run of the store on a disk; the run before has ended by then. */
async function opened(
  fileSystem: MemoryFileSystem,
  segmentBytes = SEGMENT_BYTES,
): Promise<{
  readonly store: RaftLogStore
  readonly snapshots: SnapshotFiles
  readonly log: RecordingLog
  readonly stored: StoredLog
  readonly close: () => Promise<void>
}> {
  machine.reboot()
  const log = new RecordingLog()
  const environment = {
    fileSystem,
    clock: new ManualClock(),
    random: seededRandom(1),
    cpu: createNodeCpu(null),
    log,
    process: new MemoryProcess({ machine }),
  }
  const directory = await LogDirectory.open({
    ...environment,
    path: '/data',
    nodeId: 1,
    settings: LOG_DIRECTORY_SETTINGS_DEFAULT,
    onFailure: () => {},
  })
  await makeDurableDirectory(fileSystem, METADATA)
  const hardState = new HardStateFile(environment, METADATA)
  await hardState.prepare()
  const snapshots = new SnapshotFiles({ ...environment, path: METADATA })
  const store = new RaftLogStore({ environment, directory, hardState, snapshots, segmentBytes })
  const stored = await store.open()
  return { store, snapshots, log, stored, close: () => directory.close({ cleanBrokerEpoch: null }) }
}

async function found(fileSystem: MemoryFileSystem): Promise<string> {
  const { stored } = await opened(fileSystem)
  return shown(stored)
}

interface Step {
  readonly hardState?: HardState
  readonly snapshot?: Snapshot
  readonly entries?: readonly Entry[]
}

async function persist(
  store: RaftLogStore,
  { hardState = null, snapshot = null, entries = [] }: Partial<PersistedState>,
): Promise<void> {
  await store.persist({ hardState, snapshot, entries })
}

describe('the durable Raft log', () => {
  it('a new node has no term, no vote and no entries', async () => {
    expect(await found(new MemoryFileSystem())).toBe('term 0 vote none | ')
  })

  it('what was persisted is found again, after a stop in order as after power loss', async () => {
    const steps: readonly Step[] = [
      { hardState: { term: 1, votedFor: 2 }, entries: [entry(1, 1, null), entry(2, 1), entry(3, 1, '')] },
      { entries: [entry(4, 1)] },
      { hardState: { term: 4, votedFor: null } },
      { hardState: { term: 5, votedFor: 1 }, entries: [entry(5, 5), entry(6, 5)] },
    ]
    const expected = 'term 5 vote 1 | 1/1:null 2/1:1.2 3/1: 4/1:1.4 5/5:5.5 6/5:5.6'
    for (const end of ['stop', 'power loss'] as const) {
      const disk = new MemoryFileSystem()
      const { store, close } = await opened(disk)
      for (const step of steps) await persist(store, step)
      if (end === 'stop') await close()
      expect(await found(end === 'stop' ? disk.afterKill() : disk.afterPowerLoss())).toBe(expected)
    }
  })

  it('an entry that changes the voters -> is found with them, and with its records', async () => {
    const disk = new MemoryFileSystem()
    const voters = [
      { id: 1, directoryId: 'first-disk' },
      { id: 7, directoryId: 'second-disk' },
    ]
    const entries = [entry(1, 1, null), { ...entry(2, 1), voters }, entry(3, 1)]
    const { store } = await opened(disk)
    await persist(store, { hardState: { term: 1, votedFor: 1 }, entries })
    const { stored } = await opened(disk.afterPowerLoss())
    expect(stored.entries).toEqual(entries)
  })

  it('entries of several terms in one write', async () => {
    const disk = new MemoryFileSystem()
    const { store } = await opened(disk)
    await persist(store, {
      hardState: { term: 3, votedFor: null },
      entries: [entry(1, 1), entry(2, 2), entry(3, 3), entry(4, 3)],
    })
    expect(await found(disk.afterPowerLoss())).toBe('term 3 vote none | 1/1:1.1 2/2:2.2 3/3:3.3 4/3:3.4')
  })

  it('a conflict cuts exactly the entries from it on, also when they were written together', async () => {
    const disk = new MemoryFileSystem()
    const { store } = await opened(disk)
    await persist(store, {
      hardState: { term: 1, votedFor: null },
      entries: [1, 2, 3, 4, 5].map((index) => entry(index, 1)),
    })
    await persist(store, { hardState: { term: 2, votedFor: null }, entries: [entry(4, 2)] })
    expect(await found(disk.afterPowerLoss())).toBe('term 2 vote none | 1/1:1.1 2/1:1.2 3/1:1.3 4/2:2.4')
  })

  it('many entries over several segments', async () => {
    const disk = new MemoryFileSystem()
    const { store, close } = await opened(disk)
    const large = 'x'.repeat(4 * 1024)
    await persist(store, { hardState: { term: 1, votedFor: null } })
    for (let index = 1; index <= 70; index++) await persist(store, { entries: [entry(index, 1, large)] })
    await close()
    const { stored } = await opened(disk.afterKill())
    expect(stored.entries.length).toBe(70)
    expect(stored.entries.every(({ data }) => data?.length === large.length)).toBe(true)
  })

  it('a gap is a bug of the caller', async () => {
    const { store } = await opened(new MemoryFileSystem())
    await expect(persist(store, { entries: [entry(2, 1)] })).rejects.toThrow(/entry 2 leaves a gap/)
  })

  it('a damaged entry in a sealed segment -> the node does not start', async () => {
    const disk = new MemoryFileSystem()
    const { store, close } = await opened(disk)
    await persist(store, { hardState: { term: 1, votedFor: null } })
    const large = 'x'.repeat(4 * 1024)
    for (let index = 1; index <= 70; index++) await persist(store, { entries: [entry(index, 1, large)] })
    await close()
    const next = disk.afterKill()
    const handle = await next.open(`${METADATA}/${'0'.repeat(20)}.log`, 'read-write')
    await handle.write([new Uint8Array([1])], 5_000)
    await handle.close()
    await expect(found(next)).rejects.toThrow(expect.objectContaining({ code: 'CORRUPT_MESSAGE' }))
  })
})

describe('RAFT-01, RAFT-02: power loss at every operation', () => {
  const first: Step = {
    hardState: { term: 1, votedFor: 2 },
    entries: [1, 2, 3].map((index) => entry(index, 1)),
  }
  const second: Step = { hardState: { term: 2, votedFor: null }, entries: [entry(3, 2), entry(4, 2)] }
  const before = 'term 1 vote 2 | 1/1:1.1 2/1:1.2 3/1:1.3'
  // The vote first, then the cut, then the entries, of which the torn tail can be any beginning.
  const possible = [
    before,
    'term 2 vote none | 1/1:1.1 2/1:1.2 3/1:1.3',
    'term 2 vote none | 1/1:1.1 2/1:1.2',
    'term 2 vote none | 1/1:1.1 2/1:1.2 3/2:2.3',
    'term 2 vote none | 1/1:1.1 2/1:1.2 3/2:2.3 4/2:2.4',
  ]

  async function crashAt(
    operation: number,
    seed: number | null,
  ): Promise<{ readonly found: string; readonly isDone: boolean }> {
    const disk = new MemoryFileSystem()
    const run = await opened(disk)
    await persist(run.store, first)
    await run.close()
    let isDone = false
    let stop = (): void => {}
    const stopped = new Promise<void>((resolve) => {
      stop = resolve
    })
    let base: number | null = null
    const options: MemoryFileSystemOptions = {
      onOperation: async ({ sequence }) => {
        if (base === null || sequence - base < operation) return
        stop()
        await new Promise(() => {})
      },
    }
    const crashing = disk.afterKill(options)
    const { store } = await opened(crashing)
    base = crashing.operations
    const done = persist(store, second).then(() => {
      isDone = true
    })
    await Promise.race([done, stopped])
    const loss = seed === null ? {} : randomPowerLoss(seededRandom(seed))
    return { found: await found(crashing.afterPowerLoss(loss)), isDone }
  }

  it('the old or the new state is found, never less than was acknowledged', async () => {
    const seen = new Set<string>()
    for (let operation = 1, isDone = false; !isDone; operation++) {
      for (const seed of [null, 1, 2, 3]) {
        const outcome = await crashAt(operation, seed)
        expect(possible).toContain(outcome.found)
        if (outcome.isDone) expect(outcome.found).toBe(possible.at(-1))
        seen.add(outcome.found)
        isDone = outcome.isDone
      }
    }
    expect(seen.size).toBeGreaterThanOrEqual(4)
  })
})

const cpu = createNodeCpu(null)

function snapshotOf(index: number, term: number): Snapshot {
  const image = { ...EMPTY_IMAGE, metadataOffset: index }
  return { index, term, data: concatBytes([...encodeSnapshot({ image, term }, { cpu, wallMs: 5 })]) }
}

async function filesIn(disk: MemoryFileSystem): Promise<readonly string[]> {
  return (await disk.list(METADATA)).map(({ name }) => name)
}

async function damage(disk: MemoryFileSystem, name: string): Promise<void> {
  const handle = await disk.open(`${METADATA}/${name}`, 'read-write')
  await handle.write([new Uint8Array([0xff])], 70)
  await handle.close()
}

const nameOf = (index: number, term: number): string =>
  `${String(index).padStart(20, '0')}-${String(term).padStart(10, '0')}.checkpoint`

describe('snapshots in the durable Raft log', () => {
  const term1 = (first: number, last: number): Entry[] =>
    Array.from({ length: last - first + 1 }, (_, i) => entry(first + i, 1, 'x'.repeat(300)))

  /** Ten entries in segments of a few each, and own snapshots up to 4 and 8. */
  async function withSnapshots(disk: MemoryFileSystem): Promise<Awaited<ReturnType<typeof opened>>> {
    const run = await opened(disk, 1_024)
    await persist(run.store, { hardState: { term: 1, votedFor: null } })
    for (const one of term1(1, 10)) await persist(run.store, { entries: [one] })
    for (const index of [4, 8]) {
      const { data } = snapshotOf(index, 1)
      await run.snapshots.write({ index, term: 1 }, [data])
      await run.store.compact()
    }
    return run
  }

  it('RAFT-38: two snapshots -> the log before the older one goes, in whole segments', async () => {
    const disk = new MemoryFileSystem()
    await withSnapshots(disk)
    const logs = (await filesIn(disk))
      .filter((name) => name.endsWith('.log'))
      .map((name) => Number(name.slice(0, 20)))
    expect(logs[0]).toBeGreaterThan(0)
    expect(logs[0]).toBeLessThanOrEqual(4)
    const { stored } = await opened(disk.afterPowerLoss(), 1_024)
    expect(stored.loaded?.snapshot).toMatchObject({ index: 8, term: 1 })
    expect(stored.loaded?.image.metadataOffset).toBe(8)
    expect(stored.entries.map(({ index }) => index)).toEqual([9, 10])
  })

  it('a third one -> the first is removed', async () => {
    const disk = new MemoryFileSystem()
    const { snapshots, store } = await withSnapshots(disk)
    await snapshots.write({ index: 10, term: 1 }, [snapshotOf(10, 1).data])
    await store.compact()
    expect((await snapshots.list()).map(({ index }) => index)).toEqual([10, 8])
  })

  it('STO-24, JEP-19: the newest is damaged -> put aside, and the one before it with the log gives the state', async () => {
    const disk = new MemoryFileSystem()
    await (await withSnapshots(disk)).close()
    const next = disk.afterKill()
    await damage(next, nameOf(8, 1))
    const { stored, log } = await opened(next, 1_024)
    expect(stored.loaded?.snapshot.index).toBe(4)
    expect(stored.entries.map(({ index }) => index)).toEqual([5, 6, 7, 8, 9, 10])
    expect(log.named('metadata-snapshot-damaged')).toHaveLength(1)
    expect(await filesIn(next)).toContain(`${nameOf(8, 1)}.damaged`)
  })

  it('STO-24, JEP-19: both are damaged -> the node does not start, and says what to do', async () => {
    const disk = new MemoryFileSystem()
    await (await withSnapshots(disk)).close()
    const next = disk.afterKill()
    for (const index of [4, 8]) await damage(next, nameOf(index, 1))
    await expect(opened(next, 1_024)).rejects.toThrow(
      expect.objectContaining({
        code: 'STORAGE_ERROR',
        message: expect.stringMatching(/no intact snapshot.*Restore/),
      }),
    )
  })

  it('a file under the name of another snapshot -> not loaded', async () => {
    const snapshot = snapshotOf(8, 1)
    expect(() => decodeSnapshot({ ...snapshot, index: 9 }, cpu)).toThrow(
      'ends at offset 8, it should end at 9',
    )
    expect(() => decodeSnapshot({ ...snapshot, term: 2 }, cpu)).toThrow('is not of epoch 2')
  })

  it('RAFT-28: half a snapshot -> not loaded', () => {
    const image = { ...EMPTY_IMAGE, metadataOffset: 8, deletedTopics: new Map([['a'.repeat(22), 3]]) }
    const data = concatBytes([...encodeSnapshot({ image, term: 1 }, { cpu, wallMs: 5 })])
    for (let length = 0; length < data.length; length++) {
      expect(() => decodeSnapshot({ index: 8, term: 1, data: data.subarray(0, length) }, cpu)).toThrow()
    }
  })

  it('what a crash left unfinished -> removed at the next start', async () => {
    const disk = new MemoryFileSystem()
    await (await withSnapshots(disk)).close()
    const next = disk.afterKill()
    const handle = await next.open(`${METADATA}/${nameOf(9, 1)}.part`, 'create')
    await handle.close()
    await opened(next, 1_024)
    expect((await filesIn(next)).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  it('a snapshot that was damaged on its way -> refused before the log is dropped', async () => {
    const disk = new MemoryFileSystem()
    const { store } = await withSnapshots(disk)
    const snapshot = snapshotOf(20, 3)
    snapshot.data[70]! ^= 1
    await expect(persist(store, { snapshot })).rejects.toThrow(VltavaError)
    expect((await opened(disk.afterKill(), 1_024)).stored.entries.map(({ index }) => index)).toEqual([9, 10])
  })

  it.each([
    ['beyond the end of the log', 20, 3, [21]],
    ['where the log holds another entry', 9, 2, [10]],
  ] as const)(
    'RAFT-28: a snapshot of the leader %s -> the log begins behind it',
    async (_, index, term, expected) => {
      const disk = new MemoryFileSystem()
      const { store } = await withSnapshots(disk)
      await persist(store, {
        hardState: { term: 3, votedFor: null },
        snapshot: snapshotOf(index, term),
        entries: [entry(index + 1, 3)],
      })
      const { stored } = await opened(disk.afterPowerLoss(), 1_024)
      expect(stored.loaded?.snapshot).toMatchObject({ index, term })
      expect(stored.entries.map((one) => one.index)).toEqual(expected)
    },
  )
})

describe('RAFT-28, RAFT-38, RAFT-40: power loss at every operation on snapshots', () => {
  const firstEntries = Array.from({ length: 6 }, (_, i) => entry(i + 1, 1, 'x'.repeat(300)))

  /** Runs the steps with a crash at one operation. */
  async function crashAt(
    operation: number,
    options: {
      readonly seed: number | null
      readonly work: (run: Awaited<ReturnType<typeof opened>>) => Promise<void>
    },
  ): Promise<{ readonly found: StoredLog; readonly isDone: boolean }> {
    const disk = new MemoryFileSystem()
    const before = await opened(disk, 1_024)
    await persist(before.store, { hardState: { term: 1, votedFor: 2 }, entries: firstEntries.slice(0, 3) })
    await persist(before.store, { entries: firstEntries.slice(3) })
    await before.snapshots.write({ index: 2, term: 1 }, [snapshotOf(2, 1).data])
    await before.close()
    let isDone = false
    let stop = (): void => {}
    const stopped = new Promise<void>((resolve) => {
      stop = resolve
    })
    let base: number | null = null
    const crashing = disk.afterKill({
      onOperation: async ({ sequence }) => {
        if (base === null || sequence - base < operation) return
        stop()
        await new Promise(() => {})
      },
    })
    const run = await opened(crashing, 1_024)
    base = crashing.operations
    const done = options.work(run).then(() => {
      isDone = true
    })
    await Promise.race([done, stopped])
    const loss = options.seed === null ? {} : randomPowerLoss(seededRandom(options.seed))
    const { stored } = await opened(crashing.afterPowerLoss(loss), 1_024)
    return { found: stored, isDone }
  }

  async function sweep(
    work: (run: Awaited<ReturnType<typeof opened>>) => Promise<void>,
    check: (found: StoredLog, isDone: boolean) => void,
  ): Promise<number> {
    let operation = 0
    for (let isDone = false; !isDone; ) {
      operation++
      for (const seed of [null, 1, 2, 3]) {
        const outcome = await crashAt(operation, { seed, work })
        check(outcome.found, outcome.isDone)
        isDone = outcome.isDone
      }
    }
    return operation
  }

  it('an own snapshot and the compaction behind it -> nothing that was durable is missing', async () => {
    const operations = await sweep(
      async ({ snapshots, store }) => {
        await snapshots.write({ index: 5, term: 1 }, [snapshotOf(5, 1).data])
        await store.compact()
      },
      ({ loaded, entries }, isDone) => {
        const { index } = loaded!.snapshot
        expect([2, 5]).toContain(index)
        if (isDone) expect(index).toBe(5)
        expect(loaded!.image.metadataOffset).toBe(index)
        expect(entries).toEqual(firstEntries.slice(index))
      },
    )
    expect(operations).toBeGreaterThan(8)
  })

  it('a snapshot of the leader in place of the log -> the old log or the snapshot, no mixture', async () => {
    const operations = await sweep(
      async ({ store }) => {
        await persist(store, {
          hardState: { term: 3, votedFor: null },
          snapshot: snapshotOf(9, 2),
          entries: [entry(10, 3)],
        })
      },
      ({ hardState, loaded, entries }, isDone) => {
        const { index } = loaded!.snapshot
        expect([2, 9]).toContain(index)
        if (index === 2) expect(entries).toEqual(firstEntries.slice(2))
        else expect(entries.length === 0 || entries[0]!.term === 3).toBe(true)
        if (index === 9) expect(hardState.term).toBe(3)
        if (isDone) expect(entries.map((one) => one.index)).toEqual([10])
      },
    )
    expect(operations).toBeGreaterThan(12)
  })
})
