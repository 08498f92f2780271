// Compacted logs under damage, repair and retention.
import { describe, expect, it } from 'vitest'
import { batchSizeOf } from '../../src/record/batch-format.ts'
import { FindingList } from '../../src/storage/findings.ts'
import type { CompactionRun } from '../../src/storage/log-compaction.ts'
import type { RepairSource } from '../../src/storage/log-repair.ts'
import { verifyLog } from '../../src/storage/log-verifier.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { batchesOf, COMPACTING, compact, produce, rounds, shown } from './compaction-fixtures.ts'
import { sweepCrashes } from './crash-sweep.ts'
import {
  cpu,
  LOG_PATH,
  openTestLog,
  readFile,
  segmentPath,
  type TestLogOptions,
  writeFile,
} from './fixtures.ts'

const COUNT = 12
/** Several small segments become one of these. */
const LARGE = { ...COMPACTING, segmentBytes: 1_000 }

const open = (disk: MemoryFileSystem, options: TestLogOptions = {}) =>
  openTestLog(disk, {
    tailCacheBytes: 0,
    toleratesDamage: true,
    endIsKnown: true,
    ...options,
    settings: { ...COMPACTING, ...options.settings },
  })

const reopen = (disk: MemoryFileSystem, options: TestLogOptions = {}) =>
  open(disk, { recoveryPoint: COUNT, ...options, settings: { ...LARGE, ...options.settings } })

async function writtenDisk(): Promise<MemoryFileSystem> {
  const disk = new MemoryFileSystem()
  const { log } = await open(disk)
  await produce(log, rounds(COUNT))
  await log.close()
  return disk
}

async function compactedDisk(run: Partial<CompactionRun> = {}): Promise<MemoryFileSystem> {
  const disk = await writtenDisk()
  const { log } = await reopen(disk)
  expect(await compact(log, run)).not.toBeNull()
  await log.close()
  return disk
}

const noPause = async (): Promise<void> => {}

async function scrubbed(log: PartitionLog): Promise<number> {
  await log.health.scrub(noPause)
  return log.health.damagedRanges.length
}

function sourceOf(log: PartitionLog, end = COUNT): RepairSource {
  return async (offset) => {
    const read = { offset, maxBytes: 1, atLeastOneBatch: true }
    const within = await log.read({ ...read, endOffset: end })
    const parts = within.length > 0 ? within : await log.read({ ...read, endOffset: log.logEndOffset })
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]))
    return { bytes, compactedBelow: log.compaction.compactedBelow }
  }
}

/** Asks as a broker does: for what is damaged, and no more. */
async function repairAll(log: PartitionLog, from: PartitionLog): Promise<void> {
  for (const range of log.health.damagedRanges) {
    expect(await log.repair.repair(range, sourceOf(from, range.endOffset))).toBe(true)
  }
}

async function flip(disk: MemoryFileSystem, path: string, position: number, bit = 0): Promise<void> {
  const bytes = await readFile(disk, path)
  bytes[position]! ^= 1 << bit
  await writeFile(disk, path, bytes)
}

async function sealedBases(disk: MemoryFileSystem): Promise<number[]> {
  const names = (await disk.list(LOG_PATH)).map(({ name }) => name).filter((name) => name.endsWith('.log'))
  return names
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
    .slice(0, -1)
}

/** Where each batch of a file begins. */
async function positionsIn(disk: MemoryFileSystem, path: string): Promise<number[]> {
  const bytes = await readFile(disk, path)
  const positions: number[] = []
  for (let at = 0; at < bytes.length; at += batchSizeOf(bytes, at)) positions.push(at)
  return positions
}

