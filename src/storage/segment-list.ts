import { assert } from '../base/assert.ts'
import type { Offset } from '../model/ids.ts'
import type { Segment } from './segment.ts'

/** The segments of one log in the order of their offsets; each begins where the one before ends. Never empty. */
export class SegmentList {
  readonly #segments: Segment[]

  constructor(segments: readonly Segment[]) {
    assert(segments.length > 0, 'a log has at least one segment')
    this.#segments = [...segments]
  }

  get first(): Segment {
    return this.#segments[0]!
  }

  /** The one that is written to. */
  get active(): Segment {
    return this.#segments.at(-1)!
  }

  get all(): readonly Segment[] {
    return this.#segments
  }

  push(segment: Segment): void {
    assert(
      segment.baseOffset === this.active.endOffset,
      `a segment at ${segment.baseOffset} does not continue the log, which ends at ${this.active.endOffset}`,
    )
    this.#segments.push(segment)
  }

  /** Takes the last one off the list; the one before is not open for writing. */
  pop(): Segment {
    assert(this.#segments.length > 1, 'the last segment of a log stays')
    return this.#segments.pop()!
  }

  /** Takes the first one off the list. */
  shift(): Segment {
    assert(this.#segments.length > 1, 'the last segment of a log stays')
    return this.#segments.shift()!
  }

  /** Puts back the one that was taken off last by `shift`. */
  unshift(segment: Segment): void {
    assert(segment.endOffset === this.first.baseOffset, 'a segment is put back where it was')
    this.#segments.unshift(segment)
  }

  /** Puts one in the place of all. */
  replaceAll(segment: Segment): void {
    this.#segments.length = 0
    this.#segments.push(segment)
  }

  /** Puts one in the place of neighbours that have the same offsets together. */
  replace(old: readonly Segment[], segment: Segment): void {
    const at = this.#segments.indexOf(old[0]!)
    assert(
      at >= 0 && old.every((one, i) => this.#segments[at + i] === one),
      'segments that were replaced are gone',
    )
    this.#segments.splice(at, old.length, segment)
  }

  /** The segment whose offsets the offset belongs to; undefined below the first. */
  floor(offset: Offset): Segment | undefined {
    let low = 0
    let high = this.#segments.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#segments[middle]!.baseOffset <= offset) low = middle + 1
      else high = middle
    }
    return this.#segments[low - 1]
  }

  /** The segment behind one; undefined behind the active one. */
  next(segment: Segment): Segment | undefined {
    return this.#segments[this.#segments.indexOf(segment) + 1]
  }
}
