import type { VltavaError } from '../model/errors.ts'
import type { OnSettled, Receipt } from './records.ts'

/**
 * Tells the owner of a record its result. A callback that throws must not keep others from hearing of their records, so
 * its error surfaces the way an error in any callback of the program does: as an uncaught one.
 */
export function callSettled(onSettled: OnSettled, error: VltavaError | null, receipt: Receipt | null): void {
  try {
    onSettled(error, receipt)
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown
    })
  }
}
