// Reads that memory cannot answer: through the offset index and pread. Batches that are returned are verified: framing,
// magic, offsets that follow one another, leader epoch and checksum, so that neither a wrong index, a misplaced block nor a
// flipped bit yields wrong records, here or on the replicas that copy from here. The headers of those before them are only
// walked over.
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { HEADER_BYTES } from '../record/batch-format.ts'
import { readScanned, type ScannedBatch } from './batch-scan.ts'
import { problemOf, type Soundness } from './batch-verifier.ts'
import { readFully } from './file-io.ts'
import type { ReadRange } from './hot-tail.ts'
import type { OffsetPosition } from './offset-index.ts'
import type { OpenSegment } from './open-segment.ts'
import type { Segment } from './segment.ts'

/** Reading so much costs hardly more than a header, and covers what lies between two index entries. */
const READ_MIN_BYTES = 16 * 1024

export interface SegmentReading {
  /** Begins in the segment. It ends before what lies in another one, or is known to be damaged. */
  readonly range: ReadRange
  /** Where the next segment begins; Infinity where there is none. */
  readonly segmentEndOffset: Offset
  readonly soundness: Soundness
  /** Where the segment goes on behind damage that lies below the range; null where there is none. */
  readonly resume: OffsetPosition | null
}

/**
 * The batches of the range that lie in the segment of its first offset. The range is inside of what is written.
 * @throws VltavaError CORRUPT_MESSAGE where the file does not hold what it should.
 */
export function readFromSegment(segment: Segment, reading: SegmentReading): Promise<Uint8Array[]> {
  const { range, resume } = reading
  return segment.use(async (open) => {
    const floor = laterOf(open.offsetIndex.floor(range.offset), resume)
    const found = await new SegmentRead(open, floor, reading).run(range)
    if (found !== null) return found
    // The index lied. Walking from the start of the segment is slow, but right.
    await open.dropOffsetIndex()
    const start = laterOf(open.offsetIndex.floor(range.offset), resume)
    return (await new SegmentRead(open, { ...start, isTrusted: true }, reading).run(range))!
  })
}

interface StartPoint extends OffsetPosition {
  /** Whether no index says so: the start of the segment, or the end of what is damaged. */
  readonly isTrusted: boolean
}

function laterOf(indexed: OffsetPosition, resume: OffsetPosition | null): StartPoint {
  if (resume !== null && resume.offset >= indexed.offset) return { ...resume, isTrusted: true }
  return { ...indexed, isTrusted: indexed.position === 0 }
}

class SegmentRead {
  readonly #open: OpenSegment
  readonly #start: StartPoint
  readonly #reading: SegmentReading
  /** Where the next batch is expected in the file, and with which offset. */
  #position: number
  #offset: Offset
  #bytes = new Uint8Array(0)
  #bytesPosition = 0

  constructor(open: OpenSegment, start: StartPoint, reading: SegmentReading) {
    this.#open = open
    this.#start = start
    this.#reading = reading
    this.#position = start.position
    this.#offset = start.offset
  }

  /** @returns null when there is no batch of the expected offset where the index says. */
  async run(range: ReadRange): Promise<Uint8Array[] | null> {
    const readBytes = Math.max(range.maxBytes, READ_MIN_BYTES)
    await this.#fill(readBytes)
    if (!this.#start.isTrusted && typeof this.#next() === 'string') return null
    let first = this.#check()
    while (first.nextOffset <= range.offset) {
      this.#position += first.sizeBytes
      this.#offset = first.nextOffset
      if (this.#leftBytes() < HEADER_BYTES) await this.#fill(readBytes)
      first = this.#check()
    }
    const isExcused = range.atLeastOneBatch || first.sizeBytes <= range.maxBytes
    if (!isExcused) return []
    if (this.#leftBytes() < first.sizeBytes) await this.#fill(Math.max(first.sizeBytes, range.maxBytes))
    if (this.#leftBytes() < first.sizeBytes) throw this.#corrupt('the file ends within the batch')
    const problem = this.#problemOf(first)
    if (problem !== null) throw this.#corrupt(problem)
    if (first.nextOffset > this.#reading.segmentEndOffset)
      throw this.#corrupt('it reaches into the next segment')
    if (first.nextOffset > range.endOffset) return []
    return [this.#collect(first, range)]
  }

  /** The first batch, which is in the buffer, and those behind it that are in the range and sound. */
  #collect(first: ScannedBatch, range: ReadRange): Uint8Array {
    const startPosition = this.#position
    const bytes = this.#bytes.subarray(startPosition - this.#bytesPosition)
    let batch: ScannedBatch | string = first
    let endPosition = startPosition
    // A damaged one further on is reported to whoever reads at its offset.
    while (typeof batch !== 'string' && batch.nextOffset <= range.endOffset) {
      const sizeBytes = endPosition - startPosition + batch.sizeBytes
      if (batch !== first && sizeBytes > range.maxBytes) break
      if (sizeBytes > bytes.length) break
      if (batch !== first && this.#problemOf(batch) !== null) break
      endPosition += batch.sizeBytes
      this.#position = endPosition
      this.#offset = batch.nextOffset
      batch = this.#next()
    }
    return bytes.subarray(0, endPosition - startPosition)
  }

  /** To be called while the whole batch is in the buffer and is the next one. */
  #problemOf(batch: ScannedBatch): string | null {
    return problemOf(
      { ...batch, bytes: this.#bytes, at: this.#position - this.#bytesPosition },
      this.#reading.soundness,
    )
  }

  #leftBytes(): number {
    return this.#bytes.length - (this.#position - this.#bytesPosition)
  }

  async #fill(wantedBytes: number): Promise<void> {
    const fileBytes = this.#open.sizeBytes - this.#position
    const bytes = new Uint8Array(Math.max(0, Math.min(wantedBytes, fileBytes)))
    const filled = bytes.length === 0 ? 0 : await readFully(this.#open.handle, bytes, this.#position)
    this.#bytes = bytes.subarray(0, filled)
    this.#bytesPosition = this.#position
  }

  /** The batch that should be next, or what is wrong with the bytes there. */
  #next(): ScannedBatch | string {
    const at = this.#position - this.#bytesPosition
    if (this.#leftBytes() < HEADER_BYTES) return 'the file ends'
    const batch = readScanned({ bytes: this.#bytes, at, position: this.#position })
    if (typeof batch === 'string' || batch.baseOffset === this.#offset) return batch
    return `its base offset is ${batch.baseOffset} instead of ${this.#offset}`
  }

  #check(): ScannedBatch {
    const batch = this.#next()
    if (typeof batch === 'string') throw this.#corrupt(batch)
    return batch
  }

  #corrupt(reason: string): VltavaError {
    return new VltavaError(
      'CORRUPT_MESSAGE',
      `${this.#open.files.log} holds no batch of offset ${this.#offset} at position ${this.#position}: ${reason}.`,
    )
  }
}
