// What to do after an error. How long to wait before is net/backoff.ts; the waiting is done by those who ask.
import type { ErrorName } from '../model/error-codes.ts'
import type { VltavaError } from '../model/errors.ts'

/**
 * `fail`: the same again would fail again. `retry`: the same broker, after a pause. `refresh`: the client's idea of the
 * cluster may be out of date; ask for metadata, then try again after a pause.
 */
export type RetryAction = 'fail' | 'retry' | 'refresh'

/** Retriable errors that say nothing about who leads: fresh metadata would not help. */
const SAME_BROKER: ReadonlySet<ErrorName> = new Set<ErrorName>([
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'OFFSET_NOT_AVAILABLE',
  'SERVER_BUSY',
  'VOTER_NOT_READY',
])

/**
 * The rule for every error of a request to a partition's leader or to the cluster. Note that OFFSET_NOT_AVAILABLE is
 * tried again and never treated as out of range: a new leader answers it until its high watermark has caught up
 * (REP-33), and resetting the position then would skip or repeat records.
 */
export function retryAction(error: VltavaError): RetryAction {
  if (!error.retriable) return 'fail'
  return SAME_BROKER.has(error.code) ? 'retry' : 'refresh'
}
