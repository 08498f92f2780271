// A failed fsync fails the whole data directory at once: nobody can say which bytes reached the disk, and a retry that
// succeeds proves nothing (STO-12). The latch is what everything in one directory shares to learn that.
import { VltavaError } from '../model/errors.ts'
import { type FileHandle, type FileSystem, fileErrorCodeOf, type OpenMode } from './file-system.ts'

/** Trips once, for good. */
export class StorageFailure {
  readonly #listeners = new Set<(error: unknown) => void>()
  #cause: { readonly error: unknown } | null = null

  get isTripped(): boolean {
    return this.#cause !== null
  }

  /** The first call tells every listener; later ones change nothing. */
  trip(error: unknown): void {
    if (this.#cause !== null) return
    this.#cause = { error }
    for (const listener of [...this.#listeners]) listener(error)
    this.#listeners.clear()
  }

  /** @returns a function that ends the subscription. */
  onTrip(listener: (error: unknown) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What an operation that was under way is answered with: it may or may not have reached the disk. */
  indefiniteError(): VltavaError {
    return this.#errorOf({ definite: false })
  }

  /** @throws VltavaError STORAGE_ERROR, definite, when the directory has failed. */
  check(): void {
    if (this.#cause !== null) throw this.#errorOf({ definite: true })
  }

  #errorOf({ definite }: { definite: boolean }): VltavaError {
    const message =
      'The data directory failed and takes no more writes; check the disk, then restart the broker.'
    return new VltavaError('STORAGE_ERROR', message, { cause: this.#cause?.error, definite })
  }
}

/**
 * The same file system, but any sync that fails trips the latch, and none is tried after that. Wrapped around the file
 * system of a data directory, it leaves no place that could forget to.
 */
export function failingAsOne(fileSystem: FileSystem, failure: StorageFailure): FileSystem {
  const guarded = async (sync: () => Promise<void>): Promise<void> => {
    failure.check()
    try {
      await sync()
    } catch (error) {
      failure.trip(error)
      throw error
    }
  }
  return {
    async open(path: string, mode: OpenMode) {
      const handle = await fileSystem.open(path, mode)
      return guardedHandle(handle, guarded)
    },
    list: (directory) => fileSystem.list(directory),
    exists: (path) => fileSystem.exists(path),
    link: (path, newPath) => fileSystem.link(path, newPath),
    rename: (path, newPath) => fileSystem.rename(path, newPath),
    remove: (path) => fileSystem.remove(path),
    makeDirectory: (path) => fileSystem.makeDirectory(path),
    removeDirectory: (path) => fileSystem.removeDirectory(path),
    syncDirectory: (path) => guarded(() => fileSystem.syncDirectory(path)),
  }
}

function guardedHandle(
  handle: FileHandle,
  guarded: (sync: () => Promise<void>) => Promise<void>,
): FileHandle {
  return {
    read: (target, position) => handle.read(target, position),
    write: (parts, position) => handle.write(parts, position),
    sync: () => guarded(() => handle.sync()),
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    size: () => handle.size(),
    close: () => handle.close(),
  }
}

/** What a file operation threw, as an error of the table; a VltavaError, damage and a bug stay what they are. */
export function storageError(thrown: unknown): unknown {
  if (thrown instanceof VltavaError || fileErrorCodeOf(thrown) === undefined) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new VltavaError('STORAGE_ERROR', message, { cause: thrown })
}
