import { type Clock, clampTimerDelayMs } from '../../base/clock.ts'

/** The clock of a Node process. */
export function createNodeClock(): Clock {
  return {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    setTimer(delayMs, callback) {
      const dueMs = performance.now() + clampTimerDelayMs(delayMs)
      // Node counts whole milliseconds from a truncated start and fires up to one early; the promise is "not earlier".
      const fire = (): void => {
        const leftMs = dueMs - performance.now()
        if (leftMs > 0) timeout = setTimeout(fire, Math.ceil(leftMs))
        else callback()
      }
      let timeout = setTimeout(fire, Math.ceil(clampTimerDelayMs(delayMs)))
      return { cancel: () => clearTimeout(timeout) }
    },
    afterPendingIo(callback) {
      // Twice: from inside an I/O callback the first immediate runs before the event loop asks the kernel again, so
      // that what arrived during a stall in that callback would still be unread.
      let immediate = setImmediate(() => {
        immediate = setImmediate(callback)
      })
      return { cancel: () => clearImmediate(immediate) }
    },
  }
}
