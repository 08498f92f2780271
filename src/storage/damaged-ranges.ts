// Which parts of a log are known to be damaged. They are not served, not counted as missing and not cut off: they are
// repaired from another replica.
import type { Offset } from '../model/ids.ts'
import type { ScanPoint } from './batch-scan.ts'
import type { Damage } from './batch-verifier.ts'

export interface DamagedRange extends Damage {
  /** The base offset of the segment that should hold it. */
  readonly segmentBase: Offset
  /** The log file. */
  readonly path: string
}

/** The damaged ranges of one log, in the order of their offsets. Few, as a rule none. */
export class DamagedRanges {
  #ranges: readonly DamagedRange[]

  constructor(ranges: readonly DamagedRange[]) {
    this.#ranges = ranges
  }

  get all(): readonly DamagedRange[] {
    return this.#ranges
  }

  has(range: DamagedRange): boolean {
    return this.#ranges.includes(range)
  }

  /** The one that holds the offset. */
  at(offset: Offset): DamagedRange | undefined {
    return this.#ranges.find((range) => range.offset <= offset && offset < range.endOffset)
  }

  /** Where the first one behind the offset begins; Infinity where there is none. */
  nextAfter(offset: Offset): Offset {
    return this.#ranges.find((range) => range.offset > offset)?.offset ?? Number.POSITIVE_INFINITY
  }

  /** Where the segment goes on behind the last one at or below the offset; null where there is none in the segment. */
  resumeBefore(segmentBase: Offset, offset: Offset): ScanPoint | null {
    const range = this.#ranges.findLast((one) => one.segmentBase === segmentBase && one.endOffset <= offset)
    return range === undefined
      ? null
      : { position: range.endPosition, offset: range.endOffset, leaderEpoch: -1 }
  }

  /**
   * Puts what a check of a segment found in the place of what was known. Ranges that are still the same stay the same
   * objects, so that a repair that is under way goes on.
   * @returns the ranges that are new.
   */
  replaceSegment(segmentBase: Offset, found: readonly DamagedRange[]): readonly DamagedRange[] {
    const before = this.#ranges.filter((range) => range.segmentBase === segmentBase)
    const now = found.map((range) => before.find((known) => isSame(known, range)) ?? range)
    this.#set([...this.#ranges.filter((range) => range.segmentBase !== segmentBase), ...now])
    return now.filter((range) => !before.includes(range))
  }

  /** The log ends here now. @returns whether anything changed. */
  cut(endOffset: Offset): boolean {
    return this.#set(this.#ranges.filter((range) => range.offset < endOffset))
  }

  /** The log starts here now. @returns whether anything changed. */
  dropBelow(startOffset: Offset): boolean {
    return this.#set(this.#ranges.filter((range) => range.endOffset > startOffset))
  }

  #set(ranges: readonly DamagedRange[]): boolean {
    const changed =
      ranges.length !== this.#ranges.length || ranges.some((range) => !this.#ranges.includes(range))
    if (changed) this.#ranges = [...ranges].sort((a, b) => a.offset - b.offset)
    return changed
  }
}

function isSame(a: DamagedRange, b: DamagedRange): boolean {
  return (
    a.offset === b.offset &&
    a.endOffset === b.endOffset &&
    a.position === b.position &&
    a.endPosition === b.endPosition
  )
}
