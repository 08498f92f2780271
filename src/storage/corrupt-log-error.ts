import type { Offset } from '../model/ids.ts'

export interface Damage {
  /** The log file. */
  readonly path: string
  /** Where the damage begins, in bytes from the start of the file. */
  readonly position: number
  /** The first offset that cannot be read. */
  readonly offset: Offset
  readonly reason: string
}

/**
 * Records that were acknowledged, or may have been, are damaged. The log is not opened and nothing is cut off: the
 * replica must be repaired from another one and must not be elected before.
 */
export class CorruptLogError extends Error {
  override readonly name = 'CorruptLogError'
  readonly damage: Damage

  constructor(damage: Damage) {
    const { path, position, offset, reason } = damage
    super(
      `The log ${path} is damaged at position ${position}, offset ${offset}: ${reason}. It was left as it is; ` +
        'restore the replica from another one.',
    )
    this.damage = damage
  }
}
