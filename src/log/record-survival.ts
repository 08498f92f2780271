// Which records outlive a compaction. What is in doubt stays: a record that is kept too long costs room, one that goes
// too soon is lost.
import type { Offset } from '../model/ids.ts'
import { COMPACTION_KEY_MAX_BYTES } from '../model/limits.ts'
import type { RecordCursor } from '../record/record-cursor.ts'
import type { KeyMap } from './key-map.ts'

/** Up to where a compaction has come, and when it ended. */
export interface Cleaning {
  /** Exclusive: it has looked at all records below. */
  readonly below: Offset
  /** Milliseconds since 1970. */
  readonly atMs: number
}

/** Parts of delete.retention.ms to which the age of a tombstone is told: it may stay so much longer. */
const RETENTION_PARTS = 32

export interface SurvivalOptions {
  /** The latest offset of each key of the records that no compaction had looked at. */
  readonly keys: KeyMap
  /** Exclusive: the map knows of no record at or beyond it, so all of those stay. */
  readonly mappedBelow: Offset
  /** Exclusive, see `tombstonesGoBelow`. */
  readonly tombstonesGoBelow: Offset
}

export class RecordSurvival {
  readonly #options: SurvivalOptions
  #hasUnreadable = false

  constructor(options: SurvivalOptions) {
    this.#options = options
  }

  /**
   * A batch stays whose records cannot be read. It may hold older values of any key, which would come back to life
   * without the tombstones behind it; so those stay as well.
   */
  metUnreadable(): void {
    this.#hasUnreadable = true
  }

  /** Whether the record stays. To be asked in the order of offsets, from the start of the log. */
  keeps(record: RecordCursor): boolean {
    const { keys, mappedBelow, tombstonesGoBelow } = this.#options
    if (!hasCompactableKey(record) || record.offset >= mappedBelow) return true
    if (keys.latest(keyPlaceOf(record)) > record.offset) return false
    const isTombstone = record.valueBytes < 0
    return !isTombstone || this.#hasUnreadable || record.offset >= tombstonesGoBelow
  }
}

/** Records without a key, from before the topic was compacted, and with a very long one all stay. */
export function hasCompactableKey({ keyBytes }: RecordCursor): boolean {
  return keyBytes >= 0 && keyBytes <= COMPACTION_KEY_MAX_BYTES
}

export function keyPlaceOf({ bytes, keyPosition, keyBytes }: RecordCursor) {
  return { bytes, position: keyPosition, length: keyBytes }
}

/**
 * Exclusive: a compaction that ended at least delete.retention.ms ago has looked at all tombstones below, and has removed
 * what they delete. Whoever began to read the log before has had so much time to see them.
 * @param cleanings in the order in which they ended.
 */
export function tombstonesGoBelow(
  cleanings: readonly Cleaning[],
  at: { readonly nowMs: number; readonly deleteRetentionMs: number },
): Offset {
  let below = 0
  for (const cleaning of cleanings) {
    if (at.nowMs - cleaning.atMs >= at.deleteRetentionMs) below = Math.max(below, cleaning.below)
  }
  return below
}

/**
 * The list with one more, and without those that do not matter any more. It stays short: an entry that is left out only
 * lets tombstones stay until the next one is old enough.
 */
export function withCleaning(
  cleanings: readonly Cleaning[],
  { cleaning, deleteRetentionMs }: { readonly cleaning: Cleaning; readonly deleteRetentionMs: number },
): readonly Cleaning[] {
  const goBelow = tombstonesGoBelow(cleanings, { nowMs: cleaning.atMs, deleteRetentionMs })
  const kept = cleanings.filter(({ below }) => below >= goBelow)
  const [last, before] = [kept.at(-1), kept.at(-2)]
  const isCrowded =
    last !== undefined &&
    before !== undefined &&
    last.atMs - before.atMs < deleteRetentionMs / RETENTION_PARTS &&
    last.below > goBelow
  return [...(isCrowded ? kept.slice(0, -1) : kept), cleaning]
}
