// What storage/file-system.ts promises, run against every file system.
import { beforeEach, describe, expect, it } from 'vitest'
import type { FileHandle, FileSystem } from '../../src/storage/file-system.ts'
import { fileErrorCodeOf } from '../../src/storage/file-system.ts'

export interface FileSystemUnderTest {
  readonly fileSystem: FileSystem
  /** An empty directory. */
  readonly directory: string
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

async function failure(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => 'no error', fileErrorCodeOf)
}

async function contentOf(handle: FileHandle): Promise<string> {
  const content = new Uint8Array(await handle.size())
  let filled = 0
  while (filled < content.length) filled += await handle.read(content.subarray(filled), filled)
  return new TextDecoder().decode(content)
}

export function fileSystemContract(name: string, create: () => Promise<FileSystemUnderTest>): void {
  describe(`file system: ${name}`, () => {
    let fileSystem: FileSystem
    let directory: string
    const at = (path: string): string => `${directory}/${path}`

    beforeEach(async () => {
      const made = await create()
      fileSystem = made.fileSystem
      directory = made.directory
    })

    async function put(path: string, text: string): Promise<void> {
      const handle = await fileSystem.open(at(path), 'create')
      await handle.write([bytes(text)], 0)
      await handle.close()
    }

    async function get(path: string): Promise<string> {
      const handle = await fileSystem.open(at(path), 'read')
      try {
        return await contentOf(handle)
      } finally {
        await handle.close()
      }
    }

    async function names(path = ''): Promise<string[]> {
      return (await fileSystem.list(at(path))).map((entry) => entry.name)
    }

    describe('open', () => {
      it('a missing file for read or read-write -> ENOENT', async () => {
        expect(await failure(fileSystem.open(at('a'), 'read'))).toBe('ENOENT')
        expect(await failure(fileSystem.open(at('a'), 'read-write'))).toBe('ENOENT')
      })

      it('create in a missing directory -> ENOENT', async () => {
        expect(await failure(fileSystem.open(at('none/a'), 'create'))).toBe('ENOENT')
      })

      it('create -> an empty file; again -> keeps its content', async () => {
        await put('a', '')
        expect(await get('a')).toBe('')
        await put('a', 'text')
        const again = await fileSystem.open(at('a'), 'create')
        expect(await contentOf(again)).toBe('text')
        await again.close()
      })

      it('a write to a file opened for read -> EBADF, nothing changed', async () => {
        await put('a', 'text')
        const handle = await fileSystem.open(at('a'), 'read')
        expect(await failure(handle.write([bytes('x')], 0))).toBe('EBADF')
        await handle.close()
        expect(await get('a')).toBe('text')
      })
    })

    describe('handle', () => {
      let handle: FileHandle

      beforeEach(async () => {
        handle = await fileSystem.open(at('file'), 'create')
        return () => handle.close().catch(() => {})
      })

      it('write of several parts -> they lie behind one another', async () => {
        expect(await handle.write([bytes('ab'), bytes(''), bytes('cde')], 0)).toBe(5)
        expect(await contentOf(handle)).toBe('abcde')
      })

      it('write in the middle and beyond the end -> overwrites, and the gap reads as zero', async () => {
        await handle.write([bytes('abcd')], 0)
        await handle.write([bytes('X')], 1)
        await handle.write([bytes('Y'), bytes('Z')], 6)
        expect(await contentOf(handle)).toBe('aXcd\0\0YZ')
      })

      it('read -> what is there, short at the end, 0 behind it', async () => {
        await handle.write([bytes('abcdef')], 0)
        const target = new Uint8Array(4)
        expect(await handle.read(target, 1)).toBe(4)
        expect(target).toEqual(bytes('bcde'))
        expect(await handle.read(target, 4)).toBe(2)
        expect(target.subarray(0, 2)).toEqual(bytes('ef'))
        expect(await handle.read(target, 6)).toBe(0)
        expect(await handle.read(target, 100)).toBe(0)
      })

      it('read into a view -> nothing around the view changes', async () => {
        await handle.write([bytes('abc')], 0)
        const around = new Uint8Array(6).fill(1)
        expect(await handle.read(around.subarray(2, 4), 0)).toBe(2)
        expect([...around]).toEqual([1, 1, 97, 98, 1, 1])
      })

      it('truncate -> cuts off; to more -> zeros follow', async () => {
        await handle.write([bytes('abcdef')], 0)
        await handle.truncate(2)
        expect(await handle.size()).toBe(2)
        await handle.truncate(4)
        expect(await contentOf(handle)).toBe('ab\0\0')
      })

      it('two handles of one file -> see each other', async () => {
        const other = await fileSystem.open(at('file'), 'read-write')
        await other.write([bytes('abc')], 0)
        expect(await contentOf(handle)).toBe('abc')
        await other.close()
      })

      it('sync -> resolves and changes nothing that is read', async () => {
        await handle.write([bytes('abc')], 0)
        await handle.sync()
        expect(await contentOf(handle)).toBe('abc')
      })

      it('after close -> EBADF', async () => {
        await handle.close()
        expect(await failure(handle.read(new Uint8Array(1), 0))).toBe('EBADF')
        expect(await failure(handle.write([bytes('a')], 0))).toBe('EBADF')
        expect(await failure(handle.sync())).toBe('EBADF')
        expect(await failure(handle.truncate(0))).toBe('EBADF')
        expect(await failure(handle.size())).toBe('EBADF')
        expect(await failure(handle.close())).toBe('EBADF')
      })

      it('positions beyond 2^32 -> what was written is there, or EFBIG and nothing changed', async () => {
        const position = 2 ** 32 + 5
        const outcome = await failure(handle.write([bytes('far')], position))
        if (outcome === 'EFBIG') {
          expect(await handle.size()).toBe(0)
          return
        }
        expect(outcome).toBe('no error')
        expect(await handle.size()).toBe(position + 3)
        const target = new Uint8Array(8)
        expect(await handle.read(target, position - 2)).toBe(5)
        expect([...target.subarray(0, 5)]).toEqual([0, 0, ...bytes('far')])
        await handle.truncate(position + 1)
        expect(await handle.read(target, position)).toBe(1)
        expect(await handle.read(target, 5)).toBe(8)
        expect([...target]).toEqual(new Array(8).fill(0))
      })

      it('truncate to more, then write in the gap -> only what was written differs from zero', async () => {
        await handle.truncate(2_000)
        await handle.write([bytes('x')], 1_000)
        const content = await contentOf(handle)
        expect(content).toBe(`${'\0'.repeat(1_000)}x${'\0'.repeat(999)}`)
      })

      it('cut, grown again -> zeros, never what had been there', async () => {
        await handle.write([bytes('secret')], 0)
        await handle.sync()
        await handle.truncate(1)
        await handle.truncate(6)
        expect(await contentOf(handle)).toBe('s\0\0\0\0\0')
        await handle.truncate(1)
        await handle.write([bytes('d')], 4)
        expect(await contentOf(handle)).toBe('s\0\0\0d')
      })

      it('an empty write -> 0 bytes, the size stays', async () => {
        expect(await handle.write([bytes('')], 10)).toBe(0)
        expect(await handle.size()).toBe(0)
      })

      it('writes, reads and syncs of one handle at once -> all take effect', async () => {
        const calls = Array.from({ length: 20 }, (_, i) => handle.write([bytes(String(i % 10))], i))
        await Promise.all([...calls, handle.sync(), handle.read(new Uint8Array(4), 0)])
        expect(await contentOf(handle)).toBe('01234567890123456789')
      })

      it('a large write -> is there whole', async () => {
        const large = new Uint8Array(3 * 1024 * 1024).map((_, i) => i % 251)
        const parts = Array.from({ length: 1500 }, (_, i) => large.subarray(i * 2048, (i + 1) * 2048))
        let written = 0
        while (written < 1500 * 2048) {
          written += await handle.write([large.subarray(written, 1500 * 2048)], written)
        }
        expect(await handle.write(parts, 1500 * 2048)).toBeGreaterThan(0)
        const target = new Uint8Array(1500 * 2048)
        let read = 0
        while (read < target.length) read += await handle.read(target.subarray(read), read)
        expect(Buffer.compare(target, large.subarray(0, target.length))).toBe(0)
      })
    })

    describe('names', () => {
      it('list -> sorted, with what is a directory', async () => {
        await put('b', '')
        await put('a', '')
        await put('B', '')
        await fileSystem.makeDirectory(at('c'))
        expect(await fileSystem.list(directory)).toEqual([
          { name: 'B', isDirectory: false },
          { name: 'a', isDirectory: false },
          { name: 'b', isDirectory: false },
          { name: 'c', isDirectory: true },
        ])
      })

      it('list of a missing directory -> ENOENT; of a file -> ENOTDIR', async () => {
        await put('a', '')
        expect(await failure(fileSystem.list(at('none')))).toBe('ENOENT')
        expect(await failure(fileSystem.list(at('a')))).toBe('ENOTDIR')
      })

      it('exists -> true for files and directories only when they are there', async () => {
        await put('a', '')
        await fileSystem.makeDirectory(at('d'))
        expect(await fileSystem.exists(at('a'))).toBe(true)
        expect(await fileSystem.exists(at('d'))).toBe(true)
        expect(await fileSystem.exists(at('d/none'))).toBe(false)
        expect(await fileSystem.exists(at('none'))).toBe(false)
      })

      it('link -> a second name of the same file; a taken name -> EEXIST, unchanged', async () => {
        await put('a', 'text')
        await put('taken', 'other')
        await fileSystem.link(at('a'), at('b'))
        await put('a', 'TEXT')
        expect(await get('b')).toBe('TEXT')
        expect(await failure(fileSystem.link(at('a'), at('taken')))).toBe('EEXIST')
        expect(await get('taken')).toBe('other')
        await fileSystem.remove(at('a'))
        expect(await get('b')).toBe('TEXT')
      })

      it('several links to one name at once -> exactly one succeeds', async () => {
        const claims = ['a', 'b', 'c', 'd']
        for (const claim of claims) await put(claim, claim)
        const outcomes = await Promise.all(
          claims.map((claim) => failure(fileSystem.link(at(claim), at('lock')))),
        )
        expect(outcomes.filter((outcome) => outcome === 'no error')).toHaveLength(1)
        expect(await get('lock')).toBe(claims[outcomes.indexOf('no error')])
      })

      it('link of a missing file -> ENOENT', async () => {
        expect(await failure(fileSystem.link(at('none'), at('b')))).toBe('ENOENT')
      })

      it('rename -> the new name replaces what had it', async () => {
        await put('a', 'new')
        await put('b', 'old')
        await fileSystem.rename(at('a'), at('b'))
        expect(await names()).toEqual(['b'])
        expect(await get('b')).toBe('new')
      })

      it('rename -> an open handle goes with its file, not with its name', async () => {
        await put('a', 'new')
        await put('b', 'old')
        const old = await fileSystem.open(at('b'), 'read')
        const renamed = await fileSystem.open(at('a'), 'read-write')
        await fileSystem.rename(at('a'), at('b'))
        expect(await contentOf(old)).toBe('old')
        await renamed.write([bytes('NEW')], 0)
        expect(await get('b')).toBe('NEW')
        await old.close()
        await renamed.close()
      })

      it('rename while the new name is opened again and again -> the old or the new file, never none', async () => {
        await put('b', 'old')
        for (let i = 0; i < 20; i++) {
          await put('a', 'new')
          const [content] = await Promise.all([get('b'), fileSystem.rename(at('a'), at('b'))])
          expect(['old', 'new']).toContain(content)
        }
      })

      it('rename of a directory over one with files -> refused, both as they were', async () => {
        await fileSystem.makeDirectory(at('d'))
        await fileSystem.makeDirectory(at('e'))
        await put('e/a', 'text')
        expect(['ENOTEMPTY', 'EEXIST', 'EPERM']).toContain(await failure(fileSystem.rename(at('d'), at('e'))))
        expect(await names()).toEqual(['d', 'e'])
        expect(await get('e/a')).toBe('text')
      })

      it('rename of a directory -> goes with everything in it', async () => {
        await fileSystem.makeDirectory(at('d/e'))
        await put('d/e/a', 'text')
        await fileSystem.rename(at('d'), at('f'))
        expect(await get('f/e/a')).toBe('text')
        expect(await names()).toEqual(['f'])
      })

      it('rename of what is not there -> ENOENT', async () => {
        expect(await failure(fileSystem.rename(at('none'), at('b')))).toBe('ENOENT')
      })

      it('remove -> the name is gone, open handles still read', async () => {
        await put('a', 'text')
        const handle = await fileSystem.open(at('a'), 'read')
        await fileSystem.remove(at('a'))
        expect(await names()).toEqual([])
        expect(await contentOf(handle)).toBe('text')
        await handle.close()
        expect(await failure(fileSystem.remove(at('a')))).toBe('ENOENT')
      })

      it('remove of a file that is open for writing, its name taken again -> two files', async () => {
        await put('a', 'old')
        const old = await fileSystem.open(at('a'), 'read-write')
        await fileSystem.remove(at('a'))
        await put('a', 'new')
        await old.write([bytes('OLD')], 0)
        expect(await contentOf(old)).toBe('OLD')
        expect(await get('a')).toBe('new')
        await old.close()
      })

      it('makeDirectory -> also those above; again -> nothing', async () => {
        await fileSystem.makeDirectory(at('d/e/f'))
        await fileSystem.makeDirectory(at('d/e/f'))
        expect(await names('d/e')).toEqual(['f'])
      })

      it('makeDirectory where a file is -> EEXIST', async () => {
        await put('a', '')
        expect(await failure(fileSystem.makeDirectory(at('a')))).toBe('EEXIST')
      })

      it('removeDirectory -> only when it is empty', async () => {
        await fileSystem.makeDirectory(at('d'))
        await put('d/a', '')
        expect(await failure(fileSystem.removeDirectory(at('d')))).toBe('ENOTEMPTY')
        await fileSystem.remove(at('d/a'))
        await fileSystem.removeDirectory(at('d'))
        expect(await names()).toEqual([])
        expect(await failure(fileSystem.removeDirectory(at('d')))).toBe('ENOENT')
      })

      it('space -> what is available is not more than there is; of what is not there -> ENOENT', async () => {
        await put('a', 'text')
        for (const path of [directory, at('a')]) {
          const { totalBytes, availableBytes } = await fileSystem.space(path)
          expect(totalBytes).toBeGreaterThan(0)
          expect(availableBytes).toBeGreaterThanOrEqual(0)
          expect(availableBytes).toBeLessThanOrEqual(totalBytes)
          expect(Number.isSafeInteger(totalBytes) && Number.isSafeInteger(availableBytes)).toBe(true)
        }
        expect(await failure(fileSystem.space(at('none')))).toBe('ENOENT')
      })

      it('syncDirectory -> resolves; of what is not there -> ENOENT', async () => {
        await put('a', '')
        await fileSystem.syncDirectory(directory)
        expect(await names()).toEqual(['a'])
        expect(await failure(fileSystem.syncDirectory(at('none')))).toBe('ENOENT')
      })
    })
  })
}
