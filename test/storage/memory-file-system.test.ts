// The durability model itself: were it kinder than a disk, the crash tests would show nothing.
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { MemoryFileSystem, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import { readFile, writeFile } from './fixtures.ts'
import { eio, GatedDisk, settled } from './gated-disk.ts'

async function diskWithFile(bytes: Uint8Array): Promise<MemoryFileSystem> {
  const disk = new MemoryFileSystem()
  await disk.makeDirectory('/d')
  await disk.syncDirectory('/')
  await writeFile(disk, '/d/f', bytes)
  return disk
}

async function write(disk: MemoryFileSystem, bytes: Uint8Array, position: number): Promise<void> {
  const handle = await disk.open('/d/f', 'read-write')
  await handle.write([bytes], position)
  await handle.close()
}

const filled = (bytes: number, value: number): Uint8Array => new Uint8Array(bytes).fill(value)

describe('memory file system: power loss', () => {
  it('what was synced -> stays; what was not -> is gone, also its length', async () => {
    const disk = await diskWithFile(filled(600, 1))
    await write(disk, filled(1000, 2), 600)
    expect((await readFile(disk, '/d/f')).length).toBe(1600)
    expect(await readFile(disk.afterPowerLoss(), '/d/f')).toEqual(filled(600, 1))
    expect((await readFile(disk.afterKill(), '/d/f')).length).toBe(1600)
  })

  it('sectors on their own -> lost ones read as zero or as before, kept ones as written', async () => {
    const disk = await diskWithFile(filled(1024, 1))
    await write(disk, filled(2048, 2), 512)
    const lost = disk.afterPowerLoss({
      sector: (_path, index) => (index === 1 || index === 3 ? 'lost' : 'kept'),
      size: (_path, _durableBytes, writtenBytes) => writtenBytes,
    })
    const bytes = await readFile(lost, '/d/f')
    expect([0, 512, 1024, 1536, 2048].map((at) => bytes[at])).toEqual([1, 1, 2, 0, 2])
    expect(bytes.length).toBe(2560)
  })

  it('garbage -> only where the file had grown', async () => {
    const disk = await diskWithFile(filled(700, 1))
    await write(disk, filled(700, 2), 700)
    const lost = disk.afterPowerLoss({
      sector: () => 'garbage',
      size: (_path, _durableBytes, writtenBytes) => writtenBytes,
      random: seededRandom(1),
    })
    const bytes = await readFile(lost, '/d/f')
    expect(bytes.subarray(0, 700)).toEqual(filled(700, 1))
    expect(new Set(bytes.subarray(700)).size).toBeGreaterThan(50)
  })

  it('a truncation without a sync -> comes back', async () => {
    const disk = await diskWithFile(filled(600, 1))
    const handle = await disk.open('/d/f', 'read-write')
    await handle.truncate(10)
    expect((await readFile(disk.afterPowerLoss(), '/d/f')).length).toBe(600)
  })

  it('truncated, written again and synced -> exactly that', async () => {
    const disk = await diskWithFile(filled(2000, 1))
    const handle = await disk.open('/d/f', 'read-write')
    await handle.truncate(100)
    await handle.write([filled(10, 3)], 700)
    await handle.sync()
    const expected = filled(710, 0)
    expected.fill(1, 0, 100)
    expected.fill(3, 700)
    expect(await readFile(disk.afterPowerLoss(), '/d/f')).toEqual(expected)
  })

  it('a name without a sync of its directory -> gone, or the old one again', async () => {
    const disk = await diskWithFile(filled(1, 1))
    const handle = await disk.open('/d/new', 'create')
    await handle.sync()
    await disk.rename('/d/f', '/d/g')
    const after = disk.afterPowerLoss()
    expect((await after.list('/d')).map(({ name }) => name)).toEqual(['f'])
    expect(await readFile(after, '/d/f')).toEqual(filled(1, 1))
  })

  it('changes of names -> survive in their order, a rename as a whole', async () => {
    const disk = await diskWithFile(filled(1, 1))
    await disk.open('/d/a', 'create')
    await disk.rename('/d/f', '/d/g')
    await disk.remove('/d/a')
    const seen = await Promise.all(
      [0, 1, 2, 3].map(async (changes) => {
        const after = disk.afterPowerLoss({ names: () => changes })
        return (await after.list('/d')).map(({ name }) => name).join()
      }),
    )
    expect(seen).toEqual(['f', 'a,f', 'a,g', 'g'])
  })

  it('a directory whose name was not synced -> gone with all in it', async () => {
    const disk = await diskWithFile(filled(1, 1))
    await disk.makeDirectory('/d/e')
    await writeFile(disk, '/d/e/f', filled(1, 1))
    await disk.syncDirectory('/d/e')
    expect(await disk.afterPowerLoss().exists('/d/e')).toBe(false)
  })

  it('a removed file whose directory was not synced -> there again', async () => {
    const disk = await diskWithFile(filled(3, 1))
    await disk.remove('/d/f')
    expect(await readFile(disk.afterPowerLoss(), '/d/f')).toEqual(filled(3, 1))
  })

  it('random -> each outcome comes up, and what was synced always stays', async () => {
    const disk = await diskWithFile(filled(512, 1))
    await write(disk, filled(1024, 2), 512)
    const seen = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      const bytes = await readFile(disk.afterPowerLoss(randomPowerLoss(seededRandom(seed))), '/d/f')
      expect(bytes.subarray(0, 512)).toEqual(filled(512, 1))
      seen.add(`${bytes[512]},${bytes[1024]}`)
    }
    expect([...seen].sort()).toEqual([
      '0,0',
      '0,2',
      '0,undefined',
      '2,0',
      '2,2',
      '2,undefined',
      'undefined,undefined',
    ])
  })
})

