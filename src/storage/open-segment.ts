// A segment whose log file is open: its size and its two indexes, kept in step with what is written.
import { assert } from '../base/assert.ts'
import { concatBytes } from '../base/bytes.ts'
import { crc32c } from '../base/crc32c.ts'
import type { Offset } from '../model/ids.ts'
import { readSmallFile, removeIfPresent, writeFully } from './file-io.ts'
import type { FileSystem } from './file-system.ts'
import type { GuardedFileHandle } from './guarded-file-system.ts'
import { OFFSET_INDEX_ENTRY_BYTES, OffsetIndex, type OffsetPosition } from './offset-index.ts'
import type { SegmentFiles } from './segment-files.ts'
import { TIME_INDEX_ENTRY_BYTES, TimeIndex, timeIndexTrailer } from './time-index.ts'

export interface OpenSegmentOptions {
  readonly fileSystem: FileSystem
  readonly files: SegmentFiles
  readonly baseOffset: Offset
  readonly handle: GuardedFileHandle
  readonly sizeBytes: number
  /** Bytes of batches between two entries of an index. */
  readonly indexIntervalBytes: number
}

/** What the indexes need to know of a batch that lies in the file. */
export interface IndexedBatch {
  readonly baseOffset: Offset
  readonly nextOffset: Offset
  readonly position: number
  readonly sizeBytes: number
  readonly maxTimestampMs: number
}

export class OpenSegment {
  readonly files: SegmentFiles
  readonly baseOffset: Offset
  readonly handle: GuardedFileHandle
  readonly #fileSystem: FileSystem
  readonly #indexIntervalBytes: number
  #offsetIndex: OffsetIndex
  #timeIndex: TimeIndex
  #sizeBytes: number
  #maxTimestampMs = -1
  #indexedPosition = 0
  /** Entries that the index files hold already. */
  #offsetEntriesWritten = 0
  #timeEntriesWritten = 0
  /** Of these; null where it has to be computed anew. */
  #timeCrcWritten: number | null = 0

  constructor(options: OpenSegmentOptions) {
    this.files = options.files
    this.baseOffset = options.baseOffset
    this.handle = options.handle
    this.#fileSystem = options.fileSystem
    this.#indexIntervalBytes = options.indexIntervalBytes
    this.#sizeBytes = options.sizeBytes
    this.#offsetIndex = new OffsetIndex(options.baseOffset)
    this.#timeIndex = new TimeIndex(options.baseOffset)
  }

  /** Bytes of whole batches that were written. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get offsetIndex(): OffsetIndex {
    return this.#offsetIndex
  }

  get timeIndex(): TimeIndex {
    return this.#timeIndex
  }

  /** The largest time of a record in it; -1 while there is none. */
  get maxTimestampMs(): number {
    return this.#maxTimestampMs
  }

  /** Counts a batch that was written, or that a scan walked over, in the order of the file. */
  noteBatch(batch: IndexedBatch): void {
    // An entry for position 0 says that the segment begins with its own base offset.
    const isIndexable = batch.position > 0 || batch.baseOffset === this.baseOffset
    if (isIndexable && batch.position - this.#indexedPosition >= this.#indexIntervalBytes) {
      this.#indexedPosition = batch.position
      this.#offsetIndex.append(batch.baseOffset, batch.position)
      this.#timeIndex.append({ timestampMs: this.#maxTimestampMs, offset: batch.baseOffset })
    }
    this.#maxTimestampMs = Math.max(this.#maxTimestampMs, batch.maxTimestampMs)
    this.#sizeBytes = Math.max(this.#sizeBytes, batch.position + batch.sizeBytes)
  }