describe('damage in a compacted log', () => {
  it('STO-33: a compacted log, with its mark or without -> no damage for scrub, reads and a start', async () => {
    for (const isMarkLost of [false, true]) {
      const disk = await compactedDisk()
      if (isMarkLost) await disk.remove(`${LOG_PATH}/compaction`)
      const { log } = await reopen(disk)
      expect(await scrubbed(log)).toBe(0)
      expect((await shown(log)).length).toBeLessThan(COUNT)
      expect(log.health.damagedRanges).toEqual([])
    }
  })

  it('STO-05: any bit of a compacted segment -> right records or CORRUPT_MESSAGE, then repaired byte for byte', async () => {
    const intactDisk = await compactedDisk()
    const { log: intact } = await reopen(intactDisk)
    const expected = await shown(intact)
    const [base] = await sealedBases(intactDisk)
    const path = segmentPath(base!)
    const bytes = await readFile(intactDisk, path)
    const starts = await positionsIn(intactDisk, path)
    const flips = Array.from(bytes, (_, position) => [position, position % 8] as const)
    // No checksum covers a base offset; one that is a little wrong could seem to be right.
    for (const start of starts) for (let bit = 0; bit < 8; bit++) flips.push([start + 7, bit])
    for (const [position, bit] of flips) {
      const disk = await compactedDisk()
      await flip(disk, path, position, bit)
      const { log } = await reopen(disk)
      await log.health.scrub(noPause)
      const what = `${path} at ${position}, bit ${bit}`
      expect(log.health.damagedRanges.length, what).toBeGreaterThan(0)
      await repairAll(log, intact)
      expect(await scrubbed(log), what).toBe(0)
      expect(await shown(log), what).toEqual(expected)
      expect(await readFile(disk, path), what).toEqual(bytes)
      await log.close()
    }
  }, 60_000)

  it('STO-05: another replica was compacted less, more, or not at all -> what it has is taken, the latest values stay', async () => {
    const { log: notAtAll } = await open(await writtenDisk(), { recoveryPoint: COUNT })
    const { log: less } = await reopen(await compactedDisk({ highWatermark: 7 }))
    const { log: more } = await reopen(await compactedDisk())
    const latest = (texts: readonly string[]) =>
      [...new Map(texts.map((text) => [text.split(' ')[1]![0], text])).values()].sort()
    for (const own of [{ highWatermark: 7 }, {}, null]) {
      for (const peer of [notAtAll, less, more]) {
        const made = async () => (own === null ? await writtenDisk() : await compactedDisk(own))
        for (const base of await sealedBases(await made())) {
          for (const start of await positionsIn(await made(), segmentPath(base))) {
            const disk = await made()
            await flip(disk, segmentPath(base), start + 40)
            const { log } = await reopen(disk)
            expect(await scrubbed(log)).toBe(1)
            await repairAll(log, peer)
            expect(await scrubbed(log)).toBe(0)
            expect(latest(await shown(log))).toEqual(latest(await shown(more)))
            await log.close()
            const again = await reopen(disk)
            expect(await scrubbed(again.log)).toBe(0)
            await again.log.close()
          }
        }
      }
    }
  }, 60_000)

  it('STO-05: what another replica has does not fit into the active segment -> the next one begins, and it is repaired', async () => {
    const written = await writtenDisk()
    const { log: peer } = await reopen(await compactedDisk())
    // A copy of what was not compacted, in one segment that is written to.
    const disk = new MemoryFileSystem()
    const { log } = await open(disk, { settings: { segmentBytes: 100_000 } })
    const { log: source } = await open(written, { recoveryPoint: COUNT })
    for (const { bytes } of await batchesOf(source)) await log.appendAsFollower(bytes).written
    await flip(disk, segmentPath(0), 70)
    expect(await scrubbed(log)).toBe(1)
    expect(await sealedBases(disk)).toEqual([])
    await repairAll(log, peer)
    expect(await scrubbed(log)).toBe(0)
    expect(await sealedBases(disk)).toEqual([0])
    expect((await shown(log)).at(-1)).toEqual((await shown(peer)).at(-1))
    await produce(log, [[['a', 'more']]])
    expect((await shown(log)).at(-1)).toBe(`${COUNT} a=more`)
  })

  it('STO-05: what another replica has is shorter than the damage -> the file stays as it is until the new one takes its place', async () => {
    const { log: peer } = await reopen(await compactedDisk())
    const disk = await writtenDisk()
    const path = segmentPath(0)
    await flip(disk, path, 70)
    const before = await readFile(disk, path)
    const { log } = await open(disk, { recoveryPoint: COUNT })
    expect(await scrubbed(log)).toBe(1)
    const [range] = log.health.damagedRanges
    const source = sourceOf(peer, range!.endOffset)
    let asked = 0
    const broken: RepairSource = async (offset) => {
      if (++asked > 1) throw new Error('the replica is gone')
      return source(offset)
    }
    await expect(log.repair.repair(range!, broken)).rejects.toThrow('the replica is gone')
    expect(await readFile(disk, path)).toEqual(before)
    await repairAll(log, peer)
    expect(await scrubbed(log)).toBe(0)
  })

  it('STO-05: a replica that has nothing there -> nothing is repaired', async () => {
    const disk = await writtenDisk()
    const bases = await sealedBases(disk)
    await flip(disk, segmentPath(bases[1]!), 70)
    const { log } = await open(disk, { recoveryPoint: COUNT })
    expect(await scrubbed(log)).toBe(1)
    const [range] = log.health.damagedRanges
    const answer = { bytes: new Uint8Array(0), compactedBelow: range!.endOffset }
    await expect(log.repair.repair(range!, async () => answer)).rejects.toMatchObject({
      code: 'CORRUPT_MESSAGE',
    })
  })

  it('STO-33: a damaged segment -> nothing from it on is compacted, until it is repaired', async () => {
    const intact = await open(await writtenDisk(), { recoveryPoint: COUNT })
    const disk = await writtenDisk()
    const bases = await sealedBases(disk)
    const damagedBase = bases[2]!
    await flip(disk, segmentPath(damagedBase), 70)
    const { log } = await reopen(disk)
    // The first walk finds it.
    await expect(compact(log)).rejects.toThrow(/damaged/)
    expect(log.health.damagedRanges).toHaveLength(1)
    expect((await compact(log))?.cleanedBelow).toBe(damagedBase)
    expect(log.health.damagedRanges).toHaveLength(1)
    await repairAll(log, intact.log)
    expect((await compact(log))?.cleanedBelow).toBeGreaterThan(damagedBase)
    expect(await scrubbed(log)).toBe(0)
  })

  it('STO-33: damage that is found, or repaired, while a compaction runs -> that gives up, the range stays', async () => {
    const disk = await writtenDisk()
    const { log } = await reopen(disk)
    const [first] = await sealedBases(disk)
    let pauses = 0
    const outcome = await compact(log, {
      pause: async () => {
        if (++pauses !== 2) return
        await flip(disk, segmentPath(first!), 70)
        await log.health.scrub(noPause)
      },
    })
    expect(outcome).toBeNull()
    expect(log.health.damagedRanges).toHaveLength(1)
    expect((await disk.list(LOG_PATH)).filter(({ name }) => /cleaned|swap/.test(name))).toEqual([])
  })
})