describe('memory file system: sync', () => {
  it('a write that comes while a sync runs -> not durable by it', async () => {
    const gated = new GatedDisk()
    await gated.disk.makeDirectory('/d')
    await gated.disk.syncDirectory('/')
    const handle = await gated.disk.open('/d/f', 'create')
    await gated.disk.syncDirectory('/d')
    await handle.write([filled(10, 1)], 0)
    gated.hold({ kind: 'sync' })
    const syncing = handle.sync()
    await gated.held({ kind: 'sync' })
    await handle.write([filled(20, 2)], 5)
    await gated.release({ kind: 'sync' })
    await syncing
    expect(await readFile(gated.disk.afterPowerLoss(), '/d/f')).toEqual(filled(10, 1))
  })

  it('two syncs that end in the other order -> the newer bytes stay', async () => {
    const gated = new GatedDisk()
    await gated.disk.makeDirectory('/d')
    await gated.disk.syncDirectory('/')
    const handle = await gated.disk.open('/d/f', 'create')
    await gated.disk.syncDirectory('/d')
    const gates: (() => void)[] = []
    const disk = gated.disk.afterKill({
      onOperation: ({ kind }) =>
        kind === 'sync' ? new Promise((resolve) => gates.push(() => resolve(undefined))) : undefined,
    })
    expect(handle).toBeDefined()
    const again = await disk.open('/d/f', 'read-write')
    await again.write([filled(10, 1)], 0)
    const first = again.sync()
    await again.write([filled(20, 2)], 0)
    const second = again.sync()
    await settled()
    gates[1]!()
    await second
    gates[0]!()
    await first
    expect(await readFile(disk.afterPowerLoss(), '/d/f')).toEqual(filled(20, 2))
  })

  it('a failed sync -> the bytes are readable, and no later sync makes them durable', async () => {
    const gated = new GatedDisk()
    await gated.disk.makeDirectory('/d')
    await gated.disk.syncDirectory('/')
    await writeFile(gated.disk, '/d/f', filled(512, 1))
    const handle = await gated.disk.open('/d/f', 'read-write')
    await handle.write([filled(512, 2)], 0)
    gated.fail({ kind: 'sync' }, eio())
    await expect(handle.sync()).rejects.toMatchObject({ code: 'EIO' })
    await handle.sync()
    expect(await readFile(gated.disk, '/d/f')).toEqual(filled(512, 2))
    expect(await readFile(gated.disk.afterPowerLoss(), '/d/f')).toEqual(filled(512, 1))
  })
})

describe('memory file system: halted', () => {
  it('operations under way and later ones -> never settle and have no effect', async () => {
    const gated = new GatedDisk()
    await gated.disk.makeDirectory('/d')
    const handle = await gated.disk.open('/d/f', 'create')
    gated.hold({ kind: 'write' })
    let settledCount = 0
    const count = (): void => {
      settledCount++
    }
    handle.write([filled(5, 1)], 0).then(count, count)
    await gated.held({ kind: 'write' })
    const after = gated.disk.afterKill()
    gated.open()
    handle.size().then(count, count)
    gated.disk.exists('/d').then(count, count)
    await settled()
    expect(settledCount).toBe(0)
    expect(await readFile(after, '/d/f')).toEqual(new Uint8Array(0))
  })

  it('a write copies when it completes, not when it is called', async () => {
    const gated = new GatedDisk()
    await gated.disk.makeDirectory('/d')
    const handle = await gated.disk.open('/d/f', 'create')
    gated.hold({ kind: 'write' })
    const bytes = filled(4, 1)
    const writing = handle.write([bytes], 0)
    await gated.held({ kind: 'write' })
    bytes.fill(9)
    gated.open()
    await writing
    expect(await readFile(gated.disk, '/d/f')).toEqual(filled(4, 9))
  })
})

describe('memory file system: acts of fate', () => {
  it('somebody else puts a file there -> it is found, also after power loss, and nothing else is different', async () => {
    const disk = await diskWithFile(filled(10, 1))
    const operations = disk.operations
    disk.plant('/d/others/f', filled(3, 7))
    disk.plant('/d/f', filled(4, 8))
    expect(disk.operations).toBe(operations)
    for (const found of [disk, disk.afterPowerLoss()]) {
      expect(found.peek('/d/others/f')).toEqual(filled(3, 7))
      expect(found.peek('/d/f')).toEqual(filled(4, 8))
    }
    expect(() => disk.plant('/d/f/g', filled(1, 1))).toThrow(/ENOTDIR/)
  })

  it('flipped bits -> their positions, until they are written again', async () => {
    const disk = await diskWithFile(filled(1024, 1))
    expect(disk.flippedPositions('/d/f')).toEqual([])
    expect([disk.flip('/d/f', 5, 1), disk.flip('/d/f', 700, 128)]).toEqual([true, true])
    expect(disk.flippedPositions('/d/f')).toEqual([5, 700])
    await write(disk, filled(10, 1), 0)
    expect(disk.flippedPositions('/d/f')).toEqual([700])
    expect(disk.flippedPositions('/d/absent')).toEqual([])
  })
})
