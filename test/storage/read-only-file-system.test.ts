import { describe, expect, it } from 'vitest'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { readOnlyFileSystem } from '../../src/storage/read-only-file-system.ts'
import { readFile, writeFile } from './fixtures.ts'

describe('a read-only file system', () => {
  it('whatever reads -> passed on', async () => {
    const disk = new MemoryFileSystem()
    await disk.makeDirectory('/a')
    await writeFile(disk, '/a/b', Uint8Array.of(1, 2))
    const fileSystem = readOnlyFileSystem(disk)
    expect(await readFile(fileSystem, '/a/b')).toEqual(Uint8Array.of(1, 2))
    expect(await fileSystem.exists('/a/b')).toBe(true)
    expect(await fileSystem.list('/a')).toEqual([{ name: 'b', isDirectory: false }])
  })

  it('whatever writes -> EROFS, and nothing reaches the disk', async () => {
    const disk = new MemoryFileSystem()
    await disk.makeDirectory('/a')
    await writeFile(disk, '/a/b', Uint8Array.of(1))
    const fileSystem = readOnlyFileSystem(disk)
    const handle = await fileSystem.open('/a/b', 'read')
    const calls = [
      fileSystem.open('/a/b', 'read-write'),
      fileSystem.open('/a/c', 'create'),
      fileSystem.link('/a/b', '/a/c'),
      fileSystem.rename('/a/b', '/a/c'),
      fileSystem.remove('/a/b'),
      fileSystem.makeDirectory('/b'),
      fileSystem.removeDirectory('/a'),
      fileSystem.syncDirectory('/a'),
      handle.write([Uint8Array.of(2)], 0),
      handle.sync(),
      handle.truncate(0),
    ]
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EROFS' } })
    }
    await handle.close()
    expect(await disk.list('/a')).toEqual([{ name: 'b', isDirectory: false }])
    expect(await readFile(disk, '/a/b')).toEqual(Uint8Array.of(1))
  })
})
