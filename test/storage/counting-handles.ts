import type { FileHandle, FileSystem } from '../../src/storage/file-system.ts'

export interface CountedFileSystem {
  readonly fileSystem: FileSystem
  /** Files that are open now. */
  open: number
  /** The most that were open at once. */
  openMax: number
}

/** Passes everything on and counts the files that are open. */
export function countHandles(fileSystem: FileSystem): CountedFileSystem {
  const counted: CountedFileSystem = {
    open: 0,
    openMax: 0,
    fileSystem: {
      async open(path, mode) {
        const handle = await fileSystem.open(path, mode)
        counted.openMax = Math.max(counted.openMax, ++counted.open)
        return countedHandle(handle, () => counted.open--)
      },
      list: (path) => fileSystem.list(path),
      exists: (path) => fileSystem.exists(path),
      space: (path) => fileSystem.space(path),
      link: (path, newPath) => fileSystem.link(path, newPath),
      rename: (path, newPath) => fileSystem.rename(path, newPath),
      remove: (path) => fileSystem.remove(path),
      makeDirectory: (path) => fileSystem.makeDirectory(path),
      removeDirectory: (path) => fileSystem.removeDirectory(path),
      syncDirectory: (path) => fileSystem.syncDirectory(path),
    },
  }
  return counted
}

function countedHandle(handle: FileHandle, onClose: () => void): FileHandle {
  return {
    read: (target, position) => handle.read(target, position),
    write: (parts, position) => handle.write(parts, position),
    sync: () => handle.sync(),
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    size: () => handle.size(),
    async close() {
      await handle.close()
      onClose()
    },
  }
}
