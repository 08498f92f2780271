import { VltavaError } from '../model/errors.ts'

/** @param what was closed, such as `producer`. */
export function closedError(what: string): VltavaError {
  return new VltavaError('CLOSED', `The ${what} is closed.`)
}
