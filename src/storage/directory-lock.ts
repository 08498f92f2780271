// One process for each data directory. Node has no flock, so the lock is a file that says who holds it:
//
//   {"id":"...","bootId":"...","pid":4711,"startTime":"8234234"}
//
// It appears with its content at once (a link to a finished file), so only one of several starters gets it. A lock whose
// process is gone is taken over by the one who creates `lock.after-<id of that lock>`, a name that nobody can create
// twice while that lock stands; it is then renamed to `lock`. If that starter dies too before the rename, the next one
// finds its file there and goes on behind it in the same way. Before the rename a starter looks whether `lock` is still
// the one it began with: a starter that was slower than a whole takeover finds another and begins again.
//
// Whether a process is gone can only be told on one machine and in one pid namespace: two containers or machines that
// share a volume are not protected from each other.
import { toBase64Url } from '../base/bytes.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Process, ProcessIdentity } from '../base/process.ts'
import type { Random } from '../base/random.ts'
import { VltavaError } from '../model/errors.ts'
import { isObject } from './atomic-file.ts'
import { readSmallFile, removeIfPresent, writeFully } from './file-io.ts'
import { type FileSystem, fileErrorCodeOf, joinPath } from './file-system.ts'

export interface DirectoryLockOptions {
  readonly fileSystem: FileSystem
  readonly directory: string
  readonly process: Process
  readonly random: Random
  readonly cpu: Cpu
}

interface Holder extends ProcessIdentity {
  /** Names this lock and no other. */
  readonly id: string
}

export class DirectoryLock {
  readonly #options: DirectoryLockOptions
  readonly #holder: Holder
  readonly #path: string

  private constructor(options: DirectoryLockOptions) {
    const { bootId, pid, startTime } = options.process.identity
    const id = new Uint8Array(16)
    options.random.fill(id)
    this.#options = options
    this.#holder = { id: toBase64Url(id), bootId, pid, startTime }
    this.#path = joinPath(options.directory, 'lock')
  }

  /**
   * Takes the lock of an existing directory.
   * @throws VltavaError INVALID_REQUEST when a running process holds it.
   */
  static async acquire(options: DirectoryLockOptions): Promise<DirectoryLock> {
    const lock = new DirectoryLock(options)
    const claim = `${lock.#path}.${lock.#holder.id}.tmp`
    try {
      await lock.#writeClaim(claim)
      while (!(await lock.#take(claim)));
    } finally {
      await removeIfPresent(options.fileSystem, claim)
    }
    return lock
  }

  /** Gives the lock back. */
  async release(): Promise<void> {
    const holder = await this.#read(this.#path)
    if (holder?.id === this.#holder.id) await this.#options.fileSystem.remove(this.#path)
  }

  async #writeClaim(path: string): Promise<void> {
    const { fileSystem, cpu } = this.#options
    const handle = await fileSystem.open(path, 'create')
    try {
      await writeFully(handle, [cpu.encodeUtf8(`${JSON.stringify(this.#holder)}\n`)], 0)
      // A lock must not be empty after power loss.
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  /** @returns false when the lock changed hands meanwhile, so that the caller begins again. */
  async #take(claim: string): Promise<boolean> {
    const { fileSystem, process } = this.#options
    const gone: Holder[] = []
    let name = this.#path
    while (!(await this.#link(claim, name))) {
      const holder = await this.#read(name)
      if (holder === null) return false
      if (process.isRunning(holder)) throw this.#inUse(holder)
      gone.push(holder)
      name = this.#successorOf(holder)
    }
    if (gone.length === 0) return true
    const first = await this.#read(this.#path)
    if (first?.id !== gone[0]!.id) {
      await fileSystem.remove(name)
      return false
    }
    await fileSystem.rename(name, this.#path)
    for (const holder of gone) await removeIfPresent(fileSystem, this.#successorOf(holder))
    return true
  }

  async #link(claim: string, name: string): Promise<boolean> {
    try {
      await this.#options.fileSystem.link(claim, name)
      return true
    } catch (error) {
      if (fileErrorCodeOf(error) === 'EEXIST') return false
      throw error
    }
  }

  #successorOf(holder: Holder): string {
    return `${this.#path}.after-${holder.id}`
  }

  /** @returns null when there is no such file. */
  async #read(path: string): Promise<Holder | null> {
    const { fileSystem, cpu } = this.#options
    const bytes = await readSmallFile(fileSystem, path)
    if (bytes === null) return null
    const holder = parseHolder(cpu.decodeUtf8(bytes))
    if (holder !== null) return holder
    throw new VltavaError(
      'INVALID_REQUEST',
      `The lock file ${path} is damaged. If no process uses this data directory, remove the file and start again.`,
    )
  }

  #inUse(holder: Holder): VltavaError {
    return new VltavaError(
      'INVALID_REQUEST',
      `The data directory ${this.#options.directory} is in use by the process with pid ${holder.pid} ` +
        `(${this.#path}). Stop that process, or give this one another data directory.`,
    )
  }
}

/** @returns null when the text is not what a lock holds. */
export function parseHolder(text: string): Holder | null {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(content)) return null
  const { id, bootId, pid, startTime } = content
  if (typeof id !== 'string' || !/^[A-Za-z0-9_-]+$/.test(id)) return null
  if (typeof bootId !== 'string' || typeof pid !== 'number' || typeof startTime !== 'string') return null
  return { id, bootId, pid, startTime }
}