describe('log verify', () => {
  const verify = async (fileSystem: MemoryFileSystem): Promise<string[]> => {
    const findings = new FindingList()
    await verifyLog(
      {
        fileSystem,
        cpu,
        findings,
        isInUse: false,
        signal: new AbortController().signal,
        onBatch: () => {},
      },
      { directory: LOG_PATH, recoveryPoint: COUNT, highWatermark: COUNT },
    )
    // Of indexes that are made again it warns.
    const told = findings.kept.filter(({ severity }) => severity !== 'warning')
    return told.map(({ severity, what }) => `${severity}: ${what}`)
  }

  it('a compacted log -> no finding, also without the mark', async () => {
    const disk = await compactedDisk()
    expect(await verify(disk)).toEqual([])
    await disk.remove(`${LOG_PATH}/compaction`)
    expect(await verify(disk)).toEqual([])
  })

  it('what a compaction or a repair that was cut off has left -> a note for each file', async () => {
    const disk = await compactedDisk()
    const stem = '00000000000000000000'
    for (const name of [`${stem}.log.cleaned`, `${stem}-${stem}.log.swap`, `${stem}.log.repair`]) {
      await writeFile(disk, `${LOG_PATH}/${name}`, new Uint8Array(1))
    }
    expect(await verify(disk)).toEqual([
      expect.stringContaining('note: is compacted'),
      expect.stringContaining('note: was being compacted'),
      expect.stringContaining('note: was being repaired'),
    ])
  })
})

