import { deferred } from '../../base/async/deferred.ts'
import type {
  DirectoryEntry,
  DiskSpace,
  FileHandle,
  FileSystem,
  OpenMode,
} from '../../storage/file-system.ts'

/**
 * A real file system as one run of a process uses it. Halted, it begins nothing more and settles nothing: to the process
 * that is as if it were gone, and what it had written stays.
 */
export class HaltingFileSystem implements FileSystem {
  readonly #fileSystem: FileSystem
  readonly #open = new Set<FileHandle>()
  #isHalted = false
  #underWay = 0
  readonly #idle = deferred<void>()

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem
  }

  /** Resolves when nothing is under way any more and every file is closed. */
  async halt(): Promise<void> {
    this.#isHalted = true
    if (this.#underWay > 0) await this.#idle.promise
    await Promise.all([...this.#open].map((handle) => handle.close()))
    this.#open.clear()
  }

  open(path: string, mode: OpenMode): Promise<FileHandle> {
    return this.#run(async () => {
      const handle = await this.#fileSystem.open(path, mode)
      this.#open.add(handle)
      return this.#guard(handle)
    })
  }

  list(directory: string): Promise<readonly DirectoryEntry[]> {
    return this.#run(() => this.#fileSystem.list(directory))
  }

  exists(path: string): Promise<boolean> {
    return this.#run(() => this.#fileSystem.exists(path))
  }

  link(path: string, newPath: string): Promise<void> {
    return this.#run(() => this.#fileSystem.link(path, newPath))
  }

  rename(path: string, newPath: string): Promise<void> {
    return this.#run(() => this.#fileSystem.rename(path, newPath))
  }

  remove(path: string): Promise<void> {
    return this.#run(() => this.#fileSystem.remove(path))
  }

  makeDirectory(path: string): Promise<void> {
    return this.#run(() => this.#fileSystem.makeDirectory(path))
  }

  removeDirectory(path: string): Promise<void> {
    return this.#run(() => this.#fileSystem.removeDirectory(path))
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run(() => this.#fileSystem.syncDirectory(path))
  }

  space(path: string): Promise<DiskSpace> {
    return this.#run(() => this.#fileSystem.space(path))
  }

  #guard(handle: FileHandle): FileHandle {
    return {
      read: (target, position) => this.#run(() => handle.read(target, position)),
      write: (parts, position) => this.#run(() => handle.write(parts, position)),
      sync: () => this.#run(() => handle.sync()),
      truncate: (sizeBytes) => this.#run(() => handle.truncate(sizeBytes)),
      size: () => this.#run(() => handle.size()),
      close: () =>
        this.#run(() => {
          this.#open.delete(handle)
          return handle.close()
        }),
    }
  }

  #run<T>(operation: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isHalted) return
      this.#underWay++
      const settle = (tell: () => void): void => {
        this.#underWay--
        if (!this.#isHalted) tell()
        else if (this.#underWay === 0) this.#idle.resolve()
      }
      operation().then(
        (value) => settle(() => resolve(value)),
        (error: Error) => settle(() => reject(error)),
      )
    })
  }
}
