// The files of a compaction, from the first written byte to the last name.
//
//   <base>.log.cleaned        what is being written; worth nothing until it is complete
//   <base>-<end>.log.swap     complete and durable: takes the place of all segments from base on that begin below end
//   <base>.log.deleted        a segment whose records are in the new one, to be removed
//
// The rename to `.swap` decides: before it a crash leaves the old segments, after it the start finishes what is left to
// do. All steps behind it can be done again, in any part, with the same end.
import type { Offset } from '../model/ids.ts'
import { removeIfPresent } from './file-io.ts'
import { type FileSystem, joinPath } from './file-system.ts'
import { baseOffsetOfLogFile, DELETED_SUFFIX, type SegmentFiles, segmentFiles } from './segment-files.ts'

const DIGITS = 20
const CLEANED_SUFFIX = '.cleaned'
const LEFTOVER = /^\d{20}\.log\.cleaned$/
const SWAP = /^(\d{20})-(\d{20})\.log\.swap$/

/** The offsets whose records a new segment holds; `endOffset` is exclusive. */
export interface SwapRange {
  readonly baseOffset: Offset
  readonly endOffset: Offset
}

/** Where a new segment is written. */
export function cleanedPath(files: SegmentFiles): string {
  return `${files.log}${CLEANED_SUFFIX}`
}

/** Gives the new segment, which is synced, its place for good: from now on it counts, whatever happens. */
export async function commitSwap(
  fileSystem: FileSystem,
  { directory, range }: { readonly directory: string; readonly range: SwapRange },
): Promise<void> {
  await fileSystem.rename(cleanedPath(segmentFiles(directory, range.baseOffset)), swapPath(directory, range))
  await fileSystem.syncDirectory(directory)
}

/**
 * Puts the new segment in the place of the old ones.
 * @param swap `replaced` the base offsets of the old segments behind the first.
 * @returns the files that may be removed; a start removes them as well.
 */
export async function finishSwap(
  fileSystem: FileSystem,
  swap: { readonly directory: string; readonly range: SwapRange; readonly replaced: readonly Offset[] },
): Promise<string[]> {
  const { directory, range, replaced } = swap
  const deleted: string[] = []
  for (const baseOffset of replaced) {
    const files = segmentFiles(directory, baseOffset)
    await removeIndexes(fileSystem, files)
    // A name of its own at first: to remove a large file takes long, and the log waits for all of this.
    await fileSystem.rename(files.log, `${files.log}${DELETED_SUFFIX}`)
    deleted.push(`${files.log}${DELETED_SUFFIX}`)
  }
  const files = segmentFiles(directory, range.baseOffset)
  await removeIndexes(fileSystem, files)
  // Without the name `.swap` nobody knows any more what was to be replaced, so all of that is durable before.
  await fileSystem.syncDirectory(directory)
  await fileSystem.rename(swapPath(directory, range), files.log)
  await fileSystem.syncDirectory(directory)
  return deleted
}

/**
 * Finishes or undoes what a crash left of compactions, before the segments of a log are looked at. The replaced segments
 * stay as `.deleted`, which nobody counts.
 * @param names what is in the directory.
 * @returns whether anything was changed.
 */
export async function recoverSwaps(
  fileSystem: FileSystem,
  { directory, names }: { readonly directory: string; readonly names: readonly string[] },
): Promise<boolean> {
  let changed = false
  for (const name of names) {
    if (!LEFTOVER.test(name)) continue
    await removeIfPresent(fileSystem, joinPath(directory, name))
    changed = true
  }
  for (const name of names) {
    const range = swapRangeOf(name)
    if (range === null) continue
    const replaced = names.flatMap((other) => replacedBy(range, other))
    await finishSwap(fileSystem, { directory, range, replaced })
    changed = true
  }
  if (changed) await fileSystem.syncDirectory(directory)
  return changed
}

function replacedBy({ baseOffset, endOffset }: SwapRange, name: string): Offset[] {
  const other = baseOffsetOfLogFile(name)
  return other !== null && other > baseOffset && other < endOffset ? [other] : []
}

async function removeIndexes(fileSystem: FileSystem, files: SegmentFiles): Promise<void> {
  await removeIfPresent(fileSystem, files.offsetIndex)
  await removeIfPresent(fileSystem, files.timeIndex)
}

/** What a `.swap` file takes the place of; null where the name is not one's. */
export function swapRangeOf(name: string): SwapRange | null {
  const [, base, end] = SWAP.exec(name) ?? []
  return base === undefined || end === undefined ? null : { baseOffset: Number(base), endOffset: Number(end) }
}

function swapPath(directory: string, { baseOffset, endOffset }: SwapRange): string {
  const digits = (offset: Offset): string => String(offset).padStart(DIGITS, '0')
  return joinPath(directory, `${digits(baseOffset)}-${digits(endOffset)}.log.swap`)
}
