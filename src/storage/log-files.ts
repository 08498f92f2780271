// Which files of a directory belong to a log, and what a deletion that was cut off has left there.
import type { Offset } from '../model/ids.ts'
import { joinPath } from './file-system.ts'
import {
  baseOffsetOfIndexFile,
  baseOffsetOfLogFile,
  isDeletedLogFile,
  segmentFiles,
} from './segment-files.ts'

export interface LogFiles {
  /** Of the segments, ascending. */
  readonly baseOffsets: readonly Offset[]
  /** Files that may go: what left the log before, and what lies below its start. */
  readonly leftovers: readonly string[]
}

/**
 * @param names of all files in the directory.
 * @param directory `startOffset`: where the log starts at least; segments that end below it are none of it any more.
 */
export function findLogFiles(
  names: readonly string[],
  { path, startOffset }: { readonly path: string; readonly startOffset: Offset },
): LogFiles {
  const baseOffsets = names
    .map(baseOffsetOfLogFile)
    .filter((offset) => offset !== null)
    .sort((a, b) => a - b)
  const leftovers = names.filter(isDeletedLogFile).map((name) => joinPath(path, name))
  // Each ends where the next one begins; the last one is written to, and stays.
  while (baseOffsets.length > 1 && baseOffsets[1]! <= startOffset)
    leftovers.push(segmentFiles(path, baseOffsets.shift()!).log)
  const first = baseOffsets[0] ?? 0
  for (const name of names) {
    const baseOffset = baseOffsetOfIndexFile(name)
    if (baseOffset !== null && baseOffset < first) leftovers.push(joinPath(path, name))
  }
  return { baseOffsets, leftovers }
}
