// What the tests of recovery share: one log file whose bytes a test makes up.
import { AtomicFile } from '../../src/storage/atomic-file.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { cpu, joined, LOG_PATH, segmentPath, stamped, writeFile } from './fixtures.ts'

export const ACTIVE = segmentPath(0)
export const EPOCHS = `${LOG_PATH}/leader-epochs`

/** A disk with one log file of these bytes, and these leader epochs as pairs of epoch and start offset. */
export async function diskWith(
  bytes: Uint8Array,
  epochs: readonly (readonly [number, number])[] = [[0, 0]],
): Promise<MemoryFileSystem> {
  const disk = new MemoryFileSystem()
  await disk.makeDirectory(LOG_PATH)
  for (const directory of ['/', '/data']) await disk.syncDirectory(directory)
  await writeFile(disk, ACTIVE, bytes)
  const file = { fileSystem: disk, cpu, path: EPOCHS, format: 'leader-epochs', version: 1 }
  await new AtomicFile(file).write(epochs)
  return disk
}

export const BATCHES = [
  stamped({ text: 'a', records: 2, paddingBytes: 300, offset: 0, leaderEpoch: 0 }),
  stamped({ text: 'b', records: 1, paddingBytes: 700, offset: 2, leaderEpoch: 0 }),
  stamped({ text: 'c', records: 3, paddingBytes: 100, offset: 3, leaderEpoch: 0 }),
]
export const ENDS = BATCHES.map((_, i) => joined(BATCHES.slice(0, i + 1)).length)
export const WHOLE = joined(BATCHES)
export const NEXT_OFFSETS = [0, 2, 3, 6]

export function flipped(bytes: Uint8Array, position: number, bit = 0): Uint8Array {
  const copy = bytes.slice()
  copy[position]! ^= 1 << bit
  return copy
}
