import { beforeEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../../src/base/random.ts'
import type { FileHandle } from '../../../src/storage/file-system.ts'
import { SimulatedClock } from '../../../src/testing/simulation/simulated-clock.ts'
import {
  type DiskFaults,
  HEALTHY_DISK,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from '../../../src/testing/simulation/simulated-disk.ts'
import type { SimulationKernel } from '../../../src/testing/simulation/simulation-kernel.ts'
import { newKernel } from './kernels.ts'

const BYTES = new Uint8Array(600).fill(7)

let kernel: SimulationKernel
let events: string[]
let faults: string[]

beforeEach(() => {
  kernel = newKernel()
  events = []
  faults = []
})

function newDisk(options: Partial<SimulatedDiskOptions> & { readonly seed?: number } = {}): SimulatedDisk {
  const { seed = 1, ...rest } = options
  return new SimulatedDisk({
    random: seededRandom(seed),
    speed: { syncMs: 10, otherMs: 1 },
    onEvent: (text) => events.push(text),
    onFault: (name) => faults.push(name),
    ...rest,
  })
}

/** Runs the kernel until the work is done. */
async function done<T>(work: Promise<T>): Promise<T> {
  let isSettled = false
  const settle = (): void => {
    isSettled = true
  }
  work.then(settle, settle)
  // What takes no time is over after this.
  kernel.schedule(kernel.nowMs, () => {})
  const end = await kernel.run({ untilMs: kernel.nowMs + 1e6, afterEvent: () => isSettled })
  if (!isSettled) throw new Error(`it does not come to an end (${end})`)
  return await work
}

async function created(disk: SimulatedDisk, path = '/f'): Promise<FileHandle> {
  return await done(disk.fileSystem.open(path, 'create'))
}

/** The code with which it fails; null where it does not. */
async function codeOf(work: Promise<unknown>): Promise<string | null> {
  return await done(
    work.then(
      () => null,
      (error: { readonly code: string }) => error.code,
    ),
  )
}

describe('SimulatedDisk time', () => {
  it('attached -> operations end on the clock of the process, syncs take by far the longest', async () => {
    const disk = newDisk()
    disk.attach(new SimulatedClock({ kernel }))
    const file = await created(disk)
    const took = async (act: () => Promise<unknown>): Promise<number> => {
      const startMs = kernel.nowMs
      for (let i = 0; i < 200; i++) await done(act())
      return (kernel.nowMs - startMs) / 200
    }
    const syncMs = await took(() => file.sync())
    const writeMs = await took(() => file.write([BYTES], 0))
    expect(syncMs).toBeGreaterThan(7)
    expect(syncMs).toBeLessThan(13)
    // Some take no time at all, as those that end in the page cache.
    expect(writeMs).toBeGreaterThan(0.3)
    expect(writeMs).toBeLessThan(0.9)
  })

  it('several at once -> end in another order than they began, for some', async () => {
    const disk = newDisk()
    disk.attach(new SimulatedClock({ kernel }))
    const file = await created(disk)
    const order: number[] = []
    await done(Promise.all(Array.from({ length: 20 }, (_, i) => file.size().then(() => order.push(i)))))
    expect(order).toHaveLength(20)
    expect(order).not.toEqual([...order].sort((a, b) => a - b))
  })

  it('slowness: 50 -> the same draws, each 50 times as long', async () => {
    const times: number[] = []
    for (const slowness of [1, 50]) {
      kernel = newKernel()
      const disk = newDisk()
      disk.attach(new SimulatedClock({ kernel }))
      disk.faults = { ...HEALTHY_DISK, slowness }
      const file = await created(disk)
      for (let i = 0; i < 20; i++) await done(file.sync())
      times.push(kernel.nowMs)
    }
    expect(times[1]! / times[0]!).toBeCloseTo(50, 6)
  })

  it('the clock is paused -> operations wait; resumed -> they end; halted -> never', async () => {
    const disk = newDisk()
    const clock = new SimulatedClock({ kernel })
    disk.attach(clock)
    const file = await created(disk)
    let ends = 0
    const sync = (): void => void file.sync().then(() => ends++)
    sync()
    await kernel.run({ untilMs: kernel.nowMs })
    clock.pause()
    await kernel.run({ untilMs: kernel.nowMs + 10_000 })
    expect(ends).toBe(0)
    clock.resume()
    await kernel.run({ untilMs: kernel.nowMs + 10_000 })
    expect(ends).toBe(1)
    sync()
    clock.halt()
    await kernel.run({ untilMs: kernel.nowMs + 10_000 })
    expect(ends).toBe(1)
  })

  it('SIM-3: every operation -> an event with its number, kind and path', async () => {
    const disk = newDisk()
    const file = await created(disk, '/a')
    await done(file.write([BYTES], 0))
    await done(file.sync())
    await done(disk.fileSystem.syncDirectory('/'))
    expect(events).toEqual([
      'disk #1 open /a',
      'disk #2 write /a',
      'disk #3 sync /a',
      'disk #4 syncDirectory /',
    ])
  })
})

describe('SimulatedDisk faults', () => {
  const spoiled = (change: Partial<DiskFaults>): DiskFaults => ({ ...HEALTHY_DISK, ...change })

  it('healthy -> none', async () => {
    const disk = newDisk()
    expect(disk.faults).toEqual({ slowness: 1, shortWrites: 0, failedSyncs: 0, full: false })
    const file = await created(disk)
    for (let i = 0; i < 200; i++) {
      expect(await done(file.write([BYTES], 0))).toBe(BYTES.length)
      await done(file.sync())
    }
    expect(faults).toEqual([])
  })

  it('shortWrites: 300 -> that many of a thousand take 1 to 64 bytes, which are there', async () => {
    const disk = newDisk()
    disk.faults = spoiled({ shortWrites: 300 })
    const file = await created(disk)
    let short = 0
    let position = 0
    for (let i = 0; i < 1_000; i++) {
      const written = await done(file.write([BYTES], position))
      position += written
      if (written === BYTES.length) continue
      short++
      expect(written).toBeGreaterThanOrEqual(1)
      expect(written).toBeLessThanOrEqual(64)
    }
    expect(await done(file.size())).toBe(position)
    expect(short).toBeGreaterThan(240)
    expect(short).toBeLessThan(360)
    expect(faults).toEqual(Array.from({ length: short }, () => 'short-write'))
  })

  it('failedSyncs: 1000 -> every fsync fails with EIO; those of directories and writes do not', async () => {
    const disk = newDisk()
    disk.faults = spoiled({ failedSyncs: 1_000 })
    const file = await created(disk)
    await done(file.write([BYTES], 0))
    expect([await codeOf(file.sync()), await codeOf(file.sync())]).toEqual(['EIO', 'EIO'])
    expect(await codeOf(disk.fileSystem.syncDirectory('/'))).toBe(null)
    expect(faults).toEqual(['failed-sync', 'failed-sync'])
    disk.faults = HEALTHY_DISK
    expect(await codeOf(file.sync())).toBe(null)
  })

  it('a failed sync, then a good one, then power loss -> what the failed one was to save may be gone', async () => {
    const sizes = new Set<number>()
    for (let seed = 1; seed <= 40; seed++) {
      const disk = newDisk({ seed })
      const file = await created(disk)
      await done(disk.fileSystem.syncDirectory('/'))
      await done(file.write([BYTES], 0))
      disk.faults = spoiled({ failedSyncs: 1_000 })
      await codeOf(file.sync())
      disk.faults = HEALTHY_DISK
      await done(file.sync())
      disk.afterPowerLoss()
      const bytes = disk.fileSystem.peek('/f')!
      sizes.add(bytes.every((byte) => byte === 7) ? bytes.length : -1)
    }
    expect([...sizes].some((size) => size !== BYTES.length)).toBe(true)
  })

  it('full -> what needs room fails with ENOSPC and changes nothing; reading, removing and syncing go on', async () => {
    const disk = newDisk()
    const { fileSystem } = disk
    const file = await created(disk)
    await done(file.write([BYTES], 0))
    disk.faults = spoiled({ full: true })
    expect(await codeOf(file.write([BYTES], 600))).toBe('ENOSPC')
    expect(await codeOf(fileSystem.makeDirectory('/d'))).toBe('ENOSPC')
    expect(await codeOf(fileSystem.link('/f', '/g'))).toBe('ENOSPC')
    expect(faults).toEqual(['disk-full', 'disk-full', 'disk-full'])
    expect(await done(file.size())).toBe(BYTES.length)
    expect(fileSystem.peekNames('/')).toEqual(['f'])
    expect(await done(file.read(new Uint8Array(600), 0))).toBe(600)
    await done(file.sync())
    await done(file.truncate(10))
    await done(fileSystem.remove('/f'))
    disk.faults = HEALTHY_DISK
    expect(await codeOf(fileSystem.makeDirectory('/d'))).toBe(null)
  })
})

describe('SimulatedDisk ends of a process', () => {
  it('kill -> all that was written is there, nothing of what was under way; the old process goes nowhere', async () => {
    const disk = newDisk()
    const clock = new SimulatedClock({ kernel })
    disk.attach(clock)
    const file = await created(disk)
    await done(file.write([BYTES], 0))
    let settled = 0
    const note = (): void => void settled++
    disk.faults = { ...HEALTHY_DISK, slowness: 1_000 }
    const second = file.sync().then(() => file.write([BYTES], 600))
    second.then(note, note)
    const before = disk.fileSystem
    clock.halt()
    disk.afterKill()
    before.exists('/f').then(note, note)
    await kernel.run({ untilMs: 1e6 })
    expect(settled).toBe(0)
    expect(disk.fileSystem).not.toBe(before)
    expect(disk.fileSystem.peek('/f')).toEqual(BYTES)
    disk.attach(new SimulatedClock({ kernel }))
    expect(await done(disk.fileSystem.exists('/f'))).toBe(true)
  })

  it('power loss: what was synced -> stays; what was not -> is lost, kept or kept in part, by the seed', async () => {
    const outcomes = new Map<string, number>()
    const lose = async (seed: number): Promise<string> => {
      const disk = newDisk({ seed })
      const file = await created(disk, '/synced')
      await done(file.write([BYTES], 0))
      await done(file.sync())
      await done(disk.fileSystem.syncDirectory('/'))
      await done(file.write([new Uint8Array(936).fill(9)], 600))
      await created(disk, '/unsynced')
      disk.afterPowerLoss()
      const bytes = disk.fileSystem.peek('/synced')!
      expect(bytes.subarray(0, 600)).toEqual(BYTES)
      const kept = bytes.subarray(600).filter((byte) => byte === 9).length
      const how = kept === 0 ? 'lost' : kept === 936 ? 'kept' : 'in part'
      return `${how}, name ${disk.fileSystem.peekNames('/').includes('unsynced') ? 'kept' : 'lost'}`
    }
    for (let seed = 1; seed <= 120; seed++) {
      const outcome = await lose(seed)
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    expect([...outcomes.keys()].sort()).toEqual([
      'in part, name kept',
      'in part, name lost',
      'kept, name kept',
      'kept, name lost',
      'lost, name kept',
      'lost, name lost',
    ])
    expect(await lose(17)).toBe(await lose(17))
  })

  it('replace -> an empty disk, on which faults and events go on; nothing of the old one settles', async () => {
    const disk = newDisk()
    await created(disk)
    const old = disk.fileSystem
    disk.replace()
    expect(disk.fileSystem.peekNames('/')).toEqual([])
    let settled = false
    const settle = (): void => {
      settled = true
    }
    old.exists('/f').then(settle, settle)
    disk.faults = { ...HEALTHY_DISK, full: true }
    expect(await codeOf(disk.fileSystem.makeDirectory('/d'))).toBe('ENOSPC')
    expect(settled).toBe(false)
    expect(events.at(-1)).toBe('disk #1 makeDirectory /d')
  })

  it('SIM-4: the same seed -> the same delays and faults; another -> others', async () => {
    const timeline = async (seed: number): Promise<string> => {
      kernel = newKernel()
      faults = []
      const disk = newDisk({ seed })
      disk.attach(new SimulatedClock({ kernel }))
      disk.faults = { ...HEALTHY_DISK, shortWrites: 200, failedSyncs: 200 }
      const file = await created(disk)
      const times: string[] = []
      for (let i = 0; i < 30; i++) {
        const written = await done(file.write([BYTES], 0))
        times.push(`${written} ${await codeOf(file.sync())} ${kernel.nowMs}`)
      }
      return [...times, ...faults].join()
    }
    expect(await timeline(5)).toBe(await timeline(5))
    expect(await timeline(5)).not.toBe(await timeline(6))
  })
})
