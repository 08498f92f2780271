import { type Clock, clampTimerDelayMs } from '../../base/clock.ts'

// What the browser offers, named here because the types of the package are Node's.
declare const performance: { now(): number }
declare function setTimeout(callback: () => void, delayMs: number): unknown
declare function clearTimeout(timeout: unknown): void

/** The clock of a browser. Background tabs fire timers late, once a second or once a minute. */
export function createWebClock(): Clock {
  return {
    monotonicMs: () => performance.now(),
    wallMs: () => Date.now(),
    setTimer(delayMs, callback) {
      const dueMs = performance.now() + clampTimerDelayMs(delayMs)
      // Browsers round the clock and the delay differently and may fire early; the promise is "not earlier".
      const fire = (): void => {
        const leftMs = dueMs - performance.now()
        if (leftMs > 0) timeout = setTimeout(fire, Math.ceil(leftMs))
        else callback()
      }
      let timeout = setTimeout(fire, Math.ceil(clampTimerDelayMs(delayMs)))
      return { cancel: () => clearTimeout(timeout) }
    },
    afterPendingIo(callback) {
      // A browser has no moment "after I/O". A task queued behind the events comes closest; the second one lets those
      // in that arrived while the first was queued.
      let timeout = setTimeout(() => {
        timeout = setTimeout(callback, 0)
      }, 0)
      return { cancel: () => clearTimeout(timeout) }
    },
  }
}
