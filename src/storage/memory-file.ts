// One file of the in-memory file system: its bytes as they read now, those that survive power loss, and which 512-byte
// sectors differ because they were not synced.
import { assert } from '../base/assert.ts'

export const SECTOR_BYTES = 512

/** What power loss makes of one sector that was not synced. Garbage is possible only where the file had grown. */
export type SectorOutcome = 'lost' | 'kept' | 'garbage'

/** Decides, file by file, what power loss leaves of what was not synced. */
export interface FilePowerLoss {
  sector(index: number): SectorOutcome
  /** The size in bytes, one of the two or between them. */
  size(durableBytes: number, writtenBytes: number): number
  /** Fills the bytes of a sector that turned to garbage. */
  garbage(target: Uint8Array): void
}

/** What a sync will have made durable when it completes: the content at the time it began. */
export interface SyncCapture {
  readonly stamp: number
  readonly sizeBytes: number
  readonly sectors: ReadonlyMap<number, { readonly stamp: number; readonly bytes: Uint8Array }>
}

export class MemoryFile {
  /** May be longer than the file; bytes beyond the size are zero. */
  #bytes = new Uint8Array(0)
  #sizeBytes = 0
  #durable = new Uint8Array(0)
  /** Counts changes, so that overlapping syncs that complete in another order never bring back older bytes. */
  #stamp = 0
  #durableStamp = 0
  readonly #dirty = new Map<number, number>()
  readonly #durableSectors = new Map<number, number>()
  /** Bits that the medium flipped: by position, the byte as it was written and as it reads since. */
  readonly #flips = new Map<number, { readonly written: number; readonly flipped: number }>()

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** The bytes as they read now; the next write may change them. */
  get view(): Uint8Array {
    return this.#bytes.subarray(0, this.#sizeBytes)
  }

  /** The bytes as they were written: bits that flipped since, and that nobody wrote again, are back. */
  get writtenView(): Uint8Array {
    const flips = this.flippedPositions
    if (flips.length === 0) return this.view
    const bytes = this.view.slice()
    for (const position of flips) bytes[position] = this.#flips.get(position)!.written
    return bytes
  }

  /** Whether a bit reads otherwise than it was written. */
  get isFlipped(): boolean {
    return this.flippedPositions.length > 0
  }

