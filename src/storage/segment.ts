// One segment of a log. The active one, the last, stays open; a sealed one is opened by the first read and closed again
// when many others were used since, so that a long log holds a bounded number of files and indexes.
import { assert } from '../base/assert.ts'
import { type Deferred, deferred } from '../base/async/deferred.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Offset } from '../model/ids.ts'
import { BATCH_ABSOLUTE_MAX_BYTES } from '../model/limits.ts'
import { scanBatches } from './batch-scan.ts'
import { removeIfPresent } from './file-io.ts'
import type { GuardedFileSystem } from './guarded-file-system.ts'
import { OpenSegment } from './open-segment.ts'
import type { Cached, SegmentCache } from './segment-cache.ts'
import { type SegmentFiles, segmentFiles } from './segment-files.ts'
import { SegmentRetiredError } from './segment-retired-error.ts'

/** What all segments of a log share. */
export interface SegmentContext {
  readonly fileSystem: GuardedFileSystem
  readonly directory: string
  readonly cache: SegmentCache
  readonly cpu: Cpu
  readonly log: Log
  readonly indexIntervalBytes: number
}

export class Segment implements Cached {
  readonly baseOffset: Offset
  readonly files: SegmentFiles
  /** Exclusive. Of a sealed segment it is the base offset of the next. */
  endOffset: Offset
  readonly #context: SegmentContext
  #open: OpenSegment | null = null
  #opening: Promise<OpenSegment> | null = null
  #isActive = false
  #users = 0
  #unused: Deferred<void> | null = null
  /** While it lasts, reads wait. */
  #activation: Promise<unknown> | null = null
  #isRetired = false

  constructor(context: SegmentContext, offsets: { readonly baseOffset: Offset; readonly endOffset: Offset }) {
    this.#context = context
    this.baseOffset = offsets.baseOffset
    this.endOffset = offsets.endOffset
    this.files = segmentFiles(context.directory, offsets.baseOffset)
  }

  get path(): string {
    return this.files.log
  }

  get isUnused(): boolean {
    return this.#users === 0
  }

  /**
   * Opens the log file for writing, creates it when absent, and keeps it open: the segment is the active one now.
   * @param emptied whether to drop what a failed or cut-off attempt may have left under this name.
   */
  activate({ emptied }: { readonly emptied: boolean }): Promise<OpenSegment> {
    return this.#hold(this.#activate(emptied))
  }

  /** Reads wait until the files are in their place. */
  holdUntil(inPlace: Promise<void>): void {
    this.#activation = this.#hold(inPlace)
  }

  /**
   * It leaves the log: who reads goes on, but its files are not opened any more. To be called before anything is done to
   * them, because another segment may come to have the same names.
   * @returns resolves when nobody is just opening them.
   */
  async retire(): Promise<void> {
    this.#isRetired = true
    try {
      await this.#opening
    } catch {
      // Whoever wanted to read hears of it.
    }
  }

  /** It stays in the log after all. */
  reinstate(): void {
    this.#isRetired = false
  }

  /** Whether it is open for writing. */
  get isActive(): boolean {
    return this.#isActive
  }

