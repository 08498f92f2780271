import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { FlushLimiter } from '../../src/storage/flush-limiter.ts'
import { guardFileSystem } from '../../src/storage/guarded-file-system.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { NodeFileSystem } from '../../src/storage/node-file-system.ts'
import { StorageFailure } from '../../src/storage/storage-failure.ts'
import { HEALTHY_DISK, SimulatedDisk } from '../../src/testing/simulation/simulated-disk.ts'
import { fileSystemContract } from './file-system-contract.ts'

fileSystemContract('memory', async () => {
  const fileSystem = new MemoryFileSystem()
  await fileSystem.makeDirectory('/data')
  return { fileSystem, directory: '/data' }
})

fileSystemContract('node', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'vltava-files-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return { fileSystem: new NodeFileSystem(), directory }
})

fileSystemContract('memory, guarded', async () => {
  const guard = { failure: new StorageFailure(), limiter: new FlushLimiter(1) }
  const fileSystem = guardFileSystem(new MemoryFileSystem(), guard)
  await fileSystem.makeDirectory('/data')
  return { fileSystem, directory: '/data' }
})

fileSystemContract('memory, with room for little more', async () => {
  const fileSystem = new MemoryFileSystem()
  fileSystem.capacityBytes = 16 * 1024 * 1024
  await fileSystem.makeDirectory('/data')
  return { fileSystem, directory: '/data' }
})

fileSystemContract('simulated disk', async () => {
  const disk = new SimulatedDisk({
    random: seededRandom(1),
    speed: { syncMs: 1, otherMs: 0.1 },
    onEvent: () => {},
    onFault: () => {},
  })
  disk.faults = HEALTHY_DISK
  await disk.fileSystem.makeDirectory('/data')
  return { fileSystem: disk.fileSystem, directory: '/data' }
})