  /**
   * Takes what the index files hold.
   * @param endOffset an upper bound of the offsets in the segment.
   */
  async loadIndexes(endOffset: Offset): Promise<void> {
    const { baseOffset } = this
    const offsetBytes = await readSmallFile(this.#fileSystem, this.files.offsetIndex)
    const timeBytes = await readSmallFile(this.#fileSystem, this.files.timeIndex)
    if (offsetBytes === null || timeBytes === null) return
    const timeIndex = TimeIndex.fromBytes(timeBytes, { baseOffset, endOffset })
    if (timeIndex === null) return
    this.#offsetIndex = OffsetIndex.fromBytes(offsetBytes, { baseOffset, sizeBytes: this.#sizeBytes })
    this.#timeIndex = timeIndex
    this.#indexedPosition = this.#offsetIndex.last.position
    this.#maxTimestampMs = this.#timeIndex.last?.timestampMs ?? -1
    this.#offsetEntriesWritten = this.#offsetIndex.count
    this.#keepTimeEntries(this.#timeIndex.count)
  }

  /**
   * Forgets the entries at or beyond an offset.
   * @returns where the walk has to begin that notes again the batches from the last entry on.
   */
  cutIndexes(offset: Offset): OffsetPosition {
    this.#offsetIndex.truncate(offset)
    const last = this.#offsetIndex.last
    this.#timeIndex.truncate(last.offset)
    this.#indexedPosition = last.position
    this.#maxTimestampMs = this.#timeIndex.last?.timestampMs ?? -1
    this.#offsetEntriesWritten = Math.min(this.#offsetEntriesWritten, this.#offsetIndex.count)
    this.#keepTimeEntries(Math.min(this.#timeEntriesWritten, this.#timeIndex.count))
    return last
  }

  /** Forgets the offset index: it contradicts the log. Reads then walk from the start of the segment. */
  async dropOffsetIndex(): Promise<void> {
    this.#offsetIndex = new OffsetIndex(this.baseOffset)
    await this.removeIndexFiles()
  }

  /** Cuts the log file off, durably. The indexes are the caller's to cut, before, and to complete. */
  async truncate(position: number): Promise<void> {
    await this.handle.truncate(position)
    await this.handle.sync()
    const leftBytes = await this.handle.size()
    assert(
      leftBytes === position,
      `${this.files.log} has ${leftBytes} bytes after a truncation to ${position}`,
    )
    this.#sizeBytes = position
  }

  /** Adds the new entries to the index files. They are not synced: whoever opens them checks them. */
  async writeIndexes(): Promise<void> {
    const offsetEntries = this.#offsetIndex.count
    await this.#write(
      this.files.offsetIndex,
      this.#offsetIndex.toBytes(this.#offsetEntriesWritten),
      this.#offsetEntriesWritten * OFFSET_INDEX_ENTRY_BYTES,
    )
    this.#offsetEntriesWritten = offsetEntries
    await this.#writeTimeIndex()
  }

  async #writeTimeIndex(): Promise<void> {
    const written = this.#timeEntriesWritten
    const count = this.#timeIndex.count
    if (count === written) return
    const added = this.#timeIndex.toBytes(written)
    const crc =
      this.#timeCrcWritten === null ? crc32c(this.#timeIndex.toBytes(0)) : crc32c(added, this.#timeCrcWritten)
    const bytes = concatBytes([added, timeIndexTrailer(crc)])
    await this.#write(this.files.timeIndex, bytes, written * TIME_INDEX_ENTRY_BYTES)
    this.#timeEntriesWritten = count
    this.#timeCrcWritten = crc
  }

  /** So many entries of the time index are in its file, or will be once the rest is cut off. */
  #keepTimeEntries(count: number): void {
    if (count !== this.#timeEntriesWritten) this.#timeCrcWritten = count === 0 ? 0 : null
    this.#timeEntriesWritten = count
  }

  /** Completes the index files, now that nothing more will be appended. */
  async sealIndexes(endOffset: Offset): Promise<void> {
    if (endOffset > this.baseOffset) {
      this.#timeIndex.seal({ timestampMs: this.#maxTimestampMs, offset: endOffset })
      // Sealing may have changed an entry that the file holds.
      this.#keepTimeEntries(0)
    }
    await this.writeIndexes()
  }

  /** Whether the index files were completed by `sealIndexes`, so that they tell the largest time as well. */
  isSealed(endOffset: Offset): boolean {
    return endOffset === this.baseOffset || this.#timeIndex.last?.offset === endOffset
  }

  async removeIndexFiles(): Promise<void> {
    this.#offsetEntriesWritten = 0
    this.#keepTimeEntries(0)
    await removeIfPresent(this.#fileSystem, this.files.offsetIndex)
    await removeIfPresent(this.#fileSystem, this.files.timeIndex)
  }

  async #write(path: string, bytes: Uint8Array, position: number): Promise<void> {
    if (bytes.length === 0) return
    const handle = await this.#fileSystem.open(path, 'create')
    try {
      await writeFully(handle, [bytes], position)
      await handle.truncate(position + bytes.length)
    } finally {
      await handle.close()
    }
  }
}