describe('retention of a compacted log', () => {
  it('STO-29: the segment of a damaged range goes -> the range is gone, for this run and the next', async () => {
    const disk = await writtenDisk()
    const [first, second] = await sealedBases(disk)
    await flip(disk, segmentPath(first!), 70)
    let told = 0
    const observer = { onDamaged: () => void told++ }
    const { log } = await open(disk, { recoveryPoint: COUNT, observer })
    expect(await scrubbed(log)).toBe(1)
    expect(told).toBe(1)
    await log.trimTo(second!)
    expect(log.health.damagedRanges).toEqual([])
    expect(told).toBe(2)
    expect(await scrubbed(log)).toBe(0)
    await log.close()
    const again = await open(disk, { recoveryPoint: COUNT })
    expect(again.log.health.damagedRanges).toEqual([])
    expect(again.log.logStartOffset).toBe(second)
  })

  it('STO-29: the log starts behind damage inside of a segment -> it is not found again', async () => {
    const disk = await writtenDisk()
    const { log } = await open(disk, { recoveryPoint: COUNT })
    await log.trimTo(1)
    await flip(disk, segmentPath(0), 70)
    expect(await scrubbed(log)).toBe(0)
    expect((await shown(log)).length).toBe(COUNT - 1)
  })

  it('STO-29: the log start moves while it is compacted -> the compaction gives up, and the next one works', async () => {
    const disk = await writtenDisk()
    const { log } = await reopen(disk)
    const before = await shown(log)
    const bases = await sealedBases(disk)
    let pauses = 0
    const pause = async (): Promise<void> => {
      if (++pauses === 2) await log.trimTo(bases[2]!)
    }
    expect(await compact(log, { pause })).toBeNull()
    expect(await shown(log)).toEqual(before.slice(bases[2]))
    expect(await compact(log)).not.toBeNull()
    expect(log.logStartOffset).toBe(bases[2])
    const compacted = await shown(log)
    expect(before).toEqual(expect.arrayContaining(compacted))
    // And what is compacted leaves the log as other segments do.
    await log.trimTo(COUNT)
    expect(await shown(log)).toEqual([])
    expect(log.logStartOffset).toBe(COUNT)
  })

  it('STO-33: power is lost in a compaction of a log that starts inside of a segment -> the start and the latest values stay', async () => {
    interface Told {
      start: number
      isDone: boolean
    }
    // The checkpoint of the data directory, which here does not lose its power.
    const stored = { offset: 0 }
    const logStart = {
      get offset() {
        return stored.offset
      },
      save: async (offset: number) => {
        stored.offset = offset
      },
    }
    const operations = await sweepCrashes<Told>({
      randomLosses: 1,
      state: () => ({ start: 0, isDone: false }),
      async prepare(disk) {
        stored.offset = 0
        const { log } = await open(disk, { logStart })
        await produce(log, rounds(COUNT))
        await log.close()
      },
      async run(disk, state) {
        const { log } = await reopen(disk, { logStart })
        await log.trimTo(3)
        state.start = 3
        await compact(log)
        state.isDone = true
        await log.trimTo(8)
        state.start = 8
        await log.close()
      },
      async check(disk, state) {
        const { log } = await reopen(disk, { logStart })
        expect(log.logEndOffset).toBe(COUNT)
        expect(log.logStartOffset).toBeGreaterThanOrEqual(state.start)
        expect(await scrubbed(log)).toBe(0)
        const found = await shown(log)
        const last = new Map(found.map((text) => [text.split(' ')[1]![0], Number(text.split(' ')[0])]))
        expect([...last.values()].sort((a, b) => a - b)).toEqual([9, 10, 11])
        await log.close()
      },
    })
    expect(operations).toBeGreaterThan(20)
  }, 60_000)
})
