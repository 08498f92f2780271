// What the recorded producer and the recorded consumer share: one operation at a time, written down with its outcome.
import { AssertionError, assert } from '../../base/assert.ts'
import type { HistoryOperation } from '../../history/history.ts'
import type { Completion, HistoryRecorder } from '../../history/history-recorder.ts'
import { toVltavaError, type VltavaError } from '../../model/errors.ts'

export interface RecordedProcessOptions {
  readonly recorder: HistoryRecorder
  /** Milliseconds on the clock of the history, which all processes share and which never goes back. */
  readonly nowMs: () => number
  /** A process number that was not used before: `() => recorder.newProcess()`. */
  readonly nextProcess: () => number
}

export type OutcomeType = Completion['type']

/** How an operation ended, as it was recorded. */
export interface Outcome {
  /** `ok` it happened; `fail` it certainly did not; `info` it may have, or may still. */
  readonly type: OutcomeType
  /** null when nothing went wrong. */
  readonly error: VltavaError | null
}

/** How an operation ended, and what it brought. */
export interface Ended extends Outcome {
  readonly operation?: HistoryOperation
}

export class RecordedProcess {
  readonly #options: RecordedProcessOptions
  #id: number
  #isBusy = false

  constructor(options: RecordedProcessOptions) {
    this.#options = options
    this.#id = options.nextProcess()
  }

  /** The number under which the next operation is recorded; it changes after an operation that ended as `info`. */
  get id(): number {
    return this.#id
  }

  /**
   * Records the operation and does the work of it. What the work throws is an outcome like others.
   * @throws AssertionError when an operation is under way, and what the work throws of the kind: that is a bug.
   */
  async run(operation: HistoryOperation, work: () => Promise<Ended>): Promise<Outcome> {
    assert(!this.#isBusy, `process ${this.#id} does one operation at a time`)
    const { recorder, nowMs } = this.#options
    this.#isBusy = true
    const invocation = recorder.invoke({ process: this.#id, timeMs: nowMs(), operation })
    let bug: AssertionError | null = null
    let ended: Ended
    try {
      ended = await work()
    } catch (thrown) {
      if (thrown instanceof AssertionError) bug = thrown
      ended = failureOf(thrown)
    }
    const { type, error } = ended
    recorder.complete(invocation, {
      type,
      timeMs: nowMs(),
      ...(ended.operation === undefined ? {} : { operation: ended.operation }),
      ...(error === null ? {} : { error: error.code }),
    })
    if (type === 'info') this.#id = this.#options.nextProcess()
    this.#isBusy = false
    if (bug !== null) throw bug
    return { type, error }
  }
}

/** An error is a failure only where it says that nothing happened (CHK-0). */
export function failureOf(thrown: unknown): Outcome {
  const error = toVltavaError(thrown)
  return { type: error.definite ? 'fail' : 'info', error }
}
