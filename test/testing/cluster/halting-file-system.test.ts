import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { deferred } from '../../../src/base/async/deferred.ts'
import type { FileSystem } from '../../../src/storage/file-system.ts'
import { MemoryFileSystem } from '../../../src/storage/memory-file-system.ts'
import { NodeFileSystem } from '../../../src/storage/node-file-system.ts'
import { HaltingFileSystem } from '../../../src/testing/cluster/halting-file-system.ts'
import { fileSystemContract } from '../../contracts/file-system-contract.ts'

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'vltava-halting-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

fileSystemContract('node, halting', async () => ({
  fileSystem: new HaltingFileSystem(new NodeFileSystem()),
  directory: await temporary(),
}))

describe('a file system that is halted', () => {
  it('what was written stays; nothing begins any more, and nothing is told', async () => {
    const path = `${await temporary()}/file`
    const fileSystem: FileSystem & { halt(): Promise<void> } = new HaltingFileSystem(new NodeFileSystem())
    const file = await fileSystem.open(path, 'create')
    await file.write([new TextEncoder().encode('kept')], 0)
    await fileSystem.halt()
    let told = 0
    const count = (): void => void told++
    file.write([new TextEncoder().encode('lost')], 0).then(count, count)
    file.close().then(count, count)
    fileSystem.remove(path).then(count, count)
    fileSystem.open(`${path}-2`, 'create').then(count, count)
    await stat(path)
    expect(await readFile(path, 'utf8')).toBe('kept')
    await expect(stat(`${path}-2`)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(told).toBe(0)
  })

  it('an operation is under way -> halt waits for it, and its outcome is not told', async () => {
    const held = deferred<undefined>()
    const memory = new MemoryFileSystem({
      onOperation: ({ kind }) => (kind === 'write' ? held.promise : undefined),
    })
    const fileSystem = new HaltingFileSystem(memory)
    const file = await fileSystem.open('/file', 'create')
    const steps: string[] = []
    const told = (): void => void steps.push('told')
    file.write([new Uint8Array(1)], 0).then(told, told)
    const halted = fileSystem.halt().then(() => steps.push('halted'))
    await Promise.resolve()
    expect(steps).toEqual([])
    held.resolve(undefined)
    await halted
    expect(steps).toEqual(['halted'])
    expect(memory.peek('/file')).toHaveLength(1)
  })

  it('files that are open -> closed, also one that was being opened', async () => {
    const closed: string[] = []
    const opening = deferred<undefined>()
    const memory = new MemoryFileSystem({
      onOperation: ({ kind, path }) => {
        if (kind === 'close') closed.push(path)
        return kind === 'open' && path === '/late' ? opening.promise : undefined
      },
    })
    const fileSystem = new HaltingFileSystem(memory)
    await fileSystem.open('/open', 'create')
    await (await fileSystem.open('/closed', 'create')).close()
    const told = (): void => void closed.push('told')
    fileSystem.open('/late', 'create').then(told, told)
    const halted = fileSystem.halt()
    opening.resolve(undefined)
    await halted
    expect(closed.sort()).toEqual(['/closed', '/late', '/open'])
  })
})
