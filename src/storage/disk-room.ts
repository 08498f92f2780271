// Watches how full the disk of a data directory is. Records are refused some way before the disk is full, because what
// remains is needed to get out of that: leader epochs, checkpoints and the controllers' log must still be written, and
// retention and deletion go on (STO-16).
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { VltavaError } from '../model/errors.ts'
import { type DiskSpace, type FileSystem, isNotFound, isOutOfSpace } from './file-system.ts'
import type { StorageFailure } from './storage-failure.ts'

export interface DiskRoomSettings {
  /** `log.disk.usage.warn.percent`: used space from which on a warning is logged. 1 to 100, default 85. */
  readonly warnPercent: number
  /** `log.disk.usage.max.percent`: used space from which on no records are taken. 1 to 100, default 95; 100 is no limit. */
  readonly maxPercent: number
  /** `log.disk.reserve.bytes`: not more than this must stay free, however large the disk is. Default 10 GiB. */
  readonly reserveBytes: number
  /** Milliseconds between two looks at the disk. 1 or more, default 1,000. */
  readonly checkIntervalMs: number
}

export const DISK_ROOM_SETTINGS_DEFAULT: DiskRoomSettings = {
  warnPercent: 85,
  maxPercent: 95,
  reserveBytes: 10 * 2 ** 30,
  checkIntervalMs: 1_000,
}

/** What a log asks before it takes records. */
export interface RecordRoom {
  /** @throws VltavaError DISK_FULL, definite and retriable, when the disk is too full to take records. */
  checkRoom(bytes: number): void
  /** To be called when a write of records failed; anything but a lack of space is of no interest. */
  writeFailed(thrown: unknown): void
}

/** For logs that may use the disk up to its end. */
export const ALL_ROOM: RecordRoom = { checkRoom() {}, writeFailed() {} }

export interface DiskRoomOptions {
  readonly fileSystem: Pick<FileSystem, 'space'>
  readonly path: string
  readonly clock: Clock
  readonly log: Log
  /** Trips when the directory is gone: writes to its open files would be acknowledged and lost. */
  readonly failure: StorageFailure
  readonly settings: DiskRoomSettings
}

type Level = 'low' | 'high' | 'full'

/** The warning comes at this many times the reserve at the latest, as its percentage is to that of the limit. */
const WARN_RESERVES = 3
/** A limit that was reached counts until this share of the disk more is free, or this share of the reserve. */
const HYSTERESIS = { disk: 1 / 100, reserve: 1 / 4 } as const
/** A write that found no room where there should be some (a quota, say) ends the taking of records for so many checks. */
const CHECKS_BLOCKED = 5

export class DiskRoom implements RecordRoom {
  readonly #options: DiskRoomOptions
  #level: Level = 'low'
  /** As found last; null before that, and where it cannot be found. */
  #space: DiskSpace | null = null
  /** Bytes that were let in since then. */
  #takenBytes = 0
  #blockedUntilMs = Number.NEGATIVE_INFINITY
  #isUnknown = false
  #isChecking = false
  #isStopped = false
  #timer: Timer | null = null

  constructor(options: DiskRoomOptions) {
    this.#options = options
  }

