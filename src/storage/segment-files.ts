// The names of the files of a segment: its base offset in 20 digits, so that names sort as offsets do.
import type { Offset } from '../model/ids.ts'
import { joinPath } from './file-system.ts'

const DIGITS = 20
const LOG_SUFFIX = '.log'
const OFFSET_INDEX_SUFFIX = '.index'
const TIME_INDEX_SUFFIX = '.timeindex'
/** Behind the name of a log file that left its log and is to be removed. */
export const DELETED_SUFFIX = '.deleted'

export interface SegmentFiles {
  readonly log: string
  readonly offsetIndex: string
  readonly timeIndex: string
}

export function segmentFiles(directory: string, baseOffset: Offset): SegmentFiles {
  const stem = joinPath(directory, String(baseOffset).padStart(DIGITS, '0'))
  return {
    log: `${stem}${LOG_SUFFIX}`,
    offsetIndex: `${stem}${OFFSET_INDEX_SUFFIX}`,
    timeIndex: `${stem}${TIME_INDEX_SUFFIX}`,
  }
}

/** The base offset in the name of a log file; null for every other name. */
export function baseOffsetOfLogFile(name: string): Offset | null {
  if (name.length !== DIGITS + LOG_SUFFIX.length || !/^\d{20}\.log$/.test(name)) return null
  const baseOffset = Number(name.slice(0, DIGITS))
  return Number.isSafeInteger(baseOffset) ? baseOffset : null
}

/** Whether a name is that of a log file that left its log. */
export function isDeletedLogFile(name: string): boolean {
  return name.endsWith(DELETED_SUFFIX) && baseOffsetOfLogFile(name.slice(0, -DELETED_SUFFIX.length)) !== null
}

/** The base offset in the name of an index file; null for every other name. */
export function baseOffsetOfIndexFile(name: string): Offset | null {
  for (const suffix of [OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX]) {
    if (name.length === DIGITS + suffix.length && name.endsWith(suffix))
      return baseOffsetOfLogFile(name.slice(0, DIGITS) + LOG_SUFFIX)
  }
  return null
}
