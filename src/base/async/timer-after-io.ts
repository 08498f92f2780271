import type { Clock, Timer } from '../clock.ts'

/**
 * For whoever judges others by their silence: after a stall of this process what they sent lies in the sockets, unread. Calls back
 * once, not earlier than `delayMs` from now, and after what was waiting by then was handled.
 */
export function setTimerAfterIo(clock: Clock, delayMs: number, callback: () => void): Timer {
  let timer = clock.setTimer(delayMs, () => {
    timer = clock.afterPendingIo(callback)
  })
  return { cancel: () => timer.cancel() }
}
