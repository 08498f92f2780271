// The event loop of a simulation: virtual time that jumps from one event to the next.
import { assert } from '../../base/assert.ts'
import type { Random } from '../../base/random.ts'
import type { Fence } from '../../platform/node/node-fence.ts'
import { EventQueue, type SimulatedEvent } from './event-queue.ts'

/** Events between two looks at everything else that goes on in the real process. */
const EVENTS_PER_TURN = 64
const PRIORITY_LIMIT = 2 ** 32
/** Events without any progress of time after which the run gives up: something keeps starting itself anew. */
const EVENTS_PER_INSTANT_MAX = 200_000

export interface SimulationKernelOptions {
  /** Draws the order of events of the same moment. */
  readonly random: Random
  readonly fence: Fence
  /** Called around every turn in which simulated code runs, for what must hold only meanwhile (see `Poison`). */
  readonly onTurn?: { begin(): void; end(): void }
  /** Something was scheduled between two turns of a run: what is real has woken simulated code. */
  readonly onStray?: () => void
}

export interface RunOptions {
  /** Virtual milliseconds at which to stop; what is due later waits. */
  readonly untilMs: number
  /** Looked at after each event, when all that it set off is over; true stops the run. */
  readonly afterEvent?: () => boolean
  /** Stops after so many events in total, counted from the first run of this kernel. Default: none. */
  readonly eventsMax?: number
}

/** Why a run stopped. */
export type RunEnd = 'time' | 'condition' | 'events' | 'idle'

export class SimulationKernel {
  readonly #options: SimulationKernelOptions
  readonly #queue = new EventQueue()
  #nowMs = 0
  #sequence = 0
  #events = 0
  #eventsThisInstant = 0
  #isRunning = false
  #isInTurn = false

  constructor(options: SimulationKernelOptions) {
    this.#options = options
  }

  /** Virtual milliseconds since the start; never goes back. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that have happened. */
  get events(): number {
    return this.#events
  }

  /** Events that wait. */
  get waiting(): number {
    return this.#queue.size
  }

  /**
   * Lets something happen.
   * @param atMs virtual milliseconds; a moment that is past counts as now.
   * @param order `drawn` puts it anywhere among the events of its moment, `last` behind all of those.
   */
  schedule(atMs: number, run: () => void, order: 'drawn' | 'last' = 'drawn'): SimulatedEvent {
    assert(Number.isFinite(atMs), 'the time of an event is not a number')
    if (this.#isRunning && !this.#isInTurn) this.#options.onStray?.()
    const event: SimulatedEvent = {
      atMs: Math.max(atMs, this.#nowMs),
      priority: order === 'last' ? PRIORITY_LIMIT : this.#options.random.u32(),
      sequence: ++this.#sequence,
      run,
      isDone: false,
    }
    this.#queue.add(event)
    return event
  }

  cancel(event: SimulatedEvent): void {
    this.#queue.cancel(event)
  }

  /**
   * Runs events until something says stop.
   * @throws what an event or `afterEvent` throws; AssertionError when time does not go on any more.
   */
  run(options: RunOptions): Promise<RunEnd> {
    assert(!this.#isRunning, 'the kernel runs already')
    this.#isRunning = true
    return new Promise((resolve, reject) => {
      const run = new Run({
        options,
        next: () => this.#next(options),
        fence: this.#options.fence,
        onTurn: (isBeginning) => this.#turn(isBeginning),
        onEnd: (end) => {
          this.#isRunning = false
          if (end.error === null) resolve(end.reason)
          else reject(end.error.thrown)
        },
      })
      run.start()
    })
  }

  #turn(isBeginning: boolean): void {
    const { onTurn } = this.#options
    this.#isInTurn = isBeginning
    if (isBeginning) onTurn?.begin()
    else onTurn?.end()
  }

  /** Makes one event happen, or says why none does. */
  #next({ untilMs, eventsMax }: RunOptions): RunEnd | null {
    const event = this.#queue.peek()
    if (event === null || event.atMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs)
      return event === null ? 'idle' : 'time'
    }
    if (eventsMax !== undefined && this.#events >= eventsMax) return 'events'
    this.#queue.take()
    this.#eventsThisInstant = event.atMs > this.#nowMs ? 0 : this.#eventsThisInstant + 1
    assert(
      this.#eventsThisInstant < EVENTS_PER_INSTANT_MAX,
      `time stands still at ${this.#nowMs} ms: something keeps starting itself anew without a delay`,
    )
    this.#nowMs = event.atMs
    this.#events++
    event.run()
    return null
  }
}

interface RunParts {
  readonly options: RunOptions
  readonly next: () => RunEnd | null
  readonly fence: Fence
  readonly onTurn: (isBeginning: boolean) => void
  readonly onEnd: (end: {
    readonly reason: RunEnd
    readonly error: { readonly thrown: unknown } | null
  }) => void
}

/** One call of `run`: turns of many events each. */
class Run {
  readonly #parts: RunParts
  readonly #steps: readonly (() => void)[]
  #reason: RunEnd | null = null
  #error: { readonly thrown: unknown } | null = null
  #isFirst = true

  constructor(parts: RunParts) {
    this.#parts = parts
    const step = (): void => this.#step()
    this.#steps = [
      ...Array.from({ length: EVENTS_PER_TURN }, () => step),
      () => this.#lastLook(),
      // A step of its own: what that look sets off is over before the turn is.
      () => this.#endTurn(),
    ]
  }

  start(): void {
    this.#parts.fence(this.#steps)
  }

  get #isOver(): boolean {
    return this.#reason !== null || this.#error !== null
  }

  #step(): void {
    if (this.#isOver) return
    try {
      if (this.#isFirst) this.#parts.onTurn(true)
      else if (this.#parts.options.afterEvent?.() === true) {
        this.#reason = 'condition'
        return
      }
      this.#isFirst = false
      this.#reason = this.#parts.next()
    } catch (thrown) {
      this.#error = { thrown }
    }
  }

  /** The look after the last event of the turn. */
  #lastLook(): void {
    if (this.#isOver) return
    try {
      if (this.#parts.options.afterEvent?.() === true) this.#reason = 'condition'
    } catch (thrown) {
      this.#error = { thrown }
    }
  }

  #endTurn(): void {
    this.#isFirst = true
    this.#parts.onTurn(false)
    if (this.#isOver) this.#parts.onEnd({ reason: this.#reason ?? 'condition', error: this.#error })
    else this.#parts.fence(this.#steps)
  }
}
