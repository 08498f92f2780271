import { assert } from '../base/assert.ts'
import type { HistoryEvent, HistoryEventType, HistoryOperation } from './history.ts'
import { HistoryPairing } from './history-pairing.ts'

/** An operation that was begun; `complete` takes it. It is the event that says so. */
export type Invocation = HistoryEvent & { readonly type: 'invoke' }

export interface HistoryRecorderOptions {
  /** Told of each event as it is recorded, so that it can be written to a file at once. Default: nobody. */
  readonly onEvent?: (event: HistoryEvent) => void
}

export interface NewInvocation {
  readonly process: number
  /** Never less than the time of the event before. */
  readonly timeMs: number
  readonly operation: HistoryOperation
}

export interface Completion {
  readonly type: Exclude<HistoryEventType, 'invoke'>
  readonly timeMs: number
  /** What it brought: the same steps with offsets and records. Default: the operation as it was invoked. */
  readonly operation?: HistoryOperation
  /** Of `fail` and `info`: the code of the error. */
  readonly error?: string
}

/**
 * Writes down what clients do and see, in the order in which it happens. A process does one operation at a time; after
 * one that ended as `info` it is over, because that one may still take effect between its later ones: go on under a
 * number from `newProcess`.
 */
export class HistoryRecorder {
  readonly #events: HistoryEvent[] = []
  readonly #pairing = new HistoryPairing()
  readonly #ended = new Set<number>()
  readonly #onEvent: (event: HistoryEvent) => void
  #nextProcess = 0

  constructor(options: HistoryRecorderOptions = {}) {
    this.#onEvent = options.onEvent ?? (() => {})
  }

  /** All events so far; it grows. */
  get events(): readonly HistoryEvent[] {
    return this.#events
  }

  /** Operations that have not completed, by process. */
  get open(): ReadonlyMap<number, HistoryEvent> {
    return this.#pairing.open
  }

  /** A process number that was not used before, from 0. */
  newProcess(): number {
    return this.#nextProcess++
  }

  /** @throws AssertionError when the process has an operation open or is over, or when time goes back. */
  invoke({ process, timeMs, operation }: NewInvocation): Invocation {
    assert(!this.#ended.has(process), `process ${process} is over: its last operation ended as info`)
    this.#nextProcess = Math.max(this.#nextProcess, process + 1)
    return this.#add({ index: this.#events.length, timeMs, process, type: 'invoke', operation })
  }

  /** @throws AssertionError for an invocation that has completed, another operation, or when time goes back. */
  complete(invocation: Invocation, completion: Completion): HistoryEvent {
    const { process, operation: invoked } = invocation
    const { type, timeMs, operation = invoked, error } = completion
    assert(this.#pairing.open.get(process) === invocation, `event ${invocation.index} has completed already`)
    if (type === 'info') this.#ended.add(process)
    const event = { index: this.#events.length, timeMs, process, type, operation }
    return this.#add(error === undefined ? event : { ...event, error })
  }

  /** An operation that takes no time: the start of the final phase, or an assignment. */
  record(invocation: NewInvocation): void {
    this.complete(this.invoke(invocation), { type: 'ok', timeMs: invocation.timeMs })
  }

  #add<T extends HistoryEvent>(event: T): T {
    const problem = this.#pairing.add(event)
    assert(problem === null, `event ${event.index} does not fit: ${problem}`)
    this.#events.push(event)
    this.#onEvent(event)
    return event
  }
}