  /**
   * The medium changes a byte that was synced; no operation, and nobody is told.
   * @param mask the bits to flip, 1 to 255.
   * @returns false, and nothing changes, where the byte is not there or not synced.
   */
  flip(position: number, mask: number): boolean {
    const isSynced = position < this.#durable.length && !this.#dirty.has(Math.floor(position / SECTOR_BYTES))
    if (position >= this.#sizeBytes || !isSynced) return false
    const written = this.#bytes[position]!
    const flipped = written ^ mask
    this.#flips.set(position, { written, flipped })
    this.#bytes[position] = flipped
    this.#durable[position] = flipped
    return true
  }

  /** Where they are. */
  get flippedPositions(): readonly number[] {
    return [...this.#flips.keys()].filter(
      (position) =>
        position < this.#sizeBytes && this.#bytes[position] === this.#flips.get(position)!.flipped,
    )
  }

  /** Whether bytes would read after power loss as they do now. @param range `end` exclusive. */
  isDurable({ start, end }: { readonly start: number; readonly end: number }): boolean {
    if (end > this.#durable.length || end > this.#sizeBytes) return false
    for (let i = start; i < end; i++) if (this.#bytes[i] !== this.#durable[i]) return false
    return true
  }

  read(target: Uint8Array, position: number): number {
    const found = this.#bytes.subarray(position, Math.min(position + target.length, this.#sizeBytes))
    target.set(found)
    return found.length
  }

  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length
    this.#reserve(end)
    // The gap that a write beyond the end leaves is new content as well.
    this.#touch(Math.min(position, this.#sizeBytes), end)
    this.#bytes.set(bytes, position)
    this.#sizeBytes = Math.max(this.#sizeBytes, end)
  }

  truncate(sizeBytes: number): void {
    this.#reserve(sizeBytes)
    for (const position of this.#flips.keys()) if (position >= sizeBytes) this.#flips.delete(position)
    const before = this.#sizeBytes
    if (sizeBytes < before) {
      this.#bytes.fill(0, sizeBytes, before)
      for (const sector of this.#dirty.keys()) {
        if (sector * SECTOR_BYTES >= sizeBytes) this.#dirty.delete(sector)
      }
      if (sizeBytes % SECTOR_BYTES !== 0) this.#touch(sizeBytes - 1, sizeBytes)
    } else this.#touch(before, sizeBytes)
    this.#stamp++
    this.#sizeBytes = sizeBytes
  }

  beginSync(): SyncCapture {
    const sectors = new Map<number, { stamp: number; bytes: Uint8Array }>()
    for (const [sector, stamp] of this.#dirty)
      sectors.set(sector, { stamp, bytes: this.#sectorBytes(sector) })
    return { stamp: this.#stamp, sizeBytes: this.#sizeBytes, sectors }
  }

  completeSync(capture: SyncCapture): void {
    if (capture.stamp >= this.#durableStamp) {
      this.#durableStamp = capture.stamp
      this.#durable = resized(this.#durable, capture.sizeBytes)
    }
    for (const [sector, { stamp, bytes }] of capture.sectors) {
      if (this.#dirty.get(sector) === stamp) this.#dirty.delete(sector)
      if ((this.#durableSectors.get(sector) ?? -1) >= stamp) continue
      this.#durableSectors.set(sector, stamp)
      const start = sector * SECTOR_BYTES
      if (start < this.#durable.length)
        this.#durable.set(bytes.subarray(0, this.#durable.length - start), start)
    }
  }

  /** A failed sync as Linux does it: the bytes stay readable and count as clean, but are never written out. */
  failSync(capture: SyncCapture): void {
    for (const [sector, { stamp }] of capture.sectors) {
      if (this.#dirty.get(sector) === stamp) this.#dirty.delete(sector)
    }
  }

  /** The file as it stands, synced or not: what another process finds after this one was killed. */
  copy(): MemoryFile {
    const file = new MemoryFile()
    file.#bytes = this.#bytes.slice(0, this.#sizeBytes)
    file.#sizeBytes = this.#sizeBytes
    file.#durable = this.#durable.slice()
    this.#copyFlips(file)
    file.#stamp = this.#stamp
    file.#durableStamp = this.#durableStamp
    for (const [sector, stamp] of this.#dirty) file.#dirty.set(sector, stamp)
    for (const [sector, stamp] of this.#durableSectors) file.#durableSectors.set(sector, stamp)
    return file
  }

  afterPowerLoss(loss: FilePowerLoss): MemoryFile {
    const sizeBytes =
      this.#sizeBytes === this.#durable.length
        ? this.#sizeBytes
        : loss.size(this.#durable.length, this.#sizeBytes)
    const bytes = resized(this.#durable, sizeBytes)
    for (const sector of [...this.#dirty.keys()].sort((a, b) => a - b)) {
      const start = sector * SECTOR_BYTES
      if (start >= sizeBytes) continue
      const target = bytes.subarray(start, start + SECTOR_BYTES)
      const outcome = loss.sector(sector)
      if (outcome === 'kept') target.set(this.#sectorBytes(sector).subarray(0, target.length))
      // Bytes that had been synced come back as the old or the new ones.
      if (outcome === 'garbage') loss.garbage(target.subarray(Math.max(0, this.#durable.length - start)))
    }
    const file = new MemoryFile()
    file.#bytes = bytes
    file.#sizeBytes = sizeBytes
    file.#durable = bytes.slice()
    this.#copyFlips(file)
    return file
  }

  #copyFlips(to: MemoryFile): void {
    for (const [position, flip] of this.#flips) to.#flips.set(position, flip)
  }

  #sectorBytes(sector: number): Uint8Array {
    const start = sector * SECTOR_BYTES
    return this.#bytes.slice(start, Math.min(start + SECTOR_BYTES, this.#sizeBytes))
  }

  #touch(start: number, end: number): void {
    this.#stamp++
    for (let sector = Math.floor(start / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
      this.#dirty.set(sector, this.#stamp)
    }
  }

  #reserve(bytes: number): void {
    if (bytes > this.#bytes.length)
      this.#bytes = resized(this.#bytes, Math.max(bytes, 2 * this.#bytes.length))
  }
}

function resized(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  assert(length >= 0, `a file cannot have ${length} bytes`)
  const copy = new Uint8Array(length)
  copy.set(bytes.subarray(0, length))
  return copy
}