  /** The open segment of an active one. */
  get active(): OpenSegment {
    assert(this.#isActive && this.#open !== null, `the segment at ${this.baseOffset} is not open for writing`)
    return this.#open
  }

  /** Hands the open file to the cache: reads may go on with it, and it may be closed at any time. */
  seal(endOffset: Offset): void {
    this.endOffset = endOffset
    this.#isActive = false
    this.#context.cache.used(this)
  }

  /**
   * Runs reads with the segment open; it stays open until they have ended.
   * @throws SegmentRetiredError where it has left the log and is not open any more, and what the reads throw.
   */
  async use<T>(work: (open: OpenSegment) => Promise<T>): Promise<T> {
    // A read must not open a second file while the one for writing is being opened.
    while (this.#activation !== null) await this.#activation
    this.#users++
    try {
      const open = this.#open ?? (await this.#load())
      if (!this.#isActive) this.#context.cache.used(this)
      return await work(open)
    } finally {
      this.#users--
      if (this.#users === 0) {
        this.#unused?.resolve()
        this.#unused = null
        this.#context.cache.released()
      }
    }
  }

  /** Closes the file when the reads under way have ended. Does nothing when it is not open. */
  async close(): Promise<void> {
    this.#context.cache.forget(this)
    while (this.#users > 0) {
      this.#unused ??= deferred()
      await this.#unused.promise
    }
    const open = this.#open
    this.#open = null
    this.#isActive = false
    if (open !== null) await open.handle.close()
  }

  /** Removes the files, the log last: an index without a log is no segment. The directory is the caller's to sync. */
  async remove(): Promise<void> {
    await this.retire()
    await this.close()
    const { fileSystem } = this.#context
    await removeIfPresent(fileSystem, this.files.offsetIndex)
    await removeIfPresent(fileSystem, this.files.timeIndex)
    await removeIfPresent(fileSystem, this.files.log)
  }

  #hold<T>(until: Promise<T>): Promise<T> {
    const activation = until.finally(() => {
      if (this.#activation === activation) this.#activation = null
    })
    this.#activation = activation
    return activation
  }

  async #activate(emptied: boolean): Promise<OpenSegment> {
    await this.close()
    const { fileSystem, directory } = this.#context
    const handle = await fileSystem.open(this.files.log, 'create')
    try {
      if (emptied) await handle.truncate(0)
      const open = new OpenSegment({ ...this.#openOptions(), handle, sizeBytes: await handle.size() })
      if (emptied) await open.removeIndexFiles()
      await fileSystem.syncDirectory(directory)
      this.#open = open
      this.#isActive = true
      return open
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  #load(): Promise<OpenSegment> {
    if (this.#isRetired) return Promise.reject(new SegmentRetiredError(this.path))
    this.#opening ??= this.#loadSealed().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  async #loadSealed(): Promise<OpenSegment> {
    const handle = await this.#context.fileSystem.open(this.files.log, 'read')
    try {
      const open = new OpenSegment({ ...this.#openOptions(), handle, sizeBytes: await handle.size() })
      await open.loadIndexes(this.endOffset)
      const unindexedBytes = open.sizeBytes - open.offsetIndex.last.position
      const gapMaxBytes = BATCH_ABSOLUTE_MAX_BYTES + this.#context.indexIntervalBytes
      if (!open.isSealed(this.endOffset) || unindexedBytes > gapMaxBytes) await this.#rebuildIndexes(open)
      this.#open = open
      return open
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Makes the indexes from the batch headers. A damaged batch ends that; reads report it when they get there. */
  async #rebuildIndexes(open: OpenSegment): Promise<void> {
    const from = open.cutIndexes(this.baseOffset)
    await noteBatches(open, { ...from, leaderEpoch: -1 }, () => this.#isRetired)
    // Whoever retires it waits for this, and another one may need the names of the index files.
    if (this.#isRetired) throw new SegmentRetiredError(this.path)
    this.#context.log.warn('index-rebuilt', { path: this.files.offsetIndex, entries: open.offsetIndex.count })
    try {
      await open.sealIndexes(this.endOffset)
    } catch (error) {
      // They serve from memory; a full disk must not keep anyone from reading.
      this.#context.log.warn('index-not-written', { path: this.files.offsetIndex, error })
    }
  }

  #openOptions() {
    const { fileSystem, indexIntervalBytes } = this.#context
    return { fileSystem, files: this.files, baseOffset: this.baseOffset, indexIntervalBytes }
  }
}

/** Notes the batches from a place in the file up to its end, up to the first damage, or until it is not wanted any more. */
export async function noteBatches(
  open: OpenSegment,
  from: { readonly position: number; readonly offset: Offset; readonly leaderEpoch: number },
  isUnwanted: () => boolean = () => false,
): Promise<void> {
  await scanBatches({
    handle: open.handle,
    from,
    endPosition: open.sizeBytes,
    wholeBatches: false,
    visit(batch) {
      open.noteBatch(batch)
      return isUnwanted() ? 'stop' : undefined
    },
  })
}
