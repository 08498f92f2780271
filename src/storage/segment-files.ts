// The names of the files of a segment: its base offset in 20 digits, so that names sort as offsets do.
import type { Offset } from '../model/ids.ts'
import { joinPath } from './file-system.ts'

const DIGITS = 20
const LOG_SUFFIX = '.log'
const OFFSET_INDEX_SUFFIX = '.index'
const TIME_INDEX_SUFFIX = '.timeindex'

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
