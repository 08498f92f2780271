// The recent batches of each log stay in memory as the buffers that arrived, so that followers and tailing consumers are
// served without a file read. One budget of bytes is shared by all logs of a data directory; what was added first goes
// first, whichever log it is of.
import { assert } from '../base/assert.ts'
import type { Offset } from '../model/ids.ts'
import { batchSizeOf, nextOffsetOf } from '../record/batch-format.ts'

/** A buffer counts as a whole, because a view of a part keeps all of it: smaller views than this share are copied. */
const SHARE_KEPT_MIN = 1 / 4

/** What was appended at once. */
interface TailPart {
  readonly tail: HotTail
  readonly bytes: Uint8Array
  readonly baseOffset: Offset
  /** Exclusive. */
  readonly endOffset: Offset
  isDropped: boolean
}

/** Which batches a read may return. */
export interface ReadRange {
  /** The first batch contains it. */
  readonly offset: Offset
  /** Exclusive: batches that reach beyond are not returned. */
  readonly endOffset: Offset
  readonly maxBytes: number
  /** Whether the first batch comes even when it is larger than `maxBytes`. */
  readonly atLeastOneBatch: boolean
}

/** The memory that the hot tails of one data directory may keep. */
export class TailBudget {
  readonly #maxBytes: number
  /** All parts in the order they were added; those before `#oldest` are gone. */
  #parts: TailPart[] = []
  #oldest = 0
  #usedBytes = 0
  /** How many parts view each buffer. */
  readonly #views = new Map<ArrayBufferLike, number>()

  /** @param maxBytes 0 keeps nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes of all buffers that are kept, each counted once and as a whole. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  add(part: TailPart): void {
    this.#parts.push(part)
    const { buffer } = part.bytes
    const views = this.#views.get(buffer) ?? 0
    this.#views.set(buffer, views + 1)
    if (views === 0) this.#usedBytes += buffer.byteLength
    while (this.#usedBytes > this.#maxBytes) this.#dropOldest()
  }

  /** To be called for a part that its log dropped. */
  release(part: TailPart): void {
    part.isDropped = true
    const { buffer } = part.bytes
    const views = this.#views.get(buffer)!
    if (views > 1) {
      this.#views.set(buffer, views - 1)
      return
    }
    this.#views.delete(buffer)
    this.#usedBytes -= buffer.byteLength
  }

  #dropOldest(): void {
    const part = this.#parts[this.#oldest++]
    assert(part !== undefined, 'the tail budget is used up by parts that are gone')
    if (!part.isDropped) part.tail.dropFirst(part)
    if (this.#oldest < 1024 || this.#oldest < this.#parts.length / 2) return
    this.#parts = this.#parts.slice(this.#oldest)
    this.#oldest = 0
  }
}

/** The batches at the end of one log that are in memory, without a gap up to the log end offset. */
export class HotTail {
  readonly #budget: TailBudget
  /** In the order of offsets; those before `#first` are gone. */
  #parts: TailPart[] = []
  #first = 0

  constructor(budget: TailBudget) {
    this.#budget = budget
  }

  /** Keeps what was appended. The bytes must not change any more. */
  add(appended: {
    readonly bytes: Uint8Array
    readonly baseOffset: Offset
    readonly endOffset: Offset
  }): void {
    const { bytes, baseOffset, endOffset } = appended
    // A truncation into the middle of a part has dropped all of it.
    const last = this.#parts.at(-1)
    if (last !== undefined && last.endOffset !== baseOffset) this.truncate(0)
    const kept = bytes.length < bytes.buffer.byteLength * SHARE_KEPT_MIN ? bytes.slice() : bytes
    const part: TailPart = { tail: this, bytes: kept, baseOffset, endOffset, isDropped: false }
    this.#parts.push(part)
    this.#budget.add(part)
  }

  /** @returns the batches of the range; null when the first of them is not in memory. */
  read(range: ReadRange): Uint8Array[] | null {
    const first = this.#parts[this.#first]
    if (first === undefined || range.offset < first.baseOffset) return null
    const views: Uint8Array[] = []
    let leftBytes = range.maxBytes
    for (let i = this.#indexOf(range.offset); i < this.#parts.length; i++) {
      const part = this.#parts[i]!
      const isWhole = part.baseOffset >= range.offset && part.endOffset <= range.endOffset
      const mayExceed = views.length === 0 && range.atLeastOneBatch
      const view =
        isWhole && part.bytes.length <= leftBytes
          ? part.bytes
          : selectBatches(part.bytes, { ...range, maxBytes: leftBytes, atLeastOneBatch: mayExceed })
      if (view.length > 0) views.push(view)
      leftBytes -= view.length
      if (!endsAt(part, view)) break
    }
    return views
  }

  /** Forgets what lies at or beyond an offset, as far as whole parts go: a part that spans it goes too. */
  truncate(offset: Offset): void {
    while (this.#parts.length > this.#first && this.#parts.at(-1)!.endOffset > offset) {
      this.#budget.release(this.#parts.pop()!)
    }
    if (this.#parts.length > this.#first) return
    this.#parts.length = 0
    this.#first = 0
  }

  /** Forgets the parts that lie below an offset: the files say less there now than memory does. */
  dropBelow(offset: Offset): void {
    for (let part = this.#parts[this.#first]; part !== undefined; part = this.#parts[this.#first]) {
      if (part.endOffset > offset) return
      this.dropFirst(part)
    }
  }

  /** Called by the budget; what was added first is also the first of its log. */
  dropFirst(part: TailPart): void {
    assert(this.#parts[this.#first] === part, 'the hot tail drops its parts in order')
    this.#budget.release(part)
    this.#first++
    if (this.#first < 64 || this.#first < this.#parts.length / 2) return
    this.#parts = this.#parts.slice(this.#first)
    this.#first = 0
  }

  /** The part that holds the offset. */
  #indexOf(offset: Offset): number {
    let low = this.#first
    let high = this.#parts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#parts[middle]!.endOffset <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Whether a view of a part reaches to its end, so that the next part continues it. */
function endsAt(part: TailPart, view: Uint8Array): boolean {
  return view.byteOffset + view.length === part.bytes.byteOffset + part.bytes.length
}

/** The whole batches in the range, as one view; empty where there are none. `bytes` hold whole batches only. */
export function selectBatches(bytes: Uint8Array, range: ReadRange): Uint8Array {
  let start = 0
  while (start < bytes.length && nextOffsetOf(bytes, start) <= range.offset)
    start += batchSizeOf(bytes, start)
  let end = start
  while (end < bytes.length && nextOffsetOf(bytes, end) <= range.endOffset) {
    const sizeBytes = batchSizeOf(bytes, end)
    const isExcused = end === start && range.atLeastOneBatch
    if (end - start + sizeBytes > range.maxBytes && !isExcused) break
    end += sizeBytes
  }
  return bytes.subarray(start, end)
}
