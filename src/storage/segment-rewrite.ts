// Writes what survives of neighbouring segments into a new one, and puts it in their place.

import { deferred } from '../base/async/deferred.ts'
import type { RecordSurvival } from '../log/record-survival.ts'
import { withoutRecords } from '../record/batch-compaction.ts'
import { baseOffsetOf, batchSizeOf, maxTimestampOf, nextOffsetOf } from '../record/batch-format.ts'
import { isEmptyBatch } from '../record/empty-batch.ts'
import { CompactedBatches } from './compacted-batches.ts'
import { isReadable, type SegmentWalk, walkSegment } from './compaction-walk.ts'
import { removeIfPresent, writeFully } from './file-io.ts'
import type { GuardedFileHandle } from './guarded-file-system.ts'
import { OpenSegment } from './open-segment.ts'
import { Segment, type SegmentContext } from './segment.ts'
import { type SegmentFiles, segmentFiles } from './segment-files.ts'
import type { SegmentList } from './segment-list.ts'
import { cleanedPath, commitSwap, finishSwap, type SwapRange } from './segment-swap.ts'
import type { StorageFailure } from './storage-failure.ts'

export interface SegmentRewriteOptions {
  readonly segmentContext: SegmentContext
  readonly segments: SegmentList
  readonly failure: StorageFailure
  readonly onReplace: () => void
  /** Sealed segments, one behind the other. */
  readonly old: readonly Segment[]
  readonly survival: RecordSurvival
  readonly walk: SegmentWalk
}

export class SegmentRewrite {
  readonly #options: SegmentRewriteOptions
  readonly #range: SwapRange
  readonly #files: SegmentFiles
  #handle: GuardedFileHandle | null = null
  #target: OpenSegment | null = null
  #isCommitted = false
  #deleted: readonly string[] = []

  constructor(options: SegmentRewriteOptions) {
    const { old, segmentContext } = options
    this.#options = options
    this.#range = { baseOffset: old[0]!.baseOffset, endOffset: old.at(-1)!.endOffset }
    this.#files = segmentFiles(segmentContext.directory, this.#range.baseOffset)
  }

  get bytesWritten(): number {
    return this.#target?.sizeBytes ?? 0
  }

  /** Writes the new segment and syncs it. Nothing else is changed. */
  async write(): Promise<void> {
    const { segmentContext, old } = this.#options
    const { fileSystem, indexIntervalBytes, cpu } = segmentContext
    const handle = await fileSystem.open(cleanedPath(this.#files), 'create')
    this.#handle = handle
    await handle.truncate(0)
    const { baseOffset } = this.#range
    this.#target = new OpenSegment({
      fileSystem,
      files: this.#files,
      baseOffset,
      handle,
      sizeBytes: 0,
      indexIntervalBytes,
    })
    const batches = new CompactedBatches(cpu)
    const to = { target: this.#target, batches }
    for (const segment of old) await this.#copy(segment, to)
    batches.finish()
    await append(to.target, batches.take())
    await handle.sync()
  }

  /** Puts it in the place of the old ones. Nothing else may change the log meanwhile. */
  async swap(): Promise<void> {
    const { segmentContext, segments, failure, onReplace, old } = this.#options
    const { fileSystem, directory, log } = segmentContext
    const range = this.#range
    await commitSwap(fileSystem, { directory, range })
    this.#isCommitted = true
    const inPlace = deferred<void>()
    const segment = new Segment(segmentContext, range)
    segment.holdUntil(inPlace.promise)
    onReplace()
    segments.replace(old, segment)
    const retired = old.map((one) => one.retire())
    try {
      // Who is just opening an old one must not find the new file, nor write an index for it.
      await Promise.all(retired)
      const replaced = old.slice(1).map(({ baseOffset }) => baseOffset)
      this.#deleted = await finishSwap(fileSystem, { directory, range, replaced })
      await this.#target!.sealIndexes(range.endOffset).catch((error: unknown) => {
        log.warn('index-not-written', { path: this.#files.offsetIndex, error })
      })
      inPlace.resolve()
    } catch (error) {
      // Memory and files may differ now.
      failure.trip(error)
      inPlace.resolve()
      throw error
    }
  }

  /** Takes long where files are large or somebody still reads from them. A start would remove them as well. */
  async removeReplaced(): Promise<void> {
    const { segmentContext, old } = this.#options
    try {
      for (const path of this.#deleted) await removeIfPresent(segmentContext.fileSystem, path)
      for (const segment of old) await segment.close()
    } catch (error) {
      segmentContext.log.warn('replaced-segments-left', { error })
    }
  }

  /** To be called at the end in any case. */
  async end(): Promise<void> {
    await this.#handle?.close()
    if (this.#isCommitted || this.#options.failure.isTripped) return
    const { fileSystem } = this.#options.segmentContext
    await removeIfPresent(fileSystem, cleanedPath(this.#files))
  }

  async #copy(segment: Segment, to: { target: OpenSegment; batches: CompactedBatches }): Promise<void> {
    const { target, batches } = to
    const { walk, survival } = this.#options
    const { cpu } = this.#options.segmentContext
    await walkSegment(segment, {
      walk,
      visit(batch, scanned) {
        const isReadableBatch = isReadable(batch)
        if (!isReadableBatch) survival.metUnreadable()
        const kept = isReadableBatch
          ? withoutRecords(batch, { cpu, keeps: (record) => survival.keeps(record) })
          : batch
        if (kept === null || isEmptyBatch(kept, 0)) batches.drop(scanned)
        // The buffer of the walk is used again.
        else batches.keep(kept === batch ? new Uint8Array(batch) : kept)
        return true
      },
      afterPiece: () => append(target, batches.take()),
    })
  }
}

async function append(target: OpenSegment, parts: readonly Uint8Array[]): Promise<void> {
  if (parts.length === 0) return
  let position = target.sizeBytes
  await writeFully(target.handle, parts, position)
  for (const batch of parts) {
    target.noteBatch({
      baseOffset: baseOffsetOf(batch, 0),
      nextOffset: nextOffsetOf(batch, 0),
      position,
      sizeBytes: batchSizeOf(batch, 0),
      maxTimestampMs: maxTimestampOf(batch, 0),
    })
    position += batch.length
  }
}
