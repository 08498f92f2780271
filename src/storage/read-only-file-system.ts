// A file system that cannot change anything, for commands that look at the directory of a broker that may be running.
import type { FileHandle, FileSystem } from './file-system.ts'

class ReadOnlyError extends Error {
  override readonly name = 'ReadOnlyError'
  readonly code = 'EROFS'
}

/** Passes on what reads, and refuses everything else with EROFS before it reaches the disk. */
export function readOnlyFileSystem(fileSystem: FileSystem): FileSystem {
  return {
    async open(path, mode) {
      if (mode !== 'read') return refuse(`open of ${path} for writing`)
      return readOnlyHandle(await fileSystem.open(path, 'read'), path)
    },
    list: (directory) => fileSystem.list(directory),
    exists: (path) => fileSystem.exists(path),
    space: (path) => fileSystem.space(path),
    link: (path) => refuse(`link of ${path}`),
    rename: (path) => refuse(`rename of ${path}`),
    remove: (path) => refuse(`removal of ${path}`),
    makeDirectory: (path) => refuse(`making of ${path}`),
    removeDirectory: (path) => refuse(`removal of ${path}`),
    syncDirectory: (path) => refuse(`sync of ${path}`),
  }
}

function readOnlyHandle(handle: FileHandle, path: string): FileHandle {
  return {
    read: (target, position) => handle.read(target, position),
    write: () => refuse(`write to ${path}`),
    sync: () => refuse(`sync of ${path}`),
    truncate: () => refuse(`truncation of ${path}`),
    size: () => handle.size(),
    close: () => handle.close(),
  }
}

function refuse(what: string): Promise<never> {
  return Promise.reject(new ReadOnlyError(`EROFS: ${what}, but this file system is only read`))
}
