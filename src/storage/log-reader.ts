// Reads that memory cannot answer: through the offset index and pread. The leader checked the CRC when the batches came
// and consumers check it again; here only what the CRC does not cover is looked at: framing, magic and that the offsets
// follow one another, so that neither a wrong index nor a misplaced block yields wrong records.
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { HEADER_BYTES } from '../record/batch-format.ts'
import { readScanned, type ScannedBatch } from './batch-scan.ts'
import { readFully } from './file-io.ts'
import type { ReadRange } from './hot-tail.ts'
import type { OffsetPosition } from './offset-index.ts'
import type { OpenSegment } from './open-segment.ts'
import type { SegmentList } from './segment-list.ts'

/** Reading so much costs hardly more than a header, and covers what lies between two index entries. */
const READ_MIN_BYTES = 16 * 1024

/**
 * The batches of the range that lie in the segment of its first offset. The range is inside of what is written.
 * @throws VltavaError CORRUPT_MESSAGE where the file does not hold what it should.
 */
export function readFromSegments(segments: SegmentList, range: ReadRange): Promise<Uint8Array[]> {
  const segment = segments.floor(range.offset)
  if (segment === undefined) throw new VltavaError('OFFSET_OUT_OF_RANGE')
  return segment.use(async (open) => {
    const floor = open.offsetIndex.floor(range.offset)
    const found = await new SegmentRead(open, floor).run(range)
    if (found !== null) return found
    // The index lied. Walking from the start of the segment is slow, but right.
    await open.dropOffsetIndex()
    return (await new SegmentRead(open, open.offsetIndex.floor(range.offset)).run(range))!
  })
}

class SegmentRead {
  readonly #open: OpenSegment
  readonly #indexed: OffsetPosition
  /** Where the next batch is expected in the file, and with which offset. */
  #position: number
  #offset: Offset
  #bytes = new Uint8Array(0)
  #bytesPosition = 0

  constructor(open: OpenSegment, indexed: OffsetPosition) {
    this.#open = open
    this.#indexed = indexed
    this.#position = indexed.position
    this.#offset = indexed.offset
  }

  /** @returns null when there is no batch of the expected offset where the index says. */
  async run(range: ReadRange): Promise<Uint8Array[] | null> {
    const readBytes = Math.max(range.maxBytes, READ_MIN_BYTES)
    await this.#fill(readBytes)
    if (this.#indexed.position > 0 && typeof this.#next() === 'string') return null
    let first = this.#check()
    while (first.nextOffset <= range.offset) {
      this.#position += first.sizeBytes
      this.#offset = first.nextOffset
      if (this.#leftBytes() < HEADER_BYTES) await this.#fill(readBytes)
      first = this.#check()
    }
    const isExcused = range.atLeastOneBatch || first.sizeBytes <= range.maxBytes
    if (first.nextOffset > range.endOffset || !isExcused) return []
    if (this.#leftBytes() < first.sizeBytes) await this.#fill(Math.max(first.sizeBytes, range.maxBytes))
    if (this.#leftBytes() < first.sizeBytes) throw this.#corrupt('the file ends within the batch')
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
      endPosition += batch.sizeBytes
      this.#position = endPosition
      this.#offset = batch.nextOffset
      batch = this.#next()
    }
    return bytes.subarray(0, endPosition - startPosition)
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
