import type { ManualClock } from '../../src/testing/manual-clock.ts'

/** Lets everything happen that needs no time: promises, and what waits for pending I/O. */
export async function settle(clock: ManualClock): Promise<void> {
  for (let i = 0; i < 20; i++) {
    clock.runPending()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
