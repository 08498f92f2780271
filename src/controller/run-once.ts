import { VltavaError } from '../model/errors.ts'
import type { Controller, Decide } from './controller.ts'

/**
 * Runs a command that must not be repeated blindly. An error travels as its code, and NOT_CONTROLLER says that nothing
 * happened; when leadership was lost on the way, that is not known.
 */
export async function runOnce<Response>(
  controller: Controller,
  { decide, timeoutMs }: { readonly decide: Decide<Response>; readonly timeoutMs: number },
): Promise<Response> {
  try {
    return await controller.run(decide, timeoutMs)
  } catch (thrown) {
    if (!(thrown instanceof VltavaError) || thrown.code !== 'NOT_CONTROLLER' || thrown.definite) throw thrown
    throw new VltavaError('REQUEST_TIMED_OUT', thrown.message, { cause: thrown })
  }
}
