import type { Clock } from '../clock.ts'

/** Resolves when all of the promises have settled, or when the time is up. Never rejects. */
export function settledWithin(
  clock: Clock,
  promises: readonly Promise<unknown>[],
  timeoutMs: number,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(timeoutMs, () => resolve())
    const done = (): void => {
      timer.cancel()
      resolve()
    }
    Promise.allSettled(promises).then(done, done)
  })
}
