import { type Clock, clampTimerDelayMs, type Timer } from '../../base/clock.ts'
import type { SimulatedEvent } from './event-queue.ts'
import type { SimulationKernel } from './simulation-kernel.ts'

/** 2026-01-01T00:00:00Z, plus a bit, so that nothing takes the start for zero. */
const WALL_START_MS = Date.UTC(2026, 0, 1)

export interface SimulatedClockOptions {
  readonly kernel: SimulationKernel
  /** How fast this clock goes against true time: 1.05 gains 5 %. Default 1. */
  readonly rate?: number
  /** By how much its wall clock is ahead at the start, in milliseconds. Default 0. */
  readonly wallAheadMs?: number
  /** Called before each callback: only then does anything of the process change. */
  readonly onCall?: () => void
}

interface HeldCall {
  readonly call: () => void
  readonly order: 'drawn' | 'last'
}

/**
 * The clock of one run of a process in a simulation. All that ever calls into the process goes through it, so stopping it
 * stops the process: paused, it holds every callback back; halted, it never calls again.
 */
export class SimulatedClock implements Clock {
  readonly #kernel: SimulationKernel
  readonly #rate: number
  readonly #onCall: (() => void) | undefined
  #wallAheadMs: number
  #state: 'running' | 'paused' | 'halted' = 'running'
  #held: HeldCall[] = []
  readonly #pending = new Set<SimulatedEvent>()

  constructor(options: SimulatedClockOptions) {
    this.#kernel = options.kernel
    this.#rate = options.rate ?? 1
    this.#onCall = options.onCall
    this.#wallAheadMs = options.wallAheadMs ?? 0
  }

  get isHalted(): boolean {
    return this.#state === 'halted'
  }

  get isPaused(): boolean {
    return this.#state === 'paused'
  }

  monotonicMs(): number {
    return this.#kernel.nowMs * this.#rate
  }

  wallMs(): number {
    return Math.floor(WALL_START_MS + this.#kernel.nowMs * this.#rate + this.#wallAheadMs)
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#set(this.#shows(this.monotonicMs() + clampTimerDelayMs(delayMs)), callback, 'drawn')
  }

  afterPendingIo(callback: () => void): Timer {
    return this.#set(this.#kernel.nowMs, callback, 'last')
  }

  /** Sets the wall clock forward or, with a negative number, back. Timers do not notice. */
  jumpWall(ms: number): void {
    this.#wallAheadMs += ms
  }

  /** As SIGSTOP: whatever becomes due waits for `resume`. */
  pause(): void {
    if (this.#state === 'running') this.#state = 'paused'
  }

  /** As SIGCONT: what was held back happens now, in a drawn order. */
  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    const held = this.#held
    this.#held = []
    for (const { call, order } of held) this.#kernel.schedule(this.#kernel.nowMs, call, order)
  }

  /** The process is gone. */
  halt(): void {
    this.#state = 'halted'
    this.#held = []
    for (const event of this.#pending) this.#kernel.cancel(event)
    this.#pending.clear()
  }

  /** The first moment at which this clock shows a time: the quotient alone is rounded to one before it now and then. */
  #shows(monotonicMs: number): number {
    let atMs = monotonicMs / this.#rate
    while (atMs * this.#rate < monotonicMs) atMs += atMs * Number.EPSILON
    return atMs
  }

  #set(atMs: number, callback: () => void, order: 'drawn' | 'last'): Timer {
    if (this.#state === 'halted') return DEAD_TIMER
    let isCancelled = false
    const call = (): void => {
      this.#pending.delete(event)
      if (isCancelled || this.#state === 'halted') return
      if (this.#state === 'paused') {
        this.#held.push({ call, order })
        return
      }
      this.#onCall?.()
      callback()
    }
    const event: SimulatedEvent = this.#kernel.schedule(atMs, call, order)
    this.#pending.add(event)
    return {
      cancel: () => {
        isCancelled = true
        this.#pending.delete(event)
        this.#kernel.cancel(event)
      },
    }
  }
}

const DEAD_TIMER: Timer = { cancel() {} }
