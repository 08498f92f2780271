// What a log knows durably of its own compaction, in the file `compaction` of its directory:
//
// - `compactedBelow`, exclusive: records may have been taken away below it, because later ones made them void. A log that
//   is cut off there is not what it was at that time, and is copied anew instead. It is durable before anything is taken away.
// - `cleanedBelow`, exclusive: how far compactions have come; what lies beyond is dirty.
// - `cleanings`: up to where earlier ones had come and when they ended, which tells how long tombstones have to stay.
//
// A log that was never compacted, nor copied from one that was, has no such file.
import type { Log } from '../base/log.ts'
import { type Cleaning, withCleaning } from '../log/record-survival.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { type AtomicFile, isCount, isObject } from './atomic-file.ts'

export const COMPACTION_FILE = 'compaction'
export const COMPACTION_VERSION = 1

/** What the file holds. */
export interface Marks {
  readonly compactedBelow: Offset
  readonly cleanedBelow: Offset
  readonly cleanings: readonly Cleaning[]
}

const NONE: Marks = { compactedBelow: 0, cleanedBelow: 0, cleanings: [] }

/** Changes must not overlap: they are made by tasks of the log's writer. Each is durable when it resolves. */
export class CompactionState {
  readonly #file: AtomicFile
  #marks: Marks
  /** Whether the file has to be written anew, because it could not be read. */
  #isLost: boolean

  private constructor(file: AtomicFile, { marks, isLost }: { marks: Marks; isLost: boolean }) {
    this.#file = file
    this.#marks = marks
    this.#isLost = isLost
  }

  /** Of a log without the file. */
  static none(file: AtomicFile): CompactionState {
    return new CompactionState(file, { marks: NONE, isLost: false })
  }

  /**
   * Reads the file. Where it is damaged nobody knows how far compaction had come: then to the end of the log as it is now,
   * which `settle` notes. That costs a copy of the log where it has to be cut off, and no record.
   * @throws VltavaError UNSUPPORTED_VERSION
   */
  static async load(file: AtomicFile, log: Log): Promise<CompactionState> {
    const content = await file.read()
    switch (content.status) {
      case 'absent':
        return CompactionState.none(file)
      case 'newer':
        throw new VltavaError(
          'UNSUPPORTED_VERSION',
          `${file.path} has format version ${content.version}; this release reads up to ${COMPACTION_VERSION}. ` +
            'Start the release that wrote it or a later one.',
        )
      case 'ok': {
        const marks = decodeCompaction(content.data)
        if (marks !== null) return new CompactionState(file, { marks, isLost: false })
        break
      }
      case 'damaged':
        break
    }
    log.warn('compaction-state-damaged', { path: file.path })
    return new CompactionState(file, {
      marks: { ...NONE, compactedBelow: Number.MAX_SAFE_INTEGER },
      isLost: true,
    })
  }

  get compactedBelow(): Offset {
    return this.#marks.compactedBelow
  }

  get cleanedBelow(): Offset {
    return this.#marks.cleanedBelow
  }

  get cleanings(): readonly Cleaning[] {
    return this.#marks.cleanings
  }

  /** After recovery: writes the file anew where it was lost. */
  async settle(logEndOffset: Offset): Promise<void> {
    if (this.#isLost) await this.#write({ ...NONE, compactedBelow: logEndOffset })
    this.#isLost = false
  }

  /** Notes that records below an offset may be gone. */
  async noteCompactedBelow(offset: Offset): Promise<void> {
    if (offset > this.compactedBelow) await this.#write({ ...this.#marks, compactedBelow: offset })
  }

  /** Notes that a compaction has come up to an offset, and has put all that it made in its place. */
  async cleaned(cleaning: Cleaning, deleteRetentionMs: number): Promise<void> {
    const cleanings = withCleaning(this.cleanings, { cleaning, deleteRetentionMs })
    await this.#write({ ...this.#marks, cleanedBelow: cleaning.below, cleanings })
  }

  /** The log is empty, durably: nothing was taken away from what comes. */
  async reset(): Promise<void> {
    if (this.#marks === NONE) return
    await this.#file.remove()
    this.#marks = NONE
  }

  async #write(marks: Marks): Promise<void> {
    const { compactedBelow, cleanedBelow } = marks
    const cleanings = marks.cleanings.map(({ below, atMs }) => [below, atMs])
    await this.#file.write({ compactedBelow, cleanedBelow, cleanings })
    this.#marks = marks
  }
}

/** @returns null where the data is nothing such. */
export function decodeCompaction(data: unknown): Marks | null {
  if (!isObject(data)) return null
  const { compactedBelow, cleanedBelow } = data
  if (!isCount(compactedBelow) || !isCount(cleanedBelow) || !Array.isArray(data['cleanings'])) return null
  const cleanings: Cleaning[] = []
  for (const pair of data['cleanings'] as unknown[]) {
    if (!Array.isArray(pair)) return null
    const [below, atMs] = pair as unknown[]
    if (!isCount(below) || !isCount(atMs)) return null
    cleanings.push({ below, atMs })
  }
  return { compactedBelow, cleanedBelow, cleanings }
}
