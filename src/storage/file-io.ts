// What every user of the file system port would otherwise write again: loops over short reads and writes, and the
// directory syncs that make new names durable.
import { directoryOf, type FileHandle, type FileSystem, fileErrorCodeOf, isNotFound } from './file-system.ts'

/** Thrown when a file takes no bytes and says nothing about why; a loop would spin for ever. */
export class NothingWrittenError extends Error {
  override readonly name = 'NothingWrittenError'
  readonly code = 'EIO'
}

/**
 * Reads until the target is full or the file ends.
 * @returns the bytes read; fewer than the target has only at the end of the file.
 */
export async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let filled = await handle.read(target, position)
  while (filled < target.length) {
    const read = await handle.read(target.subarray(filled), position + filled)
    if (read === 0) break
    filled += read
  }
  return filled
}

/** Writes all of the parts behind one another, however short the single writes are. */
export async function writeFully(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let left = parts
  let leftBytes = totalBytes(parts)
  let at = position
  while (leftBytes > 0) {
    const written = await handle.write(left, at)
    if (written === leftBytes) return
    if (written <= 0) throw new NothingWrittenError(`the file took none of ${leftBytes} bytes`)
    leftBytes -= written
    at += written
    left = withoutFirst(left, written)
  }
}

export function totalBytes(parts: readonly Uint8Array[]): number {
  let bytes = 0
  for (const part of parts) bytes += part.length
  return bytes
}

function withoutFirst(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  let first = 0
  while (skip >= parts[first]!.length) skip -= parts[first++]!.length
  return [parts[first]!.subarray(skip), ...parts.slice(first + 1)]
}

/** The whole content of a small file; null when there is none. */
export async function readSmallFile(fileSystem: FileSystem, path: string): Promise<Uint8Array | null> {
  let handle: FileHandle
  try {
    handle = await fileSystem.open(path, 'read')
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
  try {
    const content = new Uint8Array(await handle.size())
    const read = content.length === 0 ? 0 : await readFully(handle, content, 0)
    return content.subarray(0, read)
  } finally {
    await handle.close()
  }
}

export async function removeIfPresent(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.remove(path)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

/** Makes a directory and the missing ones above it so that they survive power loss. */
export async function makeDurableDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  // When it exists, it may have been made just before a crash, so its name is synced as well.
  const made = [path]
  let parent = directoryOf(path)
  while (!(await fileSystem.exists(parent))) {
    made.push(parent)
    parent = directoryOf(parent)
  }
  await fileSystem.makeDirectory(path)
  for (const directory of made) await fileSystem.syncDirectory(directoryOf(directory))
}

/**
 * Makes durable the names of the directories on the way to this one, as far up as permissions reach: an earlier process
 * may have made them and died before it could.
 */
export async function syncAncestors(fileSystem: FileSystem, path: string): Promise<void> {
  for (let at = path; directoryOf(at) !== at; at = directoryOf(at)) {
    try {
      await fileSystem.syncDirectory(directoryOf(at))
    } catch (error) {
      const code = fileErrorCodeOf(error)
      if (code === 'EACCES' || code === 'EPERM') return
      throw error
    }
  }
}

/** Removes a directory with everything in it; does nothing when it is absent. */
export async function removeTree(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    for (const entry of await fileSystem.list(path)) {
      const child = `${path}/${entry.name}`
      await (entry.isDirectory ? removeTree(fileSystem, child) : removeIfPresent(fileSystem, child))
    }
    await fileSystem.removeDirectory(path)
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}
