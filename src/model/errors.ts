import { ERRORS, type ErrorName } from './error-codes.ts'
import type { LeaderEpoch, Offset } from './ids.ts'

/** A place in a partition, and the leader epoch of the record before it. */
export interface EpochPosition {
  readonly offset: Offset
  readonly leaderEpoch: LeaderEpoch
}

export interface VltavaErrorOptions {
  readonly cause?: unknown
  /** Overrides the table where the place knows better: a delivery time-out is indefinite once the request was sent. */
  readonly definite?: boolean
  readonly retriable?: boolean
  readonly divergence?: EpochPosition
}

/**
 * The one public error class. `code` is a stable name of the error table, `retriable` says whether the same call can
 * succeed later, `definite` whether the operation surely had no effect, `cause` what led to it.
 */
export class VltavaError extends Error {
  override readonly name = 'VltavaError'
  readonly code: ErrorName
  readonly retriable: boolean
  readonly definite: boolean
  /** With LOG_TRUNCATED: up to where the log may still hold what was read. null with every other code. */
  readonly divergence: EpochPosition | null

  /** @param detail what exactly was wrong, the allowed range and what to do; the table's sentence when absent. */
  constructor(code: ErrorName, detail?: string, options: VltavaErrorOptions = {}) {
    super(detail ?? ERRORS[code].message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retriable = options.retriable ?? ERRORS[code].retriable
    this.definite = options.definite ?? ERRORS[code].definite
    this.divergence = options.divergence ?? null
  }
}

/** Any thrown value as a VltavaError; foreign ones become UNKNOWN_SERVER_ERROR with the original as cause. */
export function toVltavaError(thrown: unknown): VltavaError {
  if (thrown instanceof VltavaError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new VltavaError('UNKNOWN_SERVER_ERROR', message, { cause: thrown })
}
