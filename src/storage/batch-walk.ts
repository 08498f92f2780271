// Walks over everything in a log file for people who want to see it: where recovery stops at the first bytes that are no
// batch, this says which bytes they are and goes on behind them.
import type { Cpu } from '../base/cpu.ts'
import type { Offset } from '../model/ids.ts'
import { ATTRIBUTES_POSITION, crcOf, HEADER_BYTES, MAGIC } from '../record/batch-format.ts'
import { readScanned, type ScannedBatch } from './batch-scan.ts'
import { readFully } from './file-io.ts'
import type { FileHandle } from './file-system.ts'

/** A batch whose header makes sense and that lies wholly in the file; its bytes are valid until the next one is asked for. */
export interface FoundBatch extends ScannedBatch {
  readonly kind: 'batch'
  readonly isCrcRight: boolean
}

/** Bytes that are no batch. */
export interface FoundGarbage {
  readonly kind: 'garbage'
  readonly position: number
  /** Where the next sound batch begins, or the end of the file. */
  readonly endPosition: number
  readonly reason: string
}

export interface BatchWalkOptions {
  readonly handle: FileHandle
  readonly cpu: Cpu
  /** Where a batch begins. */
  readonly position: number
  /** What lies behind it is not looked at: a running broker may be writing it. */
  readonly endPosition: number
}

const CHUNK_BYTES = 1024 * 1024
/** Where the magic byte stands in a header. */
const MAGIC_POSITION = 16

/** Everything from a position on, in the order of the file: each byte belongs to one batch or to one piece of garbage. */
export function walkBatches(options: BatchWalkOptions): AsyncGenerator<FoundBatch | FoundGarbage> {
  return new BatchWalk(options).all()
}

class BatchWalk {
  readonly #options: BatchWalkOptions
  #bytes = new Uint8Array(0)
  #bytesPosition = 0
  #filledBytes = 0

  constructor(options: BatchWalkOptions) {
    this.#options = options
  }

  async *all(): AsyncGenerator<FoundBatch | FoundGarbage> {
    const { endPosition } = this.#options
    let { position } = this.#options
    let nextOffset: Offset = 0
    while (position < endPosition) {
      const found = await this.#batchAt(position)
      if (typeof found === 'string') {
        const end = await this.#findBatch(position + 1, nextOffset)
        yield { kind: 'garbage', position, endPosition: end, reason: found }
        position = end
        continue
      }
      yield found
      position += found.sizeBytes
      nextOffset = found.nextOffset
    }
  }

  /** @returns why there is no batch, where there is none. */
  async #batchAt(position: number): Promise<FoundBatch | string> {
    if (!(await this.#fill(position, HEADER_BYTES))) return 'the file ends within a batch header'
    const header = readScanned({ bytes: this.#bytes, at: position - this.#bytesPosition, position })
    if (typeof header === 'string') return header
    if (!(await this.#fill(position, header.sizeBytes))) return 'the file ends within a batch'
    const batch = { ...header, bytes: this.#bytes, at: position - this.#bytesPosition }
    const covered = batch.bytes.subarray(batch.at + ATTRIBUTES_POSITION, batch.at + batch.sizeBytes)
    const isCrcRight = this.#options.cpu.crc32c(covered) === crcOf(batch.bytes, batch.at)
    return { kind: 'batch', ...batch, isCrcRight }
  }

  /** The first place from which on a batch is sound; the end where there is none. */
  async #findBatch(from: number, minOffset: Offset): Promise<number> {
    const { endPosition } = this.#options
    for (let position = from; position + HEADER_BYTES <= endPosition; position++) {
      const filled = this.#fillFor(position)
      if (filled !== true && !(await filled)) return endPosition
      if (this.#bytes[position - this.#bytesPosition + MAGIC_POSITION] !== MAGIC) continue
      const header = readScanned({ bytes: this.#bytes, at: position - this.#bytesPosition, position })
      if (typeof header === 'string' || header.baseOffset < minOffset) continue
      const found = await this.#batchAt(position)
      if (typeof found !== 'string' && found.isCrcRight) return position
    }
    return endPosition
  }

  /** As `fill` for a header, without a promise to wait for where the bytes are there already. */
  #fillFor(position: number): true | Promise<boolean> {
    const at = position - this.#bytesPosition
    return at >= 0 && at + HEADER_BYTES <= this.#filledBytes ? true : this.#fill(position, HEADER_BYTES)
  }

  /** Makes sure that so many bytes are in the buffer; false when the file ends before. */
  async #fill(position: number, wantedBytes: number): Promise<boolean> {
    const at = position - this.#bytesPosition
    if (at >= 0 && at + wantedBytes <= this.#filledBytes) return true
    const leftBytes = this.#options.endPosition - position
    if (wantedBytes > leftBytes) return false
    if (this.#bytes.length < wantedBytes) {
      this.#bytes = new Uint8Array(Math.max(wantedBytes, Math.min(CHUNK_BYTES, leftBytes)))
    }
    this.#bytesPosition = position
    const target = this.#bytes.subarray(0, Math.min(this.#bytes.length, leftBytes))
    this.#filledBytes = await readFully(this.#options.handle, target, position)
    return wantedBytes <= this.#filledBytes
  }
}
