// The file system as a data directory uses it: no sync can be forgotten by the limit of those that run at once, and none
// that fails can be overlooked.
import type { FileHandle, FileSystem, OpenMode } from './file-system.ts'
import type { FlushLimiter } from './flush-limiter.ts'
import type { StorageFailure } from './storage-failure.ts'

export interface GuardedFileHandle extends FileHandle {
  /**
   * Syncs as `sync` does, which may have to wait for its turn.
   * @param onStart called when its turn has come: what is written by then is covered.
   */
  syncInTurn(onStart: () => void): Promise<void>
}

export interface GuardedFileSystem extends FileSystem {
  open(path: string, mode: OpenMode): Promise<GuardedFileHandle>
}

export interface Guard {
  /** Trips when a sync fails; none is tried after that. */
  readonly failure: StorageFailure
  readonly limiter: FlushLimiter
}

/** Wraps the file system of a data directory: all its syncs take turns, and one that fails trips the latch. */
export function guardFileSystem(fileSystem: FileSystem, guard: Guard): GuardedFileSystem {
  const inTurn = (sync: () => Promise<void>): Promise<void> =>
    guard.limiter.run(async () => {
      guard.failure.check()
      try {
        await sync()
      } catch (error) {
        guard.failure.trip(error)
        throw error
      }
    })
  return {
    async open(path, mode) {
      return guardHandle(await fileSystem.open(path, mode), inTurn)
    },
    list: (directory) => fileSystem.list(directory),
    exists: (path) => fileSystem.exists(path),
    link: (path, newPath) => fileSystem.link(path, newPath),
    rename: (path, newPath) => fileSystem.rename(path, newPath),
    remove: (path) => fileSystem.remove(path),
    makeDirectory: (path) => fileSystem.makeDirectory(path),
    removeDirectory: (path) => fileSystem.removeDirectory(path),
    syncDirectory: (path) => inTurn(() => fileSystem.syncDirectory(path)),
    space: (path) => fileSystem.space(path),
  }
}

function guardHandle(
  handle: FileHandle,
  inTurn: (sync: () => Promise<void>) => Promise<void>,
): GuardedFileHandle {
  return {
    read: (target, position) => handle.read(target, position),
    write: (parts, position) => handle.write(parts, position),
    sync: () => inTurn(() => handle.sync()),
    syncInTurn: (onStart) =>
      inTurn(() => {
        onStart()
        return handle.sync()
      }),
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    size: () => handle.size(),
    close: () => handle.close(),
  }
}
