import type { Clock } from '../../base/clock.ts'

/** A clock of the simulation: virtual time, which passes only where something waits for it. */
export interface SimulationClock extends Clock {
  /** Resolves so many virtual milliseconds from now; never, when its process is gone by then. */
  sleep(ms: number): Promise<void>
}

export function withSleep(clock: Clock): SimulationClock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    afterPendingIo: (callback) => clock.afterPendingIo(callback),
    sleep: (ms) => new Promise((resolve) => clock.setTimer(ms, resolve)),
  }
}
