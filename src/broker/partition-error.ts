import { AssertionError } from '../base/assert.ts'
import { VltavaError } from '../model/errors.ts'
import { type WireError, wireError, wireErrorOf } from '../protocol/error-schema.ts'

/**
 * What a client hears of a failure in one partition of its request. A broken invariant is no answer but the end of the
 * process; the text of a foreign error stays here, because it may tell of paths and addresses.
 * @throws AssertionError as it came.
 */
export function partitionErrorOf(thrown: unknown): WireError {
  if (thrown instanceof AssertionError) throw thrown
  return thrown instanceof VltavaError ? wireErrorOf(thrown) : wireError('UNKNOWN_SERVER_ERROR')
}
