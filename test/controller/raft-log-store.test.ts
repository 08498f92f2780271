import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { HardStateFile } from '../../src/controller/hard-state-file.ts'
import { RaftLogStore, type StoredLog } from '../../src/controller/raft-log-store.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import type { Entry, HardState } from '../../src/raft/types.ts'
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

function shown({ hardState, entries }: StoredLog): string {
  const list = entries.map(({ index, term, data }) => {
    return `${index}/${term}:${data === null ? 'null' : new TextDecoder().decode(data)}`
  })
  return `term ${hardState.term} vote ${hardState.votedFor ?? 'none'} | ${list.join(' ')}`
}

const machine = new MemoryMachine()

/** One run of the store on a disk; the run before has ended by then. */
async function opened(fileSystem: MemoryFileSystem): Promise<{
  readonly store: RaftLogStore
  readonly stored: StoredLog
  readonly close: () => Promise<void>
}> {
  machine.reboot()
  const environment = {
    fileSystem,
    clock: new ManualClock(),
    random: seededRandom(1),
    cpu: createNodeCpu(null),
    log: new RecordingLog(),
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
  const store = new RaftLogStore({ environment, directory, hardState, segmentBytes: SEGMENT_BYTES })
  const stored = await store.open()
  return { store, stored, close: () => directory.close({ cleanBrokerEpoch: null }) }
}

async function found(fileSystem: MemoryFileSystem): Promise<string> {
  const { stored } = await opened(fileSystem)
  return shown(stored)
}

interface Step {
  readonly hardState?: HardState
  readonly entries?: readonly Entry[]
}

async function persist(
  store: RaftLogStore,
  { hardState = null, entries = [] }: { hardState?: HardState | null; entries?: readonly Entry[] },
): Promise<void> {
  await store.persist({ hardState, entries })
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
