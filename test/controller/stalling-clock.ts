import type { Clock, Timer } from '../../src/base/clock.ts'

/** A clock of a process that can stand still: timers first, then what is in the sockets, then `afterPendingIo`. */
export class StallingClock implements Clock {
  #nowMs = 0
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = []
  #afterIo: (() => void)[] = []

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.#nowMs + delayMs, callback }
    this.#timers.push(timer)
    return { cancel: () => (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  afterPendingIo(callback: () => void): Timer {
    this.#afterIo.push(callback)
    return { cancel: () => (this.#afterIo = this.#afterIo.filter((other) => other !== callback)) }
  }

  /** The process stands still for so long, then goes on. */
  stall(ms: number, readSockets: () => void): void {
    this.#nowMs += ms
    const due = this.#timers.filter(({ dueMs }) => dueMs <= this.#nowMs)
    this.#timers = this.#timers.filter(({ dueMs }) => dueMs > this.#nowMs)
    for (const { callback } of due) callback()
    readSockets()
    for (const callback of this.#afterIo.splice(0)) callback()
  }
}