  /** Looks at the disk for the first time, then again and again until `stop`. */
  async start(): Promise<void> {
    await this.#check()
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  /** Why no records are taken, in a sentence for operators and clients; null while they are. */
  get refusal(): string | null {
    return this.#level === 'full' ? this.#sentence() : null
  }

  checkRoom(bytes: number): void {
    const takenBytes = this.#takenBytes + bytes
    const space = this.#space
    // Between two looks the disk is taken to fill by what was let in; a look tells how it really is.
    const isUsedUp =
      space !== null && space.availableBytes - takenBytes < this.#fullBelowBytes(space.totalBytes)
    if (isUsedUp && this.#level !== 'full') this.#checkSoon()
    if (this.#level === 'full' || isUsedUp) throw new VltavaError('DISK_FULL', this.#sentence())
    this.#takenBytes = takenBytes
  }

  writeFailed(thrown: unknown): void {
    if (!isOutOfSpace(thrown)) return
    const { clock, settings } = this.#options
    this.#blockedUntilMs = clock.monotonicMs() + CHECKS_BLOCKED * settings.checkIntervalMs
    this.#enter('full')
    this.#checkSoon()
  }

  #checkSoon(): void {
    if (this.#isChecking) return
    this.#check().catch((error: unknown) => this.#options.failure.trip(error))
  }

  /** Rejects only for a bug: what the file system throws is dealt with. */
  async #check(): Promise<void> {
    const { fileSystem, path, clock, settings } = this.#options
    if (this.#isStopped) return
    this.#isChecking = true
    this.#timer?.cancel()
    const takenBefore = this.#takenBytes
    try {
      this.#space = await fileSystem.space(path)
      // What came meanwhile may or may not be part of it.
      this.#takenBytes -= takenBefore
      this.#isUnknown = false
      this.#enter(this.#levelOf(this.#space))
    } catch (error) {
      this.#checkFailed(error)
    }
    this.#isChecking = false
    if (!this.#isStopped) this.#timer = clock.setTimer(settings.checkIntervalMs, () => this.#checkSoon())
  }

  #checkFailed(error: unknown): void {
    const { path, log, failure } = this.#options
    if (isNotFound(error)) {
      failure.trip(
        new VltavaError(
          'STORAGE_ERROR',
          `The data directory ${path} was removed while it was in use. Restart the node: it copies the data from other replicas.`,
          { cause: error },
        ),
      )
      return
    }
    // Without figures only a write that fails shows that the disk is full.
    this.#space = null
    this.#enter(this.#isBlocked() ? 'full' : 'low')
    if (this.#isUnknown) return
    this.#isUnknown = true
    log.warn('disk-space-unknown', { path, error })
  }

  #levelOf({ totalBytes, availableBytes }: DiskSpace): Level {
    const marginOf = (level: Level): number => (this.#level === level ? this.#marginBytes(totalBytes) : 0)
    if (this.#isBlocked()) return 'full'
    if (availableBytes < this.#fullBelowBytes(totalBytes) + marginOf('full')) return 'full'
    const isHigh = availableBytes < this.#warnBelowBytes(totalBytes) + marginOf('high')
    return isHigh ? 'high' : 'low'
  }

  #isBlocked(): boolean {
    return this.#options.clock.monotonicMs() < this.#blockedUntilMs
  }

  #fullBelowBytes(totalBytes: number): number {
    const { maxPercent, reserveBytes } = this.#options.settings
    return Math.min((totalBytes * (100 - maxPercent)) / 100, reserveBytes)
  }

  #warnBelowBytes(totalBytes: number): number {
    const { warnPercent, reserveBytes } = this.#options.settings
    return Math.min((totalBytes * (100 - warnPercent)) / 100, WARN_RESERVES * reserveBytes)
  }

  #marginBytes(totalBytes: number): number {
    return Math.min(totalBytes * HYSTERESIS.disk, this.#options.settings.reserveBytes * HYSTERESIS.reserve)
  }

  /** Logs once for each crossing. */
  #enter(level: Level): void {
    const before = this.#level
    if (level === before) return
    this.#level = level
    const { path, log } = this.#options
    const fields = { path, ...this.#space, reason: this.#describe() }
    if (level === 'full') log.error('disk-full', fields)
    else if (level === 'high' && before === 'low') log.warn('disk-filling', fields)
    else log.info('disk-has-room', fields)
  }

  #sentence(): string {
    return `This broker takes no records at the moment: ${this.#describe()}. Free space or delete records; it goes on by itself.`
  }

  #describe(): string {
    const space = this.#space
    if (space === null) return 'a write found no room on its disk'
    const { totalBytes, availableBytes } = space
    const usedPercent = totalBytes === 0 ? 100 : Math.floor(100 - (100 * availableBytes) / totalBytes)
    const found = `its disk is ${usedPercent} % full and has ${readableBytes(availableBytes)} left`
    if (this.#isBlocked()) return `${found}, but a write found no room`
    const needed = readableBytes(this.#fullBelowBytes(totalBytes))
    return `${found}, and ${needed} must stay free (log.disk.usage.max.percent, log.disk.reserve.bytes)`
  }
}

function readableBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? Math.floor(value) : value.toFixed(1)} ${units[unit]!}`
}
