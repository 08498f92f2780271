// The disk of one simulated node: bytes that outlive its processes, operations that take virtual time, and faults.
import type { Clock } from '../../base/clock.ts'
import type { Random } from '../../base/random.ts'
import {
  type Fault,
  type FileOperation,
  MemoryFileSystem,
  posixError,
  randomPowerLoss,
} from '../../storage/memory-file-system.ts'
import { exponential } from './draw.ts'

/** What is wrong with a disk at the moment. Chances are per thousand operations of the kind. */
export interface DiskFaults {
  /** Multiplies every delay; 1 is healthy. */
  readonly slowness: number
  /** Writes that take fewer bytes than they were given, which POSIX allows at any time. */
  readonly shortWrites: number
  /** fsyncs that fail; the bytes they were to save may be gone. */
  readonly failedSyncs: number
  /** Writes and changes of names that fail with ENOSPC. */
  readonly full: boolean
}

export const HEALTHY_DISK: DiskFaults = { slowness: 1, shortWrites: 0, failedSyncs: 0, full: false }

/** Mean delays in milliseconds. */
export interface DiskSpeed {
  readonly syncMs: number
  readonly otherMs: number
}

export interface SimulatedDiskOptions {
  readonly random: Random
  readonly speed: DiskSpeed
  readonly onEvent: (text: string) => void
  readonly onFault: (name: 'short-write' | 'failed-sync' | 'disk-full') => void
}

const NEEDS_ROOM: ReadonlySet<FileOperation['kind']> = new Set(['write', 'makeDirectory', 'link'])
/** Of a hundred operations that do not sync, how many take no time: what the page cache does at once. */
const INSTANT_PERCENT = 40

export class SimulatedDisk {
  readonly #options: SimulatedDiskOptions
  #faults: DiskFaults = HEALTHY_DISK
  #fileSystem: MemoryFileSystem
  /** Of the process that runs now; null while none does. */
  #clock: Clock | null = null

  constructor(options: SimulatedDiskOptions) {
    this.#options = options
    this.#fileSystem = this.#empty()
  }

  get fileSystem(): MemoryFileSystem {
    return this.#fileSystem
  }

  get faults(): DiskFaults {
    return this.#faults
  }

  set faults(faults: DiskFaults) {
    this.#faults = faults
  }

  /** A process starts on this disk; its operations end on its clock. */
  attach(clock: Clock): void {
    this.#clock = clock
  }

  /** The process is gone; what it had written stays. */
  afterKill(): void {
    this.#fileSystem = this.#fileSystem.afterKill({
      onOperation: (operation) => this.#onOperation(operation),
    })
  }

  /** The machine is without power; what was not synced is lost or kept by chance, sector by sector. */
  afterPowerLoss(): void {
    this.#fileSystem = this.#fileSystem.afterPowerLoss(randomPowerLoss(this.#options.random), {
      onOperation: (operation) => this.#onOperation(operation),
    })
  }

  /** A new, empty disk takes its place. */
  replace(): void {
    this.#fileSystem.halt()
    this.#fileSystem = this.#empty()
  }

  #empty(): MemoryFileSystem {
    return new MemoryFileSystem({ onOperation: (operation) => this.#onOperation(operation) })
  }

  #onOperation({ kind, path, sequence }: FileOperation): Fault | Promise<Fault> {
    const { random, onEvent } = this.#options
    onEvent(`disk #${sequence} ${kind} ${path}`)
    const fault = this.#drawFault(kind, path)
    const delayMs = this.#drawDelayMs(kind)
    const clock = this.#clock
    if (clock === null) return fault
    if (delayMs === 0 && random.below(100) < INSTANT_PERCENT) return fault
    return new Promise((resolve) => clock.setTimer(delayMs, () => resolve(fault)))
  }

  #drawFault(kind: FileOperation['kind'], path: string): Fault {
    const { random, onFault } = this.#options
    const { shortWrites, failedSyncs, full } = this.#faults
    if (full && NEEDS_ROOM.has(kind)) {
      onFault('disk-full')
      return posixError('ENOSPC', path)
    }
    if (kind === 'write' && shortWrites > 0 && random.below(1_000) < shortWrites) {
      onFault('short-write')
      return { writeBytes: 1 + random.below(64) }
    }
    if (kind === 'sync' && failedSyncs > 0 && random.below(1_000) < failedSyncs) {
      onFault('failed-sync')
      return posixError('EIO', path)
    }
    return undefined
  }

  #drawDelayMs(kind: FileOperation['kind']): number {
    const { random, speed } = this.#options
    const isSync = kind === 'sync' || kind === 'syncDirectory'
    if (!isSync && random.below(100) < INSTANT_PERCENT) return 0
    const meanMs = (isSync ? speed.syncMs : speed.otherMs) * this.#faults.slowness
    return meanMs * exponential(random)
  }
}
