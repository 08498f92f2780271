import { VltavaError } from '../../model/errors.ts'
import type { FileSystem } from '../../storage/file-system.ts'
import {
  MemoryFileSystem,
  type MemoryFileSystemOptions,
  type PowerLoss,
} from '../../storage/memory-file-system.ts'
import { HaltingFileSystem } from './halting-file-system.ts'

/** What a node keeps over its runs. */
export interface NodeStorage {
  /** The data directory, as the node is told. */
  readonly path: string
  /** As the run of now uses it. */
  readonly fileSystem: FileSystem
  /** Ends the run: what it had written stays, and it does nothing any more. */
  afterKill(): Promise<void>
  /** Ends the run: what was not synced is lost, or kept in part as `loss` says. */
  afterPowerLoss(loss: PowerLoss): void
  /** Takes everything away. Only between two runs. */
  replace(): void
}

/** A disk that exists in memory only. */
export class MemoryStorage implements NodeStorage {
  readonly path = '/data'
  #fileSystem: MemoryFileSystem

  /** @param firstRun what happens to the operations of the first run. */
  constructor(firstRun: MemoryFileSystemOptions = {}) {
    this.#fileSystem = new MemoryFileSystem(firstRun)
  }

  get fileSystem(): FileSystem {
    return this.#fileSystem
  }

  afterKill(): Promise<void> {
    this.#fileSystem = this.#fileSystem.afterKill()
    return Promise.resolve()
  }

  afterPowerLoss(loss: PowerLoss): void {
    this.#fileSystem = this.#fileSystem.afterPowerLoss(loss)
  }

  replace(): void {
    this.#fileSystem = new MemoryFileSystem()
  }
}

export interface DirectoryStorageOptions {
  readonly fileSystem: FileSystem
  readonly directory: string
  /** For the path of the data directory, which is another one after `replace`. */
  readonly name: string
}

/** A directory on a disk of this machine. */
export class DirectoryStorage implements NodeStorage {
  readonly #options: DirectoryStorageOptions
  #fileSystem: HaltingFileSystem
  #disks = 1

  constructor(options: DirectoryStorageOptions) {
    this.#options = options
    this.#fileSystem = new HaltingFileSystem(options.fileSystem)
  }

  get path(): string {
    const { directory, name } = this.#options
    return `${directory}/${name}${this.#disks === 1 ? '' : `-disk-${this.#disks}`}`
  }

  get fileSystem(): FileSystem {
    return this.#fileSystem
  }

  async afterKill(): Promise<void> {
    const halted = this.#fileSystem.halt()
    this.#fileSystem = new HaltingFileSystem(this.#options.fileSystem)
    await halted
  }

  afterPowerLoss(): void {
    throw new VltavaError(
      'INVALID_ARGUMENT',
      "losePower: a directory of this machine cannot lose its power; start the cluster with storage: 'memory'.",
    )
  }

  replace(): void {
    this.#disks++
  }
}
